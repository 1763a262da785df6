// SPDX-License-Identifier: Apache-2.0
// Which allocator is in effect, read back and not assumed: whether each setting of MALLOC_CONF took, arenas,
// sizes. Asks the allocator; changes nothing.
#ifndef KUBECANARY_AGENT_ALLOCATOR_H
#define KUBECANARY_AGENT_ALLOCATOR_H

#include "lib/base.h"

#define ALLOCATOR_SETTINGS 16
#define ALLOCATOR_TEXT 64
// What stands for all settings past ALLOCATOR_SETTINGS: nothing is known of them, so they are not in effect.
// No setting can have this name, as a colon ends it.
#define ALLOCATOR_OTHERS "others:"

// One of MALLOC_CONF. Printable ASCII (? for anything else), cut to fit; compared in full.
struct allocator_setting {
    char name[ALLOCATOR_TEXT];
    char wanted[ALLOCATOR_TEXT]; // "" if it has none
    char actual[ALLOCATOR_TEXT]; // "" if the allocator does not know it
    bool effective;              // never for a value that cannot be one of this setting
};

struct allocator {
    const char *name; // "jemalloc", "glibc", "musl"
    char version[ALLOCATOR_TEXT];
    uint64_t arenas; // that threads allocate from
    size_t n_settings;
    // In the order of MALLOC_CONF, each name once: of two with the same name the later one is the wish, as in
    // jemalloc. Those without a name are left out. The last is ALLOCATOR_OTHERS if there are more.
    struct allocator_setting settings[ALLOCATOR_SETTINGS + 1];
    bool sizes;               // the next three are known
    uint64_t allocated_bytes; // asked for by the program
    uint64_t active_bytes;    // pages that hold some of it
    uint64_t resident_bytes;  // mapped by the allocator in all
};
// All settings took (true without any).
bool allocator_effective(const struct allocator *a);
void allocator_read(struct allocator *ret);
// The settings of a MALLOC_CONF text ("narenas:1,tcache:false") read back; for tests too. conf NULL: none.
void allocator_settings(const char *conf, struct allocator *ret);

#endif
