// SPDX-License-Identifier: Apache-2.0
// Ping and UDP sockets, their stamps and their error queues. What the kernel says is handed on as it is; what
// it means is decided above.
#include "agent/sock.h"

#include <errno.h>
#include <time.h>

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "lib/limits.h"

#define BATCH 8     // a batch of answers and one of errors lie on the stack at once: 8 KiB
#define CONTROL 192 // a stamp (64) and an extended error with an IPv6 address (64), with room
#define CLASS_CONTROL CMSG_SPACE(sizeof(int))
#define RETRIES 4 // of a call that reported an error which the socket held for an earlier packet

// An skb of one small packet counts for this much against the receive buffer, a larger one for at most twice
// its bytes more; an answer and a stamp of sending each have one.
#define SKB_BYTES 1024

// Where the bytes go that nobody reads: they are taken for their number. Never read, and no page of it is
// there before a packet is longer than SOCK_DATA.
static uint8_t sink[LIMIT_PROBE_PAYLOAD];

#define SLEW_PPM 1000 // the kernel slews by at most 500, and NTP may change its mind between two samples
#define CLOCK_NOISE_NS (20 * NS_PER_US)
#define CLOCK_READS 4

// --- clocks --------------------------------------------------------------------------------------

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t sock_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

bool sock_clock_update(struct sock_clock *c, uint64_t mono_ns, uint64_t real_ns, uint64_t doubt_ns)
{
    int64_t offset = (int64_t)(real_ns - mono_ns);
    int64_t change = offset - c->offset_ns;
    uint64_t moved = (uint64_t)(change < 0 ? -change : change);
    uint64_t slewed = (mono_ns - c->at_ns) / 1000000 * SLEW_PPM;
    c->stepped = c->valid && moved > slewed + CLOCK_NOISE_NS + doubt_ns;
    c->offset_ns = offset;
    c->at_ns = mono_ns;
    c->valid = true;
    return c->stepped;
}

bool sock_clock_sample(struct sock_clock *c)
{
    uint64_t mono = 0, real = 0, doubt = UINT64_MAX;
    for (int i = 0; i < CLOCK_READS && doubt > 2 * NS_PER_US; i++) { // the reading that was least disturbed
        uint64_t before = sock_now(), between = read_clock(CLOCK_REALTIME), after = sock_now();
        if (after - before < doubt) {
            doubt = after - before;
            mono = before + doubt / 2;
            real = between;
        }
    }
    return sock_clock_update(c, mono, real, doubt);
}

uint64_t sock_clock_convert(const struct sock_clock *c, uint64_t real_ns)
{
    return real_ns && c->valid && !c->stepped ? real_ns - (uint64_t)c->offset_ns : 0;
}

// --- opening -------------------------------------------------------------------------------------

void sock_set_burst(int fd, size_t burst, size_t payload)
{
    // Two ticks' worth of answers and stamps. The kernel doubles the value, and cuts it at net.core.rmem_max:
    // what it grants is what there is.
    int bytes = (int)(MAX(burst, (size_t)64) * 2 * (SKB_BYTES + (payload > SOCK_DATA ? 2 * payload : 0)));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

// OMIT and DONT both leave the DF bit off, but with DONT a ping socket drops a router's "fragmentation
// needed" as it comes, which may be about a whole packet that was sent before (net/ipv4/ping.c, ping_err).
int sock_set_whole(int fd, enum family f, bool whole, struct err *e)
{
    int on = whole, v4 = whole ? IP_PMTUDISC_PROBE : IP_PMTUDISC_OMIT;
    int v6 = whole ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_WANT;
    int r = f == FAMILY_IPV4 ? setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &v4, sizeof(v4))
                             : setsockopt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, &on, sizeof(on));
    if (r == 0 && f == FAMILY_IPV6)
        r = setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v6, sizeof(v6));
    if (r != 0)
        return err_sys(e, errno, "no packets %s fragmentation", whole ? "without" : "with");
    return 0;
}

// The error queue, stamps and room that every socket of probes has.
static int set_up(int fd, enum family f, const struct sock_opts *o, bool *ret_tx_stamps, struct err *e)
{
    bool v4 = f == FAMILY_IPV4;
    int on = 1;
    if (setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof(on)) != 0)
        return err_sys(e, errno, "no error queue on a socket");
    struct err plain;
    int r = sock_set_whole(fd, f, o->dont_fragment, o->dont_fragment ? e : &plain);
    if (r < 0 && o->dont_fragment) // the others need nothing of their kernel
        return r;
    // SOFTWARE alone would hand up receive stamps as well, while any other socket of the machine asks for
    // them.
    int flags = (o->no_rx_stamps ? 0 : SOF_TIMESTAMPING_RX_SOFTWARE) |
                (o->no_tx_stamps ? 0 : SOF_TIMESTAMPING_TX_SOFTWARE);
    flags |= flags ? SOF_TIMESTAMPING_SOFTWARE : 0;
    bool stamps = setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags)) == 0;
    sock_set_burst(fd, o->burst, o->payload);
    *ret_tx_stamps = stamps && !o->no_tx_stamps;
    return 0;
}

