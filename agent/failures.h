// SPDX-License-Identifier: Apache-2.0
// Counts why probes were unreachable or could not be sent: a row for each probe (label `probe`), network of
// the destinations and family of a plan, not for each pair. Targets of a type and a mesh probe of that name
// share a row: their label is the same. In each row the sums are what all pairs of that label have counted as
// STATS_UNREACHABLE and STATS_SEND_ERROR since the row began, those that are gone included, so no counter
// falls while the plan has such a probe. Memory: 304 bytes a row.
#ifndef KUBECANARY_AGENT_FAILURES_H
#define KUBECANARY_AGENT_FAILURES_H

#include "agent/plan.h"
#include "agent/reason.h"
#include "lib/limits.h"

#define FAILURES_ANY_FAMILY FAMILIES // of an HTTP target whose name may lead to either

struct failures_row {
    char probe[LIMIT_PROBE_NAME + 1];
    uint8_t network;  // enum spec_network, of the destinations
    uint8_t family;   // enum family, or FAILURES_ANY_FAMILY
    uint16_t reasons; // bits 1 << enum reason of those that are possible
    uint64_t unreachable[REASONS];
    uint64_t errors[REASON_ERRORS]; // by reason_error
};

struct failures { // zero-initialised
    size_t n;
    struct failures_row *rows;
};

// Zeros for a plan that follows one with the rows `old`. -ENOMEM.
MUST_USE int failures_init(struct failures *f, const struct plan *p, const struct failures *old);
// Takes over what old has counted.
void failures_carry(struct failures *f, const struct failures *old);
void failures_release(struct failures *f);
size_t failures_count(const struct plan *p);        // rows of a first plan; 0 without memory to count
size_t failures_bytes(const struct plan *p);        // of the heap, likewise
uint64_t failures_series(const struct failures *f); // sample lines of a scrape

// The row of a pair of the plan that f was made for.
struct failures_row *failures_of(const struct failures *f, const struct plan *p, size_t pair);

#endif
