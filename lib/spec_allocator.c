// SPDX-License-Identifier: Apache-2.0
// The table of options, and each rule as one small function that names the field at fault.
#include "lib/spec_allocator.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TUNABLES "GLIBC_TUNABLES"
#define CONF "MALLOC_CONF"

struct option { // how a value is told
    const char *field;
    const char *name;
    const char *alias;        // another name of the same option; NULL: none
    bool flag;                // true, false
    const char *const *words; // NULL: a number
};

static const struct option options[SPEC_OPTIONS] = {
    [SPEC_OPTION_NARENAS] = {.field = "narenas", .name = "narenas"},
    [SPEC_OPTION_TCACHE] = {.field = "tcache", .name = "tcache", .flag = true},
    [SPEC_OPTION_LG_TCACHE_MAX] = {.field = "lgTcacheMax", .name = "lg_tcache_max", .alias = "tcache_max"},
    [SPEC_OPTION_DIRTY_DECAY] = {.field = "dirtyDecayMilliseconds", .name = "dirty_decay_ms"},
    [SPEC_OPTION_MUZZY_DECAY] = {.field = "muzzyDecayMilliseconds", .name = "muzzy_decay_ms"},
    [SPEC_OPTION_BACKGROUND_THREAD] = {.field = "backgroundThread",
                                       .name = "background_thread",
                                       .flag = true},
    [SPEC_OPTION_PERCPU_ARENA] = {.field = "percpuArena",
                                  .name = "percpu_arena",
                                  .words = (const char *const[]){"disabled", "percpu", "phycpu"}},
    [SPEC_OPTION_METADATA_THP] = {.field = "metadataThp",
                                  .name = "metadata_thp",
                                  .words = (const char *const[]){"disabled", "auto", "always"}},
    [SPEC_OPTION_THP] = {.field = "thp",
                         .name = "thp",
                         .words = (const char *const[]){"default", "always", "never"}},
    [SPEC_OPTION_RETAIN] = {.field = "retain", .name = "retain", .flag = true},
    [SPEC_OPTION_OVERSIZE_THRESHOLD] = {.field = "oversizeThresholdBytes", .name = "oversize_threshold"},
    [SPEC_OPTION_ARENA_MAX] = {.field = "glibc.arenaMax", .name = "glibc.malloc.arena_max"},
    [SPEC_OPTION_ARENA_TEST] = {.field = "glibc.arenaTest", .name = "glibc.malloc.arena_test"},
    [SPEC_OPTION_TRIM_THRESHOLD] = {.field = "glibc.trimThresholdBytes",
                                    .name = "glibc.malloc.trim_threshold"},
    [SPEC_OPTION_TOP_PAD] = {.field = "glibc.topPadBytes", .name = "glibc.malloc.top_pad"},
    [SPEC_OPTION_MMAP_THRESHOLD] = {.field = "glibc.mmapThresholdBytes",
                                    .name = "glibc.malloc.mmap_threshold"},
    [SPEC_OPTION_MMAP_MAX] = {.field = "glibc.mmapMax", .name = "glibc.malloc.mmap_max"},
    [SPEC_OPTION_TCACHE_COUNT] = {.field = "glibc.tcacheCount", .name = "glibc.malloc.tcache_count"},
    [SPEC_OPTION_TCACHE_MAX] = {.field = "glibc.tcacheMaxBytes", .name = "glibc.malloc.tcache_max"},
    [SPEC_OPTION_MXFAST] = {.field = "glibc.mxfastBytes", .name = "glibc.malloc.mxfast"},
    [SPEC_OPTION_HUGETLB] = {.field = "glibc.hugetlb", .name = "glibc.malloc.hugetlb"},
};

const char *spec_option_field(enum spec_option o)
{
    return options[o].field;
}

const char *spec_option_name(enum spec_option o)
{
    return options[o].name;
}

const char *spec_option_text(enum spec_option o, const struct spec_option_value *v,
                             char out[static SPEC_OPTION_TEXT_MAX])
{
    if (options[o].flag)
        snprintf(out, SPEC_OPTION_TEXT_MAX, "%s", v->flag ? "true" : "false");
    else if (options[o].words)
        snprintf(out, SPEC_OPTION_TEXT_MAX, "%s", options[o].words[v->word - 1]);
    else
        snprintf(out, SPEC_OPTION_TEXT_MAX, "%" PRId64, v->number);
    return out;
}

