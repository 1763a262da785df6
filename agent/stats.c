// SPDX-License-Identifier: Apache-2.0
// Counting. Every function leaves `sent = sum of results + in flight` as true as it found it.
#include "agent/stats.h"

#include <assert.h>

const uint64_t stats_delay_bounds_ns[STATS_DELAY_BOUNDS] = {
    100 * NS_PER_US, 1 * NS_PER_MS,   2 * NS_PER_MS,   5 * NS_PER_MS,   10 * NS_PER_MS, 20 * NS_PER_MS,
    50 * NS_PER_MS,  100 * NS_PER_MS, 200 * NS_PER_MS, 500 * NS_PER_MS, 1 * NS_PER_S,   10 * NS_PER_S,
};

const char *stats_result_name(enum stats_result r)
{
    static const char *const names[STATS_RESULTS] = {"received",    "late",       "lost",       "corrupt",
                                                     "unreachable", "send_error", "unexpected", "unresolved"};
    return names[r];
}

const char *stats_stamp_name(enum stats_stamp s)
{
    static const char *const names[STATS_STAMPS] = {"kernel", "kernel_rx", "user"};
    return names[s];
}

size_t stats_size(size_t n_bounds)
{
    return offsetof(struct stats, buckets) + (n_bounds + 1) * sizeof(uint32_t);
}

void stats_begin(struct stats *s)
{
    s->sent++;
    s->in_flight++;
}

void stats_end(struct stats *s, enum stats_result r)
{
    assert(s->in_flight > 0);
    s->in_flight--;
    s->results[r]++;
}

// The first bound that holds ns, or n: a handful of bounds, most answers in the first few.
static size_t bucket_of(const uint64_t *bounds, size_t n, uint64_t ns)
{
    size_t i = 0;
    while (i < n && ns > bounds[i])
        i++;
    return i;
}

void stats_receive(struct stats *s, const uint64_t *bounds_ns, uint64_t rtt_ns)
{
    stats_end(s, STATS_RECEIVED);
    s->rtt_sum_ns += rtt_ns;
    s->buckets[bucket_of(bounds_ns, s->n_buckets, rtt_ns)]++;
}

void stats_reset_rtt(struct stats *s)
{
    s->rtt_sum_ns = 0;
    memset(s->buckets, 0, (s->n_buckets + 1) * sizeof(s->buckets[0]));
}

uint64_t stats_rtt_count(const struct stats *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i <= s->n_buckets; i++)
        n += s->buckets[i];
    return n;
}

bool stats_consistent(const struct stats *s)
{
    uint64_t n = s->in_flight;
    for (size_t i = 0; i < STATS_RESULTS; i++)
        n += s->results[i];
    return n == s->sent && stats_rtt_count(s) <= s->results[STATS_RECEIVED];
}

void stats_delay_add(struct stats_delay *d, uint64_t ns)
{
    d->sum_ns += ns;
    d->buckets[bucket_of(stats_delay_bounds_ns, STATS_DELAY_BOUNDS, ns)]++;
}

uint64_t stats_delay_count(const struct stats_delay *d)
{
    uint64_t n = 0;
    for (size_t i = 0; i <= STATS_DELAY_BOUNDS; i++)
        n += d->buckets[i];
    return n;
}
