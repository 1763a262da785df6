// SPDX-License-Identifier: Apache-2.0
// The table of the spec's fields (spec_fields.def) as data: for the reader, the reference page and the test
// that the CRD agrees. Constant; holds no state.
#ifndef KUBECANARY_LIB_SPEC_TABLE_H
#define KUBECANARY_LIB_SPEC_TABLE_H

#include "lib/base.h"

// The fields of one map. A section is read into one struct.
enum spec_section {
    SPEC_SECTION_SPEC,
    SPEC_SECTION_PLACEMENT,
    SPEC_SECTION_TOLERATION,
    SPEC_SECTION_UPDATE,
    SPEC_SECTION_OVERRIDE,
    SPEC_SECTION_MESH,
    SPEC_SECTION_TOPOLOGY,
    SPEC_SECTION_PROBE,
    SPEC_SECTION_TARGET,
    SPEC_SECTION_EXPECT,
    SPEC_SECTION_AGENT,
    SPEC_SECTION_ALLOCATOR,
    SPEC_SECTION_GLIBC,
    SPEC_SECTION_ROLLOUT,
    SPEC_SECTION_RESOURCES,
    SPEC_SECTION_REQUESTS,
    SPEC_SECTION_LIMITS,
    SPEC_SECTION_ENV,
    SPEC_SECTION_THREADS,
    SPEC_SECTION_METRICS,
    SPEC_SECTION_ALERTING,
    SPEC_SECTION_BUDGET,
    SPEC_SECTION_FILE, // agent.yaml's root; it and what follows are no part of the resource
    SPEC_SECTION_PORTS,
};

enum spec_kind {           // what the member is, in brackets
    SPEC_KIND_BOOL,        // true, false (bool)
    SPEC_KIND_U16,         // number (uint16_t)
    SPEC_KIND_U32,         // number (uint32_t)
    SPEC_KIND_U64,         // number (uint64_t)
    SPEC_KIND_I64,         // number that may be negative (int64_t)
    SPEC_KIND_DURATION,    // "1m30s" (uint64_t, nanoseconds)
    SPEC_KIND_TEXT,        // string (char array)
    SPEC_KIND_INT_OR_TEXT, // string, or a number that is kept as its text (char array)
    SPEC_KIND_HEAP_TEXT,   // string (char *, NULL if absent)
    SPEC_KIND_ENUM,        // one of names (an enum, numbered as names)
    SPEC_KIND_SET,         // list of names, each once (unsigned, bit 1 << index)
    SPEC_KIND_ADDRESS,     // IP address (struct addr)
    SPEC_KIND_NUMBERS,     // list of ascending numbers (uint32_t array)
    SPEC_KIND_TEXTS,       // list of strings that are not empty, each once unless repeats (char **, heap)
    SPEC_KIND_MAP,         // strings by name (struct spec_pair *, heap)
    SPEC_KIND_LIST,        // list of maps of section `sub` (array or heap)
    SPEC_KIND_GROUP,       // map of section `sub`
};

// Small: an agent has some seventy of them.
struct spec_field {
    const char *path;       // the resource's, without "spec.", "[]" after a list: "mesh.probes[].interval"
    const char *def;        // default as YAML; NULL: none, the member stays zero
    const char *low, *high; // DURATION: bounds, as durations
    const char *const
        *names;          // ENUM, SET, HEAP_TEXT: values, NULL at the end; "": a number without a name here
    const char *pattern; // strings: POSIX extended regular expression, the CRD's own text
    const char *doc;     // NULL in spec_table_file
    uint64_t min, max;   // numbers: value (I64: as int64_t); strings: bytes (max 0: no limit of its own);
                         // lists, maps: items
    uint64_t item_max;   // NUMBERS: largest value; the smallest is 1. TEXTS: bytes of one
    uint16_t offset;     // of the member in the section's struct
    uint16_t size;       // of the member
    uint16_t count;      // MAP, LIST, NUMBERS, TEXTS: offset of the size_t that counts
    uint16_t item;       // MAP, LIST, NUMBERS, TEXTS: bytes of one
    uint16_t present;    // 1 + offset of a bool that says whether the field was there; 0: none
    enum spec_section section : 8;
    enum spec_section sub : 8; // GROUP, LIST
    enum spec_kind kind : 8;
    bool repeats : 1;  // TEXTS: the same may be there again, and the order counts
    bool unset : 1;    // ENUM: 0 stands for not set, the names count from 1
    bool heap : 1;     // MAP, LIST, TEXTS: the member is a pointer to memory of its own
    bool required : 1; // where its map is there at all
};

extern const struct spec_field spec_fields[]; // all
extern const size_t spec_fields_count;

struct spec_table {
    const struct spec_field *fields;
    size_t n;
};
extern const struct spec_table spec_table_all;
// Only the sections that agent.yaml has, so that an agent, which reads nothing else, does not carry the rest.
extern const struct spec_table spec_table_file;

// The last part of the path without "[]", in out: "probes" of "mesh.probes".
#define SPEC_FIELD_NAME_MAX 40
const char *spec_field_name(const struct spec_field *f, char out[static SPEC_FIELD_NAME_MAX]);

#endif
