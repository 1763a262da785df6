// SPDX-License-Identifier: Apache-2.0
// RTT histograms by zone, which stand in for the pairs' own past metrics.seriesLimit. A zone's histogram is
// the sum of its pairs' histograms and of what pairs had counted that are no longer there, so that it never
// falls: a scrape adds the pairs (zone_rtt_add) to a copy of what the engine keeps of those that went.
#ifndef KUBECANARY_AGENT_ZONE_RTT_H
#define KUBECANARY_AGENT_ZONE_RTT_H

#include "agent/plan.h"
#include "agent/stats.h"

struct zone_rtt { // zero-initialised
    size_t n;     // plan.n_zones of the plan that it was made for
    size_t n_bounds;
    uint64_t *cells; // n rows of n_bounds + 2: the buckets, each on its own, then the sum in ns
};

// Zeroes for the zones of a plan. -ENOMEM.
MUST_USE int zone_rtt_init(struct zone_rtt *z, const struct plan *p);
void zone_rtt_release(struct zone_rtt *z);
size_t zone_rtt_cells(const struct plan *p);
size_t zone_rtt_bytes(const struct plan *p); // of the heap

// The row of zone i. Its buckets fit metric_histogram.
uint64_t *zone_rtt_row(const struct zone_rtt *z, size_t i);
// p is what z was made for. The counts of pair i of another plan (or of p) are added to the row of the same
// zone, probe, network and family, or taken off it; nothing happens if p has none. Only with as many bounds.
void zone_rtt_add(struct zone_rtt *z, const struct plan *p, const struct plan *from, size_t i,
                  const struct stats *s);
void zone_rtt_take(struct zone_rtt *z, const struct plan *p, const struct plan *from, size_t i,
                   const struct stats *s);
// Adds all rows of another plan's sums that p has too.
void zone_rtt_carry(struct zone_rtt *z, const struct plan *p, const struct zone_rtt *old,
                    const struct plan *from);

#endif
