// SPDX-License-Identifier: Apache-2.0
// Builds the document tree from libyaml's events. All memory of a tree comes from one arena, so that freeing
// it is one walk over chunks. Refuses what makes YAML unbounded or ambiguous: aliases, anchors, tags, merge
// keys, duplicate keys, second documents.
#include "lib/doc.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "lib/limits.h"

#define CHUNK_BYTES ((size_t)16384)

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(max_align_t) char data[];
};

struct doc {
    struct chunk *chunks;
    struct doc_node *root;
    size_t nodes;
};

struct builder {
    struct doc *doc;
    yaml_parser_t parser;
    struct doc_node *open[LIMIT_DOC_DEPTH]; // maps and sequences not yet closed
    size_t depth;
    char *key; // key read in the innermost map, waiting for its value; arena memory
    size_t documents;
};

static void *arena_alloc(struct doc *d, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    struct chunk *c = d->chunks;
    if (!c || c->size - c->used < size) {
        size_t room = MAX(size, CHUNK_BYTES);
        c = malloc(sizeof(*c) + room);
        if (!c)
            return NULL;
        *c = (struct chunk){.next = d->chunks, .size = room};
        d->chunks = c;
    }
    void *p = c->data + c->used;
    c->used += size;
    return p;
}

static char *arena_text(struct doc *d, const char *text, size_t len)
{
    char *copy = arena_alloc(d, len + 1);
    if (copy) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

struct doc *doc_new(void)
{
    return calloc(1, sizeof(struct doc));
}

void doc_free(struct doc *d)
{
    if (!d)
        return;
    for (struct chunk *c = d->chunks; c;) {
        struct chunk *next = c->next;
        free(c);
        c = next;
    }
    free(d);
}

void doc_cleanup(struct doc **d)
{
    doc_free(*d);
    *d = NULL;
}

const struct doc_node *doc_root(const struct doc *d)
{
    return d->root;
}

struct doc_node *doc_add(struct doc *d, struct doc_node *parent, const char *key, enum doc_kind kind,
                         const char *text, bool quoted)
{
    struct doc_node *n = d->nodes < LIMIT_DOC_NODES ? arena_alloc(d, sizeof(*n)) : NULL;
    char *key_copy = key ? arena_text(d, key, strlen(key)) : NULL;
    char *text_copy = text && text[0] ? arena_text(d, text, strlen(text)) : NULL;
    if (!n || (key && !key_copy) || (text && text[0] && !text_copy))
        return NULL;
    *n = (struct doc_node){
        .kind = kind, .quoted = quoted, .key = key_copy, .text = text_copy ? text_copy : ""};
    d->nodes++;
    if (!parent) {
        d->root = n;
        return n;
    }
    if (parent->last)
        parent->last->next = n;
    else
        parent->first = n;
    parent->last = n;
    parent->count++;
    return n;
}

static int syntax_error(const struct builder *b, struct err *e)
{
    const yaml_parser_t *p = &b->parser;
    size_t line = p->problem_mark.line + 1;
    if (p->error == YAML_MEMORY_ERROR)
        return err_set(e, ENOMEM, "no memory for the document");
    if (p->error == YAML_READER_ERROR)
        return err_set(e, EINVAL, "byte %zu: %s", p->problem_offset, p->problem ? p->problem : "not UTF-8");
    return err_set(e, EINVAL, "line %zu: %s%s%s", line, p->problem ? p->problem : "not YAML",
                   p->context ? ", " : "", p->context ? p->context : "");
}

static struct doc_node *innermost(const struct builder *b)
{
    return b->depth > 0 ? b->open[b->depth - 1] : NULL;
}

static bool has_key(const struct doc_node *map, const char *key)
{
    return doc_get(map, key) != NULL;
}

// A scalar in a map without a pending key is a key.
static int take_key(struct builder *b, const yaml_event_t *ev, struct err *e)
{
    size_t line = ev->start_mark.line + 1;
    const char *text = (const char *)ev->data.scalar.value;
    if (strlen(text) != ev->data.scalar.length)
        return err_set(e, EINVAL, "line %zu: a key contains a NUL byte", line);
    if (strcmp(text, "<<") == 0)
        return err_set(e, EINVAL, "line %zu: merge keys are not accepted", line);
    if (innermost(b)->count >= LIMIT_DOC_KEYS)
        return err_set(e, E2BIG, "line %zu: more than %d keys in one map", line, LIMIT_DOC_KEYS);
    if (has_key(innermost(b), text))
        return err_set(e, EINVAL, "line %zu: duplicate key \"%.64s\"", line, text);
    b->key = arena_text(b->doc, text, ev->data.scalar.length);
    return b->key ? 0 : err_set(e, ENOMEM, "no memory for the document");
}

static int add_node(struct builder *b, const yaml_event_t *ev, enum doc_kind kind, const char *text,
                    bool quoted, struct err *e)
{
    struct doc_node *parent = innermost(b);
    size_t line = ev->start_mark.line + 1;
    if (parent && parent->kind == DOC_MAP && !b->key)
        return err_set(e, EINVAL, "line %zu: a key must be a scalar", line);
    if (b->doc->nodes >= LIMIT_DOC_NODES)
        return err_set(e, E2BIG, "line %zu: more than %d nodes", line, LIMIT_DOC_NODES);
    struct doc_node *n = doc_add(b->doc, parent, b->key, kind, text, quoted);
    if (!n)
        return err_set(e, ENOMEM, "no memory for the document");
    n->line = (unsigned)line;
    b->key = NULL;
    if (kind == DOC_SCALAR)
        return 0;
    if (b->depth == LIMIT_DOC_DEPTH)
        return err_set(e, E2BIG, "line %zu: nested deeper than %d", line, LIMIT_DOC_DEPTH);
    b->open[b->depth++] = n;
    return 0;
}

static int on_scalar(struct builder *b, const yaml_event_t *ev, struct err *e)
{
    const struct doc_node *parent = innermost(b);
    const char *text = (const char *)ev->data.scalar.value;
    if (parent && parent->kind == DOC_MAP && !b->key)
        return take_key(b, ev, e);
    if (strlen(text) != ev->data.scalar.length)
        return err_set(e, EINVAL, "line %zu: a value contains a NUL byte", ev->start_mark.line + 1);
    return add_node(b, ev, DOC_SCALAR, text, ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE, e);
}

static int refuse_decoration(const yaml_event_t *ev, const yaml_char_t *anchor, const yaml_char_t *tag,
                             struct err *e)
{
    if (anchor)
        return err_set(e, EINVAL, "line %zu: anchors are not accepted", ev->start_mark.line + 1);
    if (tag)
        return err_set(e, EINVAL, "line %zu: tags are not accepted", ev->start_mark.line + 1);
    return 0;
}

static int on_event(struct builder *b, const yaml_event_t *ev, struct err *e)
{
    int r = 0;
    switch (ev->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->documents++ > 0)
            return err_set(e, EINVAL, "line %zu: more than one document", ev->start_mark.line + 1);
        return 0;
    case YAML_ALIAS_EVENT:
        return err_set(e, EINVAL, "line %zu: aliases are not accepted", ev->start_mark.line + 1);
    case YAML_SCALAR_EVENT:
        r = refuse_decoration(ev, ev->data.scalar.anchor, ev->data.scalar.tag, e);
        return r < 0 ? r : on_scalar(b, ev, e);
    case YAML_MAPPING_START_EVENT:
        r = refuse_decoration(ev, ev->data.mapping_start.anchor, ev->data.mapping_start.tag, e);
        return r < 0 ? r : add_node(b, ev, DOC_MAP, NULL, false, e);
    case YAML_SEQUENCE_START_EVENT:
        r = refuse_decoration(ev, ev->data.sequence_start.anchor, ev->data.sequence_start.tag, e);
        return r < 0 ? r : add_node(b, ev, DOC_SEQ, NULL, false, e);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT: b->depth--; return 0;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT: return 0;
    }
    return 0;
}

