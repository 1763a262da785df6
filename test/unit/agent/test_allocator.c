// SPDX-License-Identifier: Apache-2.0
// The allocator is played by a mallctl of the test's own, as jemalloc's would answer.
#include "agent/allocator.h"

#include <errno.h>

#include "test/unit/check.h"

int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len);

#define LONG_TEXT "0123456789012345678901234567890123456789012345678901234567890123456789"

// jemalloc(3): an option is read only with its own size.
#define ANSWER(type, value)           \
    do {                              \
        if (*old_len != sizeof(type)) \
            return EINVAL;            \
        *(type *)old = (value);       \
        return 0;                     \
    } while (0)

static size_t tcache_max = 32768;

static const struct {
    const char *name, *value;
} told[] = {{"version", "5.3.0-0-g54eaed1d"},
            {"opt.percpu_arena", "disabled"},
            {"opt.junk", "false"},
            {"opt.zero_realloc", NULL},
            {"opt.prof_prefix", LONG_TEXT "1"}};

int mallctl(const char *name, void *old, size_t *old_len, void *new UNUSED, size_t new_len UNUSED)
{
    for (size_t i = 0; i < ARRAY_LEN(told); i++)
        if (strcmp(name, told[i].name) == 0)
            ANSWER(const char *, told[i].value);
    if (strcmp(name, "epoch") == 0)
        ANSWER(uint64_t, 2);
    if (strcmp(name, "arenas.narenas") == 0)
        ANSWER(unsigned, 2);
    if (strcmp(name, "opt.narenas") == 0)
        ANSWER(unsigned, 1);
    if (strcmp(name, "opt.tcache") == 0)
        ANSWER(bool, false);
    if (strcmp(name, "opt.background_thread") == 0)
        ANSWER(bool, true); // wanted, and yet there is none
    if (strcmp(name, "background_thread") == 0)
        ANSWER(bool, false);
    if (strcmp(name, "opt.tcache_max") == 0)
        ANSWER(size_t, tcache_max);
    if (strcmp(name, "opt.dirty_decay_ms") == 0)
        ANSWER(ssize_t, -1);
    if (strcmp(name, "opt.oversize_threshold") == 0)
        ANSWER(size_t, 8388608); // followed as a pointer, this ends the test
    if (strcmp(name, "opt.stats_interval") == 0)
        ANSWER(int64_t, 100);
    if (strncmp(name, "stats.", 6) == 0)
        ANSWER(size_t, 4096);
    return ENOENT;
}

static void check_setting(const struct allocator_setting *s, const char *name, const char *actual,
                          bool effective)
{
    CHECK_STR(s->name, name);
    CHECK_STR(s->actual, actual);
    CHECK_INT(s->effective, effective);
}

static void settings(void)
{
    struct allocator a = {0};
    allocator_settings("narenas:1,tcache:false,dirty_decay_ms:-1,percpu_arena:disabled", &a);
    CHECK_INT(a.n_settings, 4);
    check_setting(&a.settings[0], "narenas", "1", true);
    check_setting(&a.settings[1], "tcache", "false", true);
    check_setting(&a.settings[2], "dirty_decay_ms", "-1", true);
    check_setting(&a.settings[3], "percpu_arena", "disabled", true);
    CHECK_INT(allocator_effective(&a), ALLOCATOR_EFFECTIVE);
    // Not taken, not known, not a setting.
    allocator_settings("narenas:4,tcache:true,nonsense:1,word,,dirty_decay_ms:0", &a);
    CHECK_INT(a.n_settings, 5);
    check_setting(&a.settings[0], "narenas", "1", false);
    check_setting(&a.settings[1], "tcache", "false", false);
    check_setting(&a.settings[2], "nonsense", "", false);
    check_setting(&a.settings[3], "word", "", false);
    check_setting(&a.settings[4], "dirty_decay_ms", "-1", false);
    CHECK_INT(allocator_effective(&a), ALLOCATOR_NOT_EFFECTIVE);
    allocator_settings(NULL, &a);
    CHECK_INT(a.n_settings, 0);
    CHECK_INT(allocator_effective(&a), ALLOCATOR_EFFECTIVE);
}

