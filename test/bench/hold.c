// SPDX-License-Identifier: Apache-2.0
// A network of known delay, at the far end of a veth pair: it answers every IPv4 echo request so many
// microseconds after it came, and writes down for how long it really held it. Both moments are the kernel's
// (Documentation/networking/timestamping.rst, software stamps), taken in the device itself: the request's as
// it enters this end, the answer's as it leaves it. So neither this program's waking nor its system calls are
// part of what is taken for the truth; the clock is the one that a prober on the other end has its stamps
// from.
//   hold DEVICE MICROSECONDS
// "ready" on stdout, and it holds until stdin ends; with each byte from there it begins to count anew what it
// dropped. Then one line of what it saw, `asked N answered N failed
// N dropped N`, and one for each answer in the order in which they left: for how many ns its request was
// held, 0 where the kernel gave no stamp.
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>

#define FRAME_MAX 256     // nobody here asks with more
#define QUEUE 131072      // held at the same time: 10 ms of what any tool sends; a power of two
#define BUFFER (64 << 20) // of the socket: a burst to 5,000 targets fits
#define EARLY_NS 50000    // it wakes so long before an answer is due, and spins
#define CONTROL 256       // a stamp and an extended error, with room
#define NS_PER_S 1000000000ull

struct held {
    uint64_t came_ns; // 0: no stamp
    uint64_t due_ns;
    size_t len;
    uint8_t frame[FRAME_MAX];
};

struct network {
    int fd;
    uint64_t hold_ns;
    uint64_t first, last; // of the queue, counted from the beginning
    struct held *queue;
    uint32_t next_id; // the kernel's number of the next packet that we send
    uint64_t asked, failed;
    uint64_t *log; // ns held; 0: no stamp
    size_t n_log, log_room;
};

// --- the socket ----------------------------------------------------------------------------------

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts); // the stamps' clock
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int open_device(const char *name)
{
    int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
                SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
    int bytes = BUFFER;
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
    to.sll_ifindex = (int)if_nametoindex(name);
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || !to.sll_ifindex || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) ||
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags)) ||
        bind(fd, (struct sockaddr *)&to, sizeof(to)))
        return -1;
    return fd;
}

struct stamp {
    uint64_t ns; // 0: none
    uint32_t id; // of a packet that we sent
};

static struct stamp stamp_of(struct msghdr *m)
{
    struct stamp s = {0};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        struct scm_timestamping ts;
        struct sock_extended_err ee;
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING) {
            memcpy(&ts, CMSG_DATA(c), sizeof(ts));
            s.ns = (uint64_t)ts.ts[0].tv_sec * NS_PER_S + (uint64_t)ts.ts[0].tv_nsec;
        } else if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_TX_TIMESTAMP) {
            memcpy(&ee, CMSG_DATA(c), sizeof(ee));
            s.id = ee.ee_data;
        }
    }
    return s;
}

// --- requests ------------------------------------------------------------------------------------

static void swap(uint8_t *a, uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t t = a[i];
        a[i] = b[i];
        b[i] = t;
    }
}

// Makes an answer of a request; false if it is none. The sum changes by what its first word does (RFC 1624).
static bool answer(uint8_t *frame, size_t len)
{
    uint8_t *ip = frame + ETH_HLEN;
    if (len < ETH_HLEN + 20)
        return false;
    size_t head = (size_t)(ip[0] & 15) * 4;
    uint8_t *icmp = ip + head;
    if (ip[0] >> 4 != 4 || len < ETH_HLEN + head + 8 || ip[9] != IPPROTO_ICMP || icmp[0] != 8)
        return false;
    swap(frame, frame + ETH_ALEN, ETH_ALEN);
    swap(ip + 12, ip + 16, 4);
    icmp[0] = 0;
    uint32_t sum = (uint32_t)(icmp[2] << 8 | icmp[3]) + 0x0800;
    sum = (sum & 0xffff) + (sum >> 16);
    icmp[2] = (uint8_t)(sum >> 8);
    icmp[3] = (uint8_t)sum;
    return true;
}

