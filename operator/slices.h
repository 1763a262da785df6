// SPDX-License-Identifier: Apache-2.0
// How many peers slices a fleet has in the cluster, for an operator that has just started. Reads the store.
#ifndef KUBECANARY_OPERATOR_SLICES_H
#define KUBECANARY_OPERATOR_SLICES_H

#include "operator/store.h"

// What the names of the fleet's ConfigMaps tell, not how many there are: one that somebody deleted is to come
// back, not to make the others be dealt anew. A power of two; 0: there are none.
unsigned slices_count(const struct store *s, const struct store_fleet *fleet);

#endif
