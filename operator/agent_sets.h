// SPDX-License-Identifier: Apache-2.0
// The DaemonSets that a fleet's agents come from, as a short list that follows from the spec: read by
// whatever has to know how many there are, what they are called and whose a Pod is. Pure; changes nothing.
#ifndef KUBECANARY_OPERATOR_AGENT_SETS_H
#define KUBECANARY_OPERATOR_AGENT_SETS_H

#include "lib/spec.h"
#include "operator/store.h"

struct agent_set {
    enum spec_network network;              // that its agents are in
    char override[LIMIT_OVERRIDE_NAME + 1]; // of the spec's placement; "": the agents of all other nodes
};
#define AGENT_NETWORKS 2
#define AGENT_SETS_MAX (AGENT_NETWORKS * (LIMIT_OVERRIDES + 1))

struct agent_sets {
    size_t n;
    struct agent_set list[AGENT_SETS_MAX];
};

// Those that a spec wants, in the order in which they are applied.
void agent_sets_of(const struct spec *spec, struct agent_sets *ret);
// Those whose DaemonSet is there: what goes on while the spec is bad. By network as above; within one as the
// store has them, not as they are applied.
void agent_sets_live(const struct store *s, const char *namespace, const char *fleet, struct agent_sets *ret);
// The one that a Pod says it is of, by its labels, whether the spec wants it or not. False: none.
// (A node is in one set of each network: overrides share no node.)
bool agent_sets_of_pod(const struct store_pod *pod, struct agent_set *ret);
// Whether one of them is in this network.
bool agent_sets_have(const struct agent_sets *sets, enum spec_network network);
// The DaemonSet's name: "<fleet>-pod", "<fleet>-pod-<override>".
const char *agent_sets_name(const struct agent_set *set, const char *fleet, char out[static LIMIT_NAME + 1]);
// The DaemonSet; NULL: it is not there.
const struct store_child *agent_sets_child(const struct store *s, const char *namespace, const char *fleet,
                                           const struct agent_set *set);

// Which of the spec's overrides it is; n_overrides: none, the other nodes.
size_t agent_sets_index(const struct agent_set *set, const struct spec_placement *p);

#endif
