// SPDX-License-Identifier: Apache-2.0
// Whether a helper is there: what it has to show for a probe, when it is asked, and when it hangs.
#include "test/unit/check.h"

#include "agent/liveness.h"

#define S NS_PER_S
#define MS NS_PER_MS

static void test_chance(void)
{
    static const struct {
        uint64_t sent, until, tick, since;
    } at[] = {
        {100 * S, 130 * S, 50 * MS, 115 * S},                               // the second half
        {100 * S, 100 * S + 200 * MS + 1, 50 * MS, 100 * S + 100 * MS + 1}, // of an odd time, too
        {100 * S, 100 * S + 150 * MS, 50 * MS, 100 * S + 50 * MS},          // two ticks, which are more
        {100 * S, 100 * S + 60 * MS, 50 * MS, 100 * S},                     // not more than there is
        {100 * S, 100 * S, 50 * MS, 100 * S},
    };
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        const struct liveness_chance c = liveness_chance(at[i].sent, at[i].until, at[i].tick);
        CHECK_INT(c.since_ns, at[i].since);
        CHECK_INT(c.until_ns, at[i].until);
    }
}

static void test_shows(void)
{
    struct liveness l = {0};
    const struct liveness_chance c = {.since_ns = 115 * S, .until_ns = 130 * S};
    CHECK(!liveness_shown(&l, &c));
    liveness_heard(&l, 115 * S - 1);
    CHECK(!liveness_shown(&l, &c));
    liveness_needed(&l, &c, 115 * S - 1);
    CHECK(!liveness_asks(&l)); // not before it is time
    liveness_heard(&l, 115 * S);
    CHECK(liveness_shown(&l, &c));
    liveness_needed(&l, &c, 129 * S);
    CHECK(!liveness_asks(&l));
}

// One question at a time; whatever it says is the answer.
static void test_asks(void)
{
    struct liveness l = {0};
    const struct liveness_chance c = {.since_ns = 115 * S, .until_ns = 130 * S},
                                 next = {.since_ns = 117 * S, .until_ns = 132 * S};
    CHECK(!liveness_asks(&l));
    liveness_needed(&l, &c, 115 * S);
    CHECK(liveness_asks(&l));
    CHECK(liveness_asks(&l)); // as long as it was not
    liveness_asked(&l, 115 * S);
    liveness_needed(&l, &next, 118 * S);
    CHECK(!liveness_asks(&l));
    CHECK(!liveness_shown(&l, &c));
    liveness_heard(&l, 116 * S);
    CHECK(liveness_shown(&l, &c) && !liveness_shown(&l, &next));
    CHECK(!liveness_asks(&l));
    liveness_needed(&l, &next, 118 * S);
    CHECK(liveness_asks(&l));
}

static void test_hangs(void)
{
    struct liveness l = {0};
    const struct liveness_chance c = {.since_ns = 995 * S, .until_ns = 2000 * S};
    CHECK(!liveness_hangs(&l, 1000 * S)); // nobody wants to know
    liveness_needed(&l, &c, 1000 * S);
    liveness_asked(&l, 1000 * S);
    liveness_needed(&l, &c, 1005 * S); // it is the same question
    CHECK(!liveness_hangs(&l, 1000 * S + LIVENESS_HUNG_NS - 1));
    CHECK(liveness_hangs(&l, 1000 * S + LIVENESS_HUNG_NS));
    liveness_heard(&l, 1000 * S + LIVENESS_HUNG_NS);
    CHECK(!liveness_hangs(&l, 3000 * S));
}

// Who leaves no room for a question hangs as well; but once it is sent, there is all the time for the answer.
static void test_no_room(void)
{
    struct liveness l = {0};
    const struct liveness_chance c = {.since_ns = 1000 * S, .until_ns = 2000 * S};
    const uint64_t last = 1000 * S + LIVENESS_HUNG_NS - 1;
    liveness_needed(&l, &c, 1000 * S);
    liveness_needed(&l, &c, last);
    CHECK(liveness_asks(&l) && !liveness_hangs(&l, last));
    CHECK(liveness_hangs(&l, last + 1));
    liveness_asked(&l, last);
    CHECK(!liveness_asks(&l) && !liveness_hangs(&l, last + LIVENESS_HUNG_NS - 1));
    CHECK(liveness_hangs(&l, last + LIVENESS_HUNG_NS));
    l = (struct liveness){0};
    liveness_needed(&l, &c, 1000 * S);
    liveness_heard(&l, 1001 * S); // a result, before there was room
    CHECK(!liveness_asks(&l) && !liveness_hangs(&l, 1900 * S));
}

static const struct check_case cases[] = {
    {"the chance of a probe", test_chance},
    {"it shows", test_shows},
    {"it is asked", test_asks},
    {"it hangs", test_hangs},
    {"there is no room to ask it", test_no_room},
};
CHECK_MAIN(cases)
