// SPDX-License-Identifier: Apache-2.0
// A new plan for the engine: what can fail is prepared first, then what stays is taken over by key. Part of
// engine.h, which includes this.
#ifndef KUBECANARY_AGENT_ENGINE_APPLY_H
#define KUBECANARY_AGENT_ENGINE_APPLY_H

#include "agent/plan.h"
#include "lib/err.h"

struct engine;

// Puts a plan in force and takes it. Pairs equal by plan_compare keep counters, phase, id and probes in
// flight; new ones start spread over their interval; those that left the plan are dropped with what they had
// in flight. On failure (ENOMEM) the old plan stays and `p` is still the caller's.
MUST_USE int engine_apply(struct engine *en, struct plan *p, uint64_t now_ns, struct err *e);

#endif
