// SPDX-License-Identifier: Apache-2.0
// Who probes whom: one pure function that the agent chooses by and the operator forecasts by. It reads names
// and zones, never states, so that every agent comes to the same answer without asking another, and a node
// that is not Ready moves nobody's pairs. Why it is built so: docs/decisions/0008-topologies.md.
//
// Sampled and Zonal lay all nodes on a ring, in the order of a hash of their names. With `degree` k and n
// nodes, where "k" means all others when there are fewer:
//   Full     every other node.
//   Sampled  the next k nodes on the ring. So each node probes k and is probed by k, exactly.
//   Zonal    every other node of its zone, and on the ring the next k nodes of other zones, looked for among
//            the next TOPO_LOOK * k nodes. Each node is probed by k others at least, and from other zones by
//            TOPO_LOOK * k at most, however small its zone. Nodes without a zone are one zone, named "".
// One node that comes or goes moves (adds or drops) at most 3k pairs with Sampled, besides those with its own
// zone at most (2 * TOPO_LOOK + 1) * k with Zonal.
#ifndef KUBECANARY_LIB_TOPO_H
#define KUBECANARY_LIB_TOPO_H

#include "lib/peers.h"
#include "lib/spec.h"

#define TOPO_LOOK 8

// What a peer is to a node, as bits.
enum topo_role {
    TOPO_PROBES = 1,    // the node probes it
    TOPO_PROBED_BY = 2, // it probes the node
};

struct topo_place { // on the ring
    uint64_t hash;
    uint32_t peer; // index in the peers
    uint32_t zone; // which one: 0, 1, ... by name
};

// What is worked out once for all nodes: 16 to 20 bytes a peer (Full: nothing).
struct topo {
    const struct peers *all; // the caller's; to be kept as they are until topo_release
    enum spec_topology_type type;
    size_t degree;
    struct topo_place *ring; // NULL with Full
    uint32_t *seen;          // Zonal: topo_choose counts in it, a number a zone
    size_t n_zones;
};

// all: sorted. O(n log n). ENOMEM.
MUST_USE int topo_init(struct topo *t, const struct spec_topology *how, const struct peers *all,
                       struct err *e);
void topo_release(struct topo *t); // takes a zeroed struct
#define CLEANUP_TOPO CLEANUP(topo_release)

// ret_roles[i]: what all->list[i] is to the node `self` (0 for itself). O(n). What it says of a pair is the
// same whichever of the two asks. A node that is not among the peers probes as if it were (in no zone);
// nobody probes it, as nobody can know of it.
void topo_choose(const struct topo *t, const char *self, uint8_t *ret_roles);

// A fleet as a forecast needs it.
struct topo_size {
    size_t nodes;
    size_t largest_zone; // nodes of the zone that has most
    size_t zones;        // "" counts as one
    uint64_t neighbours; // ordered pairs of nodes within one zone, over all zones
};
// From the zone of each node ("" is a zone too); sorts them.
void topo_measure(const char **zones, size_t n, struct topo_size *ret);
// How many peers one node probes at most, and all nodes together at most (with Full and Sampled: exactly).
size_t topo_degree(const struct spec_topology *how, const struct topo_size *size);
uint64_t topo_pairs(const struct spec_topology *how, const struct topo_size *size);

#endif
