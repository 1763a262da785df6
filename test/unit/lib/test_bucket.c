// SPDX-License-Identifier: Apache-2.0
// The token bucket: what it lets through, at once and in the long run.
#include "test/unit/check.h"

#include "lib/bucket.h"

#define BURST 5
#define EACH_NS (100 * NS_PER_MS)

static struct bucket b;
static uint64_t now;

static void start(void)
{
    b = (struct bucket){0};
    now = 1000 * NS_PER_S;
}

// How many of so many are let through at this moment.
static unsigned take(unsigned n)
{
    unsigned passed = 0;
    for (unsigned i = 0; i < n; i++)
        passed += bucket_take(&b, BURST, EACH_NS, now);
    return passed;
}

static void test_burst(void)
{
    start();
    CHECK_INT(take(100), BURST);
    now += EACH_NS - 1;
    CHECK_INT(take(100), 0);
    now += 1;
    CHECK_INT(take(100), 1);
    now += 3 * EACH_NS;
    CHECK_INT(take(100), 3);
    now += 3600 * NS_PER_S; // no more is saved up than a burst
    CHECK_INT(take(100), BURST);
}

// Asked often or seldom, but before it is full, what comes back in a span is the same: no fraction is lost.
static void test_rate(void)
{
    for (uint64_t step = 1 * NS_PER_MS; step < EACH_NS * (BURST - 1); step = step * 3 / 2) {
        start();
        unsigned passed = take(100);
        uint64_t steps = 60 * NS_PER_S / step;
        for (uint64_t i = 0; i < steps; i++) {
            now += step;
            passed += take(100);
        }
        CHECK_INT(passed, BURST + steps * step / EACH_NS);
    }
}

// One that was never used up counts from its first use, not from 0.
static void test_first_use(void)
{
    start();
    CHECK_INT(take(1), 1);
    now += EACH_NS / 2;
    CHECK_INT(take(BURST), BURST - 1);
    now += EACH_NS / 2;
    CHECK_INT(take(BURST), 1);
}

static const struct check_case cases[] = {
    {"a burst, then one after another", test_burst},
    {"the rate, however often it is asked", test_rate},
    {"it counts from its first use", test_first_use},
};
CHECK_MAIN(cases)
