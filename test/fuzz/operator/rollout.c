// SPDX-License-Identifier: Apache-2.0
// Rollouts of settings, whatever the status held (somebody may have written it), the Pods show and the clock
// does: what is read is within bounds and reads as the same when it is written again; each step keeps to the
// order that decision 0022 promises.
#include <string.h>

#include "operator/rollout_json.h"
#include "test/fuzz/fuzz.h"

#define STEPS 32

static json_t *status_of(const struct rollout *r)
{
    struct rollouts all = {.n = 1, .list = {*r}};
    json_t *status = json_pack("{s:o}", "allocatorRollouts", rollout_json_list(&all));
    FUZZ_CHECK(status);
    return status;
}

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static void check_same_memory(const struct rollout_memory *a, const struct rollout_memory *b)
{
    for (size_t i = 0; i < REPORT_SUM_CLASSES; i++) {
        FUZZ_CHECK(a->was[i].agents == b->was[i].agents && a->is[i].agents == b->is[i].agents);
        FUZZ_CHECK(!a->was[i].agents || a->was[i].median == b->was[i].median);
        FUZZ_CHECK(!a->is[i].agents || a->is[i].median == b->is[i].median);
    }
}

static void check_same(const struct rollout *a, const struct rollout *b)
{
    FUZZ_CHECK(same(a->override, b->override) && same(a->settings, b->settings));
    FUZZ_CHECK(same(a->before, b->before) && same(a->observation, b->observation));
    FUZZ_CHECK(a->phase == b->phase && a->reason == b->reason && same(a->message, b->message));
    FUZZ_CHECK(a->started_s == b->started_s && a->progressed_s == b->progressed_s);
    FUZZ_CHECK(a->observed_s == b->observed_s && a->updated == b->updated);
    FUZZ_CHECK(a->phase != ROLLOUT_CANARY || a->ready == b->ready);
    check_same_memory(&a->all, &b->all);
    for (size_t k = 0; k < AGENT_NETWORKS; k++)
        check_same_memory(&a->of[k], &b->of[k]);
}

static void check_round_trip(const struct rollout *r)
{
    struct rollout again;
    json_t *status = status_of(r);
    rollout_json_read(status, r->override, &again);
    FUZZ_CHECK(!rollout_json_differs(status, status));
    check_same(r, &again);
    json_decref(status);
}

// --- what the world shows ---

static void take_settings(struct fuzz_input *in, char out[static RENDER_ALLOCATOR_SETTINGS])
{
    // Few, so that some are the same.
    snprintf(out, RENDER_ALLOCATOR_SETTINGS, "%c", "abc"[fuzz_take(in, 1) % 3]);
}

static void take_memory(struct fuzz_input *in, struct report_sum_memory list[static REPORT_SUM_CLASSES])
{
    struct report_sum_memory *m = &list[fuzz_take(in, 1) % REPORT_SUM_CLASSES];
    m->agents = fuzz_take(in, 1);
    m->min = m->median = m->max = fuzz_take(in, 5);
}

static void take_seen(struct fuzz_input *in, struct rollout_seen *s)
{
    const uint64_t flags = fuzz_take(in, 1);
    *s = (struct rollout_seen){.desired = fuzz_take(in, 1), .agents = fuzz_take(in, 1)};
    s->updated = MIN(fuzz_take(in, 1), s->agents);
    s->canaries = MIN(fuzz_take(in, 1), s->desired);
    s->ready = MIN(fuzz_take(in, 1), s->canaries);
    s->told = MIN(fuzz_take(in, 1), s->updated);
    take_memory(in, s->all.old);
    take_memory(in, s->all.now);
    s->of[flags >> 3 & 1] = s->all;
    if (flags & 1)
        take_settings(in, s->other);
    if (flags & 2)
        snprintf(s->killed_node, sizeof(s->killed_node), "%0253d", 1);
    if (flags & 4) {
        s->max = fuzz_take(in, 5);
        snprintf(s->max_node, sizeof(s->max_node), "%0253d", 2);
    }
}

static void take_wish(struct fuzz_input *in, struct rollout_wish *w)
{
    take_settings(in, w->settings);
    const uint64_t how = fuzz_take(in, 1) % 4;
    w->max_resident = how == 3 ? fuzz_take(in, 5) : 0;
    snprintf(w->observation, sizeof(w->observation), "%.*s", how > 0, how == 1 ? "x" : "y");
}

// --- one step ---

static bool asked_again(const struct rollout *last, const struct rollout *now)
{
    return !same(last->settings, now->settings) || !same(last->observation, now->observation);
}

