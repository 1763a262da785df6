// SPDX-License-Identifier: Apache-2.0
// spec.placement.overrides: which nodes each takes, and what its agents are. Of several that match a node the
// first takes it; what none takes is the fleet's rest, index n_overrides. "First" becomes a condition on
// labels of each alone: its own selector, and none of those before it. Pure.
#ifndef KUBECANARY_LIB_SPEC_OVERRIDE_H
#define KUBECANARY_LIB_SPEC_OVERRIDE_H

#include "lib/spec.h"

// The selectors before index i, negated, as a node's affinity wants it: one of the terms must hold, and of a
// term all that it names: the label is not there or has another value.
struct spec_override_term {
    size_t n;
    const struct spec_pair * not [LIMIT_OVERRIDES]; // borrowed, each once
};
struct spec_override_terms {
    size_t n; // 0: there is nothing to be negated, every node will do
    struct spec_override_term list[LIMIT_OVERRIDE_TERMS];
};

// -EINVAL: one before it takes every node that i might (*ret_by, its index). -E2BIG: they are too many.
// Neither after spec_override_check.
MUST_USE int spec_override_terms(const struct spec_placement *p, size_t i, struct spec_override_terms *ret,
                                 size_t *ret_by);

// The agents of i, as spec.agent would say it: allocator and resources are replaced whole. Borrows from s.
struct spec_agent spec_override_agent(const struct spec *s, size_t i);

// Names, labels, allocators, resources; that each can take a node. Path
// "placement.overrides[0].nodeSelector".
MUST_USE int spec_override_check(const struct spec *s, struct err *e);

#endif
