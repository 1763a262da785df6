// SPDX-License-Identifier: Apache-2.0
// One reader a kind of field. Each gets the node (never NULL) and the place of the member.
#include "lib/spec_read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/duration.h"
#include "lib/pattern.h"
#include "lib/spec.h"
#include "lib/yamlout.h"

// A value as it is shown in messages: quoted, cut.
#define SHOWN "\"%.60s%s\""
#define SHOW(text) (text), strlen(text) > 60 ? "..." : ""

static int invalid(struct err *e, const char *what)
{
    return err_set(e, EINVAL, "%s", what);
}

// A scalar that is no string in YAML 1.1: what an API server would refuse where a string is wanted.
static bool is_string(const struct doc_node *n)
{
    return n->kind == DOC_SCALAR && (n->quoted || !yamlout_resolves(n->text));
}

static int read_bool(const struct doc_node *n, bool *member, struct err *e)
{
    bool yes = n->kind == DOC_SCALAR && !n->quoted && strcmp(n->text, "true") == 0;
    bool no = n->kind == DOC_SCALAR && !n->quoted && strcmp(n->text, "false") == 0;
    if (!yes && !no)
        return invalid(e, "must be true or false");
    *member = yes;
    return 0;
}

static int read_number(const struct doc_node *n, uint64_t min, uint64_t max, uint64_t *ret, struct err *e)
{
    if (n->kind != DOC_SCALAR || n->quoted)
        return err_set(e, EINVAL, "must be a number");
    if (base_parse_u64(n->text, min, max, ret) < 0)
        return err_set(e, EINVAL, "must be a number from %llu to %llu, is " SHOWN, (unsigned long long)min,
                       (unsigned long long)max, SHOW(n->text));
    return 0;
}

static int read_integer(const struct spec_field *f, const struct doc_node *n, void *member, struct err *e)
{
    uint64_t value;
    int r = read_number(n, f->min, f->max, &value, e);
    if (r < 0)
        return r;
    uint16_t u16 = (uint16_t)value;
    uint32_t u32 = (uint32_t)value;
    memcpy(member,
           f->size == sizeof(u16)   ? (void *)&u16
           : f->size == sizeof(u32) ? (void *)&u32
                                    : (void *)&value,
           f->size);
    return 0;
}

static int read_signed(const struct spec_field *f, const struct doc_node *n, int64_t *member, struct err *e)
{
    int64_t min = (int64_t)f->min, max = (int64_t)f->max;
    bool negative = n->kind == DOC_SCALAR && n->text[0] == '-';
    uint64_t value;
    if (n->kind != DOC_SCALAR || n->quoted)
        return invalid(e, "must be a number");
    if (base_parse_u64(n->text + negative, 0, INT64_MAX, &value) < 0 ||
        (negative ? -(int64_t)value : (int64_t)value) < min || (!negative && (int64_t)value > max))
        return err_set(e, EINVAL, "must be a number from %lld to %lld, is " SHOWN, (long long)min,
                       (long long)max, SHOW(n->text));
    *member = negative ? -(int64_t)value : (int64_t)value;
    return 0;
}

static int read_duration(const struct spec_field *f, const struct doc_node *n, uint64_t *member,
                         struct err *e)
{
    uint64_t value, low, high;
    if (n->kind != DOC_SCALAR)
        return invalid(e, "must be a duration such as 200ms, 1s or 1m30s");
    if (duration_parse(n->text, &value) < 0)
        return err_set(e, EINVAL, "must be a duration such as 200ms, 1s or 1m30s, is " SHOWN, SHOW(n->text));
    if (duration_parse(f->low, &low) < 0 || duration_parse(f->high, &high) < 0)
        return err_set(e, EINVAL, "has no bounds");
    if (value < low || value > high)
        return err_set(e, EINVAL, "must be from %s to %s, is %.32s", f->low, f->high, n->text);
    *member = value;
    return 0;
}

static int match(const char *pattern, const char *text, struct err *e)
{
    if (pattern_match(pattern, text))
        return 0;
    return err_set(e, EINVAL, "must match %s, is " SHOWN, pattern, SHOW(text));
}

