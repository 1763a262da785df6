// SPDX-License-Identifier: Apache-2.0
// Sockets of TCP and DNS probes.
#include "agent/sock_tcp.h"

#include <errno.h>

#include <linux/net_tstamp.h>
#include <netinet/in.h>

#include "agent/sock.h"

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

void sock_tcp_keep_errors(int fd, enum family f)
{
    bool v4 = f == FAMILY_IPV4;
    int on = 1; // without, errno will do
    (void)setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof(on));
}

struct found {
    enum family family;
    enum reason reason;
};

static void on_error(const struct sock_error *k, void *arg)
{
    struct found *f = arg;
    if (!k->stamp)
        f->reason = reason_icmp(f->family, k->type, k->code);
}

enum reason sock_tcp_reason(int fd, enum family f, int err)
{
    struct found found = {f, reason_connection(err)};
    sock_drain_errors(fd, 1, on_error, &found);
    return found.reason;
}

void sock_tcp_stamp(int fd)
{
    int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
    (void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags)); // without, our clock will do
}
