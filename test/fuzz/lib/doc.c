// SPDX-License-Identifier: Apache-2.0
// lib/doc: what was accepted is within the limits and valid UTF-8, and reads as the same tree when it is
// written as JSON.
#include "lib/limits.h"
#include "test/fuzz/fuzz.h"

#define KEY_MAX 1000 // libyaml takes no longer keys in one line

struct seen {
    size_t nodes;
    bool long_key;
};

static void check_node(const struct doc_node *n, unsigned depth, struct seen *seen)
{
    unsigned count = 0;
    FUZZ_CHECK(depth <= LIMIT_DOC_DEPTH + 1);
    FUZZ_CHECK(++seen->nodes <= LIMIT_DOC_NODES);
    FUZZ_CHECK(n->line > 0);
    FUZZ_CHECK(fuzz_is_utf8(n->text, false));
    FUZZ_CHECK(n->kind != DOC_SCALAR || !n->first);
    for (const struct doc_node *c = n->first; c; c = c->next, count++) {
        FUZZ_CHECK((n->kind == DOC_MAP) == (c->key != NULL));
        if (c->key) {
            FUZZ_CHECK(fuzz_is_utf8(c->key, false));
            FUZZ_CHECK(doc_get(n, c->key) == c);
            seen->long_key = seen->long_key || strlen(c->key) * 6 > KEY_MAX;
        }
        check_node(c, depth + 1, seen);
    }
    FUZZ_CHECK(count == n->count);
    FUZZ_CHECK(n->kind != DOC_MAP || count <= LIMIT_DOC_KEYS);
}

static void write_json(const struct doc_node *n, struct buf *out)
{
    if (n->kind == DOC_SCALAR) {
        buf_json(out, n->text);
        return;
    }
    buf_char(out, n->kind == DOC_MAP ? '{' : '[');
    for (const struct doc_node *c = n->first; c; c = c->next) {
        if (c->key) {
            buf_json(out, c->key);
            buf_char(out, ':');
        }
        write_json(c, out);
        if (c->next)
            buf_char(out, ',');
    }
    buf_char(out, n->kind == DOC_MAP ? '}' : ']');
}

static void compare(const struct doc_node *a, const struct doc_node *b)
{
    FUZZ_CHECK(a->kind == b->kind && a->count == b->count);
    FUZZ_CHECK(strcmp(a->text, b->text) == 0);
    FUZZ_CHECK(a->kind != DOC_SCALAR || b->quoted);
    const struct doc_node *y = b->first;
    for (const struct doc_node *x = a->first; x; x = x->next, y = y->next) {
        FUZZ_CHECK(!x->key || strcmp(x->key, y->key) == 0);
        compare(x, y);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct doc *d = fuzz_doc(data, len);
    struct seen seen = {0};
    struct buf out;
    const struct doc_node *root = d ? doc_root(d) : NULL;
    if (root) {
        check_node(root, 1, &seen);
        buf_init(&out, LIMIT_DOC_BYTES);
        write_json(root, &out);
        if (!seen.long_key) {
            struct doc *again = fuzz_own_doc(&out);
            compare(root, doc_root(again));
            doc_free(again);
        }
        buf_release(&out);
    }
    doc_free(d);
    return 0;
}
