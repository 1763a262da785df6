// SPDX-License-Identifier: Apache-2.0
// How many questions are answered: LIMIT_PEER_ANSWERS a second to all, LIMIT_PEER_ANSWERS_EACH to one source,
// so that nobody can make us talk much to somebody else. A source is an address, but of IPv6 addresses that
// nobody knows one /64, as one host can have a whole one. A token bucket for all and one for each hash of a
// source. Pure: time comes from the caller, ascending.
#ifndef KUBECANARY_AGENT_PEER_RATE_H
#define KUBECANARY_AGENT_PEER_RATE_H

#include "lib/addr.h"
#include "lib/limits.h"

struct peer_rate_bucket {
    uint32_t at_ms; // when it was last looked at
    uint16_t used;  // in 1/32 of an answer
};

struct peer_rate {
    uint64_t key; // random: nobody can choose whom to share a counter with
    uint64_t all_ns;
    uint64_t all_used; // in ns of the overall rate
    struct peer_rate_bucket sources[LIMIT_PEER_SOURCES];
};

void peer_rate_init(struct peer_rate *r, uint64_t key);
// Whether a question from there may be answered now; counts it if so. known: it is a peer's address (many
// networks have all nodes in one /64).
bool peer_rate_allow(struct peer_rate *r, const struct addr *from, bool known, uint64_t now_ns);

#endif