int sock_ping(enum family f, const struct sock_opts *o, bool *ret_tx_stamps, struct err *e)
{
    bool v4 = f == FAMILY_IPV4;
    CLEANUP_FD int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                               v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
    if (fd < 0 && errno == EACCES)
        return err_set(e, EACCES, "no ping socket: our group is not in net.ipv4.ping_group_range");
    if (fd < 0)
        return err_sys(e, errno, "no ping socket");
    int r = set_up(fd, f, o, ret_tx_stamps, e);
    return r < 0 ? r : TAKE_FD(fd);
}

int sock_udp(enum family f, const struct sock_opts *o, bool *ret_tx_stamps, struct err *e)
{
    bool v4 = f == FAMILY_IPV4;
    CLEANUP_FD int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_storage any = {.ss_family = v4 ? AF_INET : AF_INET6};
    if (fd < 0)
        return err_sys(e, errno, "no UDP socket");
    if (!v4 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
        return err_sys(e, errno, "no UDP socket for IPv6 alone");
    // Bound now: every packet from here has the same source port, the first one too.
    if (bind(fd, (struct sockaddr *)&any, v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)) != 0)
        return err_sys(e, errno, "no UDP port");
    int r = set_up(fd, f, o, ret_tx_stamps, e);
    return r < 0 ? r : TAKE_FD(fd);
}

// --- sending -------------------------------------------------------------------------------------

// Sends m[n]; returns how many went before one failed, and its errno. An error that the socket kept for an
// earlier packet (from an ICMP message) comes out of whichever call is next, once: so only what comes again
// and again is this packet's own.
static size_t send_some(int fd, struct mmsghdr *m, size_t n, int *ret_err)
{
    for (int i = 0;; i++) {
        int sent = sendmmsg(fd, m, (unsigned)n, MSG_DONTWAIT);
        *ret_err = sent < 0 ? errno : 0;
        if (sent >= 0)
            return (size_t)sent;
        if (i == RETRIES || *ret_err == EAGAIN || *ret_err == ENOBUFS)
            return 0;
    }
}

static void set_dscp(struct msghdr *m, const struct sock_out *out, uint8_t control[static CLASS_CONTROL])
{
    int class = out->dscp << 2;
    struct cmsghdr *c = (struct cmsghdr *)(void *)control;
    c->cmsg_level = out->to.family == FAMILY_IPV4 ? IPPROTO_IP : IPPROTO_IPV6;
    c->cmsg_type = out->to.family == FAMILY_IPV4 ? IP_TOS : IPV6_TCLASS;
    c->cmsg_len = CMSG_LEN(sizeof(class));
    memcpy(CMSG_DATA(c), &class, sizeof(class));
    m->msg_control = control;
    m->msg_controllen = CMSG_SPACE(sizeof(class));
}

static void send_batch(int fd, struct sock_out *out, size_t n, size_t at_once)
{
    struct mmsghdr m[BATCH];
    struct iovec iov[BATCH][2];
    struct sockaddr_storage to[BATCH];
    _Alignas(struct cmsghdr) uint8_t control[BATCH][CLASS_CONTROL];
    memset(m, 0, sizeof(m));
    for (size_t i = 0; i < n; i++) {
        iov[i][0] = (struct iovec){(void *)(uintptr_t)out[i].data, out[i].len};
        iov[i][1] = (struct iovec){(void *)(uintptr_t)out[i].more, out[i].more_len};
        m[i].msg_hdr.msg_iov = iov[i];
        m[i].msg_hdr.msg_iovlen = out[i].more_len ? 2 : 1;
        m[i].msg_hdr.msg_namelen = addr_sockaddr(&out[i].to, out[i].port, &to[i]);
        m[i].msg_hdr.msg_name = &to[i];
        if (out[i].dscp)
            set_dscp(&m[i].msg_hdr, &out[i], control[i]);
    }
    for (size_t i = 0; i < n;) {
        uint64_t now = sock_now();
        int err;
        size_t sent = send_some(fd, m + i, MIN(n - i, at_once), &err);
        for (size_t k = i; k < i + MAX(sent, (size_t)1); k++) {
            out[k].err = sent ? 0 : err;
            out[k].sent_ns = now;
        }
        i += MAX(sent, (size_t)1);
    }
}

