// SPDX-License-Identifier: Apache-2.0
// The agents' messages on the program's loop: answers the peers' questions, asks what presence wants to know,
// and tells those who probe this agent when it leaves. What is believed is decided in presence; how much is
// said is bounded here. Logs nothing.
#ifndef KUBECANARY_AGENT_PEER_LINK_H
#define KUBECANARY_AGENT_PEER_LINK_H

#include "agent/peer_wire.h"
#include "agent/presence.h"
#include "lib/loop.h"

struct peer_link;

struct peer_link_stats {
    uint64_t sent[PEER_WIRE_KINDS];
    uint64_t received[PEER_WIRE_KINDS]; // and made use of
    // Not made use of:
    uint64_t malformed; // none of ours, or a version that we do not know
    uint64_t foreign;   // of another fleet
    uint64_t unmatched; // an answer to no question that is open; a hint of an agent that we do not probe
    uint64_t limited;   // a question that was not answered, because too many came
};

// Without a socket until peer_link_use. ps is borrowed. NULL on failure.
struct peer_link *peer_link_new(struct loop *l, const char *node, enum spec_network network,
                                struct presence *ps, struct err *e);
void peer_link_free(struct peer_link *k); // takes NULL

// The open port, in each family that this host has; what this agent begins leaves from another one. addr not
// set: all addresses. It is the caller's, and to be closed before peer_link_free. NULL on failure.
struct peer_door;
struct peer_door *peer_link_open(struct peer_link *k, const struct addr *addr, uint16_t port, struct err *e);
void peer_link_close(struct peer_link *k, struct peer_door *d); // takes NULL
uint16_t peer_link_port(const struct peer_door *d);
// From now on what is said leaves there.
void peer_link_use(struct peer_link *k, struct peer_door *d);
// What files say of the fleet and of who probes us. On failure (ENOMEM) it is as before.
MUST_USE int peer_link_apply(struct peer_link *k, const struct spec_agent_file *file,
                             const struct peers *peers, struct err *e);
// After presence got a new plan: asks what there is to ask.
void peer_link_wake(struct peer_link *k);
// From now on questions are answered with "I leave", and those who probe us are told, until peer_link_free.
void peer_link_leave(struct peer_link *k);

const struct peer_link_stats *peer_link_stats(const struct peer_link *k);

#endif