// The first option of from to below `to` that is set; `to` if none is.
static enum spec_option first_set(const struct spec_allocator *a, enum spec_option from, enum spec_option to)
{
    while (from < to && !a->options[from].set)
        from++;
    return from;
}

const char *spec_allocator_variable(const struct spec_allocator *a)
{
    if (a->type == SPEC_ALLOCATOR_JEMALLOC)
        return a->variable[0] ? a->variable : CONF;
    if (first_set(a, SPEC_OPTION_GLIBC, SPEC_OPTIONS) == SPEC_OPTIONS && !a->tunables[0])
        return NULL;
    return a->variable[0] ? a->variable : TUNABLES;
}

// EINVAL for the field, with what is wrong of it.
static int refuse(const char *field, const char *why, struct err *e)
{
    err_set(e, EINVAL, "%s", why);
    return err_at(e, "allocator.%s", field);
}

static bool same_name(const char *name, const char *text, size_t len)
{
    return name && strlen(name) == len && memcmp(name, text, len) == 0;
}

// Whether one of the fields from..to that are set is the option text[len].
static bool has_field(const struct spec_allocator *a, enum spec_option from, enum spec_option to,
                      const char *text, size_t len, const char **ret)
{
    for (enum spec_option o = from; o < to; o++) {
        *ret = options[o].field;
        if (a->options[o].set &&
            (same_name(options[o].name, text, len) || same_name(options[o].alias, text, len)))
            return true;
    }
    return false;
}

// conf and tunables are lists of pairs: no name in them may have a field that is set, as one of the two would
// be ignored. link stands between name and value, next between pairs.
static int check_twice(const struct spec_allocator *a, bool jemalloc, struct err *e)
{
    const char *text = jemalloc ? a->conf : a->tunables, *ends = jemalloc ? ":," : "=:", *field;
    const char *next = jemalloc ? "," : ":";
    while (*text) {
        size_t len = strcspn(text, ends);
        if (has_field(a, jemalloc ? 0 : SPEC_OPTION_GLIBC, jemalloc ? SPEC_OPTION_GLIBC : SPEC_OPTIONS, text,
                      len, &field)) {
            err_set(e, EINVAL, "sets %.*s, which the field %s sets too", (int)len, text, field);
            return err_at(e, "allocator.%s", jemalloc ? "conf" : "glibc.tunables");
        }
        text += strcspn(text, next);
        text += *text != '\0';
    }
    return 0;
}

// Options of jemalloc that our own image must not have: they end the process, write between its log lines, or
// ask for what is not built into it (opt.* in jemalloc(3) 5.3).
static bool unwanted_option(const char *name, size_t len)
{
    static const char *const names[] = {"abort",          "abort_conf",       "confirm_conf",
                                        "stats_interval", "stats_print",      "stats_interval_opts",
                                        "utrace",         "stats_print_opts", "xmalloc"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (same_name(names[i], name, len))
            return true;
    }
    return len >= strlen("prof") && memcmp(name, "prof", strlen("prof")) == 0;
}

// What our own image's jemalloc will be told: name:value pairs, each of which it takes in silence.
static int check_conf(const char *conf, struct err *e)
{
    while (*conf) {
        size_t len = strcspn(conf, ","), name = strcspn(conf, ":,");
        if (name == 0 || name + 1 >= len || memchr(conf + name + 1, ':', len - name - 1))
            return err_set(e, EINVAL, "must be name:value pairs with commas between, has \"%.*s\"",
                           (int)MIN(len, 60), conf);
        if (unwanted_option(conf, name))
            return err_set(
                e, EINVAL,
                "%.*s is refused: it would end the agent, write into its log, or is not built into "
                "the operator's image; it is accepted with agent.image",
                (int)name, conf);
        conf += len;
        if (*conf == ',' && !*++conf)
            return err_set(e, EINVAL, "must not end in a comma");
    }
    return 0;
}

