// SPDX-License-Identifier: Apache-2.0
// Sockets of TCP and DNS probes.
#include "agent/sock_tcp.h"

#include <errno.h>

#include <linux/net_tstamp.h>

int sock_tcp_open(enum family f)
{
    CLEANUP_FD int fd =
        socket(f == FAMILY_IPV4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) != 0)
        return -errno;
    return TAKE_FD(fd);
}

int sock_tcp_error(int fd)
{
    int err = 0;
    socklen_t len = sizeof(err);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0 ? errno : err;
}

bool sock_tcp_refused(int err)
{
    return err == ECONNREFUSED || err == ECONNRESET || err == EHOSTUNREACH || err == ENETUNREACH ||
           err == EHOSTDOWN || err == ENOPROTOOPT || err == EPROTO || err == EACCES || err == EOPNOTSUPP ||
           err == ENONET;
}

void sock_tcp_stamp(int fd)
{
    int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
    (void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags)); // without, our clock will do
}
