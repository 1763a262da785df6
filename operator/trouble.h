// SPDX-License-Identifier: Apache-2.0
// What keeps the agents of a fleet from running, from its Pods. Reads the store, changes nothing.
#ifndef KUBECANARY_OPERATOR_TROUBLE_H
#define KUBECANARY_OPERATOR_TROUBLE_H

#include "operator/store.h"

// What keeps Pods of a fleet waiting, in the order in which it is told.
enum trouble_cause {
    TROUBLE_IMAGE,  // ErrImagePull, ImagePullBackOff, ErrImageNeverPull, InvalidImageName
    TROUBLE_CONFIG, // CreateContainerConfigError, CreateContainerError, RunContainerError
    TROUBLE_CRASH,  // CrashLoopBackOff
    TROUBLE_PLACE,  // Unschedulable: the node has no room, or another pod has the host's ports
};

// How many Pods wait; of those with the first cause the first by node name.
struct trouble {
    size_t pods;
    enum trouble_cause cause; // if pods > 0, as the rest
    char reason[64];
    char message[256];
    char node[LIMIT_NAME + 1]; // "": it has none yet
    char network[16];          // the Pod's
};
void trouble_find(const struct store *s, const char *namespace, const char *fleet, struct trouble *ret);

#endif
