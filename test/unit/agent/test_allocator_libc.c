// SPDX-License-Identifier: Apache-2.0
// The C library's own allocator, as this build has it: it tells sizes, and nothing of what it was told.
#include "agent/allocator.h"

#include "test/unit/check.h"

static void sizes(void)
{
    struct allocator a;
    allocator_read(&a);
    CHECK_STR(a.name, "glibc");
    CHECK(a.version[0] != '\0');
    CHECK(a.tunable);
    CHECK_INT(a.n_options, 0);
    CHECK_INT(a.sizes_known, 1u << ALLOCATOR_ALLOCATED | 1u << ALLOCATOR_MAPPED | 1u << ALLOCATOR_FREE |
                                 1u << ALLOCATOR_RELEASABLE);
}

// jemalloc's have no effect here; of its own nothing can be said, so nothing is.
static void settings(void)
{
    struct allocator a;
    setenv("MALLOC_CONF", "narenas:1", 1);
    setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=1", 1);
    setenv("MALLOC_ARENA_MAX", "1", 1);
    allocator_read(&a);
    CHECK_INT(a.n_settings, 1);
    CHECK_STR(a.settings[0].name, "narenas");
    CHECK_STR(a.settings[0].actual, "");
    CHECK_INT(allocator_effective(&a), ALLOCATOR_NOT_EFFECTIVE);
}

static const struct check_case cases[] = {{"sizes", sizes}, {"settings", settings}};
CHECK_MAIN(cases)
