// SPDX-License-Identifier: Apache-2.0
// Who probes whom: one pure function that the agent chooses by and the operator forecasts by. Same answer on
// every machine. Only Full is there today: every node probes every other node.
#ifndef KUBECANARY_LIB_TOPO_H
#define KUBECANARY_LIB_TOPO_H

#include "lib/peers.h"
#include "lib/spec.h"

// What a peer is to a node, as bits.
enum topo_role {
    TOPO_PROBES = 1,    // the node probes it
    TOPO_PROBED_BY = 2, // it probes the node
};

// What is worked out once for all nodes. Names and zones matter, states do not.
struct topo {
    const struct peers *all; // the caller's; to be kept as they are until topo_release
    enum spec_topology_type type;
};

// all: sorted. ENOMEM.
MUST_USE int topo_init(struct topo *t, const struct spec_topology *how, const struct peers *all,
                       struct err *e);
void topo_release(struct topo *t); // takes a zeroed struct
#define CLEANUP_TOPO CLEANUP(topo_release)

// ret_roles[i]: what all->list[i] is to the node `self` (0 for itself). A node that is not among the peers
// probes as if it were; nobody probes it.
void topo_choose(const struct topo *t, const char *self, uint8_t *ret_roles);

// A fleet as a forecast needs it.
struct topo_size {
    size_t nodes;
    size_t largest_zone; // nodes of the zone that has most
    uint64_t neighbours; // ordered pairs of nodes within one zone, over all zones
};
// From the zone of each node ("" is a zone too); sorts them.
void topo_measure(const char **zones, size_t n, struct topo_size *ret);
// How many peers one node probes at most, and all nodes together.
size_t topo_degree(const struct spec_topology *how, const struct topo_size *size);
uint64_t topo_pairs(const struct spec_topology *how, const struct topo_size *size);

#endif
