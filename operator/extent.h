// SPDX-License-Identifier: Apache-2.0
// How large a fleet is or may become, for the forecast of its load. Reads the store, changes nothing.
#ifndef KUBECANARY_OPERATOR_EXTENT_H
#define KUBECANARY_OPERATOR_EXTENT_H

#include "lib/peers.h"
#include "lib/spec.h"
#include "lib/topo.h"
#include "operator/store.h"

// Nodes, their zones, and the address families that any of them has.
struct extent {
    struct topo_size size;
    unsigned families; // FAMILY_BIT()s
};
// Of the nodes that the fleet's DaemonSet will have a Pod on, as far as labels tell (taints are not looked
// at: rather too many than too few). ENOMEM.
MUST_USE int extent_of_nodes(const struct store *s, const struct spec_placement *p, struct extent *ret,
                             struct err *e);
// Of peers; the families of their addresses in these networks (bits 1 << enum spec_network). ENOMEM.
MUST_USE int extent_of_peers(const struct peers *p, unsigned networks, struct extent *ret, struct err *e);

#endif
