// SPDX-License-Identifier: Apache-2.0
// Which allocator is in effect, read back and not assumed: what it was told by the environment and whether
// each setting took, the options that shape its memory, arenas, sizes. Asks the allocator when it is called,
// and costs nothing between; changes nothing.
#ifndef KUBECANARY_AGENT_ALLOCATOR_H
#define KUBECANARY_AGENT_ALLOCATOR_H

#include "lib/base.h"

// All fields of spec.agent.allocator and as many more of its conf.
#define ALLOCATOR_SETTINGS 24
#define ALLOCATOR_TEXT 64
// What stands for all settings past ALLOCATOR_SETTINGS: nothing is known of them, so they are not in effect.
// No setting can have this name, as a colon ends it.
#define ALLOCATOR_OTHERS "others:"

// One of what the environment asks for. Printable ASCII (? for anything else), cut to fit; compared in full.
struct allocator_setting {
    char name[ALLOCATOR_TEXT];
    char wanted[ALLOCATOR_TEXT]; // "" if it has none
    char actual[ALLOCATOR_TEXT]; // "" if the allocator does not know it, or does not tell
    bool effective;              // never for a value that cannot be one of this setting
    bool untold;                 // the allocator knows it and never tells: nobody knows whether it took
};

// An option of jemalloc's as it is in effect, whoever set it.
#define ALLOCATOR_OPTIONS 12
struct allocator_option {
    const char *name; // "narenas"
    char value[ALLOCATOR_TEXT];
};

enum allocator_size {     // in bytes
    ALLOCATOR_ALLOCATED,  // asked for by the program
    ALLOCATOR_ACTIVE,     // pages that hold some of it
    ALLOCATOR_RESIDENT,   // of pages that it keeps from the system, its own books included
    ALLOCATOR_MAPPED,     // of its mappings in use
    ALLOCATOR_RETAINED,   // jemalloc: address space kept for later, without memory
    ALLOCATOR_METADATA,   // jemalloc: its own books
    ALLOCATOR_FREE,       // glibc: in its arenas, not in use
    ALLOCATOR_RELEASABLE, // glibc: of these, what trimming the top would give back
    ALLOCATOR_SIZES,
};
const char *allocator_size_name(enum allocator_size s); // "allocated"

struct allocator {
    const char *name; // "jemalloc", "glibc", "musl"
    char version[ALLOCATOR_TEXT];
    bool tunable;    // musl's has nothing that could be set
    uint64_t arenas; // that threads allocate from
    size_t n_settings;
    // Of every variable whose name ends in MALLOC_CONF, in the order of the environment and of the text, each
    // name once: of two with the same name the later one is the wish, as in jemalloc. Those without a name
    // are left out. Then, where the allocator is not glibc's, what glibc is told (GLIBC_TUNABLES: those of
    // glibc.malloc, MALLOC_ARENA_MAX): in vain. Where it is, they are left out, as glibc tells nothing of
    // them. The last is ALLOCATOR_OTHERS if there are more.
    struct allocator_setting settings[ALLOCATOR_SETTINGS + 1];
    size_t n_options; // 0 but with jemalloc
    struct allocator_option options[ALLOCATOR_OPTIONS];
    unsigned sizes_known; // bits 1 << enum allocator_size
    uint64_t sizes[ALLOCATOR_SIZES];
};
enum allocator_verdict { ALLOCATOR_NOT_EFFECTIVE, ALLOCATOR_EFFECTIVE, ALLOCATOR_UNKNOWN };
enum allocator_verdict allocator_setting_verdict(const struct allocator_setting *s);
// All settings took (without any, too); one that did not outweighs one of which that is unknown.
enum allocator_verdict allocator_effective(const struct allocator *a);
void allocator_read(struct allocator *ret);
// The settings of a MALLOC_CONF text ("narenas:1,tcache:false") read back, and no others; for tests too. conf
// NULL: none.
void allocator_settings(const char *conf, struct allocator *ret);

#endif
