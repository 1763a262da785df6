// SPDX-License-Identifier: Apache-2.0
// A network in the test's hand: a TUN device in the test's own namespace, whose other end answers echo
// requests and SYNs as it is told. 198.18.0.1/24 and fd00:18::1/64 are ours, everything else on those links
// is at the other end.
#ifndef KUBECANARY_TEST_TUN_H
#define KUBECANARY_TEST_TUN_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum tun_answer {
    TUN_ECHO,        // the answer that it should be
    TUN_SILENCE,     // nothing
    TUN_TWICE,       // two answers
    TUN_CORRUPT,     // a byte of the payload broken, checksum right
    TUN_SHORT,       // half of the payload
    TUN_STRANGER,    // an answer with a cookie that is not ours
    TUN_ELSEWHERE,   // the answer that it should be, from another address
    TUN_UNREACHABLE, // an ICMP error that quotes everything
    TUN_QUOTE_8,     // one that quotes our first 8 bytes
    TUN_TOO_BIG, // an ICMP error that wants smaller packets, and the answer all the same unless it is large
};

#define TUN_LARGE 200 // bytes of a packet

struct tun {
    int fd;
    enum tun_answer answer;
    unsigned seen;     // echo requests
    unsigned whole[2]; // IPv4 packets with the DF bit: [large]
};

static uint16_t tun_sum(const uint8_t *data, size_t len, uint32_t sum)
{
    for (size_t i = 0; i < len; i++)
        sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void tun_put16(uint8_t *at, uint16_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static bool tun_open(struct tun *t)
{
    struct ifreq r = {.ifr_name = "kc-tun"};
    struct sockaddr_in *in = (struct sockaddr_in *)&r.ifr_addr;
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
        s6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    *t = (struct tun){.fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)};
    r.ifr_flags = IFF_TUN | IFF_NO_PI;
    bool ok = t->fd >= 0 && ioctl(t->fd, TUNSETIFF, &r) == 0;
    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc6120001)};
    ok = ok && ioctl(s, SIOCSIFADDR, &r) == 0;
    in->sin_addr.s_addr = htonl(0xffffff00);
    ok = ok && ioctl(s, SIOCSIFNETMASK, &r) == 0;
    r.ifr_flags = IFF_UP | IFF_RUNNING | IFF_POINTOPOINT | IFF_NOARP;
    ok = ok && ioctl(s, SIOCSIFFLAGS, &r) == 0 && ioctl(s, SIOCGIFINDEX, &r) == 0;
    struct {
        struct in6_addr addr;
        uint32_t prefix;
        int index;
    } r6 = {.prefix = 64, .index = r.ifr_ifindex};
    ok = ok && inet_pton(AF_INET6, "fd00:18::1", &r6.addr) == 1 && ioctl(s6, SIOCSIFADDR, &r6) == 0;
    close(s);
    close(s6);
    if (!ok)
        printf("    no TUN device (/dev/net/tun is needed)\n");
    return ok;
}

// Sends an ICMP message of len bytes at p + header back to where packet q came from.
static void tun_reply(struct tun *t, uint8_t *p, const uint8_t *q, size_t len)
{
    bool v4 = q[0] >> 4 == 4;
    size_t header = v4 ? 20 : 40;
    uint8_t *icmp = p + header;
    memcpy(p, q, header);
    if (v4) {
        memcpy(p + 12, q + 16, 4);
        memcpy(p + 16, q + 12, 4);
        p[15] ^= t->answer == TUN_ELSEWHERE ? 0x40 : 0;
        tun_put16(p + 2, (uint16_t)(header + len));
        p[8] = 64;
        tun_put16(p + 10, 0);
        tun_put16(p + 10, tun_sum(p, 20, 0));
        tun_put16(icmp + 2, 0);
        tun_put16(icmp + 2, tun_sum(icmp, len, 0));
    } else {
        memcpy(p + 8, q + 24, 16);
        memcpy(p + 24, q + 8, 16);
        p[23] ^= t->answer == TUN_ELSEWHERE ? 0x40 : 0;
        tun_put16(p + 4, (uint16_t)len);
        p[7] = 64;
        tun_put16(icmp + 2, 0);
        uint32_t pseudo = (uint32_t)(uint16_t)~tun_sum(p + 8, 32, 0) + (uint32_t)len + 58;
        tun_put16(icmp + 2, tun_sum(icmp, len, pseudo));
    }
    if (write(t->fd, p, header + len) < 0)
        printf("    the TUN device takes no packet\n");
}

// An ICMP error about packet q: no such host, or that it is too big.
static void tun_refuse(struct tun *t, const uint8_t *q, size_t n)
{
    bool v4 = q[0] >> 4 == 4, big = t->answer == TUN_TOO_BIG;
    size_t header = v4 ? 20 : 40, quoted = t->answer == TUN_QUOTE_8 ? header + 8 : n;
    uint8_t p[1024] = {0}, *icmp = p + header;
    icmp[0] = v4 ? 3 : 1; // destination unreachable
    icmp[1] = v4 ? 1 : 3; // host, address
    if (big) {
        icmp[0] = v4 ? 3 : 2;
        icmp[1] = v4 ? 4 : 0;
        tun_put16(icmp + 6, 1280); // the MTU
    }
    memcpy(icmp + 8, q, quoted);
    tun_reply(t, p, q, 8 + quoted);
}

static void tun_answer(struct tun *t, const uint8_t *q, size_t n)
{
    bool v4 = q[0] >> 4 == 4, refused = t->answer == TUN_UNREACHABLE || t->answer == TUN_QUOTE_8;
    size_t header = v4 ? 20 : 40, len = n - header;
    uint8_t p[512] = {0}, *icmp = p + header;
    if (refused || t->answer == TUN_TOO_BIG)
        tun_refuse(t, q, n);
    if (refused || (t->answer == TUN_TOO_BIG && n >= TUN_LARGE))
        return;
    memcpy(icmp, q + header, len);
    icmp[0] = v4 ? 0 : 129;
    if (t->answer == TUN_CORRUPT)
        icmp[8 + 25] ^= 0x40;
    if (t->answer == TUN_STRANGER) {
        icmp[8 + 15] ^= 0x40;
        icmp[8 + 51] ^= 0x40;
    }
    tun_reply(t, p, q, t->answer == TUN_SHORT ? 8 + 28 : len);
    if (t->answer == TUN_TWICE)
        tun_reply(t, p, q, len);
}

// Answers what has come.
static void tun_pump(struct tun *t)
{
    uint8_t q[512];
    for (ssize_t n; (n = read(t->fd, q, sizeof(q))) > 0;) {
        bool v4 = q[0] >> 4 == 4;
        if (n < 48 || (v4 ? q[9] != 1 || q[20] != 8 : q[6] != 58 || q[40] != 128))
            continue;
        t->seen++;
        t->whole[n >= TUN_LARGE] += v4 && (q[6] & 0x40);
        if (t->answer != TUN_SILENCE)
            tun_answer(t, q, (size_t)n);
    }
}

#endif