// Of what jemalloc takes and never tells nobody knows whether it took; one that did not take outweighs it.
static void untold(void)
{
    struct allocator a = {0};
    allocator_settings("bin_shards:1-128:4,narenas:1,slab_sizes:1-4096:17", &a);
    CHECK_INT(a.n_settings, 3);
    CHECK_STR(a.settings[0].wanted, "1-128:4");
    CHECK_INT(allocator_setting_verdict(&a.settings[0]), ALLOCATOR_UNKNOWN);
    CHECK_INT(allocator_setting_verdict(&a.settings[1]), ALLOCATOR_EFFECTIVE);
    CHECK_INT(allocator_setting_verdict(&a.settings[2]), ALLOCATOR_UNKNOWN);
    CHECK_INT(allocator_effective(&a), ALLOCATOR_UNKNOWN);
    allocator_settings("bin_shards:1-128:4,narenas:2", &a);
    CHECK_INT(allocator_effective(&a), ALLOCATOR_NOT_EFFECTIVE);
}

// One setting with what came of it.
#define CHECK_ONE(conf, name, actual, effective)                      \
    do {                                                              \
        allocator_settings(conf, &a);                                 \
        CHECK_INT(a.n_settings, 1);                                   \
        check_setting(&a.settings[0], (name), (actual), (effective)); \
        if (check_failed)                                             \
            return;                                                   \
    } while (0)

// The name says of what type an option is, whatever is wanted of it.
static void types(void)
{
    struct allocator a = {0};
    CHECK_ONE("dirty_decay_ms:abc", "dirty_decay_ms", "-1", false);
    CHECK_ONE("oversize_threshold:x", "oversize_threshold", "8388608", false);
    CHECK_ONE("oversize_threshold:true", "oversize_threshold", "8388608", false);
    CHECK_ONE("narenas:abc", "narenas", "1", false);
    CHECK_ONE("narenas:1x", "narenas", "1", false);
    CHECK_ONE("narenas:4294967297", "narenas", "1", false);
    CHECK_ONE("narenas:99999999999999999999999", "narenas", "1", false);
    CHECK_ONE("narenas:", "narenas", "1", false);
    CHECK_ONE("narenas", "narenas", "1", false);
    CHECK_ONE("tcache:0", "tcache", "false", false);
    CHECK_ONE("tcache:falsehood", "tcache", "false", false);
    CHECK_ONE("junk:false", "junk", "false", true);
    CHECK_ONE("junk:1", "junk", "false", false);
    CHECK_ONE("percpu_arena:1", "percpu_arena", "disabled", false);
    CHECK_ONE("percpu_arena:disable", "percpu_arena", "disabled", false);
    CHECK_ONE("zero_realloc:free", "zero_realloc", "", false); // it has none
    // jemalloc(3): base 8, 10, or 16, by its prefix.
    CHECK_ONE("oversize_threshold:0x800000", "oversize_threshold", "8388608", true);
    CHECK_ONE("oversize_threshold:040000000", "oversize_threshold", "8388608", true);
    CHECK_ONE("stats_interval:100", "stats_interval", "100", true);
    // 5.3 knows lg_tcache_max, but tells tcache_max.
    CHECK_ONE("lg_tcache_max:15", "lg_tcache_max", "15", true);
    CHECK_ONE("lg_tcache_max:14", "lg_tcache_max", "15", false);
    CHECK_ONE("tcache_max:32768", "tcache_max", "32768", true);
    tcache_max = 33000;
    CHECK_ONE("lg_tcache_max:15", "lg_tcache_max", "", false);
    tcache_max = 32768;
    CHECK_ONE("background_thread:true", "background_thread", "false", false);
    CHECK_ONE("background_thread:false", "background_thread", "false", true);
    // Nothing beyond its comma belongs to a setting.
    allocator_settings("narenas:,1", &a);
    CHECK_INT(a.n_settings, 2);
    check_setting(&a.settings[0], "narenas", "1", false);
    check_setting(&a.settings[1], "1", "", false);
}

