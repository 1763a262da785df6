// SPDX-License-Identifier: Apache-2.0
// A change begins when other settings are wanted than the last step knew, and ends when no agent has others.
#include "operator/rollout.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *const rollout_phase_names[ROLLOUT_PHASES] = {"Complete", "Canary", "Rolling", "Stopped"};
const char *const rollout_reason_names[ROLLOUT_REASONS] = {
    "", "OutOfMemory", "AboveMaxResident", "MemoryGrew", "CanariesNotReady", "CanariesNotTold"};

const char *const rollout_type_names[ROLLOUT_TYPES] = {"", "System", "Jemalloc"};

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static void copy_settings(char dst[static RENDER_ALLOCATOR_SETTINGS], const char *src)
{
    memcpy(dst, src, RENDER_ALLOCATOR_SETTINGS);
}

// Back to what every agent had is a way out, which nobody needs to try.
static bool is_observed(const struct rollout *r)
{
    return r->observation[0] && !same(r->before, r->settings);
}

static void enter(struct rollout *r, enum rollout_phase phase, int64_t now_s)
{
    r->phase = phase;
    r->progressed_s = phase == ROLLOUT_CANARY ? now_s : 0;
    r->observed_s = 0;
    r->ready = 0;
    r->reason = ROLLOUT_NO_REASON;
    memset(r->message, 0, sizeof(r->message));
}

static void begin(struct rollout *r, int64_t now_s)
{
    r->started_s = now_s;
    enter(r, is_observed(r) ? ROLLOUT_CANARY : ROLLOUT_ROLLING, now_s);
}

static void begin_memory(const struct rollout_memory *last, bool whole, struct rollout_memory *ret)
{
    memcpy(ret->was, whole ? last->is : last->was, sizeof(ret->was));
}

// The last settings that every agent had are what this change is from: those of the last step only if it was
// at its end.
static void begin_change(const struct rollout *last, int64_t now_s, struct rollout *r)
{
    const bool whole = last->phase == ROLLOUT_COMPLETE;
    r->type_before = whole ? last->type : last->type_before;
    copy_settings(r->before, whole ? last->settings : last->before);
    begin_memory(&last->all, whole, &r->all);
    for (enum spec_network k = 0; k < AGENT_NETWORKS; k++)
        begin_memory(&last->of[k], whole, &r->of[k]);
    begin(r, now_s);
}

// A status that was lost, or never written: the Pods tell whether a change is under way.
static void begin_blind(const struct rollout_seen *seen, int64_t now_s, struct rollout *r)
{
    if (!seen->other[0])
        return;
    copy_settings(r->before, seen->other);
    begin(r, now_s);
}

// What a leader with another clock wrote: a moment that is still to come would be waited for.
static void no_later_than(struct rollout *r, int64_t now_s)
{
    r->started_s = MIN(r->started_s, now_s);
    r->progressed_s = MIN(r->progressed_s, now_s);
    r->observed_s = MIN(r->observed_s, now_s);
}

// The same settings; how they are to be observed may have changed: then what had stopped is tried again.
static void go_on(const struct rollout *last, int64_t now_s, struct rollout *r)
{
    const struct rollout wanted = *r;
    *r = *last;
    no_later_than(r, now_s);
    copy_settings(r->observation, wanted.observation);
    r->type = wanted.type;
    r->updated = wanted.updated;
    if (same(last->observation, r->observation))
        return;
    if (r->phase == ROLLOUT_STOPPED)
        begin(r, now_s);
    else if (r->phase == ROLLOUT_CANARY && !is_observed(r))
        enter(r, ROLLOUT_ROLLING, now_s);
}

static void stop(struct rollout *r, enum rollout_reason reason, const char *message)
{
    enter(r, ROLLOUT_STOPPED, 0);
    r->reason = reason;
    snprintf(r->message, sizeof(r->message), "%s", message);
}

// For people: the network Pod goes without saying.
static const char *in_network(enum spec_network network)
{
    return network == SPEC_NETWORK_NODE ? ", network Node," : "";
}

