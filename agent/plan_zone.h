// SPDX-License-Identifier: Apache-2.0
// The zones of a plan's mesh pairs, by probe, network and family: plan.zones.
#ifndef KUBECANARY_AGENT_PLAN_ZONE_H
#define KUBECANARY_AGENT_PLAN_ZONE_H

#include "agent/plan.h"

// Fills zones from pairs, sorted, each once. For the builders of plans. -ENOMEM.
MUST_USE int plan_zone_fill(struct plan *p);
// The index in zones; n_zones: there is none.
size_t plan_zone_find(const struct plan *p, const char *zone, const char *probe, enum spec_network network,
                      enum family f);

#endif
