// SPDX-License-Identifier: Apache-2.0
// A network of known delay: a TUN device that answers every IPv4 echo request exactly so many microseconds
// after it came, loses none, and keeps the truth. It goes before everybody else (SCHED_FIFO) and spins for
// the last 100 us, so that no timer and hardly its own waking is part of the delay.
//   hold DEVICE MICROSECONDS
// For each line on stdin one on stdout, of what was since the start: asked, answered, and by how much the
// delay was too long, in ns and in sum. It ends with stdin.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 256
#define QUEUE 131072 // 10 ms at more than any tool sends; a power of two
#define SPIN_NS 100000

struct held {
    uint64_t due_ns;
    uint16_t len;
    uint8_t data[PACKET_MAX];
};

struct truth {
    unsigned long long asked, answered, error_ns;
};

struct network {
    int fd;
    uint64_t hold_ns;
    size_t first, last; // of the queue
    struct held *queue;
    struct truth truth;
};

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int open_tun(const char *name)
{
    struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && ioctl(fd, TUNSETIFF, &r) == 0 ? fd : -1;
}

// Makes an answer of a request; false if it is none. The sum changes by what its first word does (RFC 1624).
static int answer(uint8_t *p, size_t len)
{
    size_t head = (size_t)(p[0] & 15) * 4;
    if (len < head + 8 || p[0] >> 4 != 4 || p[9] != 1 || p[head] != 8)
        return 0;
    uint8_t from[4];
    memcpy(from, p + 12, 4);
    memcpy(p + 12, p + 16, 4);
    memcpy(p + 16, from, 4);
    p[head] = 0;
    uint32_t sum = (uint32_t)(p[head + 2] << 8 | p[head + 3]) + 0x0800;
    sum = (sum & 0xffff) + (sum >> 16);
    p[head + 2] = (uint8_t)(sum >> 8);
    p[head + 3] = (uint8_t)sum;
    return 1;
}

static void take(struct network *w)
{
    while (w->last - w->first < QUEUE) {
        struct held *h = &w->queue[w->last % QUEUE];
        ssize_t n = read(w->fd, h->data, sizeof(h->data));
        if (n <= 0)
            return;
        h->due_ns = now_ns() + w->hold_ns;
        h->len = (uint16_t)n;
        if (answer(h->data, (size_t)n)) {
            w->last++;
            w->truth.asked++;
        }
    }
}

static void give(struct network *w)
{
    uint64_t now = now_ns();
    while (w->first < w->last && w->queue[w->first % QUEUE].due_ns <= now) {
        struct held *h = &w->queue[w->first++ % QUEUE];
        w->truth.error_ns += now_ns() - h->due_ns;
        w->truth.answered += write(w->fd, h->data, h->len) == h->len;
    }
}

// Until something comes, or something is soon to be answered. False: stdin has ended.
static int wait_for(struct network *w)
{
    struct pollfd fds[] = {{.fd = w->fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    struct timespec left = {.tv_sec = 3600};
    if (w->first < w->last) {
        uint64_t now = now_ns(), from = w->queue[w->first % QUEUE].due_ns - SPIN_NS;
        left = (struct timespec){.tv_nsec = from > now ? (long)(from - now) : 0};
    }
    if (ppoll(fds, 2, &left, NULL) <= 0 || !fds[1].revents)
        return 1;
    char line[64];
    if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
        return 0;
    printf("%llu %llu %llu\n", w->truth.asked, w->truth.answered, w->truth.error_ns);
    fflush(stdout);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    struct network w = {.fd = open_tun(argv[1]),
                        .hold_ns = strtoull(argv[2], NULL, 10) * 1000,
                        .queue = calloc(QUEUE, sizeof(*w.queue))};
    if (w.fd < 0 || !w.queue ||
        sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 50}) != 0) {
        perror("hold");
        return 1;
    }
    while (wait_for(&w)) {
        take(&w);
        give(&w);
    }
    free(w.queue);
    return 0;
}
