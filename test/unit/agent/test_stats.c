// SPDX-License-Identifier: Apache-2.0
#include "test/unit/check.h"

#include "agent/stats.h"

static const uint64_t bounds[] = {50000, 100000, 1000000};

static struct stats *block(void)
{
    struct stats *s = calloc(1, stats_size(3));
    s->n_buckets = 3;
    return s;
}

static void test_size(void)
{
    CHECK_INT(stats_size(11), 108);
    CHECK_INT(stats_size(24), 160);
}

static void test_each_result(void)
{
    CLEANUP_FREE struct stats *s = block();
    for (unsigned r = 0; r < STATS_RESULTS; r++) {
        for (unsigned i = 0; i <= r; i++) {
            stats_begin(s);
            CHECK(stats_consistent(s));
            if (r == STATS_RECEIVED)
                stats_receive(s, bounds, 60000);
            else
                stats_end(s, (enum stats_result)r);
            CHECK(stats_consistent(s));
        }
        CHECK_INT(s->results[r], r + 1);
    }
    CHECK_INT(s->sent, 36);
    CHECK_INT(s->in_flight, 0);
    CHECK_INT(stats_rtt_count(s), 1);
    CHECK_STR(stats_result_name(STATS_RECEIVED), "received");
    CHECK_STR(stats_result_name(STATS_SEND_ERROR), "send_error");
}

// A bound holds what is equal to it, as Prometheus' `le` says.
static void test_buckets(void)
{
    static const struct {
        uint64_t ns;
        size_t bucket;
    } at[] = {
        {0, 0}, {50000, 0}, {50001, 1}, {100000, 1}, {1000000, 2}, {1000001, 3}, {UINT64_C(60000000000), 3}};
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        CLEANUP_FREE struct stats *s = block();
        stats_begin(s);
        stats_receive(s, bounds, at[i].ns);
        CHECK_INT(s->buckets[at[i].bucket], 1);
        CHECK_INT(stats_rtt_count(s), 1);
        CHECK_INT(s->rtt_sum_ns, at[i].ns);
        stats_reset_rtt(s);
        CHECK_INT(stats_rtt_count(s) + s->rtt_sum_ns, 0);
        CHECK_INT(s->results[STATS_RECEIVED], 1);
    }
}

static void test_inconsistent(void)
{
    CLEANUP_FREE struct stats *s = block();
    stats_begin(s);
    s->results[STATS_LOST]++;
    CHECK(!stats_consistent(s));
    s->in_flight = 0;
    CHECK(stats_consistent(s));
    s->buckets[1]++;
    CHECK(!stats_consistent(s));
}

static void test_delay(void)
{
    struct stats_delay d = {0};
    stats_delay_add(&d, 0);
    stats_delay_add(&d, 50 * NS_PER_MS);
    stats_delay_add(&d, 3600 * NS_PER_S);
    CHECK_INT(d.buckets[0], 1);
    CHECK_INT(d.buckets[6], 1);
    CHECK_INT(d.buckets[STATS_DELAY_BOUNDS], 1);
    CHECK_INT(stats_delay_count(&d), 3);
    for (size_t i = 1; i < STATS_DELAY_BOUNDS; i++)
        CHECK(stats_delay_bounds_ns[i] > stats_delay_bounds_ns[i - 1]);
}

static const struct check_case cases[] = {
    {"the size is the published formula's", test_size},
    {"each result keeps the sum", test_each_result},
    {"bounds are inclusive", test_buckets},
    {"a broken sum is seen", test_inconsistent},
    {"lateness", test_delay},
};
CHECK_MAIN(cases)