// Each name is a series: it is there once, and as jemalloc does, the last wins.
static void same_name(void)
{
    struct allocator a = {0};
    CHECK_ONE("tcache:true,tcache:false", "tcache", "false", true);
    CHECK_STR(a.settings[0].wanted, "false");
    CHECK_ONE("tcache:false,tcache:true", "tcache", "false", false);
    CHECK_STR(a.settings[0].wanted, "true");
    CHECK_ONE("tcache:false,tcache", "tcache", "false", false);
    CHECK_STR(a.settings[0].wanted, "");
    // Cut to the same text they are one name as well.
    CHECK_ONE(LONG_TEXT "a:1," LONG_TEXT "b:2", a.settings[0].name, "", false);
    CHECK_STR(a.settings[0].wanted, "2");
    allocator_settings("narenas:2,tcache:false,narenas:1", &a);
    CHECK_INT(a.n_settings, 2);
    check_setting(&a.settings[0], "narenas", "1", true);
    check_setting(&a.settings[1], "tcache", "false", true);
}

static void no_name(void)
{
    static const char *const texts[] = {"", ":", ",", ",,,", "::", ":1", ":,:1,,", ":a:b"};
    struct allocator a = {0};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        allocator_settings(texts[i], &a);
        CHECK_INT(a.n_settings, 0);
        CHECK_INT(allocator_effective(&a), ALLOCATOR_EFFECTIVE);
    }
    CHECK_ONE(":1,,narenas:1,:", "narenas", "1", true);
}

// `narenas:1`, and n - 1 others that jemalloc knows not.
static void fill(char *text, size_t size, size_t n)
{
    size_t len = (size_t)snprintf(text, size, "narenas:1");
    for (size_t i = 1; i < n; i++)
        len += (size_t)snprintf(text + len, size - len, ",n%zu:1", i);
}

static void no_room(void)
{
    struct allocator a = {0};
    char text[1024];
    fill(text, sizeof(text), ALLOCATOR_SETTINGS);
    allocator_settings(text, &a);
    CHECK_INT(a.n_settings, ALLOCATOR_SETTINGS);
    check_setting(&a.settings[ALLOCATOR_SETTINGS - 1], "n23", "", false);
    for (size_t more = 1; more < 30; more += 7) {
        fill(text, sizeof(text), ALLOCATOR_SETTINGS + more);
        allocator_settings(text, &a);
        CHECK_INT(a.n_settings, ALLOCATOR_SETTINGS + 1);
        check_setting(&a.settings[ALLOCATOR_SETTINGS], ALLOCATOR_OTHERS, "", false);
    }
    // All that have room are in effect, and still it is not said that all are.
    for (size_t i = 0; i < ALLOCATOR_SETTINGS; i++)
        a.settings[i].effective = true;
    CHECK_INT(allocator_effective(&a), ALLOCATOR_NOT_EFFECTIVE);
    // A name that has its place needs no other.
    fill(text, sizeof(text), ALLOCATOR_SETTINGS);
    snprintf(text + strlen(text), sizeof(text) - strlen(text), ",narenas:2,,:");
    allocator_settings(text, &a);
    CHECK_INT(a.n_settings, ALLOCATOR_SETTINGS);
    check_setting(&a.settings[0], "narenas", "1", false);
}