// What no agent may do, canary or not. True: it stopped.
static bool stop_for_one(struct rollout *r, const struct rollout_wish *wish, const struct rollout_seen *seen)
{
    char text[sizeof(r->message)];
    if (seen->killed_node[0]) {
        snprintf(text, sizeof(text), "the agent on node %.160s%s was killed for its memory",
                 seen->killed_node, in_network(seen->killed_network));
        stop(r, ROLLOUT_OUT_OF_MEMORY, text);
    } else if (wish->max_resident > 0 && seen->max > wish->max_resident) {
        snprintf(text, sizeof(text),
                 "the agent on node %.130s%s takes %" PRIu64 " bytes, more than maxResidentBytes, %" PRIu64,
                 seen->max_node, in_network(seen->max_network), seen->max, wish->max_resident);
        stop(r, ROLLOUT_ABOVE_MAX, text);
    }
    return r->phase == ROLLOUT_STOPPED;
}

struct comparison { // of the agents of one class of cores; agents 0: there is nothing to compare
    size_t class;
    enum spec_network network;
    struct report_sum_memory control, now;
};

// The control are those that have kept the old settings, at the same time and under the same load, in the
// same network: an agent in the hosts' may take more than one in the pods'. Only where there are none, it is
// all that had them in that network when the change began.
static struct comparison compare(const struct rollout *r, const struct rollout_seen *seen, size_t class,
                                 enum spec_network network)
{
    const struct report_sum_sides *s = &seen->of[network];
    const struct report_sum_memory *old = &s->old[class], *was = &r->of[network].was[class];
    return (struct comparison){class, network, old->agents > 0 ? *old : *was, s->now[class]};
}

// Of two the lower is no middle: the other one could take ten times as much.
static uint64_t taken(const struct comparison *c)
{
    return c->now.agents == 2 ? c->now.max : c->now.median;
}

static bool is_worse(const struct comparison *c)
{
    return c->control.agents > 0 && c->now.agents > 0 &&
           taken(c) >
               c->control.median + c->control.median * ROLLOUT_WORSE_PERCENT / 100 + ROLLOUT_NOISE_BYTES;
}

// Whether the canaries of some class and network take more; *ret: the first.
static bool find_worse(const struct rollout *r, const struct rollout_seen *seen, struct comparison *ret)
{
    for (size_t i = 0; i < REPORT_SUM_CLASSES; i++) {
        for (enum spec_network k = 0; k < AGENT_NETWORKS; k++) {
            *ret = compare(r, seen, i, k);
            if (is_worse(ret))
                return true;
        }
    }
    return false;
}

// Each allocator takes what it takes: whoever asks for another one asks for that, too.
static bool is_of_another_type(const struct rollout *r)
{
    return r->type != ROLLOUT_TYPE_UNKNOWN && r->type_before != ROLLOUT_TYPE_UNKNOWN &&
           r->type != r->type_before;
}

static void decide(struct rollout *r, const struct rollout_seen *seen, int64_t now_s)
{
    char text[sizeof(r->message)];
    struct comparison worse;
    if (is_of_another_type(r) || !find_worse(r, seen, &worse)) {
        enter(r, ROLLOUT_ROLLING, now_s);
        return;
    }
    snprintf(text, sizeof(text),
             "agents on nodes of %s cores%s take %" PRIu64
             " bytes (%s), with the settings of before %" PRIu64,
             report_sum_class_names[worse.class], in_network(worse.network), taken(&worse),
             worse.now.agents == 2 ? "the greater of two" : "median", worse.control.median);
    stop(r, ROLLOUT_MEMORY_GREW, text);
}

// Until all canaries are ready. One node that never comes back must not hold up a large fleet for ever: in
// the end half of them will do.
static void await_ready(struct rollout *r, const struct rollout_seen *seen, int64_t now_s)
{
    char text[sizeof(r->message)];
    if (seen->ready > r->ready) {
        r->ready = seen->ready;
        r->progressed_s = now_s;
    }
    // Patience is with canaries, not with whoever may grant the right. Not at each step: it is written.
    if (seen->forbidden && now_s - r->progressed_s >= ROLLOUT_PATIENCE_S / 2)
        r->progressed_s = now_s;
    if (seen->canaries > 0 && seen->ready >= seen->canaries) {
        r->observed_s = now_s;
    } else if (now_s - r->progressed_s >= ROLLOUT_PATIENCE_S) {
        if (seen->ready > 0 && seen->ready * 2 >= seen->canaries) {
            r->observed_s = now_s;
            return;
        }
        snprintf(text, sizeof(text), "%zu of %zu canaries are ready, and no more for %d s", seen->ready,
                 seen->canaries, ROLLOUT_PATIENCE_S);
        stop(r, ROLLOUT_NOT_READY, text);
    }
}

