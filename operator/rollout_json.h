// SPDX-License-Identifier: Apache-2.0
// Rollouts as a fleet's status has them (status.allocatorRollouts), which is the only place where they are
// kept. Pure.
#ifndef KUBECANARY_OPERATOR_ROLLOUT_JSON_H
#define KUBECANARY_OPERATOR_ROLLOUT_JSON_H

#include <jansson.h>

#include "operator/rollout.h"

// Those of a fleet, one for the nodes of no override and one for each override.
struct rollouts {
    size_t n;
    struct rollout list[LIMIT_OVERRIDES + 1];
};

// The one of an override as this status (NULL: there is none) has it; all zero if it has none, or one that
// cannot be understood.
void rollout_json_read(const json_t *status, const char *override, struct rollout *ret);
// New reference; NULL: no memory.
json_t *rollout_json_list(const struct rollouts *r);
// Whether the two statuses differ in what was decided, and not in numbers alone.
bool rollout_json_differs(const json_t *a, const json_t *b);

#endif
