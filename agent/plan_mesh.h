// SPDX-License-Identifier: Apache-2.0
// The mesh's part of a plan: which peers this agent probes, by the topology and their states, and how. In a
// fleet of both networks a node has two agents, and whoever probes the node probes both, each at its own
// addresses and by its own state; the topology is of nodes, and the same in both networks.
#ifndef KUBECANARY_AGENT_PLAN_MESH_H
#define KUBECANARY_AGENT_PLAN_MESH_H

#include "agent/plan.h"

// The peers' part of the files, and what each peer is to this node (enum topo_role). Zero-initialised.
struct plan_mesh {
    const struct peers *peers; // the caller's
    uint8_t *roles;
    size_t n_probed;   // Ready agents of those that this node probes
    unsigned networks; // plan_mesh_networks
    bool probing;      // this agent's network is one of the mesh's
};

// In which networks the peers have agents that this one, of its own, probes and is probed by: bits 1 << enum
// spec_network. Its own is always there; the other only if the mesh has both.
unsigned plan_mesh_networks(const struct spec_mesh *spec, enum spec_network own);
// Of the agent that a peer has in that network: FAMILIES addresses, and its state.
const struct addr *plan_mesh_addresses(const struct peer *peer, enum spec_network network);
enum peer_state plan_mesh_state(const struct peer *peer, enum spec_network network);

// ENOMEM.
MUST_USE int plan_mesh_init(struct plan_mesh *m, const struct spec_mesh *spec, const struct peers *peers,
                            const char *node, enum spec_network network, struct err *e);
void plan_mesh_release(struct plan_mesh *m);
// Adds the mesh's probes (which must be the plan's first), n_probed destinations at most, and their pairs;
// counts the peers. -ENOMEM.
MUST_USE int plan_mesh_add(struct plan *p, const struct spec_agent_file *file, const struct plan_mesh *mesh);

#endif
