// SPDX-License-Identifier: Apache-2.0
// Fields first, then the pairs of the text; then each rule looks at what came of both.
#include "lib/spec_settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/pattern.h"

// jemalloc's least size of a large allocation with pages of 4 KiB (SC_LARGE_MINCLASS): a lower threshold it
// makes 0.
#define OVERSIZE_MIN 16384

struct form { // of a text of pairs
    const char *field;
    const char *text;
    char link, next;           // between name and value; between pairs
    enum spec_option from, to; // what may be in it
};

struct settings {
    const struct form *form;
    struct spec_option_value values[SPEC_OPTIONS];
    struct spec_option_pair pairs[SPEC_OPTIONS]; // by which it is told; name NULL: by its field
};

// --- the two together ---

// The pair at *text, and *text behind it and what ends it.
static int next_pair(const struct form *f, const char **text, struct spec_option_pair *ret, struct err *e)
{
    const char *start = *text, *end = strchr(start, f->next);
    const size_t len = end ? (size_t)(end - start) : strlen(start);
    const char *link = memchr(start, f->link, len);
    if (!link || link == start || link + 1 == start + len)
        return err_set(e, EINVAL, "must be name%cvalue pairs with %s between, has \"%.*s\"", f->link,
                       f->next == ',' ? "commas" : "colons", (int)MIN(len, (size_t)60), start);
    *ret = (struct spec_option_pair){start, link + 1, (size_t)(link - start),
                                     (size_t)(start + len - (link + 1))};
    *text = start + len + (end != NULL);
    return end && !**text ? err_set(e, EINVAL, "must not end in a %s", f->next == ',' ? "comma" : "colon")
                          : 0;
}

static bool same_name(const struct spec_option_pair *a, const struct spec_option_pair *b)
{
    return a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0;
}

// Of two values one would be ignored.
static int check_twice(const struct settings *s, const struct spec_option_pair *p, struct err *e)
{
    const enum spec_option o = spec_option_find(s->form->from, s->form->to, p);
    const bool known = o < s->form->to && s->values[o].set;
    if (known && !s->pairs[o].name)
        return err_set(e, EINVAL, "sets %.*s, which the field %s sets too", (int)p->name_len, p->name,
                       spec_option_field(o));
    bool twice = known;
    for (const char *text = s->form->text; text < p->name && !twice;) {
        struct spec_option_pair before;
        int r = next_pair(s->form, &text, &before, e);
        if (r < 0)
            return r;
        twice = before.name < p->name && same_name(&before, p);
    }
    return twice ? err_set(e, EINVAL, "sets %.*s twice", (int)p->name_len, p->name) : 0;
}

static int add_pair(struct settings *s, const struct spec_option_pair *p, struct err *e)
{
    const enum spec_option o = spec_option_find(s->form->from, s->form->to, p);
    int r = check_twice(s, p, e);
    if (r < 0 || o == s->form->to)
        return r;
    s->pairs[o] = *p;
    return spec_option_read(o, p, &s->values[o], e);
}

static int check_own(const struct spec_option_pair *p, struct err *e)
{
    char name[LIMIT_ALLOCATOR_CONF + 1];
    snprintf(name, sizeof(name), "%.*s", (int)p->name_len, p->name);
    if (memchr(p->value, ':', p->value_len))
        return err_set(e, EINVAL, "must be name:value pairs with commas between, has \"%.*s\"",
                       (int)MIN(p->name_len + 1 + p->value_len, (size_t)60), p->name);
    if (pattern_match("^" SPEC_SETTINGS_OWN "$", name))
        return 0;
    return err_set(e, EINVAL,
                   "%.60s is refused: it is no option of the operator's jemalloc, 5.3.0, or it would end the "
                   "agent or write into its log; it is accepted with agent.image",
                   name);
}

static int add_pairs(struct settings *s, bool own_jemalloc, struct err *e)
{
    int r = 0;
    for (const char *text = s->form->text; *text && r == 0;) {
        struct spec_option_pair p;
        r = next_pair(s->form, &text, &p, e);
        if (r == 0 && own_jemalloc)
            r = check_own(&p, e);
        if (r == 0)
            r = add_pair(s, &p, e);
    }
    return r;
}

// --- rules ---

// The option as it was told: "arenaMax" or "glibc.malloc.arena_max", and its value likewise.
static void told(const struct settings *s, enum spec_option o, char name[static 64],
                 char value[static SPEC_OPTION_TEXT_MAX])
{
    const struct spec_option_pair *p = &s->pairs[o];
    if (p->name) {
        snprintf(name, 64, "%.*s", (int)p->name_len, p->name);
        spec_option_text(o, &s->values[o], value);
    } else {
        snprintf(name, 64, "%s", spec_option_field(o));
        spec_option_field_text(o, &s->values[o], value);
    }
}

// EINVAL, at the field or the text that sets it: "does nothing where tcache is false".
static int refuse(const struct settings *s, enum spec_option o, const char *why, struct err *e)
{
    const struct spec_option_pair *p = &s->pairs[o];
    if (p->name)
        err_set(e, EINVAL, "%.*s %s", (int)p->name_len, p->name, why);
    else
        err_set(e, EINVAL, "%s", why);
    return err_at(e, "allocator.%s", p->name ? s->form->field : spec_option_field(o));
}

static bool any(const struct spec_option_value *v)
{
    return v->set;
}

static bool is_false(const struct spec_option_value *v)
{
    return !v->flag;
}

