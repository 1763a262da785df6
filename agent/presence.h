// SPDX-License-Identifier: Apache-2.0
// Which peers are there to be probed: what this agent knows of each peer's agent beyond the files, from
// questions that it asked itself. A node may have two agents, one in each network: they are two peers here.
// Holds no descriptor and reads no clock: questions go out and answers come in through the caller, so that a
// virtual clock can drive it.
//
// Of each address of a peer's agent:
//   PENDING  new to us. It is asked, and becomes ACTIVE with its first answer, or when it has not answered
//            within LIMIT_PEER_PATIENCE_NS: a peer that is dead, a closed port or an agent of an older
//            version is probed, and what is lost counts.
//   ACTIVE   probed.
//   LEAVING  the peer answered a question of ours with "I leave" (then all its addresses are). It is asked
//            again: "I stay" ends it, and so does silence for LIMIT_PEER_SILENCE_NS since its last answer.
// While the plan is paused everybody counts as ACTIVE and nobody is asked; when the pause ends, all are new.
// A message without our nonce changes no state: it makes us ask, at a bounded rate. A plan without the peer,
// or with another address, ends whatever was known.
#ifndef KUBECANARY_AGENT_PRESENCE_H
#define KUBECANARY_AGENT_PRESENCE_H

#include "agent/plan.h"

struct presence;

enum presence_state { PRESENCE_ACTIVE, PRESENCE_PENDING, PRESENCE_LEAVING };
#define PRESENCE_STATES 3

struct presence_question {
    struct addr to;
    uint64_t nonce; // never 0
};

struct presence_stats {
    uint64_t
        expired[PRESENCE_STATES]; // addresses that became ACTIVE from this state because nothing was heard
};

typedef void presence_random_fn(uint64_t *out, size_t n, void *arg); // as engine_random_fn

struct presence *presence_new(presence_random_fn *random, void *arg, struct err *e); // NULL on failure
void presence_free(struct presence *ps);                                             // takes NULL

// A new plan in two steps, so that it comes into force together with other things: all that can fail, then
// what cannot. The plan is held as long as it is in force. Targets and pairs that are gone have no presence.
// ENOMEM.
struct presence_change {
    struct presence_peer *list;
    size_t n;
    uint8_t *held;
    struct plan *plan; // held
    bool paused;
};
MUST_USE int presence_prepare(const struct presence *ps, struct plan *p, uint64_t now_ns,
                              struct presence_change *ret, struct err *e);
void presence_commit(struct presence *ps, struct presence_change *c);
void presence_change_release(struct presence_change *c); // takes a zeroed struct

// Ends what has lasted too long. True if presence_held is not what it was at the last call.
bool presence_settle(struct presence *ps, uint64_t now_ns);
// By destination of the plan: FAMILY_BIT(f) of each family that is not to be probed. See engine_hold.
const uint8_t *presence_held(const struct presence *ps);
// Peers (nodes) whose agent in that network is not probed at all for now, by the state of its addresses:
// PENDING, LEAVING. ACTIVE: the others that the plan probes.
void presence_count(const struct presence *ps, enum spec_network network, size_t ret[static PRESENCE_STATES]);

// The questions to be asked now: at most LIMIT_PEER_QUESTIONS, which out must hold. Counted as asked.
size_t presence_due(struct presence *ps, uint64_t now_ns, struct presence_question *out);
// When to call presence_due next (there may be nothing then); UINT64_MAX: not before somebody says something.
uint64_t presence_next(const struct presence *ps);

// Somebody who says to be this agent (peer_wire_agent) says that it leaves, or stays. Only a reason to ask.
// False: there is no such peer.
bool presence_heard(struct presence *ps, uint64_t agent, bool leaving, uint64_t now_ns);
// An answer from that address. False: to no question that is open, and nothing changes.
bool presence_answered(struct presence *ps, uint64_t agent, const struct addr *from, uint64_t nonce,
                       bool leaving, uint64_t now_ns);

const struct presence_stats *presence_stats(const struct presence *ps);
// The bytes that a plan's peers take here. 72 a peer and 1 a destination.
size_t presence_memory(const struct plan *p);

#endif
