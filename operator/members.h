// SPDX-License-Identifier: Apache-2.0
// The members of a fleet as its agents shall see them: its Pods joined with their Nodes, from the store.
// Reads the store, changes nothing.
#ifndef KUBECANARY_OPERATOR_MEMBERS_H
#define KUBECANARY_OPERATOR_MEMBERS_H

#include "lib/peers.h"
#include "operator/agent_sets.h"

// Nodes that agents have been told to probe. Zero-initialised.
struct members_known {
    size_t n;
    uint64_t *hashes; // of their names, sorted
};
// The nodes of these peers. On failure (-ENOMEM) as before.
MUST_USE int members_known_set(struct members_known *k, const struct peers *p);
void members_known_release(struct members_known *k);
// Whether the node of this Pod is one of them, or the Pod has been told of its files (annotation
// kubecanary.io/published): an operator that has just begun knows nothing else. k NULL: true.
bool members_is_known(const struct members_known *k, const struct store_pod *pod);

// The peers of a fleet, sorted by node; release with peers_release. One peer a node that has an agent of one
// of these sets. Each network's agent has a state (lib/peers.h: state, hostState): Leaving (the Pod is being
// deleted, or its Node is about to be: store_node.leaving), NotReady (its Node is), Ready (Pod Ready), else
// Pending: also if that Pod is not there while the node's other one is. Of two Pods of one network on a node
// (a roll) the readier counts.
// known: who is not (members_is_known) is Pending instead of Ready, so that nobody begins to probe it.
MUST_USE int members_collect(const struct store *s, const char *namespace, const char *fleet,
                             const struct agent_sets *sets, const struct members_known *known,
                             struct peers *ret, struct err *e);

// How many nodes have a ready agent in each network of these sets. -ENOMEM.
MUST_USE int members_ready_nodes(const struct store *s, const char *namespace, const char *fleet,
                                 const struct agent_sets *sets);

// Whether a Pod is one of the fleet's agents: by label and by its controller.
bool members_is_member(const struct store *s, const char *namespace, const char *fleet,
                       const struct store_pod *pod);

#endif
