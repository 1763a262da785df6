// SPDX-License-Identifier: Apache-2.0
// A change of the allocator's settings: what begins and ends it, and what is kept of before and after.
#include "test/unit/operator/rollout_world.h"

static void before_and_after(void)
{
    struct world w;
    settled(&w);
    is(&w, "Complete", "a", "");
    CHECK_INT(w.r.started_s, 0);
    CHECK_INT(w.r.all.is[0].median, 1000);
    want(&w, "b");
    see(&w, 3, 0);
    tell(w.seen.all.old, 3, 1010);
    step(&w);
    is(&w, "Rolling", "b", "a");
    CHECK_INT(w.r.started_s, w.now_s);
    CHECK_INT(w.r.all.was[0].median, 1000);
    CHECK_INT(w.r.all.is[0].agents, 0);
    see(&w, 3, 2);
    tell(w.seen.all.old, 1, 9999); // who is left is no measure of what all were
    tell(w.seen.all.now, 2, 500);
    w.seen.told = 2;
    step(&w);
    is(&w, "Rolling", "b", "a");
    CHECK_INT(w.r.started_s, w.now_s - 10);
    CHECK_INT(w.r.all.was[0].median, 1000);
    CHECK_INT(w.r.all.was[0].agents, 3);
    CHECK_INT(w.r.all.is[0].median, 500);
    see(&w, 3, 3);
    tell(w.seen.all.now, 3, 510);
    w.seen.told = 3;
    step(&w);
    is(&w, "Complete", "b", "a"); // and stays to be read
    CHECK_INT(w.r.all.was[0].median, 1000);
    CHECK_INT(w.r.all.is[0].median, 510);
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
    tell(w.seen.all.now, 1, 7);
    w.seen.told = 1;
    step(&w);
    int64_t first = w.r.started_s;
    want(&w, "c");
    see(&w, 3, 0);
    step(&w);
    is(&w, "Rolling", "c", "a");
    CHECK_INT(w.r.all.was[0].median, 1000);
    CHECK_INT(w.r.all.is[0].agents, 0);
    CHECK(w.r.started_s > first);
    teardown(&w);
}

// An operator that has just begun has heard of nobody: it must not forget what the last one knew.
static void an_operator_that_begins(void)
{
    struct world w;
    settled(&w);
    memset(w.seen.all.now, 0, sizeof(w.seen.all.now));
    w.seen.told = 0;
    step(&w);
    CHECK_INT(w.r.all.is[0].median, 1000);
    tell(w.seen.all.now, 1, 400);
    w.seen.told = 1;
    step(&w);
    CHECK_INT(w.r.all.is[0].median, 1000);
    tell(w.seen.all.now, 2, 900);
    w.seen.told = 2;
    step(&w);
    CHECK_INT(w.r.all.is[0].median, 900);
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
    CHECK_INT(w.r.all.was[0].agents, 0);
    tell(w.seen.all.old, 2, 800);
    step(&w);
    CHECK_INT(w.r.all.was[0].median, 800);
    teardown(&w);
    setup(&w); // agents of an operator that wrote no annotation: nothing is known to have changed
    see(&w, 3, 0);
    step(&w);
    is(&w, "Complete", "a", "");
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
};
CHECK_MAIN(cases)