static void observe(struct rollout *r, const struct rollout_seen *seen, int64_t now_s)
{
    const bool enough = seen->ready > 0 && seen->ready * 2 >= seen->canaries;
    const int64_t since = now_s - r->observed_s;
    if (since < ROLLOUT_OBSERVE_S)
        return;
    if (enough && seen->told > 0 && seen->told * 2 >= seen->updated)
        decide(r, seen, now_s);
    else if (since >= ROLLOUT_OBSERVE_S + ROLLOUT_PATIENCE_S && enough)
        stop(r, ROLLOUT_NOT_TOLD, "the canaries do not say how much memory they take");
    else if (since >= ROLLOUT_OBSERVE_S + ROLLOUT_PATIENCE_S)
        stop(r, ROLLOUT_NOT_READY, "too few canaries stay ready");
}

static void judge(struct rollout *r, const struct rollout_wish *wish, const struct rollout_seen *seen,
                  int64_t now_s)
{
    const bool moves = r->phase == ROLLOUT_CANARY || r->phase == ROLLOUT_ROLLING;
    if (moves && is_observed(r) && stop_for_one(r, wish, seen))
        return;
    if (r->phase == ROLLOUT_CANARY && seen->agents + seen->desired == 0)
        enter(r, ROLLOUT_ROLLING, now_s); // there is nobody to observe
    else if (r->phase == ROLLOUT_CANARY && r->observed_s == 0)
        await_ready(r, seen, now_s);
    else if (r->phase == ROLLOUT_CANARY)
        observe(r, seen, now_s);
    else if (r->phase == ROLLOUT_ROLLING && seen->updated == seen->agents && seen->agents >= seen->desired)
        enter(r, ROLLOUT_COMPLETE, now_s);
}

static struct report_sum_memory kept(const struct report_sum_memory *m)
{
    return (struct report_sum_memory){.agents = m->agents, .median = m->median};
}

// now: NULL if what was known of those with these settings is kept. moves: a change is under way.
static void take_sides(const struct report_sum_sides *seen, const struct report_sum_memory *now, bool moves,
                       struct rollout_memory *ret)
{
    for (size_t i = 0; i < REPORT_SUM_CLASSES; i++) {
        if (moves && ret->was[i].agents == 0)
            ret->was[i] = kept(&seen->old[i]);
        if (now)
            ret->is[i] = kept(&now[i]);
    }
}

static void take_memory(const struct rollout *last, const struct rollout_seen *seen, struct rollout *r)
{
    // An operator that has just begun has heard of few: what is known of more is kept.
    const bool few = same(last->settings, r->settings) && seen->told * 2 < seen->updated;
    const bool moves = r->phase != ROLLOUT_COMPLETE;
    take_sides(&seen->all, few ? NULL : seen->all.now, moves, &r->all);
    for (enum spec_network k = 0; k < AGENT_NETWORKS; k++)
        take_sides(&seen->of[k], few ? NULL : seen->of[k].now, moves, &r->of[k]);
}

void rollout_step(const struct rollout *last, const struct rollout_wish *wish,
                  const struct rollout_seen *seen, int64_t now_s, struct rollout *ret)
{
    struct rollout r = {.updated = seen->updated, .type = wish->type};
    memcpy(r.override, wish->override, sizeof(r.override));
    copy_settings(r.settings, wish->settings);
    copy_settings(r.observation, wish->observation);
    if (same(last->settings, wish->settings))
        go_on(last, now_s, &r);
    else if (last->settings[0])
        begin_change(last, now_s, &r);
    else
        begin_blind(seen, now_s, &r);
    judge(&r, wish, seen, now_s);
    take_memory(last, seen, &r);
    *ret = r;
}

bool rollout_holds(const struct rollout *last, const struct rollout *now)
{
    const bool undecided = last->phase == ROLLOUT_CANARY && same(last->settings, now->settings) &&
                           same(last->observation, now->observation);
    return now->phase == ROLLOUT_CANARY || now->phase == ROLLOUT_STOPPED || undecided;
}

bool rollout_replaces(const struct rollout *in_status, const struct rollout *now)
{
    return now->phase == ROLLOUT_CANARY && now->observed_s == 0 && in_status->phase == ROLLOUT_CANARY &&
           same(in_status->settings, now->settings);
}
