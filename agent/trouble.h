// SPDX-License-Identifier: Apache-2.0
// Tells the log which pairs cannot be reached or sent to, and why: a line when that begins, one when the
// reason changes, one when it has ended. Counters by pair would say less than the line and cost each pair
// memory; so this is a short list of the pairs that fail now. Bounded in length and in lines: what finds no
// room is told of later, or only counted. Time comes from the caller.
#ifndef KUBECANARY_AGENT_TROUBLE_H
#define KUBECANARY_AGENT_TROUBLE_H

#include "agent/plan.h"
#include "agent/stats.h"
#include "lib/bucket.h"
#include "lib/limits.h"

#define TROUBLE_BURST 16                 // lines at once; then
#define TROUBLE_LINE_NS (1 * NS_PER_S)   // one in so long
#define TROUBLE_QUIET_NS (10 * NS_PER_S) // without a failure, or three intervals: it has ended

struct trouble_pair {
    uint32_t pair;                 // of the plan in force
    enum stats_result told_result; // together with told_why: of one failure
    const char *told_why;          // a constant, compared as a pointer; NULL: nothing was told
    uint64_t begun_ns, last_ns, told_ns;
    uint64_t failed;
};

struct trouble { // zero-initialised
    size_t n;
    struct trouble_pair list[LIMIT_TROUBLES];
    struct bucket lines;
};

// A probe of pair i failed: why is a constant of reason.h.
void trouble_failed(struct trouble *t, const struct plan *p, size_t i, enum stats_result r, const char *why,
                    uint64_t now_ns);
// Tells what has ended. Costs nothing while all is well; now and then is often enough.
void trouble_settle(struct trouble *t, const struct plan *p, uint64_t now_ns);
// Another plan is in force: pairs that it has not are forgotten.
void trouble_replan(struct trouble *t, const struct plan *old, const struct plan *p);

#endif
