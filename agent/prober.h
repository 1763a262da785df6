// SPDX-License-Identifier: Apache-2.0
// The engine and its sockets on the program's loop: the tick that reads, settles and sends. This is what main
// holds: files' contents go in, plan and counters are read from it.
// Logs which pairs fail (trouble), nothing else.
#ifndef KUBECANARY_AGENT_PROBER_H
#define KUBECANARY_AGENT_PROBER_H

#include "agent/engine.h"
#include "agent/helper.h"
#include "agent/presence.h"
#include "agent/snapshot.h"
#include "agent/sock.h"
#include "lib/loop.h"

struct prober;

struct prober *prober_new(struct loop *l, const char *node, enum spec_network network,
                          const struct sock_opts *o,
                          struct err *e); // o may be NULL
void prober_free(struct prober *p);       // takes NULL

// Puts new files in force: counters and probes in flight of every pair that stays are kept. On failure
// everything is as before.
MUST_USE int prober_apply(struct prober *p, const struct spec_agent_file *file, const struct peers *peers,
                          struct err *e);
// Sends nothing more; answers to what is in flight still count. See prober_in_flight.
void prober_stop(struct prober *p);
uint64_t prober_in_flight(const struct prober *p);

// For /metrics: the plan (NULL before the first prober_apply), engine_stats(prober_engine(p), i) for its
// pairs, engine_agent_stats.
const struct engine *prober_engine(const struct prober *p);
struct plan *prober_plan(const struct prober *p);
// A copy of all its counters; not before the first prober_apply. zones: with histograms by zone. -EBUSY:
// LIMIT_SCRAPES of this plan are held.
MUST_USE int prober_snapshot(const struct prober *p, bool zones, struct snapshot *ret);
// What is known of the plan's peers; only peers that are ACTIVE are probed. Somebody has to ask them
// (peer_link): who is not asked is probed when patience ends.
struct presence *prober_presence(const struct prober *p);
// How the helper for HTTP targets is; zeros while there was no need for one.
struct helper_stats prober_helper(const struct prober *p);
// Whether every family and probe type of the plan has its socket; otherwise *ret says why not (path: "ICMP
// IPv6").
bool prober_ready(const struct prober *p, const struct err **ret);

#endif
