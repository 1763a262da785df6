// SPDX-License-Identifier: Apache-2.0
// What a fleet's agents themselves say, as parts of its status: the conditions Reporting and
// AllocatorEffective, and status.agents, status.loss, status.nodes.reporting. Pure; texts are deterministic.
#ifndef KUBECANARY_OPERATOR_STATUS_AGENTS_H
#define KUBECANARY_OPERATOR_STATUS_AGENTS_H

#include <jansson.h>

#include "operator/report_sum.h"

struct status_agents_verdict { // of a condition
    const char *status;        // "True", "False", "Unknown"
    const char *reason;        // stable API
    char message[1024];
};

// Whether the Ready agents answer this operator. Agents that were not asked yet are waited for.
void status_agents_reporting(const struct report_sum *s, struct status_agents_verdict *ret);
// Whether each allocator setting of the spec is in effect on the agents that report. rolling: some of them
// are not of the wanted template yet, so what they lack is no verdict.
void status_agents_allocator(const struct report_sum *s, bool rolling, struct status_agents_verdict *ret);
// Into the objects status and status.nodes. -ENOMEM.
MUST_USE int status_agents_numbers(const struct report_sum *s, json_t *status, json_t *nodes);

#endif
