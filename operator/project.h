// SPDX-License-Identifier: Apache-2.0
// From an API object (jansson) to the small struct that the store keeps of it, and the digest by which an
// edited object is recognised. Pure: reads the object, allocates only what the struct owns, knows neither
// store nor network.
#ifndef KUBECANARY_OPERATOR_PROJECT_H
#define KUBECANARY_OPERATOR_PROJECT_H

#include "operator/store.h"

union project { // by kind; zero-initialised before project_object
    struct store_meta meta;
    struct store_fleet fleet;
    struct store_node node;
    struct store_pod pod;
    struct store_child child;
};

// Fills *ret from an object of that kind. EINVAL, naming the field, when something is missing or too long
// that the kind cannot do without: metadata.name, metadata.namespace (namespaced kinds), the spec of a fleet.
// Fields of other programs that do not parse (an address, a label) count as absent. *ret is to be released
// also after an error.
MUST_USE int project_object(enum store_kind kind, const json_t *object, union project *ret, struct err *e);
void project_release(enum store_kind kind, union project *p);

// Only metadata.namespace and metadata.name: what a DELETED event is about. EINVAL as above.
MUST_USE int project_key(enum store_kind kind, const json_t *object, struct store_meta *ret, struct err *e);

// Hash of what a person or a controller may edit of an object: everything but apiVersion, kind and status,
// and of metadata only labels, annotations, owner references and finalizers. The same for an object from a
// list, an event or the answer to an apply.
uint64_t project_digest(const json_t *object);

#endif
