// SPDX-License-Identifier: Apache-2.0
// IP_PKTINFO and its kind, both ways.
#include "agent/sock_reflect.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>

// A stamp (64 bytes), the destination (40), TTL (24), class (24), with room.
#define CONTROL 256
#define ECN 3
#define RETRIES 4 // of a read that reported an error of an earlier packet

static int set_to(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value));
}

static int set(int fd, int level, int option)
{
    return set_to(fd, level, option, 1);
}

static bool set_options(int fd, enum family f)
{
    int stamps = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
    (void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof(stamps));
    if (f == FAMILY_IPV4)
        return set(fd, IPPROTO_IP, IP_PKTINFO) == 0 && set(fd, IPPROTO_IP, IP_RECVTTL) == 0 &&
               set(fd, IPPROTO_IP, IP_RECVTOS) == 0;
    return set(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0 && set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO) == 0 &&
           set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT) == 0 && set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS) == 0;
}

// What is learnt of the path does not count for what must stay whole: it is sent, and does not arrive. Where
// that cannot be set, answers are as any packet.
static void set_whole(int fd, enum family f, bool whole)
{
    if (f == FAMILY_IPV4) {
        (void)set_to(fd, IPPROTO_IP, IP_MTU_DISCOVER, whole ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT);
    } else {
        (void)set_to(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, whole ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_WANT);
        (void)set_to(fd, IPPROTO_IPV6, IPV6_DONTFRAG, whole);
    }
}

int sock_reflect_open(enum family f, const struct addr *addr, uint16_t port, uint16_t *ret_port,
                      struct err *e)
{
    const struct addr any = {.family = (uint8_t)f, .set = 1};
    struct sockaddr_storage sa;
    socklen_t len = addr_sockaddr(addr->set ? addr : &any, port, &sa);
    CLEANUP_FD int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct addr bound;
    if (fd < 0 || !set_options(fd, f))
        return err_sys(e, errno, "no UDP socket for the STAMP reflector");
    if (bind(fd, (struct sockaddr *)&sa, len) != 0)
        return err_sys(e, errno, "bind of the STAMP reflector's port %u", port);
    set_whole(fd, f, false);
    if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0 ||
        addr_from_sockaddr((struct sockaddr *)&sa, &bound, ret_port) != 0)
        return err_sys(e, errno, "the STAMP reflector's port");
    return TAKE_FD(fd);
}

// --- in ------------------------------------------------------------------------------------------

static void take_destination(const struct cmsghdr *c, struct sock_reflect_packet *k)
{
    if (c->cmsg_level == IPPROTO_IP) {
        struct in_pktinfo i;
        memcpy(&i, CMSG_DATA(c), sizeof(i));
        k->to = (struct addr){.family = FAMILY_IPV4, .set = 1};
        memcpy(k->to.bytes, &i.ipi_spec_dst, sizeof(i.ipi_spec_dst));
        k->link = (uint32_t)i.ipi_ifindex;
        k->direct = i.ipi_spec_dst.s_addr == i.ipi_addr.s_addr;
    } else {
        struct in6_pktinfo i;
        memcpy(&i, CMSG_DATA(c), sizeof(i));
        k->to = (struct addr){.family = FAMILY_IPV6, .set = 1};
        memcpy(k->to.bytes, &i.ipi6_addr, sizeof(i.ipi6_addr));
        k->link = i.ipi6_ifindex;
        k->direct = k->to.bytes[0] != 0xff;
    }
}

