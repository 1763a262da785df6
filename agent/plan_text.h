// SPDX-License-Identifier: Apache-2.0
// The memory of a plan's names. For the builders of plans.
#ifndef KUBECANARY_AGENT_PLAN_TEXT_H
#define KUBECANARY_AGENT_PLAN_TEXT_H

#include "agent/plan.h"

// A copy that lives as long as the plan; NULL without memory.
const char *plan_text_add(struct plan *p, const char *text);
// The same, but a text that one of the last destinations' zones has already is shared.
const char *plan_text_zone(struct plan *p, const char *zone);
void plan_text_free(struct plan *p);
size_t plan_text_bytes(const struct plan *p);

#endif