// "IPv4, IPv6".
static void join_names(const char *const *names, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; names[i] && len < size; i++) {
        if (names[i][0])
            len += (size_t)snprintf(out + len, size - len, "%s%s", len ? ", " : "", names[i]);
    }
}

static int read_name(const char *const *names, const struct doc_node *n, unsigned *ret, struct err *e)
{
    char list[128];
    join_names(names, list, sizeof(list));
    for (unsigned i = 0; n->kind == DOC_SCALAR && names[i]; i++) {
        if (names[i][0] && strcmp(names[i], n->text) == 0) {
            *ret = i;
            return 0;
        }
    }
    if (n->kind != DOC_SCALAR)
        return err_set(e, EINVAL, "must be one of %s", list);
    return err_set(e, EINVAL, "must be one of %s, is " SHOWN, list, SHOW(n->text));
}

static int check_text(const struct spec_field *f, const struct doc_node *n, struct err *e)
{
    unsigned name;
    if (n->kind != DOC_SCALAR || (f->kind != SPEC_KIND_INT_OR_TEXT && !is_string(n)))
        return invalid(e, "must be a string");
    size_t len = strlen(n->text);
    if (len < f->min && len == 0)
        return invalid(e, "must not be empty");
    if (len < f->min)
        return err_set(e, EINVAL, "must have at least %llu bytes, has %zu", (unsigned long long)f->min, len);
    if (f->max > 0 && len > f->max)
        return err_set(e, EINVAL, "must have at most %llu bytes, has %zu", (unsigned long long)f->max, len);
    if (f->names)
        return read_name(f->names, n, &name, e);
    return f->pattern ? match(f->pattern, n->text, e) : 0;
}

static int read_text(const struct spec_field *f, const struct doc_node *n, void *member, struct err *e)
{
    int r = check_text(f, n, e);
    if (r < 0)
        return r;
    if (f->kind != SPEC_KIND_HEAP_TEXT)
        return base_copy(member, f->size, n->text) < 0 ? invalid(e, "is too long") : 0;
    char *copy = strdup(n->text);
    if (!copy)
        return err_set(e, ENOMEM, "no memory for a string");
    memcpy(member, &copy, sizeof(copy));
    return 0;
}

static int read_address(const struct doc_node *n, struct addr *member, struct err *e)
{
    if (n->kind != DOC_SCALAR)
        return invalid(e, "must be an IP address");
    if (addr_parse(n->text, member) < 0)
        return err_set(e, EINVAL, "must be an IP address, is " SHOWN, SHOW(n->text));
    return 0;
}

static int check_count(const struct spec_field *f, const struct doc_node *n, enum doc_kind kind,
                       struct err *e)
{
    if (n->kind != kind)
        return invalid(e, kind == DOC_MAP ? "must be a map" : "must be a list");
    if (n->count < f->min || n->count > f->max)
        return err_set(e, EINVAL, "must have from %llu to %llu items, has %u", (unsigned long long)f->min,
                       (unsigned long long)f->max, n->count);
    return 0;
}

static int read_set(const struct spec_field *f, const struct doc_node *seq, unsigned *member, struct err *e)
{
    unsigned set = 0, i = 0;
    int r = check_count(f, seq, DOC_SEQ, e);
    for (const struct doc_node *n = seq->first; r == 0 && n; n = n->next, i++) {
        unsigned name = 0;
        r = read_name(f->names, n, &name, e);
        if (r == 0 && (set & (1u << name)))
            r = err_set(e, EINVAL, "%s is there twice", n->text);
        if (r < 0)
            return err_at(e, "[%u]", i);
        set |= 1u << name;
    }
    if (r == 0)
        *member = set;
    return r;
}

static int read_numbers(const struct spec_field *f, const struct doc_node *seq, void *base, struct err *e)
{
    uint32_t *member = (uint32_t *)((char *)base + f->offset);
    size_t i = 0;
    int r = check_count(f, seq, DOC_SEQ, e);
    for (const struct doc_node *n = seq->first; r == 0 && n; n = n->next, i++) {
        uint64_t value = 0;
        r = read_number(n, 1, f->item_max, &value, e);
        if (r == 0 && i > 0 && value <= member[i - 1])
            r = err_set(e, EINVAL, "must be greater than the one before, %u", member[i - 1]);
        if (r < 0)
            return err_at(e, "[%zu]", i);
        member[i] = (uint32_t)value;
    }
    if (r == 0)
        *(size_t *)((char *)base + f->count) = i;
    return r;
}

