// SPDX-License-Identifier: Apache-2.0
// A change of the allocator's settings, step by step. Each step goes through the status that the last one
// left, so that an operator that ends between any two loses nothing.
#ifndef KUBECANARY_TEST_UNIT_ROLLOUT_WORLD_H
#define KUBECANARY_TEST_UNIT_ROLLOUT_WORLD_H

#include "operator/rollout_json.h"
#include "test/unit/check.h"

struct world {
    json_t *status; // as it was last written
    struct rollout_wish wish;
    struct rollout_seen seen;
    struct rollout r; // as the last step left it
    int64_t now_s;
    bool both; // networks; otherwise all agents are in the network Pod
};

static inline void setup(struct world *w)
{
    *w = (struct world){.now_s = 1767225600, .wish = {.settings = "a", .type = ROLLOUT_SYSTEM}};
}

static inline void teardown(struct world *w)
{
    json_decref(w->status);
}

// How many agents there are, and how many of them have the wanted settings.
static inline void see(struct world *w, size_t agents, size_t updated)
{
    w->seen.agents = agents;
    w->seen.updated = updated;
}

// Agents of two cores that tell.
static inline void tell(struct report_sum_memory *m, uint64_t agents, uint64_t median)
{
    m[0].agents = agents;
    m[0].min = m[0].median = m[0].max = median;
}

static inline void step(struct world *w)
{
    struct rollout was;
    struct rollouts all = {.n = 1};
    w->now_s += 10;
    if (!w->both)
        w->seen.of[SPEC_NETWORK_POD] = w->seen.all;
    rollout_json_read(w->status, w->wish.override, &was);
    rollout_step(&was, &w->wish, &w->seen, w->now_s, &w->r);
    all.list[0] = w->r;
    json_decref(w->status);
    w->status = json_pack("{s:o}", "allocatorRollouts", rollout_json_list(&all));
    rollout_json_read(w->status, w->wish.override, &all.list[0]);
    json_t *again = json_pack("{s:o}", "allocatorRollouts", rollout_json_list(&all));
    CHECK(json_equal(again, w->status));
    json_decref(again);
    CHECK_INT(all.list[0].observed_s, w->r.observed_s);
}

static inline void is(const struct world *w, const char *phase, const char *settings, const char *before)
{
    CHECK_STR(rollout_phase_names[w->r.phase], phase);
    CHECK_STR(w->r.settings, settings);
    CHECK_STR(w->r.before, before);
}

// Three agents with the settings "a", of 1000 bytes each.
static inline void settled(struct world *w)
{
    setup(w);
    see(w, 3, 3);
    tell(w->seen.all.now, 3, 1000);
    w->seen.told = 3;
    step(w);
}

static inline void want(struct world *w, const char *settings)
{
    memset(w->wish.settings, 0, sizeof(w->wish.settings));
    memcpy(w->wish.settings, settings, strlen(settings));
    memset(&w->seen, 0, sizeof(w->seen));
}

// --- under observation ---

// Ten agents with the settings "a", of 1 MB each, of which one is to try others first.
static inline void observed(struct world *w)
{
    setup(w);
    memcpy(w->wish.observation, "o", sizeof("o"));
    see(w, 10, 10);
    tell(w->seen.all.now, 10, 1000000);
    w->seen.told = 10;
    step(w);
    is(w, "Complete", "a", "");
    want(w, "b");
    see(w, 10, 0);
    w->seen.canaries = 1;
}

// The first canary is ready and takes that much.
static inline void try(struct world *w, uint64_t bytes)
{
    see(w, 10, 1);
    w->seen.ready = 1;
    w->seen.told = 1;
    tell(w->seen.all.now, 1, bytes);
    w->seen.max = bytes;
    memcpy(w->seen.max_node, "n7", sizeof("n7"));
}

static inline void stopped(const struct world *w, const char *reason, const char *message)
{
    is(w, "Stopped", "b", "a");
    CHECK_STR(rollout_reason_names[w->r.reason], reason);
    CHECK_CONTAINS(w->r.message, message);
}

static inline void wait_s(struct world *w, int64_t seconds)
{
    w->now_s += seconds - 10;
    step(w);
}

#endif
