// SPDX-License-Identifier: Apache-2.0
// The mesh's part of a plan: which peers this agent probes, by the topology and their states, and how.
#ifndef KUBECANARY_AGENT_PLAN_MESH_H
#define KUBECANARY_AGENT_PLAN_MESH_H

#include "agent/plan.h"

// The peers' part of the files, and what each peer is to this node (enum topo_role). Zero-initialised.
struct plan_mesh {
    const struct peers *peers; // the caller's
    uint8_t *roles;
    size_t n_probed; // Ready ones that this node probes
    bool probing;    // this network is probed at all
};

// ENOMEM.
MUST_USE int plan_mesh_init(struct plan_mesh *m, const struct spec_mesh *spec, const struct peers *peers,
                            const char *node, enum spec_network network, struct err *e);
void plan_mesh_release(struct plan_mesh *m);
// Adds the mesh's probes (which must be the plan's first), n_probed destinations at most, and their pairs;
// counts the peers. -ENOMEM.
MUST_USE int plan_mesh_add(struct plan *p, const struct spec_agent_file *file, const struct plan_mesh *mesh);

#endif
