// SPDX-License-Identifier: Apache-2.0
// A change of the allocator's settings under observation: when it goes on, what stops it, and what ends a
// stop.
#include "test/unit/operator/rollout_world.h"

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
    CHECK_INT(w.r.all.was[0].median, 1000000);
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
        tell(w.seen.all.old, 9, grown ? 2000000 : 1000000);
        step(&w);
        wait_s(&w, ROLLOUT_OBSERVE_S);
        is(&w, grown ? "Rolling" : "Stopped", "b", "a");
        CHECK_INT(w.r.all.was[0].median, 1000000);
        teardown(&w);
    }
    struct world w;
    observed(&w);
    step(&w);
    try(&w, 1000000);
    tell(w.seen.all.old, 9, 500000); // and shrink: half of the pairs went
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
    memset(w.seen.all.now, 0, sizeof(w.seen.all.now));
    w.seen.all.now[4] = (struct report_sum_memory){.agents = 1, .median = 9000000};
    step(&w);
    wait_s(&w, ROLLOUT_OBSERVE_S);
    is(&w, "Rolling", "b", "a");
    teardown(&w);
}

// Agents in the hosts' network take 2 MB, those in the pods' 1 MB: who happens to have told is no matter, and
// one of the two that takes more is not hidden by the other.
static void networks_are_compared_each_with_itself(void)
{
    for (unsigned worse = 0; worse < 4; worse++) {
        struct world w;
        observed(&w);
        w.both = true;
        step(&w);
        try(&w, 2000000);
        tell(w.seen.all.old, 18, 1000000);
        tell(w.seen.of[SPEC_NETWORK_POD].old, 9, 1000000);
        tell(w.seen.of[SPEC_NETWORK_NODE].old, 9, 2000000);
        if (worse & 1)
            tell(w.seen.of[SPEC_NETWORK_POD].now, 1, 1500000);
        tell(w.seen.of[SPEC_NETWORK_NODE].now, 1, worse & 2 ? 3000000 : 2000000);
        step(&w);
        wait_s(&w, ROLLOUT_OBSERVE_S);
        if (worse & 1)
            stopped(&w, "MemoryGrew",
                    "1-2 cores take 1500000 bytes (median), with the settings of before 1000000");
        else if (worse & 2)
            stopped(
                &w, "MemoryGrew",
                "1-2 cores, network Node, take 3000000 bytes (median), with the settings of before 2000000");
        else
            is(&w, "Rolling", "b", "a");
        teardown(&w);
    }
}

// Ten agents in each network with the settings "a", of 1 MB and of 2 MB; all are to try others at once.
static void observed_in_both(struct world *w)
{
    setup(w);
    w->both = true;
    memcpy(w->wish.observation, "o", sizeof("o"));
    see(w, 20, 20);
    tell(w->seen.all.now, 20, 1000000);
    tell(w->seen.of[SPEC_NETWORK_POD].now, 10, 1000000);
    tell(w->seen.of[SPEC_NETWORK_NODE].now, 10, 2000000);
    w->seen.told = 20;
    step(w);
    want(w, "b");
    see(w, 20, 0);
    w->seen.canaries = 20;
    step(w);
    is(w, "Canary", "b", "a");
    see(w, 20, 20);
    w->seen.ready = w->seen.told = 20;
}

// Nobody has the old settings any more: what each network took before is its measure.
static void without_a_control_before_is_the_measure(void)
{
    for (int worse = 0; worse < 2; worse++) {
        struct world w;
        observed_in_both(&w);
        tell(w.seen.all.now, 20, 1000000);
        tell(w.seen.of[SPEC_NETWORK_POD].now, 10, 1000000);
        tell(w.seen.of[SPEC_NETWORK_NODE].now, 10, worse ? 20000000 : 2000000);
        step(&w);
        wait_s(&w, ROLLOUT_OBSERVE_S);
        if (worse)
            stopped(
                &w, "MemoryGrew",
                "1-2 cores, network Node, take 20000000 bytes (median), with the settings of before 2000000");
        else
            is(&w, "Rolling", "b", "a");
        teardown(&w);
    }
}

// All of one network try them, and some of the other do not: these are no measure of those.
static void a_control_in_one_network_alone(void)
{
    for (int worse = 0; worse < 2; worse++) {
        struct world w;
        observed_in_both(&w);
        tell(w.seen.all.old, 9, 1000000);
        tell(w.seen.of[SPEC_NETWORK_POD].old, 9, 1000000);
        tell(w.seen.all.now, 11, 2000000);
        tell(w.seen.of[SPEC_NETWORK_POD].now, 1, 1000000);
        tell(w.seen.of[SPEC_NETWORK_NODE].now, 10, worse ? 2400000 : 2000000);
        step(&w);
        wait_s(&w, ROLLOUT_OBSERVE_S);
        if (worse)
            stopped(&w, "MemoryGrew",
                    "network Node, take 2400000 bytes (median), with the settings of before 2");
        else
            is(&w, "Rolling", "b", "a");
        teardown(&w);
    }
}