static void take_control(const struct cmsghdr *c, struct sock_reflect_packet *k)
{
    bool v4 = c->cmsg_level == IPPROTO_IP;
    int number = 0;
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPING) {
        struct scm_timestamping ts;
        memcpy(&ts, CMSG_DATA(c), sizeof(ts));
        k->real_ns = (uint64_t)ts.ts[0].tv_sec * NS_PER_S + (uint64_t)ts.ts[0].tv_nsec;
    } else if (c->cmsg_type == (v4 ? IP_PKTINFO : IPV6_PKTINFO)) {
        take_destination(c, k);
    } else if (c->cmsg_type == (v4 ? IP_TTL : IPV6_HOPLIMIT)) {
        memcpy(&number, CMSG_DATA(c), sizeof(number));
        k->ttl = (uint8_t)number;
    } else if (v4 && c->cmsg_type == IP_TOS) { // one byte, unlike the others
        k->class = *CMSG_DATA(c);
    } else if (!v4 && c->cmsg_type == IPV6_TCLASS) {
        memcpy(&number, CMSG_DATA(c), sizeof(number));
        k->class = (uint8_t)number;
    }
}

bool sock_reflect_read(int fd, uint8_t *buf, size_t size, struct sock_reflect_packet *ret)
{
    struct sockaddr_storage from;
    _Alignas(struct cmsghdr) uint8_t control[CONTROL];
    struct iovec iov = {buf, size};
    for (int i = 0; i < RETRIES; i++) {
        struct msghdr m = {.msg_name = &from,
                           .msg_namelen = sizeof(from),
                           .msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return false;
        *ret = (struct sock_reflect_packet){.data = buf, .len = (size_t)n, .cut = m.msg_flags & MSG_TRUNC};
        if (n < 0 || addr_from_sockaddr((struct sockaddr *)&from, &ret->from, &ret->port) != 0)
            continue;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
            take_control(c, ret);
        return true;
    }
    return false;
}

// --- out -----------------------------------------------------------------------------------------

static void add_control(struct msghdr *m, int level, int type, const void *data, size_t len)
{
    struct cmsghdr *c = (struct cmsghdr *)(void *)((uint8_t *)m->msg_control + m->msg_controllen);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = (socklen_t)CMSG_LEN(len); // size_t to one libc, socklen_t to the other
    memcpy(CMSG_DATA(c), data, len);
    m->msg_controllen += (socklen_t)CMSG_SPACE(len);
}

static void add_source(struct msghdr *m, const struct sock_reflect_packet *k)
{
    int class = k->class & ~ECN;
    if (k->to.family == FAMILY_IPV4) {
        struct in_pktinfo i = {0};
        memcpy(&i.ipi_spec_dst, k->to.bytes, sizeof(i.ipi_spec_dst));
        add_control(m, IPPROTO_IP, IP_PKTINFO, &i, sizeof(i));
        add_control(m, IPPROTO_IP, IP_TOS, &class, sizeof(class));
    } else {
        bool local = k->to.bytes[0] == 0xfe && (k->to.bytes[1] & 0xc0) == 0x80;
        struct in6_pktinfo i = {.ipi6_ifindex = local ? k->link : 0};
        memcpy(&i.ipi6_addr, k->to.bytes, sizeof(i.ipi6_addr));
        add_control(m, IPPROTO_IPV6, IPV6_PKTINFO, &i, sizeof(i));
        add_control(m, IPPROTO_IPV6, IPV6_TCLASS, &class, sizeof(class));
    }
}

static int send_out(int fd, const struct msghdr *m)
{
    for (int i = 0;; i++) { // as with reading, an error may be an earlier packet's
        if (sendmsg(fd, m, MSG_DONTWAIT) >= 0)
            return 0;
        if (i == RETRIES || errno == EAGAIN || errno == ENOBUFS)
            return -errno;
    }
}

int sock_reflect_answer(int fd, const struct sock_reflect_packet *k, const uint8_t *data, size_t len,
                        bool whole)
{
    struct sockaddr_storage to;
    _Alignas(struct cmsghdr) uint8_t control[CONTROL] = {0};
    struct iovec iov = {(void *)(uintptr_t)data, len};
    struct msghdr m = {.msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
    m.msg_namelen = addr_sockaddr(&k->from, k->port, &to);
    add_source(&m, k);
    if (!whole)
        return send_out(fd, &m);
    set_whole(fd, (enum family)k->to.family, true); // for this one, on a socket that the others use, too
    int r = send_out(fd, &m);
    set_whole(fd, (enum family)k->to.family, false);
    return r;
}