static int build(struct builder *b, struct err *e)
{
    for (bool end = false; !end;) {
        yaml_event_t ev;
        if (!yaml_parser_parse(&b->parser, &ev))
            return syntax_error(b, e);
        end = ev.type == YAML_STREAM_END_EVENT;
        int r = on_event(b, &ev, e);
        yaml_event_delete(&ev);
        if (r < 0)
            return r;
    }
    return 0;
}

int doc_parse(const char *text, size_t len, struct doc **ret, struct err *e)
{
    if (len > LIMIT_DOC_BYTES)
        return err_set(e, E2BIG, "the document has %zu bytes, more than %u", len, LIMIT_DOC_BYTES);
    CLEANUP_DOC struct doc *d = doc_new();
    struct builder b = {.doc = d};
    if (!d || !yaml_parser_initialize(&b.parser))
        return err_set(e, ENOMEM, "no memory for the document");
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, len);
    int r = build(&b, e);
    yaml_parser_delete(&b.parser);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(d);
    return 0;
}

const struct doc_node *doc_get(const struct doc_node *n, const char *key)
{
    if (!n || n->kind != DOC_MAP)
        return NULL;
    for (const struct doc_node *child = n->first; child; child = child->next) {
        if (strcmp(child->key, key) == 0)
            return child;
    }
    return NULL;
}

bool doc_is_null(const struct doc_node *n)
{
    return n->kind == DOC_SCALAR && !n->quoted &&
           (n->text[0] == '\0' || strcmp(n->text, "null") == 0 || strcmp(n->text, "~") == 0);
}
