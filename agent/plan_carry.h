// SPDX-License-Identifier: Apache-2.0
// What a new plan takes along from the one before.
#ifndef KUBECANARY_AGENT_PLAN_CARRY_H
#define KUBECANARY_AGENT_PLAN_CARRY_H

#include "agent/plan.h"

// What of the old plan's live pairs stays live, where the new one lacks them: none, as new files were read;
// all; all but those of names. The others are gone from now on.
enum plan_carry_stay { PLAN_CARRY_NONE, PLAN_CARRY_ALL, PLAN_CARRY_UNNAMED };

// Adds those pairs of old that p, which is sorted, lacks and that have not gone for too long. p is not sorted
// afterwards, and must have room. -ENOMEM.
MUST_USE int plan_carry_over(struct plan *p, const struct plan *old, enum plan_carry_stay stay,
                             uint64_t now_ns);
// A plan like old without its pairs and what they lead to, with room for them and for so many more. NULL
// without memory.
struct plan *plan_carry_like(const struct plan *old, size_t pairs);

#endif
