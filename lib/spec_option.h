// SPDX-License-Identifier: Apache-2.0
// The options of jemalloc and of glibc's malloc that have a field of their own below spec.agent.allocator, as
// one table. Pure; names and ranges are those of jemalloc 5.3.0 (jemalloc(3), what the images link) and of
// glibc 2.36 ("Memory Allocation Tunables" in its manual; ld.so --list-tunables).
#ifndef KUBECANARY_LIB_SPEC_OPTION_H
#define KUBECANARY_LIB_SPEC_OPTION_H

#include "lib/base.h"
#include "lib/err.h"

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

// Its field below spec.agent.allocator: "narenas", "glibc.arenaMax".
const char *spec_option_field(enum spec_option o);
// What the allocator calls it: "narenas", "glibc.malloc.arena_max".
const char *spec_option_name(enum spec_option o);
// The value as the allocator reads it ("1", "true", "disabled"), in out; set must be true.
#define SPEC_OPTION_TEXT_MAX 24
const char *spec_option_text(enum spec_option o, const struct spec_option_value *v,
                             char out[static SPEC_OPTION_TEXT_MAX]);

struct spec_option_pair { // of a text of pairs, borrowed
    const char *name, *value;
    size_t name_len, value_len;
};

// The option of that name, or of an older name of it, among from and those below `to`; `to`: there is none.
enum spec_option spec_option_find(enum spec_option from, enum spec_option to,
                                  const struct spec_option_pair *p);
// The pair's value as its field would have it: same range, no other spelling. EINVAL: "narenas must be ...".
MUST_USE int spec_option_read(enum spec_option o, const struct spec_option_pair *p,
                              struct spec_option_value *ret, struct err *e);
// The value as the field has it ("1", "true", "PerCPU"), in out.
const char *spec_option_field_text(enum spec_option o, const struct spec_option_value *v,
                                   char out[static SPEC_OPTION_TEXT_MAX]);

#endif
