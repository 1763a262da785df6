// SPDX-License-Identifier: Apache-2.0
// From JSON (jansson) to the document tree that the spec's parser reads, and the hash by which desired
// objects are compared. Pure.
#ifndef KUBECANARY_OPERATOR_TREE_H
#define KUBECANARY_OPERATOR_TREE_H

#include <jansson.h>

#include "lib/doc.h"

// A copy of the JSON value as a document; free with doc_free. E2BIG over LIMIT_DOC_*.
MUST_USE int tree_from_json(const json_t *value, struct doc **ret, struct err *e);
// The other way: quoted scalars are strings; plain ones are null, booleans, integers or strings as YAML 1.2's
// core schema has them. NULL: out of memory.
json_t *tree_to_json(const struct doc_node *node);
// Hash of a value: equal values (json_equal, whatever the order of keys), equal hash. It allocates nothing,
// so that it cannot be another one for want of memory. NULL is a value too.
uint64_t tree_hash(const json_t *value);
// The same of an object of which only the members named count (only), or all but those.
uint64_t tree_hash_members(const json_t *object, const char *const *keys, size_t n, bool only);

#endif