// What one step leaves, whatever there was before.
static void check_result(const struct rollout_wish *w, int64_t now_s, const struct rollout *r)
{
    FUZZ_CHECK(same(r->settings, w->settings) && same(r->observation, w->observation));
    FUZZ_CHECK(r->phase < ROLLOUT_PHASES && r->reason < ROLLOUT_REASONS);
    FUZZ_CHECK((r->phase == ROLLOUT_STOPPED) == (r->reason != ROLLOUT_NO_REASON));
    FUZZ_CHECK((r->message[0] != '\0') == (r->phase == ROLLOUT_STOPPED));
    FUZZ_CHECK(fuzz_is_utf8(r->message, true));
    // No time is later than now, whatever the status had: what waits for it would wait for ever.
    FUZZ_CHECK(r->started_s <= now_s && r->progressed_s <= now_s && r->observed_s <= now_s);
    // What nobody observes does not stop.
    FUZZ_CHECK(w->observation[0] || (r->phase != ROLLOUT_CANARY && r->phase != ROLLOUT_STOPPED));
    for (size_t i = 0; i < REPORT_SUM_CLASSES; i++)
        FUZZ_CHECK(r->all.was[i].min == 0 && r->of[1].is[i].max == 0); // kept are agents and median
}

// Who is replaced is replaced by the operator alone, and only while the controller is held.
static void check_hold(const struct rollout *last, const struct rollout_wish *w, const struct rollout *r)
{
    FUZZ_CHECK(!rollout_replaces(last, r) || (rollout_holds(last, r) && w->observation[0]));
    FUZZ_CHECK((r->phase != ROLLOUT_CANARY && r->phase != ROLLOUT_STOPPED) || rollout_holds(last, r));
}

// Of the same settings, observed as they were.
static void check_order(const struct rollout *last, const struct rollout_seen *s, int64_t now_s,
                        const struct rollout *r)
{
    const bool goes_on = r->phase == ROLLOUT_ROLLING || r->phase == ROLLOUT_COMPLETE;
    if (last->phase == ROLLOUT_STOPPED) // stays so
        FUZZ_CHECK(r->phase == ROLLOUT_STOPPED && r->reason == last->reason &&
                   same(r->message, last->message));
    // The others follow only canaries that were observed, or where there is nobody to observe.
    if (last->phase == ROLLOUT_CANARY && goes_on)
        FUZZ_CHECK((last->observed_s > 0 && now_s - last->observed_s >= ROLLOUT_OBSERVE_S) ||
                   s->agents + s->desired == 0);
    if (s->killed_node[0] && r->observation[0] && !same(r->before, r->settings))
        FUZZ_CHECK(r->phase == ROLLOUT_COMPLETE || r->phase == ROLLOUT_STOPPED);
}

static void check_step(const struct rollout *last, const struct rollout_wish *w, const struct rollout_seen *s,
                       int64_t now_s, const struct rollout *r)
{
    check_result(w, now_s, r);
    check_hold(last, w, r);
    if (!asked_again(last, r))
        check_order(last, s, now_s, r);
    if (r->phase == ROLLOUT_COMPLETE && last->phase != ROLLOUT_COMPLETE)
        FUZZ_CHECK(s->updated == s->agents && s->agents >= s->desired);
}

// From a status of ours, the empty one included.
static void run(struct fuzz_input *in)
{
    struct rollout last = {0}, r;
    struct rollout_wish wish = {.settings = "a"};
    struct rollout_seen seen;
    int64_t now_s = 1767225600;
    for (int i = 0; i < STEPS && in->len > 0; i++) {
        const uint64_t what = fuzz_take(in, 1);
        if (what & 1)
            take_wish(in, &wish);
        now_s += (what & 2) ? (int64_t)fuzz_take(in, 2) : 10;
        now_s -= (what & 4) ? 5000 : 0; // the clock is set back
        take_seen(in, &seen);
        rollout_step(&last, &wish, &seen, now_s, &r);
        check_step(&last, &wish, &seen, now_s, &r);
        check_round_trip(&r);
        json_t *status = status_of(&r);
        rollout_json_read(status, "", &last); // the next step has what was written, or somebody lost it
        json_decref(status);
        if (what & 8)
            last = (struct rollout){0};
    }
}

// A status from outside. What is made of it may be odd, and is bounded.
static void read_foreign(struct fuzz_input *in)
{
    json_t *status = json_loadb((const char *)in->data, in->len, JSON_DECODE_ANY, NULL);
    const struct rollout_seen seen = {.desired = 3, .agents = 3, .updated = 1};
    struct rollout_wish wish = {.settings = "a", .observation = "x"};
    struct rollout r, next;
    rollout_json_read(status, "", &r);
    FUZZ_CHECK(r.settings[0] || (r.phase == ROLLOUT_COMPLETE && r.updated == 0 && r.started_s == 0));
    FUZZ_CHECK(r.phase < ROLLOUT_PHASES && r.reason < ROLLOUT_REASONS);
    FUZZ_CHECK(r.started_s >= 0 && r.progressed_s >= 0 && r.observed_s >= 0);
    if (r.settings[0])
        check_round_trip(&r);
    rollout_step(&r, &wish, &seen, 1767225600, &next);
    FUZZ_CHECK(next.started_s <= 1767225600 && next.progressed_s <= 1767225600 &&
               next.observed_s <= 1767225600);
    check_round_trip(&next);
    rollout_json_differs(status, NULL);
    json_decref(status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_input in = {data, len};
    if (len > 0 && data[0] == '{')
        read_foreign(&in);
    else
        run(&in);
    return 0;
}
