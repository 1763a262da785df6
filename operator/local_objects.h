// SPDX-License-Identifier: Apache-2.0
// The API of the local backend: whole objects in memory, with uid, resourceVersion and generation as an API
// server gives them. Every change goes on to the operator's store, whose one writer this is.
#ifndef KUBECANARY_OPERATOR_LOCAL_OBJECTS_H
#define KUBECANARY_OPERATOR_LOCAL_OBJECTS_H

#include <jansson.h>

#include "operator/store.h"

struct local_objects;

struct local_objects *local_objects_new(struct store *s); // NULL: no memory
void local_objects_free(struct local_objects *o);         // takes NULL

// Stores `object` (the reference is taken, also on failure) under its kind, metadata.namespace and
// metadata.name. What was there lends its uid; a new object without one gets one. The generation rises when
// anything but metadata and status changes; a missing status is kept.
MUST_USE int local_objects_put(struct local_objects *o, enum store_kind kind, json_t *object, struct err *e);
// Replaces an object's status (the reference is taken). ENOENT.
MUST_USE int local_objects_put_status(struct local_objects *o, enum store_kind kind, const char *namespace,
                                      const char *name, json_t *status, struct err *e);
// Borrowed; NULL if there is none.
json_t *local_objects_get(const struct local_objects *o, enum store_kind kind, const char *namespace,
                          const char *name);
void local_objects_delete(struct local_objects *o, enum store_kind kind, const char *namespace,
                          const char *name);
// Deletes what the object with this uid owns, as the API's garbage collector does; not Pods, which end in
// their own time.
void local_objects_collect(struct local_objects *o, const char *uid);
// All objects of a kind: {"NAMESPACE/NAME": object}; borrowed.
json_t *local_objects_all(const struct local_objects *o, enum store_kind kind);

// Member `key` of metadata as text, "" if absent.
const char *local_objects_meta(const json_t *object, const char *key);
#define LOCAL_OBJECTS_UID 37
void local_objects_new_uid(char out[static LOCAL_OBJECTS_UID]);

#endif