static bool is_zero(const struct spec_option_value *v)
{
    return v->number == 0;
}

static bool is_not_zero(const struct spec_option_value *v)
{
    return v->number != 0;
}

static bool is_one(const struct spec_option_value *v)
{
    return v->number == 1;
}

static bool is_for_ever(const struct spec_option_value *v)
{
    return v->number == -1;
}

static bool is_enabled(const struct spec_option_value *v) // percpu_arena
{
    return v->word > 1;
}

// Where both are set and hold, the first has no effect whatever the node and the program.
static const struct rule {
    enum spec_option idle;
    bool (*is_idle)(const struct spec_option_value *v);
    enum spec_option where;
    bool (*holds)(const struct spec_option_value *v);
} rules[] = {
    {SPEC_OPTION_LG_TCACHE_MAX, any, SPEC_OPTION_TCACHE, is_false},
    // Pages that stay dirty for ever never become muzzy.
    {SPEC_OPTION_MUZZY_DECAY, is_not_zero, SPEC_OPTION_DIRTY_DECAY, is_for_ever},
    // jemalloc makes as many as there are processors, at least.
    {SPEC_OPTION_NARENAS, is_one, SPEC_OPTION_PERCPU_ARENA, is_enabled},
    {SPEC_OPTION_ARENA_TEST, any, SPEC_OPTION_ARENA_MAX, any},
    {SPEC_OPTION_MMAP_THRESHOLD, any, SPEC_OPTION_MMAP_MAX, is_zero},
    {SPEC_OPTION_TCACHE_MAX, any, SPEC_OPTION_TCACHE_COUNT, is_zero},
};

static int check_rules(const struct settings *s, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        const struct rule *r = &rules[i];
        const struct spec_option_value *idle = &s->values[r->idle], *where = &s->values[r->where];
        char name[64], value[SPEC_OPTION_TEXT_MAX], why[128];
        if (!idle->set || !where->set || !r->is_idle(idle) || !r->holds(where))
            continue;
        told(s, r->where, name, value);
        snprintf(why, sizeof(why), "does nothing where %s is %s", name, r->holds == any ? "set" : value);
        return refuse(s, r->idle, why, e);
    }
    const int64_t oversize = s->values[SPEC_OPTION_OVERSIZE_THRESHOLD].number;
    if (oversize > 0 && oversize < OVERSIZE_MIN)
        return refuse(s, SPEC_OPTION_OVERSIZE_THRESHOLD,
                      "must be 0 or at least 16384, a large allocation: below that jemalloc makes it 0", e);
    return 0;
}

// What has no field, with the operator's jemalloc: no program there turns on by itself what was not asked
// for.
static int check_more(const struct settings *s, const struct spec_option_pair *p, bool hpa, struct err *e)
{
    const struct spec_option_value *tcache = &s->values[SPEC_OPTION_TCACHE];
    const struct {
        const char *names, *missing;
        bool idle;
    } more[] = {
        {"^(lg_)?tcache_[a-z_]+$", "tcache is not true", tcache->set && !tcache->flag},
        {"^max_background_threads$", "background_thread is not true",
         !s->values[SPEC_OPTION_BACKGROUND_THREAD].flag},
        {"^narenas_ratio$", "narenas is set", s->values[SPEC_OPTION_NARENAS].set},
        {"^hpa_[a-z_]+$", "hpa is not true", !hpa},
    };
    char name[LIMIT_ALLOCATOR_CONF + 1];
    snprintf(name, sizeof(name), "%.*s", (int)p->name_len, p->name);
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        if (more[i].idle && pattern_match(more[i].names, name))
            return err_set(e, EINVAL, "%s does nothing where %s", name, more[i].missing);
    }
    return 0;
}

static bool is_pair(const struct spec_option_pair *p, const char *name, const char *value)
{
    return p->name_len == strlen(name) && memcmp(p->name, name, p->name_len) == 0 &&
           p->value_len == strlen(value) && memcmp(p->value, value, p->value_len) == 0;
}

static int check_all_more(const struct settings *s, struct err *e)
{
    struct spec_option_pair p;
    bool hpa = false;
    int r = 0;
    for (const char *text = s->form->text; *text && r == 0;) {
        r = next_pair(s->form, &text, &p, e);
        hpa |= r == 0 && is_pair(&p, "hpa", "true");
    }
    for (const char *text = s->form->text; *text && r == 0;) {
        r = next_pair(s->form, &text, &p, e);
        if (r == 0)
            r = check_more(s, &p, hpa, e);
    }
    return r;
}

int spec_settings_check(const struct spec_allocator *a, bool own_image, struct err *e)
{
    const bool jemalloc = a->type == SPEC_ALLOCATOR_JEMALLOC;
    const struct form form =
        jemalloc ? (struct form){"conf", a->conf, ':', ',', 0, SPEC_OPTION_GLIBC}
                 : (struct form){"glibc.tunables", a->tunables, '=', ':', SPEC_OPTION_GLIBC, SPEC_OPTIONS};
    struct settings s = {.form = &form};
    memcpy(s.values, a->options, sizeof(s.values));
    int r = add_pairs(&s, jemalloc && own_image, e);
    if (r < 0)
        return err_at(e, "allocator.%s", form.field);
    r = check_rules(&s, e);
    if (r == 0 && jemalloc && own_image && check_all_more(&s, e) < 0)
        r = err_at(e, "allocator.conf");
    return r;
}
