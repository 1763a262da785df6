// SPDX-License-Identifier: Apache-2.0
// What this process is made of and what it uses, read back and not assumed: which allocator is in effect,
// whether each setting of MALLOC_CONF took, arenas, threads, memory, processor, descriptors. Reads /proc/self
// and the allocator; changes nothing.
#ifndef KUBECANARY_AGENT_RUNTIME_H
#define KUBECANARY_AGENT_RUNTIME_H

#include "lib/base.h"

#define RUNTIME_SETTINGS 16
#define RUNTIME_TEXT 64
// What stands for all settings past RUNTIME_SETTINGS: nothing is known of them, so they are not in effect. No
// setting can have this name, as a colon ends it.
#define RUNTIME_OTHERS "others:"

// One of MALLOC_CONF. Printable ASCII (? for anything else), cut to fit; compared in full.
struct runtime_setting {
    char name[RUNTIME_TEXT];
    char wanted[RUNTIME_TEXT]; // "" if it has none
    char actual[RUNTIME_TEXT]; // "" if the allocator does not know it
    bool effective;            // never for a value that cannot be one of this setting
};

struct runtime_allocator {
    const char *name; // "jemalloc", "glibc", "musl"
    char version[RUNTIME_TEXT];
    uint64_t arenas; // that threads allocate from
    size_t n_settings;
    // In the order of MALLOC_CONF, each name once: of two with the same name the later one is the wish, as in
    // jemalloc. Those without a name are left out. The last is RUNTIME_OTHERS if there are more.
    struct runtime_setting settings[RUNTIME_SETTINGS + 1];
    bool sizes;               // the next three are known
    uint64_t allocated_bytes; // asked for by the program
    uint64_t active_bytes;    // pages that hold some of it
    uint64_t resident_bytes;  // mapped by the allocator in all
};
// All settings took (true without any).
bool runtime_effective(const struct runtime_allocator *a);
void runtime_allocator(struct runtime_allocator *ret);
// The settings of a MALLOC_CONF text ("narenas:1,tcache:false") read back; for tests too. conf NULL: none.
void runtime_settings(const char *conf, struct runtime_allocator *ret);

struct runtime_process { // 0 where /proc does not say
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t cpu_ns; // user and system
    uint64_t threads;
    uint64_t open_fds;
    uint64_t max_fds;
    uint64_t cpus; // online, as this process sees them
};
void runtime_process(struct runtime_process *ret);
// Wall-clock time of the process's start, ns since 1970; read at the first call.
uint64_t runtime_start_time(void);
// Raises the limit of open descriptors to LIMIT_DESCRIPTORS, as far as this process may; never lowers it.
void runtime_raise_descriptors(void);

#endif