static int read_enum(const struct spec_field *f, const struct doc_node *n, unsigned *member, struct err *e)
{
    unsigned value = 0;
    int r = read_name(f->names, n, &value, e);
    if (r == 0)
        *member = value + f->unset;
    return r;
}

// Room for the items of a list or map; zeroed. NULL: no memory.
static char *make_room(const struct spec_field *f, size_t n, void *base)
{
    char *member = (char *)base + f->offset;
    if (!f->heap)
        return member;
    char *room = calloc(n, f->item);
    memcpy(member, &room, sizeof(room));
    return room;
}

static int read_pair(const struct doc_node *n, struct spec_pair *ret, struct err *e)
{
    if (!is_string(n))
        return invalid(e, "must be a string");
    if (n->key[0] == '\0' || strlen(n->key) > LIMIT_NAME + 1 + LIMIT_LABEL)
        return invalid(e, "is no label key");
    if (strlen(n->text) > LIMIT_LABEL)
        return err_set(e, EINVAL, "must have at most %d bytes", LIMIT_LABEL);
    ret->key = strdup(n->key);
    ret->value = strdup(n->text);
    return ret->key && ret->value ? 0 : err_set(e, ENOMEM, "no memory for a string");
}

// Items of a list (sections) and pairs of a map. Items are counted before they are read, so that the release
// finds them.
static int read_items(const struct spec_table *t, const struct spec_field *f, const struct doc_node *n,
                      void *base, struct err *e)
{
    size_t *count = (size_t *)((char *)base + f->count);
    int r = check_count(f, n, f->kind == SPEC_KIND_MAP ? DOC_MAP : DOC_SEQ, e);
    if (r < 0 || n->count == 0)
        return r;
    char *items = make_room(f, n->count, base);
    if (!items)
        return err_set(e, ENOMEM, "no memory for a list");
    for (const struct doc_node *c = n->first; c; c = c->next) {
        void *item = items + *count * f->item;
        ++*count;
        if (f->kind == SPEC_KIND_MAP) {
            if (read_pair(c, item, e) < 0)
                return err_at(e, "[%s]", c->key);
        } else if (c->kind != DOC_MAP) {
            invalid(e, "must be a map");
            return err_at(e, "[%zu]", *count - 1);
        } else if (spec_read(t, f->sub, c, item, e) < 0) {
            return err_at(e, "[%zu]", *count - 1);
        }
    }
    return 0;
}

static int read_text_item(const struct spec_field *f, const struct doc_node *n, char **list, size_t i,
                          struct err *e)
{
    if (!is_string(n))
        return invalid(e, "must be a string");
    size_t len = strlen(n->text);
    if (len == 0 || len > f->item_max)
        return err_set(e, EINVAL, "must have from 1 to %llu bytes, has %zu", (unsigned long long)f->item_max,
                       len);
    for (size_t k = 0; k < i && !f->repeats; k++)
        if (strcmp(list[k], n->text) == 0)
            return err_set(e, EINVAL, SHOWN " is there twice", SHOW(n->text));
    list[i] = strdup(n->text);
    return list[i] ? 0 : err_set(e, ENOMEM, "no memory for a string");
}

static int read_texts(const struct spec_field *f, const struct doc_node *seq, void *base, struct err *e)
{
    size_t *count = (size_t *)((char *)base + f->count);
    int r = check_count(f, seq, DOC_SEQ, e);
    if (r < 0 || seq->count == 0)
        return r;
    char **list = (char **)(void *)make_room(f, seq->count, base);
    if (!list)
        return err_set(e, ENOMEM, "no memory for a list");
    for (const struct doc_node *n = seq->first; n; n = n->next, ++*count)
        if (read_text_item(f, n, list, *count, e) < 0)
            return err_at(e, "[%zu]", *count);
    return 0;
}

