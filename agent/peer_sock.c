// SPDX-License-Identifier: Apache-2.0
// Two kinds of packet info (ip(7), RFC 3542), read and written.
#include "agent/peer_sock.h"

#include <errno.h>
#include <string.h>

#define BATCH 16
#define CONTROL 64 // one struct in6_pktinfo, with room

// --- opening -------------------------------------------------------------------------------------

int peer_sock_open(enum family f, const struct addr *addr, uint16_t port, struct err *e)
{
    bool v4 = f == FAMILY_IPV4;
    const struct addr any = {.family = (uint8_t)f, .set = 1};
    if (addr->set && addr->family != f)
        return err_set(e, EAFNOSUPPORT, "the address is of the other family");
    CLEANUP_FD int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(e, errno, "socket for the peers' messages");
    int on = 1;
    if (!v4 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
        return err_sys(e, errno, "IPV6_V6ONLY");
    if (setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, &on, sizeof(on)) !=
        0)
        return err_sys(e, errno, "packet info");
    struct sockaddr_storage sa;
    socklen_t len = addr_sockaddr(addr->set ? addr : &any, port, &sa);
    if (bind(fd, (struct sockaddr *)&sa, len) != 0)
        return err_sys(e, errno, "bind of the peers' UDP port %u", port);
    return TAKE_FD(fd);
}

// --- receiving -----------------------------------------------------------------------------------

// Where it was sent to. False: not to us alone.
static bool local_of(struct msghdr *m, struct addr *ret)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            *ret = (struct addr){.family = FAMILY_IPV4, .set = 1};
            memcpy(ret->bytes, &info.ipi_spec_dst, sizeof(info.ipi_spec_dst));
            return info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr; // else it was broadcast or multicast
        }
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            *ret = (struct addr){.family = FAMILY_IPV6, .set = 1};
            memcpy(ret->bytes, &info.ipi6_addr, sizeof(info.ipi6_addr));
            return !IN6_IS_ADDR_MULTICAST(&info.ipi6_addr);
        }
    }
    return false;
}

static size_t read_batch(int fd, size_t max, peer_sock_fn *fn, void *arg)
{
    struct mmsghdr m[BATCH];
    struct iovec iov[BATCH];
    struct sockaddr_storage from[BATCH];
    uint8_t data[BATCH][PEER_SOCK_DATA];
    _Alignas(struct cmsghdr) uint8_t control[BATCH][CONTROL];
    for (size_t i = 0; i < max; i++) {
        iov[i] = (struct iovec){data[i], PEER_SOCK_DATA};
        m[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
        m[i].msg_hdr.msg_name = &from[i];
        m[i].msg_hdr.msg_namelen = sizeof(from[i]);
        m[i].msg_hdr.msg_control = control[i];
        m[i].msg_hdr.msg_controllen = CONTROL;
    }
    int n = recvmmsg(fd, m, (unsigned)max, MSG_DONTWAIT | MSG_TRUNC, NULL);
    for (int i = 0; i < n; i++) {
        struct peer_sock_packet p = {.data = data[i], .len = m[i].msg_len};
        if (addr_from_sockaddr((struct sockaddr *)&from[i], &p.from, &p.port) == 0 &&
            local_of(&m[i].msg_hdr, &p.to))
            fn(&p, arg);
    }
    return n > 0 ? (size_t)n : 0;
}

size_t peer_sock_read(int fd, size_t max, peer_sock_fn *fn, void *arg)
{
    for (size_t done = 0;;) {
        size_t want = MIN(max - done, (size_t)BATCH), n = read_batch(fd, want, fn, arg);
        done += n;
        if (n < want || done >= max)
            return done;
    }
}

// --- sending -------------------------------------------------------------------------------------

static void set_source(struct msghdr *m, const struct addr *from, uint8_t control[static CONTROL])
{
    bool v4 = from->family == FAMILY_IPV4;
    struct in_pktinfo info4 = {0};
    struct in6_pktinfo info6 = {0};
    size_t len = v4 ? sizeof(info4) : sizeof(info6);
    memset(control, 0, CONTROL);
    m->msg_control = control;
    m->msg_controllen = (socklen_t)CMSG_SPACE(len); // size_t to one libc, socklen_t to the other
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    c->cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
    c->cmsg_type = v4 ? IP_PKTINFO : IPV6_PKTINFO;
    c->cmsg_len = (socklen_t)CMSG_LEN(len);
    memcpy(&info4.ipi_spec_dst, from->bytes, sizeof(info4.ipi_spec_dst));
    memcpy(&info6.ipi6_addr, from->bytes, sizeof(info6.ipi6_addr));
    memcpy(CMSG_DATA(c), v4 ? (void *)&info4 : (void *)&info6, len);
}

bool peer_sock_send(int fd, const struct addr *to, uint16_t port, const struct addr *from,
                    const uint8_t *data, size_t len)
{
    struct sockaddr_storage sa;
    struct iovec iov = {(void *)(uintptr_t)data, len};
    struct msghdr m = {.msg_name = &sa, .msg_iov = &iov, .msg_iovlen = 1};
    _Alignas(struct cmsghdr) uint8_t control[CONTROL];
    m.msg_namelen = addr_sockaddr(to, port, &sa);
    if (from)
        set_source(&m, from, control);
    return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}