static void hostile_settings(void)
{
    struct allocator a = {0};
    char text[4096];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    text[2000] = ':';
    allocator_settings(text, &a);
    CHECK_INT(a.n_settings, 1);
    CHECK_INT(strlen(a.settings[0].name), ALLOCATOR_TEXT - 1);
    CHECK_INT(strlen(a.settings[0].wanted), ALLOCATOR_TEXT - 1);
    // Cut in the report, compared in full.
    CHECK_ONE("prof_prefix:" LONG_TEXT "1", "prof_prefix", a.settings[0].actual, true);
    CHECK_INT(strlen(a.settings[0].actual), ALLOCATOR_TEXT - 1);
    CHECK_ONE("prof_prefix:" LONG_TEXT "2", "prof_prefix", a.settings[0].actual, false);
    CHECK_STR(a.settings[0].actual, a.settings[0].wanted);
    // No bytes that could spoil a scrape; and what stands for the rest cannot be made up.
    CHECK_ONE("n\xc3\xa4me\n:\xff", "n??me?", "", false);
    CHECK_STR(a.settings[0].wanted, "?");
    CHECK_ONE(ALLOCATOR_OTHERS "1", "others", "", false);
}

static void allocator(void)
{
    struct allocator a;
    setenv("MALLOC_CONF", "narenas:1", 1);
    allocator_read(&a);
    CHECK_STR(a.name, "jemalloc");
    CHECK_STR(a.version, "5.3.0");
    CHECK(a.tunable);
    CHECK_INT(a.arenas, 1); // of two: one is jemalloc's own
    CHECK_INT(a.sizes_known, (1u << (ALLOCATOR_METADATA + 1)) - 1);
    CHECK_INT(a.sizes[ALLOCATOR_RESIDENT], 4096);
    CHECK_INT(a.n_settings, 1);
    unsetenv("MALLOC_CONF");
    allocator_read(&a);
    CHECK_INT(a.n_settings, 0);
}

// As in effect, whether or not somebody set them; those that it does not know are left out.
static void options(void)
{
    static const struct allocator_option want[] = {{"narenas", "1"},
                                                   {"tcache", "false"},
                                                   {"tcache_max", "32768"},
                                                   {"dirty_decay_ms", "-1"},
                                                   {"background_thread", "false"},
                                                   {"percpu_arena", "disabled"},
                                                   {"oversize_threshold", "8388608"}};
    struct allocator a;
    allocator_read(&a);
    CHECK_INT(a.n_options, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        CHECK_STR(a.options[i].name, want[i].name);
        CHECK_STR(a.options[i].value, want[i].value);
    }
}

// Each variable that asks for something, also one that nobody here reads.
static void environment(void)
{
    static const char *const variables[] = {
        "XMALLOC_CONFX=a:1",
        "MALLOC_CONF",
        "JE_MALLOC_CONF=narenas:2,dirty_decay_ms:-1",
        "GLIBC_TUNABLES=glibc.malloc.arena_max=3:glibc.rtld.nns=4:glibc.malloc.:x",
        "MALLOC_ARENA_MAX=2",
        "XMALLOC_ARENA_MAX=2",
        "=MALLOC_CONF",
        "",
        NULL};
    char **before = environ, *mine[ARRAY_LEN(variables)];
    struct allocator a;
    for (size_t i = 0; i < ARRAY_LEN(mine); i++)
        mine[i] = (char *)(uintptr_t)variables[i];
    environ = mine;
    allocator_read(&a);
    environ = before;
    CHECK_INT(a.n_settings, 5);
    check_setting(&a.settings[0], "narenas", "1", false);
    check_setting(&a.settings[1], "dirty_decay_ms", "-1", true);
    check_setting(&a.settings[2], "glibc.malloc.arena_max", "", false);
    CHECK_STR(a.settings[2].wanted, "3");
    check_setting(&a.settings[3], "glibc.malloc.", "", false);
    check_setting(&a.settings[4], "MALLOC_ARENA_MAX", "", false);
    CHECK_STR(a.settings[4].wanted, "2");
    CHECK_INT(allocator_effective(&a), ALLOCATOR_NOT_EFFECTIVE);
}

static const struct check_case cases[] = {
    {"settings", settings},
    {"what is never told", untold},
    {"types", types},
    {"same name", same_name},
    {"no name", no_name},
    {"no room", no_room},
    {"hostile settings", hostile_settings},
    {"allocator", allocator},
    {"options", options},
    {"environment", environment},
};
CHECK_MAIN(cases)
