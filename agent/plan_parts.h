// SPDX-License-Identifier: Apache-2.0
// A plan that is being built: an empty one with room, then probes, destinations and pairs, then the end. For
// the builders of plans; who reads one needs plan.h only. Without memory functions return NULL or -ENOMEM,
// and the plan is to be freed.
#ifndef KUBECANARY_AGENT_PLAN_PARTS_H
#define KUBECANARY_AGENT_PLAN_PARTS_H

#include "agent/plan.h"

void plan_parts_cleanup(struct plan **p);
#define CLEANUP_PLAN CLEANUP(plan_parts_cleanup)
// ENOMEM, said as it is to be said of a plan.
int plan_parts_no_memory(struct err *e);

// An empty plan with room for so much: to add more is a bug, and ends the program.
struct plan *plan_parts_new(const struct plan_room *room);
MUST_USE int plan_parts_names(struct plan *p, const char *fleet, const char *node, const char *zone);
// A probe of its own name; what follows from the type and the times is filled in here.
MUST_USE int plan_parts_probe(struct plan *p, const char *name, const struct plan_probe *as);
// The last of dests, without addresses.
struct plan_dest *plan_parts_dest(struct plan *p, const char *name, const char *zone,
                                  enum spec_network network, bool target);
// A live pair, with what it adds to the plan's sums.
void plan_parts_pair(struct plan *p, size_t dest, size_t probe, enum family f);
// A pair that is not probed any more, and stays until then.
void plan_parts_gone(struct plan *p, size_t dest, size_t probe, enum family f, uint64_t until_ns);
MUST_USE int plan_parts_host(struct plan *p, const char *target, const char *host, size_t probe, bool all);

// The order of two pairs, each of its plan: see plan_compare.
int plan_parts_compare(const struct plan *a, const struct plan_pair *x, const struct plan *b,
                       const struct plan_pair *y);
void plan_parts_sort(struct plan *p);
// Sorts, gives back the room that was not needed, and fills zones. -ENOMEM.
MUST_USE int plan_parts_finish(struct plan *p);

#endif