// Takes what has come, as far as there is room; what there is none for waits in the socket, with its stamp.
static void take(struct network *w)
{
    while (w->last - w->first < QUEUE) {
        struct held *h = &w->queue[w->last % QUEUE];
        _Alignas(struct cmsghdr) uint8_t control[CONTROL];
        struct iovec iov = {h->frame, sizeof(h->frame)};
        struct msghdr m = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(w->fd, &m, 0);
        if (n < 0)
            return;
        h->len = (size_t)n;
        h->came_ns = stamp_of(&m).ns;
        h->due_ns = (h->came_ns ? h->came_ns : now_ns()) + w->hold_ns;
        if (!(m.msg_flags & MSG_TRUNC) && answer(h->frame, h->len)) {
            w->last++;
            w->asked++;
        }
    }
}

// --- answers -------------------------------------------------------------------------------------

// The stamp of the packet that was just sent: a veth device takes it within the call.
static struct stamp sent_stamp(const struct network *w)
{
    _Alignas(struct cmsghdr) uint8_t control[CONTROL];
    struct msghdr m = {.msg_control = control, .msg_controllen = sizeof(control)};
    return recvmsg(w->fd, &m, MSG_ERRQUEUE) >= 0 ? stamp_of(&m) : (struct stamp){.id = w->next_id};
}

static void write_down(struct network *w, uint64_t held_ns)
{
    if (w->n_log == w->log_room) {
        w->log_room = w->log_room ? 2 * w->log_room : 65536;
        w->log = reallocarray(w->log, w->log_room, sizeof(*w->log));
        if (!w->log)
            abort();
    }
    w->log[w->n_log++] = held_ns;
}

static void give(struct network *w)
{
    for (; w->first < w->last && w->queue[w->first % QUEUE].due_ns <= now_ns(); w->first++) {
        const struct held *h = &w->queue[w->first % QUEUE];
        bool sent = send(w->fd, h->frame, h->len, 0) == (ssize_t)h->len;
        struct stamp s = sent_stamp(w);
        bool whole = s.ns && h->came_ns && s.id == w->next_id;
        if (sent)
            write_down(w, whole ? s.ns - h->came_ns : 0);
        else
            w->failed++; // it has a number all the same if it got as far as the device
        w->next_id = s.id + (s.ns || sent);
    }
}

// What the socket had no room for since this was asked for the last time (packet(7)).
static unsigned dropped(const struct network *w)
{
    struct tpacket_stats stats = {0};
    socklen_t size = sizeof(stats);
    (void)getsockopt(w->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size);
    return stats.tp_drops;
}

// Until something comes, or what came first is soon to be answered: what comes meanwhile waits in the socket,
// with its stamp, and wakes nobody. False: stdin has ended.
static bool wait_for(const struct network *w)
{
    bool empty = w->first == w->last;
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = w->fd, .events = POLLIN}};
    struct timespec left = {.tv_sec = 3600};
    if (!empty) {
        uint64_t now = now_ns(), from = w->queue[w->first % QUEUE].due_ns - EARLY_NS;
        left = (struct timespec){.tv_nsec = from > now ? (long)(from - now) : 0};
    }
    char c;
    if (ppoll(fds, empty ? 2 : 1, &left, NULL) <= 0 || !fds[0].revents)
        return true;
    bool marked = read(STDIN_FILENO, &c, 1) > 0;
    if (marked)
        (void)dropped(w);
    return marked;
}

static void tell(const struct network *w)
{
    printf("asked %" PRIu64 " answered %zu failed %" PRIu64 " dropped %u\n", w->asked, w->n_log, w->failed,
           dropped(w));
    for (size_t i = 0; i < w->n_log; i++)
        printf("%" PRIu64 "\n", w->log[i]);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    struct network w = {.fd = open_device(argv[1]),
                        .hold_ns = strtoull(argv[2], NULL, 10) * 1000,
                        .queue = calloc(QUEUE, sizeof(*w.queue))};
    // Before everybody else, so that what is held is near what was asked for. The truth does not hang on it.
    const struct sched_param before_others = {.sched_priority = 50};
    if (w.fd < 0 || !w.queue || sched_setscheduler(0, SCHED_FIFO, &before_others) != 0) {
        perror("hold");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    while (wait_for(&w)) {
        take(&w);
        give(&w);
    }
    tell(&w);
    free(w.log);
    free(w.queue);
    return 0;
}
