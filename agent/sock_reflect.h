// SPDX-License-Identifier: Apache-2.0
// The kernel's side of a UDP reflector: a socket of one family that says of each packet where it was sent to,
// with which class and TTL it came and when, and that answers from that very address. Knows bytes, no
// protocol.
#ifndef KUBECANARY_AGENT_SOCK_REFLECT_H
#define KUBECANARY_AGENT_SOCK_REFLECT_H

#include "lib/addr.h"
#include "lib/err.h"

struct sock_reflect_packet {
    const uint8_t *data; // the caller's buffer
    size_t len;
    bool cut;         // it was longer than the buffer
    struct addr from; // who asks
    uint16_t port;
    struct addr to;   // whom: one of our addresses
    uint32_t link;    // interface index, for link-local addresses
    bool direct;      // it was sent to that address itself, not by broadcast or multicast
    uint8_t ttl;      // as it came; 0: not said
    uint8_t class;    // traffic class, six bits of DSCP and two of ECN
    uint64_t real_ns; // when it came: the kernel's stamp, real time; 0: none
};

// Non-blocking, bound to addr (set = 0: all of family f) and port (0: any; *ret_port says which). Negative
// errno on failure (EAFNOSUPPORT: no such family here).
MUST_USE int sock_reflect_open(enum family f, const struct addr *addr, uint16_t port, uint16_t *ret_port,
                               struct err *e);
// The next packet into buf[size]. False: there is none now.
bool sock_reflect_read(int fd, uint8_t *buf, size_t size, struct sock_reflect_packet *ret);
// Answers it with data[len], in its class, from the address it was sent to. whole: neither this host nor a
// router may fragment it. 0 or a negative errno.
int sock_reflect_answer(int fd, const struct sock_reflect_packet *k, const uint8_t *data, size_t len,
                        bool whole);

#endif
