// SPDX-License-Identifier: Apache-2.0
// One of a fleet's DaemonSets; the network Node is hostNetwork. Its pod template depends only on what needs a
// restart: image, environment, resources, placement, allocator, number of slices; never on probes, targets or
// peers.
#ifndef KUBECANARY_OPERATOR_RENDER_DAEMONSET_H
#define KUBECANARY_OPERATOR_RENDER_DAEMONSET_H

#include "operator/agent_sets.h"
#include "operator/render.h"

// NULL: no memory.
json_t *render_daemonset(const struct render_input *in, const struct agent_set *set);
// How many slices a pod mounts when there are `slices` of them: twice as many in fleets up to 2,048 nodes.
// All are optional, so that running agents see the new slices while a doubling is rolled out, and do not go
// on with peers that are gone.
unsigned render_daemonset_mounts(unsigned slices);

#endif