// Of two there is no middle: the one that takes less must not hide the other.
static void of_two_canaries_the_greater(void)
{
    struct world w;
    observed(&w);
    step(&w);
    try(&w, 1000000);
    tell(w.seen.all.old, 2, 1000000);
    w.seen.all.old[0].max = 9000000; // it is the canaries' greater one that counts
    w.seen.all.now[0] =
        (struct report_sum_memory){.agents = 2, .min = 1000000, .median = 1000000, .max = 5000000};
    step(&w);
    wait_s(&w, ROLLOUT_OBSERVE_S);
    stopped(&w, "MemoryGrew", "take 5000000 bytes (the greater of two), with the settings of before 1000000");
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

// Another allocator takes what it takes: the numbers are shown, and what one agent may take still counts.
static void another_type(void)
{
    static const struct {
        uint64_t bytes;
        const char *phase, *before;
    } cases[] = {{3000000, "Rolling", "System"}, {3000001, "Stopped", "System"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world w;
        observed(&w);
        w.wish.type = ROLLOUT_JEMALLOC;
        w.wish.max_resident = 3000000;
        step(&w);
        try(&w, cases[i].bytes);
        tell(w.seen.all.old, 9, 1000000);
        step(&w);
        wait_s(&w, ROLLOUT_OBSERVE_S);
        is(&w, cases[i].phase, "b", "a");
        CHECK_STR(rollout_type_names[w.r.type], "Jemalloc");
        CHECK_STR(rollout_type_names[w.r.type_before], cases[i].before);
        CHECK_INT(w.r.reason, i == 0 ? ROLLOUT_NO_REASON : ROLLOUT_ABOVE_MAX);
        teardown(&w);
    }
}

// A stop at one type, and then other settings of the other: what every agent had is compared with.
static void another_type_and_back(void)
{
    struct world w;
    observed(&w);
    w.wish.type = ROLLOUT_JEMALLOC;
    step(&w);
    want(&w, "c");
    w.wish.type = ROLLOUT_SYSTEM;
    see(&w, 10, 0);
    w.seen.canaries = 1;
    step(&w);
    try(&w, 3000000);
    tell(w.seen.all.old, 9, 1000000);
    step(&w);
    wait_s(&w, ROLLOUT_OBSERVE_S);
    is(&w, "Stopped", "c", "a");
    CHECK_STR(rollout_type_names[w.r.type_before], "System");
    teardown(&w);
}

// A status of an operator that did not write the type: it is compared as it would have been.
static void a_type_that_is_not_known(void)
{
    struct world w;
    observed(&w);
    json_object_del(json_array_get(json_object_get(w.status, "allocatorRollouts"), 0), "type");
    w.wish.type = ROLLOUT_JEMALLOC;
    step(&w);
    CHECK_INT(w.r.type_before, ROLLOUT_TYPE_UNKNOWN);
    try(&w, 3000000);
    tell(w.seen.all.old, 9, 1000000);
    step(&w);
    wait_s(&w, ROLLOUT_OBSERVE_S);
    stopped(&w, "MemoryGrew", "take 3000000 bytes");
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

// A leader of before had a clock that is ahead: its times are not waited for.
static void a_status_from_the_future(void)
{
    struct world w;
    observed(&w);
    step(&w);
    try(&w, 900000);
    w.now_s += 3600;
    step(&w);
    w.now_s -= 3600;
    step(&w);
    CHECK_INT(w.r.observed_s, w.now_s);
    wait_s(&w, ROLLOUT_OBSERVE_S);
    is(&w, "Rolling", "b", "a");
    teardown(&w);
    observed(&w);
    w.now_s += 3600;
    step(&w);
    w.now_s -= 3600;
    step(&w);
    CHECK_INT(w.r.started_s, w.now_s);
    wait_s(&w, ROLLOUT_PATIENCE_S);
    stopped(&w, "CanariesNotReady", "0 of 1");
    teardown(&w);
}

// Who may not replace them waits for the right, and then for them, from the beginning.
static void canaries_that_may_not_be_replaced(void)
{
    struct world w;
    observed(&w);
    w.seen.forbidden = true;
    step(&w);
    for (int i = 0; i < 5; i++)
        wait_s(&w, ROLLOUT_PATIENCE_S - 1);
    is(&w, "Canary", "b", "a");
    wait_s(&w, ROLLOUT_PATIENCE_S - 1);
    w.seen.forbidden = false;
    const int64_t since = w.r.progressed_s;
    CHECK(w.now_s - since < ROLLOUT_PATIENCE_S / 2);
    wait_s(&w, since + ROLLOUT_PATIENCE_S - 1 - w.now_s);
    is(&w, "Canary", "b", "a");
    wait_s(&w, 1);
    stopped(&w, "CanariesNotReady", "0 of 1");
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
    CHECK_INT(w.r.all.was[0].median, 1000000);
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
    CHECK_INT(w.r.all.was[0].median, 1000000);
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
    tell(w.seen.all.now, 1, 5);
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

static const struct check_case cases[] = {
    {"a canary that does well", a_canary_that_does_well},
    {"canaries that take more", canaries_that_take_more},
    {"those who stay are the measure", those_who_stay_are_the_measure},
    {"classes are compared each with itself", classes_are_compared_each_with_itself},
    {"networks are compared each with itself", networks_are_compared_each_with_itself},
    {"without a control, before is the measure", without_a_control_before_is_the_measure},
    {"a control in one network alone", a_control_in_one_network_alone},
    {"of two canaries the greater", of_two_canaries_the_greater},
    {"one agent too many", one_agent_too_many},
    {"another type", another_type},
    {"another type and back", another_type_and_back},
    {"a type that is not known", a_type_that_is_not_known},
    {"canaries that are not ready", canaries_that_are_not_ready},
    {"a status from the future", a_status_from_the_future},
    {"canaries that may not be replaced", canaries_that_may_not_be_replaced},
    {"canaries that say nothing", canaries_that_say_nothing},
    {"what ends a stop", what_ends_a_stop},
    {"changed while canaries try", changed_while_canaries_try},
    {"observation alone moves nobody", observation_alone_moves_nobody},
    {"a fleet of one", a_fleet_of_one},
    {"a status that was lost meanwhile", a_status_that_was_lost_meanwhile},
    {"a clock that went back", a_clock_that_went_back},
};
CHECK_MAIN(cases)
