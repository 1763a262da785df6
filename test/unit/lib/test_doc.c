// SPDX-License-Identifier: Apache-2.0
// The document tree: YAML and JSON give the same tree; what makes YAML unbounded or ambiguous is refused with
// its line.
#include <errno.h>

#include "lib/buf.h"
#include "lib/doc.h"
#include "lib/limits.h"
#include "test/unit/check.h"

static void tree(void)
{
    static const char *const texts[] = {
        "a: 1.10\nb: [x, 'no']\nc:\n  d: null\n",
        "{\"a\": 1.10, \"b\": [\"x\", \"no\"], \"c\": {\"d\": null}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct err e;
        CLEANUP_DOC struct doc *d = NULL;
        CHECK_INT(doc_parse(texts[i], strlen(texts[i]), &d, &e), 0);
        const struct doc_node *root = doc_root(d);
        CHECK_INT(root->count, 3);
        CHECK_STR(doc_get(root, "a")->text, "1.10");
        const struct doc_node *b = doc_get(root, "b");
        CHECK_INT(b->kind, DOC_SEQ);
        CHECK_STR(b->first->next->text, "no");
        CHECK(b->first->next->quoted);
        CHECK(doc_is_null(doc_get(doc_get(root, "c"), "d")));
        CHECK(doc_get(root, "absent") == NULL && doc_get(NULL, "a") == NULL);
    }
}

static void refused(void)
{
    static const struct {
        const char *text, *want;
    } bad[] = {
        {"a: &x 1\n", "line 1: anchors are not accepted"},
        {"a: 1\nb: *x\n", "line 2: "},
        {"a: !!int 1\n", "line 1: tags are not accepted"},
        {"a: {}\nb:\n  <<: {}\n", "line 3: merge keys are not accepted"},
        {"a: 1\nb: 2\na: 3\n", "line 3: duplicate key \"a\""},
        {"a: 1\n---\nb: 2\n", "line 2: more than one document"},
        {"a: [1, 2\n", "line 2: "},
        {"[a]: 1\n", "line 1: a key must be a scalar"},
        {"{a: \"x\\0y\"}", "line 1: a value contains a NUL byte"},
        {"a: \"\xff\"\n", "byte 4: "},
        {"\ta: 1\n", "line 1: "},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e;
        struct doc *d = NULL;
        CHECK_INT(doc_parse(bad[i].text, strlen(bad[i].text), &d, &e), -EINVAL);
        CHECK_CONTAINS(e.msg, bad[i].want);
        CHECK(d == NULL);
    }
}

static void limits(void)
{
    struct err e;
    struct doc *d = NULL;
    CLEANUP_BUF struct buf deep, wide;
    buf_init(&deep, 1000);
    buf_init(&wide, LIMIT_DOC_BYTES);
    for (int i = 0; i <= LIMIT_DOC_DEPTH; i++)
        buf_str(&deep, "[");
    CHECK_INT(doc_parse(buf_text(&deep), deep.len, &d, &e), -E2BIG);
    for (int i = 0; i <= LIMIT_DOC_KEYS; i++)
        buf_fmt(&wide, "k%d: 1\n", i);
    CHECK_INT(doc_parse(buf_text(&wide), wide.len, &d, &e), -E2BIG);
    CHECK_CONTAINS(e.msg, "keys in one map");
    CHECK_INT(doc_parse(buf_text(&wide), LIMIT_DOC_BYTES + 1, &d, &e), -E2BIG);
}

static void empty(void)
{
    struct err e;
    CLEANUP_DOC struct doc *d = NULL;
    CHECK_INT(doc_parse("# nothing\n", 10, &d, &e), 0);
    CHECK(doc_root(d) == NULL);
}

static const struct check_case cases[] = {
    {"tree", tree},
    {"refused", refused},
    {"limits", limits},
    {"empty", empty},
};
CHECK_MAIN(cases)
