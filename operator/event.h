// SPDX-License-Identifier: Apache-2.0
// Kubernetes Events about a fleet (events.k8s.io/v1): what `kubectl describe` shows. Only transitions of
// conditions are events, never a round of work or a lost probe. Pure: builds the body of the request.
#ifndef KUBECANARY_OPERATOR_EVENT_H
#define KUBECANARY_OPERATOR_EVENT_H

#include <jansson.h>

#include "operator/store.h"

// The Event for the change from one status to the next, NULL when nothing changed that is worth one (or
// memory is out). now_ns: the real time, which also makes the Event's name unique.
json_t *event_of_change(const struct store_fleet *fleet, const json_t *old_status, const json_t *new_status,
                        uint64_t now_ns);
// The Event for AllocatorEffective becoming False, or True again after that or
// after a roll; NULL as above.
json_t *event_of_allocator(const struct store_fleet *fleet, const json_t *old_status,
                           const json_t *new_status, uint64_t now_ns);

#endif
