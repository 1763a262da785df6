// SPDX-License-Identifier: Apache-2.0
// Which agents of a DaemonSet try other settings first: a DaemonSet knows no part of itself, so its Pods are
// replaced one by one until enough of them are of the new template. Pure. Decision 0022.
#ifndef KUBECANARY_OPERATOR_CANARY_H
#define KUBECANARY_OPERATOR_CANARY_H

#include "operator/store.h"

struct canary_pod {              // of the set; its node's order among all is that of a hash of the name
    const struct store_pod *pod; // borrowed
    bool node_ready;             // otherwise it can neither go nor come
    bool updated;                // it has the settings that are wanted
};

struct canary_set {
    unsigned percent;            // of the nodes; 1..100
    const char *max_unavailable; // "10%" or "1"
    size_t desired;              // Pods that there shall be, by the DaemonSet
};

// How many canaries there are to be.
size_t canary_count(const struct canary_set *s);
// How many there are not yet. Pods that are new count, and those that are away, whatever they went for.
size_t canary_missing(const struct canary_set *s, const struct canary_pod *list, size_t n);
// Sorts the list and gives how many of its first are to be replaced now, those of them at the front: none of
// which is being deleted, not more than canaries are missing, and of the ready ones not more than
// max_unavailable allows. So an operator that forgot whom it replaced replaces no more than it would have.
size_t canary_choose(const struct canary_set *s, struct canary_pod *list, size_t n);

#endif
