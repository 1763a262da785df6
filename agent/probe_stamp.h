// SPDX-License-Identifier: Apache-2.0
// STAMP's Session-Sender (RFC 8762 4.2, unauthenticated) for all pairs of that type: one UDP socket a family
// and flow, whose source port tells the flows apart on the network. Probes come from the engine, what came
// back goes to it; which way a loss was on, to the bytes that the engine keeps for each pair (stamp_path.h).
// Reads only when told to.
//
// A probe is known by its 64-bit timestamp, which a reflector must send back: the time, with random bits in
// place of those that its error estimate disclaims. An answer counts only with that, from the address and
// port that were asked, on the flow's own socket, with the session's number and identifier.
#ifndef KUBECANARY_AGENT_PROBE_STAMP_H
#define KUBECANARY_AGENT_PROBE_STAMP_H

#include "agent/engine.h"
#include "agent/sock.h"
#include "agent/stamp_path.h"

struct probe_stamp;

struct probe_stamp *probe_stamp_new(struct engine *en, const struct sock_opts *o, struct err *e);
void probe_stamp_free(struct probe_stamp *p); // takes NULL

// Memory for a plan and for pieces of so many probes: before engine_apply, so that nothing can fail after it.
MUST_USE int probe_stamp_reserve(struct probe_stamp *p, const struct plan *plan, size_t burst, struct err *e);
// After engine_apply: the sockets that the plan needs are opened (as far as that is possible: the others'
// probes end as send_error), pairs can be found by address, and their bytes have the plan's shape.
void probe_stamp_apply(struct probe_stamp *p);
// Whether the sockets of a family that the plan needs are open; *ret (may be NULL): why not.
bool probe_stamp_ready(const struct probe_stamp *p, enum family f, const struct err **ret);

// Sends those of s[n] that are STAMP.
void probe_stamp_send(struct probe_stamp *p, const struct engine_send *s, size_t n);
void probe_stamp_drain(struct probe_stamp *p, const struct sock_clock *c, uint64_t now_ns);

// The bytes of pair i of the engine's plan, if it is a STAMP one; NULL otherwise.
const struct stamp_path *probe_stamp_path(const struct engine *en, size_t i);

#endif
