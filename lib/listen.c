// SPDX-License-Identifier: Apache-2.0
// socket, bind, listen, and which port it became.
#include "lib/listen.h"

#include <errno.h>

static int port_of(int fd, uint16_t *ret, struct err *e)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct addr addr;
    if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
        return err_sys(e, errno, "getsockname");
    if (addr_from_sockaddr((struct sockaddr *)&sa, &addr, ret) < 0)
        return err_set(e, EAFNOSUPPORT, "the socket has no IP address");
    return 0;
}

int listen_tcp(const struct addr *addr, uint16_t port, int backlog, const char *what, uint16_t *ret_port,
               struct err *e)
{
    struct sockaddr_storage sa;
    struct addr any4 = {.family = FAMILY_IPV4, .set = 1};
    socklen_t len = addr_sockaddr(addr, port, &sa);
    CLEANUP_FD int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 && errno == EAFNOSUPPORT && !addr->set) { // a kernel without IPv6
        len = addr_sockaddr(&any4, port, &sa);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (fd < 0)
        return err_sys(e, errno, "socket for %s", what);
    int on = 1, v6only = addr->set;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (sa.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
    if (bind(fd, (struct sockaddr *)&sa, len) < 0)
        return err_sys(e, errno, "bind of %s port %u", what, port);
    if (listen(fd, backlog) < 0)
        return err_sys(e, errno, "listen on %s port %u", what, port);
    int r = port_of(fd, ret_port, e);
    return r < 0 ? r : TAKE_FD(fd);
}
