// SPDX-License-Identifier: Apache-2.0
// The UDP sockets of the agents' messages: one a family, both on the same port. An answer leaves from the
// address that was asked (packet info), and what was sent to many at once is not handed up. Knows bytes and
// addresses, no messages.
#ifndef KUBECANARY_AGENT_PEER_SOCK_H
#define KUBECANARY_AGENT_PEER_SOCK_H

#include "lib/addr.h"
#include "lib/err.h"

struct peer_sock_packet {
    const uint8_t *data;
    size_t len; // as sent: may be more than data holds, PEER_SOCK_DATA
    struct addr from, to;
    uint16_t port; // from
};
#define PEER_SOCK_DATA 64

// Binds to addr (not set: all addresses of that family). A descriptor, or a negative errno (EAFNOSUPPORT: no
// such family here, or addr is of the other).
MUST_USE int peer_sock_open(enum family f, const struct addr *addr, uint16_t port, struct err *e);

typedef void peer_sock_fn(const struct peer_sock_packet *p, void *arg);
// Reads at most max packets; returns how many there were.
size_t peer_sock_read(int fd, size_t max, peer_sock_fn *fn, void *arg);

// from (may be NULL): the address that it shall come from. False: it did not leave.
bool peer_sock_send(int fd, const struct addr *to, uint16_t port, const struct addr *from,
                    const uint8_t *data, size_t len);

#endif