// With the operator's own image: what its allocator cannot do is refused, since nothing else would tell.
static int check_own_image(const struct spec_allocator *a, struct err *e)
{
    if (a->glibc)
        return refuse("glibc",
                      "is accepted with agent.image only: none of the operator's images uses glibc's malloc",
                      e);
    if (a->variable[0] && a->type == SPEC_ALLOCATOR_SYSTEM)
        return refuse("variable", "needs agent.image: the operator's image has musl, which reads none", e);
    if (a->variable[0] && strcmp(a->variable, CONF) != 0)
        return refuse("variable",
                      "the operator's image reads MALLOC_CONF only; another name needs agent.image", e);
    return check_conf(a->conf, e) < 0 ? err_at(e, "allocator.conf") : 0;
}

static int check_jemalloc(const struct spec_allocator *a, struct err *e)
{
    const struct spec_option_value *o = a->options;
    if (a->glibc)
        return refuse("glibc", "is accepted with type System only", e);
    if (strcmp(a->variable, SPEC_ALLOCATOR_ARENA_MAX) == 0 || strcmp(a->variable, TUNABLES) == 0)
        return refuse("variable", "is one that glibc reads; jemalloc's are MALLOC_CONF and the like", e);
    if (o[SPEC_OPTION_LG_TCACHE_MAX].set && o[SPEC_OPTION_TCACHE].set && !o[SPEC_OPTION_TCACHE].flag)
        return refuse("lgTcacheMax", "does nothing where tcache is false", e);
    return check_twice(a, true, e);
}

// What glibc itself would pass over in silence.
static int check_glibc(const struct spec_allocator *a, struct err *e)
{
    const struct spec_option_value *o = a->options;
    if (o[SPEC_OPTION_ARENA_TEST].set && o[SPEC_OPTION_ARENA_MAX].set)
        return refuse("glibc.arenaTest", "does nothing where glibc.arenaMax is set", e);
    if (o[SPEC_OPTION_MMAP_THRESHOLD].set && o[SPEC_OPTION_MMAP_MAX].set && !o[SPEC_OPTION_MMAP_MAX].number)
        return refuse("glibc.mmapThresholdBytes", "does nothing where glibc.mmapMax is 0", e);
    if (o[SPEC_OPTION_TCACHE_MAX].set && o[SPEC_OPTION_TCACHE_COUNT].set &&
        !o[SPEC_OPTION_TCACHE_COUNT].number)
        return refuse("glibc.tcacheMaxBytes", "does nothing where glibc.tcacheCount is 0", e);
    return check_twice(a, false, e);
}

// MALLOC_ARENA_MAX holds one number, GLIBC_TUNABLES any of glibc's.
static int check_glibc_variable(const struct spec_allocator *a, struct err *e)
{
    if (!a->variable[0] || strcmp(a->variable, TUNABLES) == 0)
        return a->variable[0] && !spec_allocator_variable(a)
                   ? refuse("variable", "needs a field of glibc: there is nothing to put into it", e)
                   : 0;
    if (strcmp(a->variable, SPEC_ALLOCATOR_ARENA_MAX) != 0)
        return refuse(
            "variable",
            "must be GLIBC_TUNABLES or MALLOC_ARENA_MAX with type System; others are jemalloc's, with "
            "type Jemalloc",
            e);
    if (!a->options[SPEC_OPTION_ARENA_MAX].set)
        return refuse("variable", "MALLOC_ARENA_MAX needs glibc.arenaMax: it holds the number of arenas", e);
    enum spec_option other = first_set(a, SPEC_OPTION_ARENA_MAX + 1, SPEC_OPTIONS);
    if (other < SPEC_OPTIONS || a->tunables[0])
        return refuse(other < SPEC_OPTIONS ? options[other].field : "glibc.tunables",
                      "cannot be told by MALLOC_ARENA_MAX, which holds the number of arenas only", e);
    return 0;
}

static int check_system(const struct spec_allocator *a, struct err *e)
{
    enum spec_option o = first_set(a, 0, SPEC_OPTION_GLIBC);
    if (o < SPEC_OPTION_GLIBC)
        return refuse(options[o].field, "is accepted with type Jemalloc only", e);
    if (a->conf[0])
        return refuse("conf", "is accepted with type Jemalloc only", e);
    int r = check_glibc(a, e);
    return r < 0 ? r : check_glibc_variable(a, e);
}

int spec_allocator_check(const struct spec_allocator *a, bool own_image, struct err *e)
{
    int r = own_image ? check_own_image(a, e) : 0;
    if (r == 0)
        r = a->type == SPEC_ALLOCATOR_JEMALLOC ? check_jemalloc(a, e) : check_system(a, e);
    return r;
}
