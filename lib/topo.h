// SPDX-License-Identifier: Apache-2.0
// Who probes whom: one pure function that the agent chooses by and the operator forecasts by. Same answer on
// every machine. Only Full is there today: every node probes every other node.
#ifndef KUBECANARY_LIB_TOPO_H
#define KUBECANARY_LIB_TOPO_H

#include "lib/peers.h"
#include "lib/spec.h"

// Whether `self` probes `other` (never itself). Only the names and zones matter, not the state.
bool topo_probes(enum spec_topology_type type, const struct peers *all, const char *self, const char *other);
// How many peers one node probes at most in a fleet of n nodes.
size_t topo_degree(enum spec_topology_type type, size_t nodes);

#endif
