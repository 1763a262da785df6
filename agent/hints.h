// SPDX-License-Identifier: Apache-2.0
// Whom to tell that this agent leaves, and when: all addresses of the peers that probe it by the topology
// (of all peers, while the files do not name this node), of both their agents if the fleet has both networks,
// whatever their state, and of those who asked it
// lately and are not among them (newcomers that its files do not have yet). Told at once, again after 0.25,
// 0.5, 1 and 2 s, then each second, so that a lost packet or two make nobody probe who is gone. Pure:
// addresses in, addresses out, time from the caller.
#ifndef KUBECANARY_AGENT_HINTS_H
#define KUBECANARY_AGENT_HINTS_H

#include "lib/limits.h"
#include "lib/peers.h"
#include "lib/spec_agent_file.h"

struct hints { // zero-initialised
    size_t n;
    struct addr *list; // sorted
    size_t n_askers;   // ever remembered; the last LIMIT_PEER_ASKERS are there
    struct addr askers[LIMIT_PEER_ASKERS];
    bool leaving;
    unsigned round;
    uint64_t round_ns; // when the round began or begins
    size_t at;         // the next of the round: list, then askers
    uint64_t next_ns;
};

void hints_release(struct hints *h);
// The peers of new files. On failure (ENOMEM) the old ones stay.
MUST_USE int hints_set(struct hints *h, const struct spec_agent_file *file, const struct peers *peers,
                       const char *node, enum spec_network network, struct err *e);
// Whether it is the address of a peer that probes us by the files.
bool hints_knows(const struct hints *h, const struct addr *a);
// Somebody there asked us.
void hints_asked(struct hints *h, const struct addr *from);

// From now on there is something to say.
void hints_start(struct hints *h, uint64_t now_ns);
// Who is to be told now: at most LIMIT_PEER_HINTS, which out must hold.
size_t hints_due(struct hints *h, uint64_t now_ns, struct addr *out);
uint64_t hints_next(const struct hints *h); // when to call it again; UINT64_MAX: it was not started

#endif
