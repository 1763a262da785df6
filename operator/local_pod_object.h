// SPDX-License-Identifier: Apache-2.0
// A Pod of the local backend as the API object that the operator reads. Pure.
#ifndef KUBECANARY_OPERATOR_LOCAL_POD_OBJECT_H
#define KUBECANARY_OPERATOR_LOCAL_POD_OBJECT_H

#include "operator/local_pod.h"

// A new reference; NULL: out of memory.
json_t *local_pod_object(const struct local_pod *p);

#endif
