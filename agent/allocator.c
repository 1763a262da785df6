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

// Options of jemalloc 5.3 that mallctl has no name for.
static const char *const untold_options[] = {"bin_shards", "slab_sizes"};

static bool is_among(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(name, list[i]) == 0)
            return true;
    }
    return false;
}

static bool is_text(const char *name)
{
    return is_among(name, text_options, ARRAY_LEN(text_options));
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

enum kind { KIND_NONE, KIND_TEXT, KIND_NUMBER };

struct value { // of an option, as jemalloc tells it
    enum kind kind;
    const char *text;
    uint64_t number; // a negative one as its two's complement
    bool sign;       // it may be negative
};

// What stands at this name of the mallctl tree.
static struct value tell(const char *key, const char *option)
{
    const char *text;
    bool flag;
    unsigned small;
    int64_t big; // ssize_t, size_t, int64_t, uint64_t
    if (is_text(option))
        return ctl(key, &text, sizeof(text)) && text ? (struct value){.kind = KIND_TEXT, .text = text}
                                                     : (struct value){0};
    if (ctl(key, &flag, sizeof(flag)))
        return (struct value){.kind = KIND_TEXT, .text = flag ? "true" : "false"};
    if (ctl(key, &small, sizeof(small)))
        return (struct value){.kind = KIND_NUMBER, .number = small};
    if (ctl(key, &big, sizeof(big)))
        return (struct value){.kind = KIND_NUMBER, .number = (uint64_t)big, .sign = true};
    return (struct value){0};
}

// What an option has come to. opt.background_thread is only the wish: whether there is one is told elsewhere.
static struct value tell_option(const char *option)
{
    char key[ALLOCATOR_TEXT + 8];
    if (strcmp(option, "background_thread") == 0)
        return tell(option, option);
    snprintf(key, sizeof(key), "opt.%s", option);
    return tell(key, option);
}

// What came of a setting. jemalloc 5.3 takes lg_tcache_max as well, but tells of tcache_max only.
static struct value tell_setting(const char *name)
{
    struct value v = tell_option(name);
    if (v.kind != KIND_NONE || strcmp(name, "lg_tcache_max") != 0)
        return v;
    v = tell_option("tcache_max");
    if (v.kind != KIND_NUMBER || v.number == 0 || (v.number & (v.number - 1)) != 0)
        return (struct value){0};
    v.number = (uint64_t)__builtin_ctzll(v.number);
    return v;
}

static void show(const struct value *v, char out[static ALLOCATOR_TEXT])
{
    if (v->kind == KIND_TEXT)
        copy_part(out, v->text, strlen(v->text));
    else if (v->kind == KIND_NUMBER)
        snprintf(out, ALLOCATOR_TEXT, v->sign ? "%" PRId64 : "%" PRIu64, v->number);
}

// Fills actual and effective. wanted is the text of MALLOC_CONF itself: s->wanted may be cut.
static void read_back(struct allocator_setting *s, const char *wanted, size_t len)
{
    struct value v = tell_setting(s->name);
    uint64_t number;
    show(&v, s->actual);
    if (v.kind == KIND_TEXT)
        s->effective = strlen(v.text) == len && memcmp(v.text, wanted, len) == 0;
    else if (v.kind == KIND_NUMBER)
        s->effective = parse_number(wanted, len, &number) && number == v.number;
    else
        s->untold = mallctl && is_among(s->name, untold_options, ARRAY_LEN(untold_options));
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

// A list of pairs such as "narenas:1,tcache:false": link stands between name and value, next between pairs.
struct form {
    char link, next;
    const char *prefix; // of the names that count
    bool jemalloc;      // it can be read back, if it is jemalloc's
};

// False: there was no room for one.
static bool add_setting(struct allocator *a, const char *at, size_t len, const struct form *form)
{
    const char *link = memchr(at, form->link, len);
    size_t name = link ? (size_t)(link - at) : len, prefix = strlen(form->prefix);
    if (name == 0 || name < prefix || memcmp(at, form->prefix, prefix) != 0)
        return true;
    struct allocator_setting *s = place(a, at, name);
    if (!s)
        return false;
    const char *wanted = at + MIN(name + 1, len);
    copy_part(s->wanted, wanted, (size_t)(at + len - wanted));
    if (form->jemalloc)
        read_back(s, wanted, (size_t)(at + len - wanted));
    return true;
}

static bool add_settings(struct allocator *a, const char *text, const struct form *form)
{
    bool room = true;
    while (*text != '\0') {
        const char *next = strchrnul(text, form->next);
        room &= add_setting(a, text, (size_t)(next - text), form);
        text = next + (*next != '\0');
    }
    return room;
}

static void end_settings(struct allocator *a, bool room)
{
    if (!room)
        a->settings[a->n_settings++] = (struct allocator_setting){.name = ALLOCATOR_OTHERS};
}

static const struct form conf_form = {':', ',', "", true};

void allocator_settings(const char *conf, struct allocator *ret)
{
    ret->n_settings = 0;
    end_settings(ret, add_settings(ret, conf ? conf : "", &conf_form));
}

// The value of a variable "NAME=value" if its name is (or, ends: ends in) `name`; NULL: another.
static const char *value_of(const char *variable, const char *name, bool ends)
{
    const char *eq = strchr(variable, '=');
    size_t have = eq ? (size_t)(eq - variable) : 0, len = strlen(name);
    if (have < len || (!ends && have != len) || memcmp(eq - len, name, len) != 0)
        return NULL;
    return eq + 1;
}

// What glibc's malloc alone would follow.
static bool add_glibc(struct allocator *a, const char *variable)
{
    static const struct form tunables = {'=', ':', "glibc.malloc.", false}, number = {'=', '\0', "", false};
    const char *list = value_of(variable, "GLIBC_TUNABLES", false);
    if (list)
        return add_settings(a, list, &tunables);
    return !value_of(variable, "MALLOC_ARENA_MAX", false) ||
           add_setting(a, variable, strlen(variable), &number);
}

static void read_environment(struct allocator *a)
{
    bool room = true, glibc = strcmp(a->name, "glibc") == 0;
    for (char **variable = environ; variable && *variable; variable++) {
        const char *conf = value_of(*variable, "MALLOC_CONF", true);
        if (conf)
            room &= add_settings(a, conf, &conf_form);
        else if (!glibc)
            room &= add_glibc(a, *variable);
    }
    end_settings(a, room);
}

enum allocator_verdict allocator_setting_verdict(const struct allocator_setting *s)
{
    if (s->untold)
        return ALLOCATOR_UNKNOWN;
    return s->effective ? ALLOCATOR_EFFECTIVE : ALLOCATOR_NOT_EFFECTIVE;
}

enum allocator_verdict allocator_effective(const struct allocator *a)
{
    enum allocator_verdict all = ALLOCATOR_EFFECTIVE;
    for (size_t i = 0; i < a->n_settings; i++) {
        enum allocator_verdict v = allocator_setting_verdict(&a->settings[i]);
        if (v == ALLOCATOR_NOT_EFFECTIVE)
            return v;
        all = v == ALLOCATOR_UNKNOWN ? v : all;
    }
    return all;
}

const char *allocator_size_name(enum allocator_size s)
{
    static const char *const names[ALLOCATOR_SIZES] = {"allocated", "active",   "resident", "mapped",
                                                       "retained",  "metadata", "free",     "releasable"};
    return names[s];
}

static void set_size(struct allocator *a, enum allocator_size s, uint64_t bytes)
{
    a->sizes[s] = bytes;
    a->sizes_known |= 1u << s;
}

static void read_jemalloc_sizes(struct allocator *a)
{
    uint64_t epoch = 1;
    size_t len = sizeof(epoch);
    mallctl("epoch", &epoch, &len, &epoch, sizeof(epoch)); // statistics are of the last epoch
    for (enum allocator_size s = ALLOCATOR_ALLOCATED; s <= ALLOCATOR_METADATA; s++) {
        char key[32];
        size_t bytes;
        snprintf(key, sizeof(key), "stats.%s", allocator_size_name(s));
        if (ctl(key, &bytes, sizeof(bytes)))
            set_size(a, s, bytes);
    }
}

// What shapes its memory and its threads; each that this version knows.
static void read_jemalloc_options(struct allocator *a)
{
    static const char *const names[ALLOCATOR_OPTIONS] = {"narenas",
                                                         "tcache",
                                                         "tcache_max",
                                                         "lg_tcache_max",
                                                         "dirty_decay_ms",
                                                         "muzzy_decay_ms",
                                                         "background_thread",
                                                         "percpu_arena",
                                                         "metadata_thp",
                                                         "thp",
                                                         "retain",
                                                         "oversize_threshold"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct value v = tell_option(names[i]);
        struct allocator_option *o = &a->options[a->n_options];
        if (v.kind == KIND_NONE)
            continue;
        o->name = names[i];
        show(&v, o->value);
        a->n_options++;
    }
}

static void read_jemalloc(struct allocator *a)
{
    const char *version = "";
    unsigned arenas = 0, automatic = 0;
    a->name = "jemalloc";
    a->tunable = true;
    if (ctl("version", &version, sizeof(version)))
        copy_part(a->version, version, strcspn(version, "-"));
    // jemalloc counts the one that it makes for oversized requests as well.
    if (ctl("arenas.narenas", &arenas, sizeof(arenas)) && ctl("opt.narenas", &automatic, sizeof(automatic)))
        a->arenas = MIN(arenas, automatic);
    read_jemalloc_options(a);
    read_jemalloc_sizes(a);
}

#ifdef __GLIBC__
static void read_libc(struct allocator *a)
{
    a->name = "glibc";
    a->tunable = true;
    copy_part(a->version, gnu_get_libc_version(), strlen(gnu_get_libc_version()));
    if (!mallinfo2)
        return;
    struct mallinfo2 info = mallinfo2();
    set_size(a, ALLOCATOR_ALLOCATED, info.uordblks + info.hblkhd);
    set_size(a, ALLOCATOR_MAPPED, info.arena + info.hblkhd);
    set_size(a, ALLOCATOR_FREE, info.fordblks);
    set_size(a, ALLOCATOR_RELEASABLE, info.keepcost);
}
#else
static void read_libc(struct allocator *a)
{
    a->name = "musl"; // its version is not to be had, and there is nothing to tune
}
#endif

void allocator_read(struct allocator *ret)
{
    *ret = (struct allocator){.arenas = 1}; // one thread has one arena, or a libc that knows none
    if (mallctl)
        read_jemalloc(ret);
    else
        read_libc(ret);
    read_environment(ret);
}
