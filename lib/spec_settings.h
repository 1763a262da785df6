// SPDX-License-Identifier: Apache-2.0
// What an allocator is told, whichever way it is said: the options that have a field, by their fields or in
// conf or tunables, as one table, and the rules that join them. Pure.
#ifndef KUBECANARY_LIB_SPEC_SETTINGS_H
#define KUBECANARY_LIB_SPEC_SETTINGS_H

#include "lib/spec_allocator.h"

// Options of the operator's own jemalloc (5.3.0, tools/deps/recipe) beyond those that are refused there: they
// end the process, write between its log lines, need what is not built in (prof, dss, xmalloc, utrace, log,
// lg_san_uaf_align), or have values that are no single word (bin_shards, slab_sizes). The CRD has the same
// expression (a test compares them).
#define SPEC_SETTINGS_OWN                                                                                      \
    "(trust_madvise|metadata_thp|retain|narenas|narenas_ratio|mutex_max_spin|dirty_decay_ms|muzzy_decay_ms|"   \
    "junk|zero|tcache|(lg_)?tcache_max|lg_tcache_nslots_mul|tcache_nslots_small_(min|max)|tcache_nslots_large" \
    "|tcache_gc_(incr|delay)_bytes|lg_tcache_flush_(small|large)_div|oversize_threshold|"                      \
    "lg_extent_max_active_fit|percpu_arena|background_thread|max_background_threads|hpa|hpa_slab_max_alloc|"   \
    "hpa_hugification_threshold(_ratio)?|hpa_hugify_delay_ms|hpa_min_purge_interval_ms|hpa_dirty_mult|"        \
    "hpa_sec_(nshards|max_alloc|max_bytes|bytes_after_flush|batch_fill_extra)|thp|zero_realloc|"               \
    "san_guard_(small|large))"

// That nothing is told twice, with a value that its field could not have, or without any effect. own_image:
// the operator's, of whose jemalloc it is known what it has. EINVAL, path "allocator.conf".
MUST_USE int spec_settings_check(const struct spec_allocator *a, bool own_image, struct err *e);

#endif
