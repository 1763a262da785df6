// SPDX-License-Identifier: Apache-2.0
// The counters of all pairs at one moment: a copy, so that whoever reads it slowly sees `sent = results + in
// flight` of each pair all the same. It is made in a place that came with the plan: taking one
// allocates nothing.
#ifndef KUBECANARY_AGENT_SNAPSHOT_H
#define KUBECANARY_AGENT_SNAPSHOT_H

#include "agent/engine.h"
#include "agent/zone_rtt.h"
#include "lib/scratch.h"

struct snapshot { // zero-initialised: none
    struct scratch *scratch;
    void *place;         // of its
    struct plan *plan;   // held
    struct stats *stats; // of the first pair
    size_t stride;       // bytes from one pair's to the next
    uint64_t *own;       // the types' own counters, snapshot_own_words of each pair, one after another
    struct failures failures;
    struct zone_rtt zones; // histograms by zone, if they were asked for
};

// Places for LIMIT_SCRAPES snapshots of a plan that follows one with the failures `old`. NULL: no memory.
struct scratch *snapshot_places(const struct plan *p, const struct failures *old, struct err *e);
// Bytes of one, of a plan and so many rows of why its probes fail. zones: with histograms by zone.
size_t snapshot_bytes(const struct plan *p, size_t n_failures, bool zones);

// places: made for the engine's present plan. -EBUSY: all are taken.
MUST_USE int snapshot_take(struct snapshot *ret, struct scratch *places, const struct engine *en, bool zones);
void snapshot_give(struct snapshot *s); // takes a zeroed one, too

static inline const struct stats *snapshot_stats(const struct snapshot *s, size_t i)
{
    return (const struct stats *)(const void *)((const uint8_t *)s->stats + i * s->stride);
}

// What a type counts beside, in words: of STAMP its ways and then its flows, of DNS struct dns_counts, of
// HTTP struct http_counts.
size_t snapshot_own_words(const struct plan_probe *r);

#endif
