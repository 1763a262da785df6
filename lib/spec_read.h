// SPDX-License-Identifier: Apache-2.0
// Reads a map into a struct by the table of fields: types, ranges, defaults, unknown and missing fields.
// Knows no rule that joins two fields; those are spec.c's.
#ifndef KUBECANARY_LIB_SPEC_READ_H
#define KUBECANARY_LIB_SPEC_READ_H

#include "lib/doc.h"
#include "lib/err.h"
#include "lib/spec_table.h"

// Reads the map (NULL, or null: absent, all defaults, nothing is required) of a section into its struct,
// which is zeroed beforehand. t has the section and those in it. On failure the struct holds what was read so
// far and is to be released by the caller. Errors: EINVAL with the path from this map on; ENOMEM.
MUST_USE int spec_read(const struct spec_table *t, enum spec_section section, const struct doc_node *map,
                       void *base, struct err *e);

#endif
