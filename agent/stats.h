// SPDX-License-Identifier: Apache-2.0
// What is counted: a block of counters for each pair and probe, and the agent's own histograms. Plain memory
// without pointers: a block may be copied whole, and its owner counts through the functions below, which keep
// `sent = sum of results + in flight` true at every moment.
#ifndef KUBECANARY_AGENT_STATS_H
#define KUBECANARY_AGENT_STATS_H

#include "lib/base.h"

// Each probe ends in exactly one of these.
enum stats_result {
    STATS_RECEIVED,    // answered within the timeout
    STATS_LATE,        // answered after the timeout, within the grace
    STATS_LOST,        // not answered
    STATS_CORRUPT,     // answered with other bytes than were sent
    STATS_UNREACHABLE, // the network or the destination refused: ICMP unreachable, TCP reset
    STATS_SEND_ERROR,  // never left this host: no route, no buffer, no descriptor
    // Of targets that are asked for something only:
    STATS_UNEXPECTED, // answered, whole, with something else than was to be expected
    STATS_UNRESOLVED, // never sent: the target's name has no address
};
#define STATS_RESULTS 8
const char *stats_result_name(enum stats_result r); // "received", "late" ..., the value of the label `result`

// One pair's counters. 32 bits are enough for what counts probes: at the shortest interval, 100 ms, they come
// round after 13 years. Memory: stats_size(b) = 60 + 4 * (b + 1) bytes for b bucket bounds (11 bounds: 108,
// 24: 160).
struct stats {
    uint64_t rtt_sum_ns; // of what the buckets count
    uint32_t sent;
    uint32_t results[STATS_RESULTS];
    uint32_t
        duplicates; // answers beyond the first, while the probe is remembered (stats of the window: engine.h)
    uint32_t reordered; // first answers that came after the answer to a later probe of the pair and flow
    uint32_t in_flight;
    uint32_t n_buckets; // bounds; there is one bucket more, for what exceeds the last bound
    uint32_t buckets[]; // n_buckets + 1, each on its own (not cumulative); their sum = received since the
                        // bounds last changed
};
size_t stats_size(size_t n_bounds);

// Begins a probe: sent and in flight.
void stats_begin(struct stats *s);
// Ends one as anything but received. In flight must not be 0 (a bug of ours otherwise).
void stats_end(struct stats *s, enum stats_result r);
// Ends one as received, into the first bucket whose bound (ascending, inclusive, ns) holds rtt_ns.
void stats_receive(struct stats *s, const uint64_t *bounds_ns, uint64_t rtt_ns);
// Forgets the histogram (its bounds have changed); the other counters stay.
void stats_reset_rtt(struct stats *s);
// The sum of the buckets: the histogram's count.
uint64_t stats_rtt_count(const struct stats *s);
// sent = sum of results + in flight. For tests.
bool stats_consistent(const struct stats *s);

// The agent's own lateness, apart from the network's.
#define STATS_DELAY_BOUNDS 12
extern const uint64_t stats_delay_bounds_ns[STATS_DELAY_BOUNDS]; // 0.1 ms to 10 s
struct stats_delay {
    uint64_t sum_ns;
    uint64_t buckets[STATS_DELAY_BOUNDS + 1]; // each on its own
};
void stats_delay_add(struct stats_delay *d, uint64_t ns);
uint64_t stats_delay_count(const struct stats_delay *d);

// Where the two ends of an RTT came from; label `source` of kubecanary_agent_timestamping_total.
enum stats_stamp {
    STATS_STAMP_KERNEL,    // both from the kernel ("kernel")
    STATS_STAMP_KERNEL_RX, // receipt from the kernel, sending from our clock ("kernel_rx")
    STATS_STAMP_USER,      // receipt from our clock: late by up to a tick ("user")
};
#define STATS_STAMPS 3
const char *stats_stamp_name(enum stats_stamp s);

// The whole agent's.
struct stats_agent {
    struct stats_delay schedule_delay; // planned moment -> handed to the kernel; up to one tick by design
    struct stats_delay receive_delay;  // kernel's receipt -> read by us; up to one tick by design
    uint64_t stamps[STATS_STAMPS];     // answers by source of their RTT
    uint64_t unmatched;                // packets that answer no probe we remember
    uint64_t skipped;                  // probes not sent because the agent had no time: their moment passed
    uint64_t clock_steps;              // steps of the real-time clock that made kernel stamps doubtful
};

#endif
