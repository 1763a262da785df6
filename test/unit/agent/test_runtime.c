// SPDX-License-Identifier: Apache-2.0
// What the process says of itself. The allocator is played by a mallctl of the test's own, as jemalloc's
// would answer.
#include "agent/runtime.h"

#include <errno.h>
#include <sched.h>

#include "test/unit/check.h"

int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len);

// jemalloc(3): an option is read only with its own size.
#define ANSWER(type, value)           \
    do {                              \
        if (*old_len != sizeof(type)) \
            return EINVAL;            \
        *(type *)old = (value);       \
        return 0;                     \
    } while (0)

int mallctl(const char *name, void *old, size_t *old_len, void *new UNUSED, size_t new_len UNUSED)
{
    if (strcmp(name, "epoch") == 0)
        ANSWER(uint64_t, 2);
    if (strcmp(name, "version") == 0)
        ANSWER(const char *, "5.3.0-0-g54eaed1d");
    if (strcmp(name, "arenas.narenas") == 0)
        ANSWER(unsigned, 2);
    if (strcmp(name, "opt.narenas") == 0)
        ANSWER(unsigned, 1);
    if (strcmp(name, "opt.tcache") == 0)
        ANSWER(bool, false);
    if (strcmp(name, "opt.dirty_decay_ms") == 0)
        ANSWER(ssize_t, -1);
    if (strcmp(name, "opt.percpu_arena") == 0)
        ANSWER(const char *, "disabled");
    if (strncmp(name, "stats.", 6) == 0)
        ANSWER(size_t, 4096);
    return ENOENT;
}

static void check_setting(const struct runtime_setting *s, const char *name, const char *actual,
                          bool effective)
{
    CHECK_STR(s->name, name);
    CHECK_STR(s->actual, actual);
    CHECK_INT(s->effective, effective);
}

static void settings(void)
{
    struct runtime_allocator a = {0};
    runtime_settings("narenas:1,tcache:false,dirty_decay_ms:-1,percpu_arena:disabled", &a);
    CHECK_INT(a.n_settings, 4);
    check_setting(&a.settings[0], "narenas", "1", true);
    check_setting(&a.settings[1], "tcache", "false", true);
    check_setting(&a.settings[2], "dirty_decay_ms", "-1", true);
    check_setting(&a.settings[3], "percpu_arena", "disabled", true);
    CHECK(runtime_effective(&a));
    // Not taken, not known, not a setting.
    runtime_settings("narenas:4,tcache:true,nonsense:1,word,,dirty_decay_ms:0", &a);
    CHECK_INT(a.n_settings, 5);
    check_setting(&a.settings[0], "narenas", "1", false);
    check_setting(&a.settings[1], "tcache", "false", false);
    check_setting(&a.settings[2], "nonsense", "", false);
    check_setting(&a.settings[3], "word", "", false);
    check_setting(&a.settings[4], "dirty_decay_ms", "-1", false);
    CHECK(!runtime_effective(&a));
    runtime_settings(NULL, &a);
    CHECK_INT(a.n_settings, 0);
    CHECK(runtime_effective(&a));
}

static void hostile_settings(void)
{
    struct runtime_allocator a = {0};
    char text[4096];
    memset(text, ',', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    runtime_settings(text, &a);
    CHECK_INT(a.n_settings, 0);
    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        text[i] = 'a';
    runtime_settings(text, &a);
    CHECK_INT(a.n_settings, RUNTIME_SETTINGS);
    memset(text, 'x', sizeof(text) - 1);
    text[2000] = ':';
    runtime_settings(text, &a);
    CHECK_INT(a.n_settings, 1);
    CHECK_INT(strlen(a.settings[0].name), RUNTIME_TEXT - 1);
    CHECK_INT(strlen(a.settings[0].wanted), RUNTIME_TEXT - 1);
    runtime_settings(":", &a);
    CHECK_INT(a.n_settings, 1);
    check_setting(&a.settings[0], "", "", false);
}

static void allocator(void)
{
    struct runtime_allocator a;
    setenv("MALLOC_CONF", "narenas:1", 1);
    runtime_allocator(&a);
    CHECK_STR(a.name, "jemalloc");
    CHECK_STR(a.version, "5.3.0");
    CHECK_INT(a.arenas, 1); // of two: one is jemalloc's own
    CHECK(a.sizes);
    CHECK_INT(a.resident_bytes, 4096);
    CHECK_INT(a.n_settings, 1);
    unsetenv("MALLOC_CONF");
    runtime_allocator(&a);
    CHECK_INT(a.n_settings, 0);
}

static void process(void)
{
    struct runtime_process p, q;
    runtime_process(&p);
    CHECK(p.resident_bytes > 100000);
    CHECK(p.virtual_bytes >= p.resident_bytes);
    CHECK_INT(p.threads, 1);
    CHECK(p.open_fds >= 3);
    CHECK(p.max_fds >= p.open_fds);
    CHECK(p.cpus >= 1);
    CLEANUP_FD int fd = dup(1);
    CHECK(fd >= 0);
    runtime_process(&q);
    CHECK_INT(q.open_fds, p.open_fds + 1);
    CHECK(q.cpu_ns >= p.cpu_ns);
    uint64_t start = runtime_start_time();
    CHECK(start > UINT64_C(1700000000) * NS_PER_S);
    CHECK_INT(runtime_start_time(), start);
}

static const struct check_case cases[] = {
    {"settings", settings},
    {"hostile settings", hostile_settings},
    {"allocator", allocator},
    {"process", process},
};
CHECK_MAIN(cases)