void sock_send(int fd, struct sock_out *out, size_t n, bool one_by_one)
{
    for (size_t i = 0; i < n; i += BATCH)
        send_batch(fd, out + i, MIN(n - i, (size_t)BATCH), one_by_one ? 1 : BATCH);
}

// --- receiving -----------------------------------------------------------------------------------

struct batch {
    struct mmsghdr m[BATCH];
    struct iovec iov[BATCH][2];
    struct sockaddr_in6 from[BATCH]; // or sockaddr_in
    uint8_t data[BATCH][SOCK_DATA];
    _Alignas(struct cmsghdr) uint8_t control[BATCH][CONTROL];
};

static size_t batch_read(int fd, struct batch *b, int flags)
{
    for (size_t i = 0; i < BATCH; i++) {
        b->iov[i][0] = (struct iovec){b->data[i], SOCK_DATA};
        b->iov[i][1] = (struct iovec){sink, sizeof(sink)};
        b->m[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = b->iov[i], .msg_iovlen = 2}};
        b->m[i].msg_hdr.msg_name = &b->from[i];
        b->m[i].msg_hdr.msg_namelen = sizeof(b->from[i]);
        b->m[i].msg_hdr.msg_control = b->control[i];
        b->m[i].msg_hdr.msg_controllen = CONTROL;
    }
    for (int i = 0; i <= RETRIES;
         i++) { // as with sending, an error may be an earlier packet's, and the queue behind it full
        int n = recvmmsg(fd, b->m, BATCH, MSG_DONTWAIT | flags, NULL);
        if (n >= 0)
            return (size_t)n;
        if (errno == EAGAIN)
            break;
    }
    return 0;
}

static uint64_t stamp_of(const struct cmsghdr *c)
{
    struct scm_timestamping ts;
    if (c->cmsg_len < CMSG_LEN(sizeof(ts)))
        return 0;
    memcpy(&ts, CMSG_DATA(c), sizeof(ts));
    return (uint64_t)ts.ts[0].tv_sec * NS_PER_S + (uint64_t)ts.ts[0].tv_nsec;
}

static void hand_packet(struct mmsghdr *m, const uint8_t *data, sock_packet_fn *packet, void *arg)
{
    struct sock_packet p = {.data = data, .len = m->msg_len};
    if (addr_from_sockaddr(m->msg_hdr.msg_name, &p.from, &p.port) != 0)
        return;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m->msg_hdr); c; c = CMSG_NXTHDR(&m->msg_hdr, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPING)
            p.real_ns = stamp_of(c);
    packet(&p, arg);
}

static void hand_error(struct mmsghdr *m, const uint8_t *data, sock_error_fn *error, void *arg)
{
    struct sock_error p = {.data = data, .len = m->msg_len};
    struct sock_extended_err ee = {0};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m->msg_hdr); c; c = CMSG_NXTHDR(&m->msg_hdr, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPING)
            p.real_ns = stamp_of(c);
        else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                 (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
            memcpy(&ee, CMSG_DATA(c), sizeof(ee));
    }
    p.stamp = ee.ee_origin == SO_EE_ORIGIN_TIMESTAMPING;
    p.type = ee.ee_type;
    p.code = ee.ee_code;
    p.err = (int)ee.ee_errno;
    bool from_network = ee.ee_origin == SO_EE_ORIGIN_ICMP || ee.ee_origin == SO_EE_ORIGIN_ICMP6;
    if (p.stamp || (from_network && addr_from_sockaddr(m->msg_hdr.msg_name, &p.to, &p.port) == 0))
        error(&p, arg);
}

void sock_drain_errors(int fd, size_t max, sock_error_fn *error, void *arg)
{
    struct batch b;
    for (size_t done = 0; done < max;) {
        size_t n = batch_read(fd, &b, MSG_ERRQUEUE);
        for (size_t i = 0; i < n; i++)
            hand_error(&b.m[i], b.data[i], error, arg);
        if (n < BATCH)
            return;
        done += n;
    }
}

size_t sock_drain(int fd, size_t max, sock_packet_fn *packet, sock_error_fn *error, void *arg)
{
    struct batch b;
    for (size_t done = 0;;) {
        size_t n = batch_read(fd, &b, 0);
        sock_drain_errors(fd, max, error, arg);
        for (size_t i = 0; i < n; i++)
            hand_packet(&b.m[i], b.data[i], packet, arg);
        done += n;
        if (n < BATCH || done >= max)
            return done;
    }
}

ssize_t sock_recv(int fd, uint8_t *data, size_t size, int flags, uint64_t *ret_real_ns)
{
    _Alignas(struct cmsghdr) uint8_t control[CONTROL];
    struct iovec iov = {data, size};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | flags);
    if (n < 0)
        return -errno;
    *ret_real_ns = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPING)
            *ret_real_ns = stamp_of(c);
    return n;
}
