// SPDX-License-Identifier: Apache-2.0
// What is printed as YAML reads as the same value.
#include "lib/limits.h"
#include "operator/tree.h"
#include "operator/yamlprint.h"
#include "test/unit/check.h"

static void reads_as_the_same(void)
{
    static const char *const cases[] = {
        "{\"a\": {}, \"b\": [], \"c\": [{\"d\": [1, {\"e\": null}], \"f\": true}]}",
        "{\"lists\": [[], [[1], [2, [3]]], {\"a\": [[\"x\\ny\\n\"]]}]}",
        "{\"text\": \"a\\nb\\n\", \"cut\": [\"a\\nb\"], \"odd\": \"a\\n \", \"\\u2028\": \"\\u0085\\ufeff\\u007f\"}",
        "{\"no\": \"yes\", \"1\": \"1\", \"\": \"\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *want = json_loads(cases[i], 0, NULL);
        CLEANUP_DOC struct doc *d = NULL;
        CLEANUP_BUF struct buf out;
        struct err e = {0};
        buf_init(&out, LIMIT_DOC_BYTES);
        yamlprint_document(want, &out);
        if (doc_parse(buf_text(&out), out.len, &d, &e) < 0)
            printf("    %s\n%s", e.msg, buf_text(&out));
        json_t *got = d ? tree_to_json(doc_root(d)) : NULL;
        bool same = want && json_equal(got, want);
        json_decref(got);
        json_decref(want);
        CHECK_STR(same ? "same" : cases[i], "same");
    }
}

static const struct check_case cases[] = {{"reads as the same", reads_as_the_same}};
CHECK_MAIN(cases)
