// SPDX-License-Identifier: Apache-2.0
// How many series (sample lines) of an agent's scrape go with what it probes: the agent counts its own by it,
// and the forecast counts those of a fleet that is not there yet. Pure.
#ifndef KUBECANARY_LIB_SERIES_H
#define KUBECANARY_LIB_SERIES_H

#include "lib/dns_text.h"
#include "lib/spec.h"

// Of the agent itself, at most: runtime, allocator, configuration, delays (two histograms), peers, build. So
// many has one with both networks, with limits of its control groups, and with jemalloc that was told more
// settings than are named one by one (a test counts them); musl's in one network has about 50 fewer.
#define SERIES_FIXED 140

// Parts of a pair's counters; the agent asserts that they are what it writes.
#define SERIES_RESULTS 6                // those that every probe may have
#define SERIES_WAYS 2                   // STAMP: what was lost on each way
#define SERIES_DNS (DNS_RCODES + 1 + 2) // answers by response code (and others), mismatches, cut ones
#define SERIES_HTTP (10 + 6 + 10 + 2)   // sum and count of five phases, classes, errors, certificate dates
#define SERIES_ERRNOS 16

// Counters of a pair, which no limit takes away. named: a target's name leads to it, which may fail.
unsigned series_counters(enum spec_probe_type t, bool named);
// What a pair has beside in detail: a histogram (buckets, +Inf, sum, count) ...
uint64_t series_histogram(size_t n_bounds);
// ... and the loss of each flow, if there are several.
unsigned series_flows(unsigned flows);
// Reasons for which a probe of this type can be unreachable.
unsigned series_reasons(enum spec_probe_type t);
// A row of why probes fail, reasons and errnos: one for each probe, network and family.
unsigned series_failures(enum spec_probe_type t);

#endif
