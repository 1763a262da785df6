// SPDX-License-Identifier: Apache-2.0
// What the agents of a set were told of their allocator and threads, one by one, as far as it can be held
// against what they say. Pure.
#ifndef KUBECANARY_OPERATOR_REPORT_TOLD_H
#define KUBECANARY_OPERATOR_REPORT_TOLD_H

#include "lib/spec.h"
#include "operator/report_metrics.h"

struct report_told {
    const char *allocator; // that the operator's own image has ("jemalloc"); NULL: any
    bool is_jemalloc; // wanted are jemalloc's options, of which an agent tells each; of others it does not
    struct report_metrics_wanted wanted;
};

// -ENOMEM.
MUST_USE int report_told_of(const struct spec_agent *a, struct report_told *ret);

#endif
