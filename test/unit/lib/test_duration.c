// SPDX-License-Identifier: Apache-2.0
// GEP-2257 durations both ways, and what is none.
#include "lib/duration.h"

#include <errno.h>

#include "test/unit/check.h"

static void test_both_ways(void)
{
    static const struct {
        const char *in, *out;
        uint64_t ms;
    } cases[] = {
        {"200ms", "200ms", 200},
        {"1s", "1s", 1000},
        {"1m30s", "1m30s", 90000},
        {"90s", "1m30s", 90000},
        {"0s", "0s", 0},
        {"1h2m3s4ms", "1h2m3s4ms", 3723004},
        {"60m", "1h", 3600000},
        {"1500ms", "1s500ms", 1500},
        {"99999h", "99999h", UINT64_C(359996400000)},
        {"001s", "1s", 1000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t ns = 1;
        char text[DURATION_TEXT_MAX];
        CHECK_INT(duration_parse(cases[i].in, &ns), 0);
        CHECK_INT(ns, cases[i].ms * NS_PER_MS);
        CHECK_STR(duration_text(ns, text), cases[i].out);
    }
}

static void test_refused(void)
{
    static const char *const cases[] = {"",      "1",       "s",   "1.5s",        "-1s",  "+1s",
                                        " 1s",   "1s ",     "1 s", "1d",          "1s1s", "1s1m",
                                        "1ms1s", "100000s", "1us", "1h1m1s1ms1s", "1sm",  "1S"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t ns = 77;
        CHECK_INT(duration_parse(cases[i], &ns), -EINVAL);
        CHECK_INT(ns, 77);
    }
}

static const struct check_case cases[] = {{"both ways", test_both_ways}, {"refused texts", test_refused}};
CHECK_MAIN(cases)
