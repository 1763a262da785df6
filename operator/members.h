// SPDX-License-Identifier: Apache-2.0
// The members of a fleet as its agents shall see them: its Pods joined with their Nodes, from the store. Also
// whether a node is eligible and what keeps agents from running. Reads the store, changes nothing.
#ifndef KUBECANARY_OPERATOR_MEMBERS_H
#define KUBECANARY_OPERATOR_MEMBERS_H

#include "lib/peers.h"
#include "operator/store.h"

// The peers of a fleet, sorted by node; release with peers_release. One peer a node: where two Pods share one
// (a roll), the readier counts. state: Leaving (Pod is being deleted), NotReady (its Node is), Ready (Pod
// Ready), else Pending.
MUST_USE int members_collect(const struct store *s, const char *namespace, const char *fleet,
                             struct peers *ret, struct err *e);

// What keeps Pods of a fleet waiting: how many, and the first of them by node name.
struct members_trouble {
    size_t image;    // ErrImagePull, ImagePullBackOff, ErrImageNeverPull, InvalidImageName
    size_t crashing; // CrashLoopBackOff
    size_t config;   // CreateContainerConfigError, CreateContainerError, RunContainerError
    char reason[64];
    char message[256];
    char node[LIMIT_NAME + 1];
};
void members_trouble(const struct store *s, const char *namespace, const char *fleet,
                     struct members_trouble *ret);

// Address families that any peer of the fleet has, as FAMILY_BIT()s.
unsigned members_families(const struct peers *p);

#endif
