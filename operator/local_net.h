// SPDX-License-Identifier: Apache-2.0
// The network of the local backend: one namespace a node and one for the bridge between them, all without
// names, held by descriptors. Sets links and addresses up with ip(8); knows nothing of Pods.
#ifndef KUBECANARY_OPERATOR_LOCAL_NET_H
#define KUBECANARY_OPERATOR_LOCAL_NET_H

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/limits.h"

struct local_node {
    char name[16];            // "n1"
    char zone[8];             // "a", "b", "c" in turn
    int netns;                // descriptor of its namespace
    struct addr ip[FAMILIES]; // the node's and its Pods' (they share the namespace); IPv6 unset where the
                              // kernel has none
};

struct local_net { // zero-initialised before first use
    size_t n;
    struct local_node nodes[LIMIT_LOCAL_NODES];
    int hub; // the bridge's namespace
};

// Blocks for some milliseconds a node. On failure everything is taken back.
MUST_USE int local_net_init(struct local_net *net, size_t nodes, struct err *e);
void local_net_release(struct local_net *net);

#endif
