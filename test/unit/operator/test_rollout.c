// SPDX-License-Identifier: Apache-2.0
// A change of the allocator's settings, step by step: what begins and ends it, what is kept of before and
// after, and that an operator that ends between any two steps loses nothing: each step here goes through the
// status that the last one left.
#include "operator/rollout_json.h"
#include "test/unit/check.h"

struct world {
    json_t *status; // as it was last written
    struct rollout_wish wish;
    struct rollout_seen seen;
    struct rollout r; // as the last step left it
    int64_t now_s;
};

static void setup(struct world *w)
{
    *w = (struct world){.now_s = 1767225600, .wish.settings = "a"};
}

static void teardown(struct world *w)
{
    json_decref(w->status);
}

// How many agents there are, and how many of them have the wanted settings.
static void see(struct world *w, size_t agents, size_t updated)
{
    w->seen.agents = agents;
    w->seen.updated = updated;
}

// Agents of two cores that tell.
static void tell(struct report_sum_memory *m, uint64_t agents, uint64_t median)
{
    m[0].agents = agents;
    m[0].median = median;
}

static void step(struct world *w)
{
    struct rollout was;
    struct rollouts all = {.n = 1};
    w->now_s += 10;
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

static void is(const struct world *w, const char *phase, const char *settings, const char *before)
{
    CHECK_STR(rollout_phase_names[w->r.phase], phase);
    CHECK_STR(w->r.settings, settings);
    CHECK_STR(w->r.before, before);
}

// Three agents with the settings "a", of 1000 bytes each.
static void settled(struct world *w)
{
    setup(w);
    see(w, 3, 3);
    tell(w->seen.now, 3, 1000);
    w->seen.told = 3;
    step(w);
}

static void want(struct world *w, const char *settings)
{
    memset(w->wish.settings, 0, sizeof(w->wish.settings));
    memcpy(w->wish.settings, settings, strlen(settings));
    memset(&w->seen, 0, sizeof(w->seen));
}

static void before_and_after(void)
{
    struct world w;
    settled(&w);
    is(&w, "Complete", "a", "");
    CHECK_INT(w.r.started_s, 0);
    CHECK_INT(w.r.is[0].median, 1000);
    want(&w, "b");
    see(&w, 3, 0);
    tell(w.seen.old, 3, 1010);
    step(&w);
    is(&w, "Rolling", "b", "a");
    CHECK_INT(w.r.started_s, w.now_s);
    CHECK_INT(w.r.was[0].median, 1000);
    CHECK_INT(w.r.is[0].agents, 0);
    see(&w, 3, 2);
    tell(w.seen.old, 1, 9999); // who is left is no measure of what all were
    tell(w.seen.now, 2, 500);
    w.seen.told = 2;
    step(&w);
    is(&w, "Rolling", "b", "a");
    CHECK_INT(w.r.started_s, w.now_s - 10);
    CHECK_INT(w.r.was[0].median, 1000);
    CHECK_INT(w.r.was[0].agents, 3);
    CHECK_INT(w.r.is[0].median, 500);
    see(&w, 3, 3);
    tell(w.seen.now, 3, 510);
    w.seen.told = 3;
    step(&w);
    is(&w, "Complete", "b", "a"); // and stays to be read
    CHECK_INT(w.r.was[0].median, 1000);
    CHECK_INT(w.r.is[0].median, 510);
    CHECK_INT(w.r.updated, 3);
    teardown(&w);
}

// The settings that are changed from are the last that every agent had.
static void changed_again_meanwhile(void)
{
    struct world w;
    settled(&w);
    want(&w, "b");
    see(&w, 3, 0);
    step(&w);
    see(&w, 3, 1);
    tell(w.seen.now, 1, 7);
    w.seen.told = 1;
    step(&w);
    int64_t first = w.r.started_s;
    want(&w, "c");
    see(&w, 3, 0);
    step(&w);
    is(&w, "Rolling", "c", "a");
    CHECK_INT(w.r.was[0].median, 1000);
    CHECK_INT(w.r.is[0].agents, 0);
    CHECK(w.r.started_s > first);
    teardown(&w);
}

// An operator that has just begun has heard of nobody: it must not forget what the last one knew.
static void an_operator_that_begins(void)
{
    struct world w;
    settled(&w);
    memset(w.seen.now, 0, sizeof(w.seen.now));
    w.seen.told = 0;
    step(&w);
    CHECK_INT(w.r.is[0].median, 1000);
    tell(w.seen.now, 1, 400);
    w.seen.told = 1;
    step(&w);
    CHECK_INT(w.r.is[0].median, 1000);
    tell(w.seen.now, 2, 900);
    w.seen.told = 2;
    step(&w);
    CHECK_INT(w.r.is[0].median, 900);
    teardown(&w);
}

// Without a status the Pods tell whether a change is under way; what is missing of before comes from those
// that still have the old settings.
static void a_status_that_was_lost(void)
{
    struct world w;
    setup(&w);
    see(&w, 3, 1);
    memcpy(w.seen.other, "x", sizeof("x"));
    step(&w);
    is(&w, "Rolling", "a", "x");
    CHECK_INT(w.r.was[0].agents, 0);
    tell(w.seen.old, 2, 800);
    step(&w);
    CHECK_INT(w.r.was[0].median, 800);
    teardown(&w);
    setup(&w); // agents of an operator that wrote no annotation: nothing is known to have changed
    see(&w, 3, 0);
    step(&w);
    is(&w, "Complete", "a", "");
    teardown(&w);
}

// --- under observation ---

// Ten agents with the settings "a", of 1 MB each, of which one is to try others first.
static void observed(struct world *w)
{
    setup(w);
    memcpy(w->wish.observation, "o", sizeof("o"));
    see(w, 10, 10);
    tell(w->seen.now, 10, 1000000);
    w->seen.told = 10;
    step(w);
    is(w, "Complete", "a", "");
    want(w, "b");
    see(w, 10, 0);
    w->seen.canaries = 1;
}

// The first canary is ready and takes that much.
static void try(struct world *w, uint64_t bytes)
{
    see(w, 10, 1);
    w->seen.ready = 1;
    w->seen.told = 1;
    tell(w->seen.now, 1, bytes);
    w->seen.max = bytes;
    memcpy(w->seen.max_node, "n7", sizeof("n7"));
}

static void stopped(const struct world *w, const char *reason, const char *message)
{
    is(w, "Stopped", "b", "a");
    CHECK_STR(rollout_reason_names[w->r.reason], reason);
    CHECK_CONTAINS(w->r.message, message);
}

static void wait_s(struct world *w, int64_t seconds)
{
    w->now_s += seconds - 10;
    step(w);
}

static void a_canary_that_does_well(void)
{
    struct world w;
    observed(&w);
    step(&w);
    is(&w, "Canary", "b", "a");
    CHECK(rollout_holds(&w.r, &w.r));
    CHECK(rollout_replaces(&w.r, &w.r));
    const struct rollout nothing = {0}, first = w.r;
    CHECK(!rollout_replaces(&nothing, &w.r)); // not before the status knows what was before
    step(&w);
    is(&w, "Canary", "b", "a");
    CHECK_INT(w.r.observed_s, 0);
    try(&w, 900000);
    step(&w);
    CHECK_INT(w.r.observed_s, w.now_s);
    CHECK(!rollout_replaces(&w.r, &w.r));
    wait_s(&w, ROLLOUT_OBSERVE_S - 10);
    is(&w, "Canary", "b", "a");
    const struct rollout last = w.r;
    step(&w);
    is(&w, "Rolling", "b", "a");
    CHECK(rollout_holds(&last, &w.r)); // what is decided and not yet written is not done
    CHECK(!rollout_holds(&w.r, &w.r));
    CHECK(!rollout_holds(&nothing, &w.r));
    CHECK(rollout_holds(&nothing, &first));
    see(&w, 10, 10);
    w.seen.told = 10;
    step(&w);
    is(&w, "Complete", "b", "a");
    CHECK_INT(w.r.was[0].median, 1000000);
    CHECK_INT(w.r.started_s, first.started_s);
    teardown(&w);
}

static void canaries_that_take_more(void)
{
    const uint64_t most = 1100000 + ROLLOUT_NOISE_BYTES;
    for (uint64_t more = 0; more < 2; more++) {
        struct world w;
        observed(&w);
        step(&w);
        try(&w, most + more);
        step(&w);
        wait_s(&w, ROLLOUT_OBSERVE_S);
        if (more)
            stopped(
                &w, "MemoryGrew",
                "agents on nodes of 1-2 cores take 1231073 bytes (median), with the settings of before 1000000");
        else
            is(&w, "Rolling", "b", "a");
        const struct rollout r = w.r;
        CHECK_INT(rollout_holds(&r, &r), more);
        wait_s(&w, 100000); // and stays so
        CHECK_STR(rollout_phase_names[w.r.phase], more ? "Stopped" : "Rolling");
        teardown(&w);
    }
}

// Agents grow, with their pairs or with the hours: what counts is who kept the old settings, at the same
// time.
static void those_who_stay_are_the_measure(void)
{
    for (int grown = 0; grown < 2; grown++) {
        struct world w;
        observed(&w);
        step(&w);
        try(&w, 2000000);
        tell(w.seen.old, 9, grown ? 2000000 : 1000000);
        step(&w);
        wait_s(&w, ROLLOUT_OBSERVE_S);
        is(&w, grown ? "Rolling" : "Stopped", "b", "a");
        CHECK_INT(w.r.was[0].median, 1000000);
        teardown(&w);
    }
    struct world w;
    observed(&w);
    step(&w);
    try(&w, 1000000);
    tell(w.seen.old, 9, 500000); // and shrink: half of the pairs went
    step(&w);
    wait_s(&w, ROLLOUT_OBSERVE_S);
    stopped(&w, "MemoryGrew", "take 1000000 bytes (median), with the settings of before 500000");
    teardown(&w);
}

// Another class is no measure.
static void classes_are_compared_each_with_itself(void)
{
    struct world w;
    observed(&w);
    step(&w);
    try(&w, 1000);
    memset(w.seen.now, 0, sizeof(w.seen.now));
    w.seen.now[4] = (struct report_sum_memory){.agents = 1, .median = 9000000};
    step(&w);
    wait_s(&w, ROLLOUT_OBSERVE_S);
    is(&w, "Rolling", "b", "a");
    teardown(&w);
}

static void one_agent_too_many(void)
{
    struct world w;
    observed(&w);
    step(&w);
    w.wish.max_resident = 900000;
    try(&w, 900000);
    step(&w);
    is(&w, "Canary", "b", "a");
    w.seen.max = 900001;
    step(&w);
    stopped(&w, "AboveMaxResident", "node n7 takes 900001 bytes, more than maxResidentBytes, 900000");
    teardown(&w);
    observed(&w);
    step(&w);
    see(&w, 10, 1);
    memcpy(w.seen.killed_node, "n3", sizeof("n3"));
    step(&w);
    stopped(&w, "OutOfMemory", "node n3 was killed for its memory");
    teardown(&w);
    observed(&w); // also after the canaries did well
    step(&w);
    try(&w, 900000);
    step(&w);
    wait_s(&w, ROLLOUT_OBSERVE_S);
    see(&w, 10, 5);
    memcpy(w.seen.killed_node, "n3", sizeof("n3"));
    step(&w);
    stopped(&w, "OutOfMemory", "n3");
    teardown(&w);
}

static void canaries_that_are_not_ready(void)
{
    struct world w;
    observed(&w);
    w.seen.canaries = 4;
    step(&w);
    see(&w, 10, 1);
    w.seen.ready = 1;
    wait_s(&w, ROLLOUT_PATIENCE_S - 1); // one more: patience begins again
    CHECK_INT(w.r.ready, 1);
    wait_s(&w, ROLLOUT_PATIENCE_S - 1);
    is(&w, "Canary", "b", "a");
    wait_s(&w, 1);
    stopped(&w, "CanariesNotReady", "1 of 4 canaries are ready, and no more for 600 s");
    teardown(&w);
    observed(&w);
    w.seen.canaries = 4;
    step(&w);
    see(&w, 10, 3);
    w.seen.ready = 3;
    step(&w);
    wait_s(&w, ROLLOUT_PATIENCE_S); // one node is away for good
    CHECK_INT(w.r.observed_s, w.now_s);
    teardown(&w);
}

static void canaries_that_say_nothing(void)
{
    struct world w;
    observed(&w);
    step(&w);
    see(&w, 10, 1);
    w.seen.ready = 1;
    step(&w);
    wait_s(&w, ROLLOUT_OBSERVE_S + ROLLOUT_PATIENCE_S - 1);
    is(&w, "Canary", "b", "a");
    const int64_t since = w.r.observed_s;
    w.seen.ready = 0; // it went: whether it comes back is waited for, not from the beginning
    step(&w);
    stopped(&w, "CanariesNotReady", "too few");
    teardown(&w);
    CHECK(since > 0);
    observed(&w);
    step(&w);
    see(&w, 10, 1);
    w.seen.ready = 1;
    step(&w);
    wait_s(&w, ROLLOUT_OBSERVE_S + ROLLOUT_PATIENCE_S);
    stopped(&w, "CanariesNotTold", "do not say");
    teardown(&w);
}

// Stopped, for its memory.
static void bad(struct world *w)
{
    observed(w);
    step(w);
    try(w, 9000000);
    step(w);
    wait_s(w, ROLLOUT_OBSERVE_S);
    stopped(w, "MemoryGrew", "");
    memset(&w->seen, 0, sizeof(w->seen));
    see(w, 10, 1);
    w->seen.canaries = 1;
}

static void what_ends_a_stop(void)
{
    struct world w;
    bad(&w); // back to what was: at once
    want(&w, "a");
    see(&w, 10, 9);
    step(&w);
    is(&w, "Rolling", "a", "a");
    see(&w, 10, 10);
    step(&w);
    is(&w, "Complete", "a", "a");
    teardown(&w);
    bad(&w); // other settings: observed, against what was before the first try
    want(&w, "c");
    see(&w, 10, 0);
    w.seen.canaries = 1;
    step(&w);
    is(&w, "Canary", "c", "a");
    CHECK_INT(w.r.was[0].median, 1000000);
    CHECK_STR(w.r.message, "");
    teardown(&w);
    bad(&w); // observed in another way: tried again
    memcpy(w.wish.observation, "p", sizeof("p"));
    const struct rollout stop = w.r;
    step(&w);
    is(&w, "Canary", "b", "a");
    CHECK(!rollout_replaces(&stop, &w.r)); // the status does not know it yet
    CHECK(rollout_replaces(&w.r, &w.r));
    CHECK_INT(w.r.started_s, w.now_s);
    CHECK_INT(w.r.was[0].median, 1000000);
    teardown(&w);
    bad(&w); // not observed any more
    memset(w.wish.observation, 0, sizeof(w.wish.observation));
    step(&w);
    is(&w, "Rolling", "b", "a");
    teardown(&w);
}

static void changed_while_canaries_try(void)
{
    struct world w;
    observed(&w);
    step(&w);
    want(&w, "c");
    see(&w, 10, 0);
    w.seen.canaries = 1;
    step(&w);
    is(&w, "Canary", "c", "a");
    memset(w.wish.observation, 0, sizeof(w.wish.observation));
    const struct rollout last = w.r;
    step(&w);
    is(&w, "Rolling", "c", "a");
    CHECK(!rollout_holds(&last, &w.r));
    teardown(&w);
}

// Whoever asks for observation of what is there already gets it at the next change.
static void observation_alone_moves_nobody(void)
{
    struct world w;
    settled(&w);
    memcpy(w.wish.observation, "o", sizeof("o"));
    step(&w);
    is(&w, "Complete", "a", "");
    CHECK_STR(w.r.observation, "o");
    teardown(&w);
}

// One node: while its agent is replaced there is none, which is not the end of it.
static void a_fleet_of_one(void)
{
    struct world w;
    setup(&w);
    memcpy(w.wish.observation, "o", sizeof("o"));
    see(&w, 1, 1);
    step(&w);
    want(&w, "b");
    w.seen.desired = w.seen.canaries = 1;
    see(&w, 1, 0);
    step(&w);
    see(&w, 0, 0);
    step(&w);
    is(&w, "Canary", "b", "a");
    see(&w, 1, 1);
    w.seen.ready = w.seen.told = 1;
    tell(w.seen.now, 1, 5);
    step(&w);
    wait_s(&w, ROLLOUT_OBSERVE_S);
    is(&w, "Rolling", "b", "a");
    step(&w);
    is(&w, "Complete", "b", "a");
    teardown(&w);
}

static void a_status_that_was_lost_meanwhile(void)
{
    struct world w;
    observed(&w);
    step(&w);
    json_decref(w.status);
    w.status = NULL;
    memcpy(w.seen.other, "a", sizeof("a"));
    step(&w);
    is(&w, "Canary", "b", "a");
    teardown(&w);
}

static void a_clock_that_went_back(void)
{
    struct world w;
    observed(&w);
    step(&w);
    try(&w, 5);
    step(&w);
    w.now_s -= 5000;
    step(&w);
    is(&w, "Canary", "b", "a");
    teardown(&w);
}

static void a_fleet_without_agents(void)
{
    struct world w;
    setup(&w);
    step(&w);
    is(&w, "Complete", "a", "");
    want(&w, "b");
    step(&w);
    is(&w, "Complete", "b", "a");
    teardown(&w);
}

static const struct check_case cases[] = {
    {"before and after", before_and_after},
    {"changed again meanwhile", changed_again_meanwhile},
    {"an operator that begins", an_operator_that_begins},
    {"a status that was lost", a_status_that_was_lost},
    {"a fleet without agents", a_fleet_without_agents},
    {"a canary that does well", a_canary_that_does_well},
    {"canaries that take more", canaries_that_take_more},
    {"those who stay are the measure", those_who_stay_are_the_measure},
    {"classes are compared each with itself", classes_are_compared_each_with_itself},
    {"one agent too many", one_agent_too_many},
    {"canaries that are not ready", canaries_that_are_not_ready},
    {"canaries that say nothing", canaries_that_say_nothing},
    {"what ends a stop", what_ends_a_stop},
    {"changed while canaries try", changed_while_canaries_try},
    {"observation alone moves nobody", observation_alone_moves_nobody},
    {"a fleet of one", a_fleet_of_one},
    {"a status that was lost meanwhile", a_status_that_was_lost_meanwhile},
    {"a clock that went back", a_clock_that_went_back},
};
CHECK_MAIN(cases)
