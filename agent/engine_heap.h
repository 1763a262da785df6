// SPDX-License-Identifier: Apache-2.0
// The engine's inside, for its own files: its state, and the heap of pairs by the time of their next event (a
// probe due, or one to be given up). Nobody else includes this.
#ifndef KUBECANARY_AGENT_ENGINE_HEAP_H
#define KUBECANARY_AGENT_ENGINE_HEAP_H

#include "agent/engine.h"
#include "agent/failures.h"
#include "agent/flight.h"
#include "agent/zone_rtt.h"

#define ENGINE_RANDOM_POOL 64

struct engine_event {
    uint64_t at_ns;
    struct flight *f;
};

struct engine {
    struct plan *plan;
    struct flight **flights; // by the plan's index
    struct flight **by_id;
    uint32_t n_ids; // room in by_id
    struct engine_event *heap;
    size_t n_heap;
    bool stopped;
    uint64_t start; // random: agents that start together do not send together
    uint64_t probes_per_ks;
    engine_random_fn *random;
    void *random_arg;
    size_t n_pool;
    uint64_t pool[ENGINE_RANDOM_POOL];
    struct stats_agent agent;
    struct zone_rtt gone; // what pairs had counted that are no longer in the plan, by its zones
    struct failures failures;
    engine_failure_fn *on_failure; // NULL: nobody wants to know
    void *on_failure_arg;
};

static inline const struct plan_probe *engine_heap_probe(const struct engine *en, const struct flight *f)
{
    return &en->plan->probes[en->plan->pairs[f->index].probe];
}

// How long an answer counts after sending.
static inline uint64_t engine_heap_wait(const struct plan_probe *r)
{
    return r->timeout_ns + r->grace_ns;
}

// How long a probe without an answer is in flight: the first tick after that ends it. A tick may be the delay
// of that one, and another one that of sending it, so what nobody answers is told two ticks before the end of
// the grace; but never before its timeout.
uint64_t engine_heap_patience(const struct engine *en, const struct plan_probe *r);

uint64_t engine_random(struct engine *en);

// Whether probes of f are begun at all.
bool engine_heap_sending(const struct engine *en, const struct flight *f);
// Moves the next probe of f to the first moment of its phase that has not passed.
void engine_heap_skip(const struct engine *en, struct flight *f, uint64_t now_ns);
// When f has something to do; UINT64_MAX: never.
uint64_t engine_heap_event(const struct engine *en, const struct flight *f);
// Every pair that has something to wait for, from scratch: after a plan, and at the stop.
void engine_heap_fill(struct engine *en);
// The first pair's next event is at at_ns.
void engine_heap_update_first(struct engine *en, uint64_t at_ns);

#endif