static int read_group(const struct spec_table *t, const struct spec_field *f, const struct doc_node *n,
                      void *base, struct err *e)
{
    if (n && n->kind != DOC_MAP)
        return invalid(e, "must be a map");
    return spec_read(t, f->sub, n, (char *)base + f->offset, e);
}

static int read_value(const struct spec_table *t, const struct spec_field *f, const struct doc_node *n,
                      void *base, struct err *e)
{
    void *member = (char *)base + f->offset;
    switch (f->kind) {
    case SPEC_KIND_BOOL: return read_bool(n, member, e);
    case SPEC_KIND_U16:
    case SPEC_KIND_U32:
    case SPEC_KIND_U64: return read_integer(f, n, member, e);
    case SPEC_KIND_I64: return read_signed(f, n, member, e);
    case SPEC_KIND_DURATION: return read_duration(f, n, member, e);
    case SPEC_KIND_TEXT:
    case SPEC_KIND_INT_OR_TEXT:
    case SPEC_KIND_HEAP_TEXT: return read_text(f, n, member, e);
    case SPEC_KIND_ENUM: return read_enum(f, n, member, e);
    case SPEC_KIND_SET: return read_set(f, n, member, e);
    case SPEC_KIND_ADDRESS: return read_address(n, member, e);
    case SPEC_KIND_NUMBERS: return read_numbers(f, n, base, e);
    case SPEC_KIND_TEXTS: return read_texts(f, n, base, e);
    case SPEC_KIND_MAP:
    case SPEC_KIND_LIST: return read_items(t, f, n, base, e);
    case SPEC_KIND_GROUP: return read_group(t, f, n, base, e);
    }
    return 0;
}

static int read_default(const struct spec_table *t, const struct spec_field *f, void *base, struct err *e)
{
    if (f->kind == SPEC_KIND_GROUP)
        return read_group(t, f, NULL, base, e);
    if (!f->def)
        return 0;
    if (f->def[0] != '[') {
        struct doc_node n = {.kind = DOC_SCALAR, .text = f->def};
        n.quoted =
            f->kind == SPEC_KIND_TEXT || f->kind == SPEC_KIND_INT_OR_TEXT || f->kind == SPEC_KIND_HEAP_TEXT;
        return read_value(t, f, &n, base, e);
    }
    CLEANUP_DOC struct doc *d = NULL;
    int r = doc_parse(f->def, strlen(f->def), &d, e);
    return r < 0 ? r : read_value(t, f, doc_root(d), base, e);
}

static int refuse_unknown(const struct spec_table *t, enum spec_section section, const struct doc_node *map,
                          struct err *e)
{
    for (const struct doc_node *n = map->first; n; n = n->next) {
        char name[SPEC_FIELD_NAME_MAX];
        bool known = false;
        for (size_t i = 0; i < t->n && !known; i++)
            known =
                t->fields[i].section == section && strcmp(spec_field_name(&t->fields[i], name), n->key) == 0;
        if (!known) {
            err_set(e, EINVAL, "unknown field");
            return err_at(e, "%s", n->key[0] ? n->key : "\"\"");
        }
    }
    return 0;
}

int spec_read(const struct spec_table *t, enum spec_section section, const struct doc_node *map, void *base,
              struct err *e)
{
    if (map && refuse_unknown(t, section, map, e) < 0)
        return -EINVAL;
    for (size_t i = 0; i < t->n; i++) {
        const struct spec_field *f = &t->fields[i];
        if (f->section != section)
            continue;
        char name[SPEC_FIELD_NAME_MAX];
        const struct doc_node *n = doc_get(map, spec_field_name(f, name));
        bool there = n && !doc_is_null(n);
        int r;
        if (f->present)
            *(bool *)((char *)base + f->present - 1) = there;
        if (there)
            r = read_value(t, f, n, base, e);
        else if (map && f->required)
            r = err_set(e, EINVAL, "is required");
        else
            r = read_default(t, f, base, e);
        if (r < 0)
            return err_at(e, "%s", name);
    }
    return 0;
}
