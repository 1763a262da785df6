// SPDX-License-Identifier: Apache-2.0
#include "lib/spec_option.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/spec_table.h"

#define WORDS 3 // as many as each option has that is told by words

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
                                  .words = (const char *const[WORDS]){"disabled", "percpu", "phycpu"}},
    [SPEC_OPTION_METADATA_THP] = {.field = "metadataThp",
                                  .name = "metadata_thp",
                                  .words = (const char *const[WORDS]){"disabled", "auto", "always"}},
    [SPEC_OPTION_THP] = {.field = "thp",
                         .name = "thp",
                         .words = (const char *const[WORDS]){"default", "always", "never"}},
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

static bool is_name(const char *name, const struct spec_option_pair *p)
{
    return name && strlen(name) == p->name_len && memcmp(name, p->name, p->name_len) == 0;
}

enum spec_option spec_option_find(enum spec_option from, enum spec_option to,
                                  const struct spec_option_pair *p)
{
    while (from < to && !is_name(options[from].name, p) && !is_name(options[from].alias, p))
        from++;
    return from;
}

static const struct spec_field *field_of(enum spec_option o)
{
    char path[80];
    snprintf(path, sizeof(path), "agent.allocator.%s", options[o].field);
    for (size_t i = 0; i < spec_fields_count; i++) {
        if (strcmp(spec_fields[i].path, path) == 0)
            return &spec_fields[i];
    }
    return NULL;
}

const char *spec_option_field_text(enum spec_option o, const struct spec_option_value *v,
                                   char out[static SPEC_OPTION_TEXT_MAX])
{
    const struct spec_field *f = field_of(o);
    if (!options[o].words || !f)
        return spec_option_text(o, v, out);
    snprintf(out, SPEC_OPTION_TEXT_MAX, "%s", f->names[v->word - 1]);
    return out;
}

// What is shown of a value that is refused.
#define SHOWN "\"%.*s\""
#define SHOW(p) (int)MIN((p)->value_len, (size_t)32), (p)->value

static int read_word(enum spec_option o, const struct spec_option_pair *p, unsigned *ret, struct err *e)
{
    const char *const *words = options[o].words;
    for (unsigned i = 0; i < WORDS; i++) {
        if (strlen(words[i]) != p->value_len || memcmp(words[i], p->value, p->value_len) != 0)
            continue;
        *ret = i + 1;
        return 0;
    }
    return err_set(e, EINVAL, "%.*s must be one of %s, %s, %s, is " SHOWN, (int)p->name_len, p->name,
                   words[0], words[1], words[2], SHOW(p));
}

static int read_flag(const struct spec_option_pair *p, bool *ret, struct err *e)
{
    *ret = p->value_len == 4 && memcmp(p->value, "true", 4) == 0;
    if (*ret || (p->value_len == 5 && memcmp(p->value, "false", 5) == 0))
        return 0;
    return err_set(e, EINVAL, "%.*s must be true or false, is " SHOWN, (int)p->name_len, p->name, SHOW(p));
}

// jemalloc and glibc would take 0x10, too, and what is out of range they would cut.
static int read_number(enum spec_option o, const struct spec_option_pair *p, int64_t *ret, struct err *e)
{
    const struct spec_field *f = field_of(o);
    char text[SPEC_OPTION_TEXT_MAX];
    uint64_t value = 0;
    if (!f)
        return err_set(e, EINVAL, "%s has no field", options[o].name);
    const bool in_bytes = is_name(options[o].alias, p); // where the option itself is a power of 2
    const int64_t min = in_bytes ? INT64_C(1) << f->min : (int64_t)f->min;
    const int64_t max = in_bytes ? INT64_C(1) << f->max : (int64_t)f->max;
    const bool negative = p->value[0] == '-', fits = p->value_len < sizeof(text);
    if (fits)
        snprintf(text, sizeof(text), "%.*s", (int)p->value_len, p->value);
    const bool is_number = fits && base_parse_u64(text + negative, 0, INT64_MAX, &value) == 0 &&
                           (text[0] != '0' || !text[1]); // 010 would be 8
    const int64_t number = negative ? -(int64_t)value : (int64_t)value;
    if (!is_number || number < min || number > max)
        return err_set(e, EINVAL, "%.*s must be a number from %" PRId64 " to %" PRId64 ", is " SHOWN,
                       (int)p->name_len, p->name, min, max, SHOW(p));
    *ret = number;
    return 0;
}

int spec_option_read(enum spec_option o, const struct spec_option_pair *p, struct spec_option_value *ret,
                     struct err *e)
{
    struct spec_option_value v = {.set = true};
    int r = options[o].flag    ? read_flag(p, &v.flag, e)
            : options[o].words ? read_word(o, p, &v.word, e)
                               : read_number(o, p, &v.number, e);
    if (r == 0)
        *ret = v;
    return r;
}
