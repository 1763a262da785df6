// SPDX-License-Identifier: Apache-2.0
// spec.agent.allocator, and the rules that join its fields. What an allocator is told is a text of name and
// value pairs in one environment variable: those of the options that have a field, and conf or tunables as
// they stand. Pure.
#ifndef KUBECANARY_LIB_SPEC_ALLOCATOR_H
#define KUBECANARY_LIB_SPEC_ALLOCATOR_H

#include "lib/base.h"
#include "lib/err.h"
#include "lib/limits.h"
#include "lib/spec_option.h"

enum spec_allocator_type { SPEC_ALLOCATOR_SYSTEM, SPEC_ALLOCATOR_JEMALLOC };

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

// glibc's variable that is no list of pairs but the number of arenas.
#define SPEC_ALLOCATOR_ARENA_MAX "MALLOC_ARENA_MAX"
// The environment variable that carries the options; no other part may set it. NULL: there is none, as
// nothing is to be told.
const char *spec_allocator_variable(const struct spec_allocator *a);

// Refuses what cannot be meant or can do nothing. own_image: one of the operator's (musl for System, jemalloc
// without a prefix for Jemalloc), of which it is known what it reads. EINVAL, path "allocator.conf".
MUST_USE int spec_allocator_check(const struct spec_allocator *a, bool own_image, struct err *e);

#endif
