// SPDX-License-Identifier: Apache-2.0
// Makes two arrays of spec_fields.def.
#include "lib/spec_table.h"

#include <stdio.h>
#include <string.h>

#include "lib/spec_agent_file.h"

#define OF(type, member) offsetof(type, member)
#define ARRAY_OF(type, counter, item_type) .count = offsetof(type, counter), .item = sizeof(item_type)
#define LIST_OF(type, counter, item_type) ARRAY_OF(type, counter, item_type), .heap = true

#define FIELD_ENTRY(section_, path_, kind_, type, member, ...) \
    {                                                          \
        .section = SPEC_SECTION_##section_,                    \
        .path = (path_),                                       \
        .kind = SPEC_KIND_##kind_,                             \
        .offset = offsetof(type, member),                      \
        .size = sizeof(((type *)NULL)->member),                \
        __VA_ARGS__,                                           \
    },
#define GROUP_ENTRY(section_, path_, sub_, offset_, ...) \
    {                                                    \
        .section = SPEC_SECTION_##section_,              \
        .path = (path_),                                 \
        .kind = SPEC_KIND_GROUP,                         \
        .offset = (offset_),                             \
        .sub = SPEC_SECTION_##sub_,                      \
        __VA_ARGS__,                                     \
    },

#define DOC(...) .doc = __VA_ARGS__
#define FIELD(...) FIELD_ENTRY(__VA_ARGS__)
#define GROUP(...) GROUP_ENTRY(__VA_ARGS__)
const struct spec_field spec_fields[] = {
#include "lib/spec_fields.def"
};
const size_t spec_fields_count = ARRAY_LEN(spec_fields);
const struct spec_table spec_table_all = {spec_fields, ARRAY_LEN(spec_fields)};
#undef DOC
#undef FIELD
#undef GROUP

// Which sections agent.yaml has: IN_FILE_x keeps or drops an entry.
#define IN_FILE_TOPOLOGY(...) __VA_ARGS__
#define IN_FILE_PROBE(...) __VA_ARGS__
#define IN_FILE_TARGET(...) __VA_ARGS__
#define IN_FILE_EXPECT(...) __VA_ARGS__
#define IN_FILE_METRICS(...) __VA_ARGS__
#define IN_FILE_FILE(...) __VA_ARGS__
#define IN_FILE_PORTS(...) __VA_ARGS__
#define IN_FILE_SPEC(...)
#define IN_FILE_PLACEMENT(...)
#define IN_FILE_TOLERATION(...)
#define IN_FILE_UPDATE(...)
#define IN_FILE_OVERRIDE(...)
#define IN_FILE_MESH(...)
#define IN_FILE_AGENT(...)
#define IN_FILE_ALLOCATOR(...)
#define IN_FILE_GLIBC(...)
#define IN_FILE_ROLLOUT(...)
#define IN_FILE_THREADS(...)
#define IN_FILE_RESOURCES(...)
#define IN_FILE_REQUESTS(...)
#define IN_FILE_LIMITS(...)
#define IN_FILE_ENV(...)
#define IN_FILE_ALERTING(...)
#define IN_FILE_BUDGET(...)

#define DOC(...) .doc = NULL
#define FIELD(section_, ...) IN_FILE_##section_(FIELD_ENTRY(section_, __VA_ARGS__))
#define GROUP(section_, ...) IN_FILE_##section_(GROUP_ENTRY(section_, __VA_ARGS__))
static const struct spec_field file_fields[] = {
#include "lib/spec_fields.def"
};
const struct spec_table spec_table_file = {file_fields, ARRAY_LEN(file_fields)};

const char *spec_field_name(const struct spec_field *f, char out[static SPEC_FIELD_NAME_MAX])
{
    const char *dot = strrchr(f->path, '.');
    const char *name = dot ? dot + 1 : f->path;
    snprintf(out, SPEC_FIELD_NAME_MAX, "%.*s", (int)strcspn(name, "["), name);
    return out;
}
