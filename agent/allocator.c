// SPDX-License-Identifier: Apache-2.0
// Asks the allocator through symbols that are there only if it is linked: mallctl (jemalloc), mallinfo2
// (glibc).
#include "agent/allocator.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
// Weak, so that asking for it does not link glibc's allocator into a static program beside jemalloc.
#pragma weak mallinfo2
#endif

// jemalloc(3). The release agent for jemalloc is built without a prefix; elsewhere the symbol is absent.
extern int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
    __attribute__((weak));

static bool ctl(const char *name, void *ret, size_t size)
{
    size_t len = size;
    return mallctl && mallctl(name, ret, &len, NULL, 0) == 0 && len == size;
}

// The options of jemalloc 5.3 that are text: jemalloc(3), and prof_time_res, which it leaves out. Only these
// are followed as pointers. Any other is told by its size, so one that is missing here shows a wrong number
// and no more.
static const char *const text_options[] = {
    "dss",           "junk", "metadata_thp",        "percpu_arena",     "prof_prefix",
    "prof_time_res", "thp",  "stats_interval_opts", "stats_print_opts", "zero_realloc",
};

static bool is_text(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(text_options); i++) {
        if (strcmp(name, text_options[i]) == 0)
            return true;
    }
    return false;
}

// What stands in a report and in a label is printable ASCII, so that no cut falls into a character.
static void copy_part(char out[static ALLOCATOR_TEXT], const char *at, size_t len)
{
    len = MIN(len, (size_t)ALLOCATOR_TEXT - 1);
    for (size_t i = 0; i < len; i++)
        out[i] = at[i] >= ' ' && at[i] <= '~' ? at[i] : '?';
    out[len] = '\0';
}

// A number as jemalloc takes it: base 8, 10 or 16 by its prefix, a negative one as its two's complement.
// at[len] is the comma or the end.
static bool parse_number(const char *at, size_t len, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(at, &end, 0);
    return len > 0 && errno == 0 && end == at + len;
}

static void compare_text(struct allocator_setting *s, const char *actual, const char *wanted, size_t len)
{
    copy_part(s->actual, actual, strlen(actual));
    s->effective = strlen(actual) == len && memcmp(actual, wanted, len) == 0;
}

// Fills actual and effective. wanted is the text of MALLOC_CONF itself: s->wanted may be cut.
static void read_back(struct allocator_setting *s, const char *wanted, size_t len)
{
    char key[ALLOCATOR_TEXT + 8];
    const char *text;
    bool flag;
    unsigned small;
    int64_t big; // ssize_t, size_t, int64_t, uint64_t
    uint64_t number;
    snprintf(key, sizeof(key), "opt.%s", s->name);
    if (is_text(s->name)) {
        if (ctl(key, &text, sizeof(text)) && text)
            compare_text(s, text, wanted, len);
    } else if (ctl(key, &flag, sizeof(flag))) {
        compare_text(s, flag ? "true" : "false", wanted, len);
    } else if (ctl(key, &small, sizeof(small))) {
        snprintf(s->actual, sizeof(s->actual), "%u", small);
        s->effective = parse_number(wanted, len, &number) && number == small;
    } else if (ctl(key, &big, sizeof(big))) {
        snprintf(s->actual, sizeof(s->actual), "%" PRId64, big);
        s->effective = parse_number(wanted, len, &number) && number == (uint64_t)big;
    }
}

// The setting of that name, empty again, or a new one; NULL if there is no room.
static struct allocator_setting *place(struct allocator *a, const char *at, size_t len)
{
    struct allocator_setting fresh = {0};
    size_t i = 0;
    copy_part(fresh.name, at, len);
    while (i < a->n_settings && strcmp(a->settings[i].name, fresh.name) != 0)
        i++;
    if (i == ALLOCATOR_SETTINGS)
        return NULL;
    if (i == a->n_settings)
        a->n_settings++;
    a->settings[i] = fresh;
    return &a->settings[i];
}

void allocator_settings(const char *conf, struct allocator *ret)
{
    bool others = false;
    ret->n_settings = 0;
    while (conf && *conf != '\0') {
        size_t len = strcspn(conf, ","), name = strcspn(conf, ":,");
        struct allocator_setting *s = name > 0 ? place(ret, conf, name) : NULL;
        if (s) {
            const char *wanted = conf + MIN(name + 1, len);
            copy_part(s->wanted, wanted, (size_t)(conf + len - wanted));
            read_back(s, wanted, (size_t)(conf + len - wanted));
        }
        others = others || (name > 0 && !s);
        conf += len + (conf[len] == ',');
    }
    if (others)
        ret->settings[ret->n_settings++] = (struct allocator_setting){.name = ALLOCATOR_OTHERS};
}

bool allocator_effective(const struct allocator *a)
{
    for (size_t i = 0; i < a->n_settings; i++) {
        if (!a->settings[i].effective)
            return false;
    }
    return true;
}

static void read_jemalloc(struct allocator *a)
{
    uint64_t epoch = 1;
    size_t len = sizeof(epoch), allocated, active, resident;
    const char *version = "";
    unsigned arenas = 0, automatic = 0;
    a->name = "jemalloc";
    mallctl("epoch", &epoch, &len, &epoch, sizeof(epoch)); // statistics are of the last epoch
    if (ctl("version", &version, sizeof(version)))
        copy_part(a->version, version, strcspn(version, "-"));
    // jemalloc counts the one that it makes for oversized requests as well.
    if (ctl("arenas.narenas", &arenas, sizeof(arenas)) && ctl("opt.narenas", &automatic, sizeof(automatic)))
        a->arenas = MIN(arenas, automatic);
    a->sizes = ctl("stats.allocated", &allocated, sizeof(allocated)) &&
               ctl("stats.active", &active, sizeof(active)) &&
               ctl("stats.resident", &resident, sizeof(resident));
    if (!a->sizes)
        return;
    a->allocated_bytes = allocated;
    a->active_bytes = active;
    a->resident_bytes = resident;
}

void allocator_read(struct allocator *ret)
{
    *ret = (struct allocator){.arenas = 1}; // one thread has one arena, or a libc that knows none
    if (mallctl) {
        read_jemalloc(ret);
    } else {
#ifdef __GLIBC__
        struct mallinfo2 info = mallinfo2 ? mallinfo2() : (struct mallinfo2){0};
        ret->name = "glibc";
        copy_part(ret->version, gnu_get_libc_version(), strlen(gnu_get_libc_version()));
        ret->sizes = true;
        ret->allocated_bytes = info.uordblks + info.hblkhd;
        ret->active_bytes = info.arena + info.hblkhd;
        ret->resident_bytes = ret->active_bytes;
#else
        ret->name = "musl";
#endif
    }
    allocator_settings(getenv("MALLOC_CONF"), ret);
}
