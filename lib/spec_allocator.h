// SPDX-License-Identifier: Apache-2.0
// spec.agent.allocator: the options of jemalloc and of glibc's malloc that have a field of their own, as one
// table, and the rules that join them. What an allocator is told is a text of name and value pairs in one
// environment variable. Pure; names and ranges are those of jemalloc 5.3.0 (jemalloc(3), what the images
// link) and of glibc 2.36 ("Memory Allocation Tunables" in its manual; ld.so --list-tunables).
#ifndef KUBECANARY_LIB_SPEC_ALLOCATOR_H
#define KUBECANARY_LIB_SPEC_ALLOCATOR_H

#include "lib/base.h"
#include "lib/err.h"
#include "lib/limits.h"

enum spec_allocator_type { SPEC_ALLOCATOR_SYSTEM, SPEC_ALLOCATOR_JEMALLOC };

enum spec_option {
    SPEC_OPTION_NARENAS,
    SPEC_OPTION_TCACHE,
    SPEC_OPTION_LG_TCACHE_MAX,
    SPEC_OPTION_DIRTY_DECAY,
    SPEC_OPTION_MUZZY_DECAY,
    SPEC_OPTION_BACKGROUND_THREAD,
    SPEC_OPTION_PERCPU_ARENA,
    SPEC_OPTION_METADATA_THP,
    SPEC_OPTION_THP,
    SPEC_OPTION_RETAIN,
    SPEC_OPTION_OVERSIZE_THRESHOLD,
    SPEC_OPTION_GLIBC, // the first of glibc's
    SPEC_OPTION_ARENA_MAX = SPEC_OPTION_GLIBC,
    SPEC_OPTION_ARENA_TEST,
    SPEC_OPTION_TRIM_THRESHOLD,
    SPEC_OPTION_TOP_PAD,
    SPEC_OPTION_MMAP_THRESHOLD,
    SPEC_OPTION_MMAP_MAX,
    SPEC_OPTION_TCACHE_COUNT,
    SPEC_OPTION_TCACHE_MAX,
    SPEC_OPTION_MXFAST,
    SPEC_OPTION_HUGETLB,
    SPEC_OPTIONS,
};

struct spec_option_value {
    bool set;       // otherwise the allocator's own choice, and the following are 0
    bool flag;      // one of the three, by the field's kind
    unsigned word;  // from 1, as the names in spec_fields.def
    int64_t number; // bytes, milliseconds or a count, as the field's name says
};

struct spec_rollout { // of other settings, by first having a part of the agents try them
    bool present;
    uint32_t canary_percent;    // of the nodes; 1..100
    int64_t max_resident_bytes; // that an agent may come to; 0: whatever it is
};

struct spec_allocator {
    enum spec_allocator_type type;
    struct spec_option_value options[SPEC_OPTIONS];
    char conf[LIMIT_ALLOCATOR_CONF + 1];     // more of jemalloc's: "name:value,name:value"
    bool glibc;                              // the map of glibc's options was there
    char tunables[LIMIT_ALLOCATOR_CONF + 1]; // more of glibc's: "name=value:name=value"
    char variable[LIMIT_LABEL + 1];          // the environment variable that the image's allocator reads
    struct spec_rollout rollout;
};

// Its field below spec.agent.allocator: "narenas", "glibc.arenaMax".
const char *spec_option_field(enum spec_option o);
// What the allocator calls it: "narenas", "glibc.malloc.arena_max".
const char *spec_option_name(enum spec_option o);
// The value as the allocator reads it ("1", "true", "disabled"), in out; set must be true.
#define SPEC_OPTION_TEXT_MAX 24
const char *spec_option_text(enum spec_option o, const struct spec_option_value *v,
                             char out[static SPEC_OPTION_TEXT_MAX]);

// glibc's variable that is no list of pairs but the number of arenas.
#define SPEC_ALLOCATOR_ARENA_MAX "MALLOC_ARENA_MAX"
// The environment variable that carries the options; no other part may set it. NULL: there is none, as
// nothing is to be told.
const char *spec_allocator_variable(const struct spec_allocator *a);

// Refuses what cannot be meant or can do nothing. own_image: one of the operator's (musl for System, jemalloc
// without a prefix for Jemalloc), of which it is known what it reads. EINVAL, path "allocator.conf".
MUST_USE int spec_allocator_check(const struct spec_allocator *a, bool own_image, struct err *e);

#endif
