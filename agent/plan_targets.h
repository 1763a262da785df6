// SPDX-License-Identifier: Apache-2.0
// The named targets' part of a plan.
#ifndef KUBECANARY_AGENT_PLAN_TARGETS_H
#define KUBECANARY_AGENT_PLAN_TARGETS_H

#include "agent/plan.h"

// Adds a probe, a destination and a pair for each target; only the probe, and a host, for one with a name.
// -ENOMEM.
MUST_USE int plan_targets_add(struct plan *p, const struct spec *s);

#endif
