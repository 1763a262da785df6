// SPDX-License-Identifier: Apache-2.0
// Makes an array of spec_fields.def.
#include "lib/spec_table.h"

#include <stdio.h>
#include <string.h>

#include "lib/spec_agent_file.h"

#define OF(type, member) offsetof(type, member)
#define ARRAY_OF(type, counter, item_type) .count = offsetof(type, counter), .item = sizeof(item_type)
#define LIST_OF(type, counter, item_type) ARRAY_OF(type, counter, item_type), .heap = true

#define FIELD(section_, path_, kind_, type, member, ...) \
    {                                                    \
        .section = SPEC_SECTION_##section_,              \
        .path = (path_),                                 \
        .kind = SPEC_KIND_##kind_,                       \
        .offset = offsetof(type, member),                \
        .size = sizeof(((type *)NULL)->member),          \
        __VA_ARGS__,                                     \
    },
#define GROUP(section_, path_, sub_, offset_, ...) \
    {                                              \
        .section = SPEC_SECTION_##section_,        \
        .path = (path_),                           \
        .kind = SPEC_KIND_GROUP,                   \
        .offset = (offset_),                       \
        .sub = SPEC_SECTION_##sub_,                \
        __VA_ARGS__,                               \
    },

const struct spec_field spec_fields[] = {
#include "lib/spec_fields.def"
};
const size_t spec_fields_count = ARRAY_LEN(spec_fields);

const char *spec_field_name(const struct spec_field *f, char out[static SPEC_FIELD_NAME_MAX])
{
    const char *dot = strrchr(f->path, '.');
    const char *name = dot ? dot + 1 : f->path;
    snprintf(out, SPEC_FIELD_NAME_MAX, "%.*s", (int)strcspn(name, "["), name);
    return out;
}
