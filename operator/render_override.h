// SPDX-License-Identifier: Apache-2.0
// Which nodes a DaemonSet is for (spec.placement.overrides, lib/spec_override.h), as the pod's nodeSelector
// and affinity. Every node that placement.nodeSelector matches is matched by exactly one index. Pure; NULL
// means no memory.
#ifndef KUBECANARY_OPERATOR_RENDER_OVERRIDE_H
#define KUBECANARY_OPERATOR_RENDER_OVERRIDE_H

#include <jansson.h>

#include "lib/spec_override.h"

// Linux, placement.nodeSelector, and the override's own (index n_overrides: none).
json_t *render_override_selector(const struct spec_placement *p, size_t index);
// A nodeAffinity that excludes the nodes of the overrides before; null if there are none to exclude.
json_t *render_override_affinity(const struct spec_placement *p, size_t index);

#endif
