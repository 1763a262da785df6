// SPDX-License-Identifier: Apache-2.0
// JSON of the API as a document, and as YAML for people: either reads as the same value.
#include <math.h>

#include "lib/limits.h"
#include "operator/tree.h"
#include "operator/yamlprint.h"
#include "test/fuzz/fuzz.h"

#define KEY_MAX 170 // libyaml takes no longer keys, six bytes each, in one line

// What is not promised: numbers with a fraction (no field has one), strings with a NUL (the API has none),
// long keys in YAML.
static bool is_plain(const json_t *v, unsigned depth)
{
    const char *key;
    json_t *child;
    size_t i;
    if (json_is_real(v) || depth > LIMIT_DOC_DEPTH)
        return false;
    if (json_is_integer(v) && json_integer_value(v) == INT64_MIN)
        return false;
    json_object_foreach((json_t *)(uintptr_t)v, key, child)
    {
        if (!is_plain(child, depth + 1) || strlen(key) > KEY_MAX || strcmp(key, "<<") == 0)
            return false;
    }
    json_array_foreach(v, i, child)
    {
        if (!is_plain(child, depth + 1))
            return false;
    }
    return true;
}

static void check_same(const struct doc *d, const json_t *want, const char *shown)
{
    const struct doc_node *root = doc_root(d);
    json_t *got = root ? tree_to_json(root) : NULL;
    if (!got || !json_equal(got, (json_t *)(uintptr_t)want))
        fuzz_fail(__FILE__, __LINE__, "the same value\n%s", shown);
    FUZZ_CHECK(tree_hash(got) == tree_hash(want));
    json_decref(got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    json_t *value = json_loadb((const char *)data, len, JSON_DECODE_ANY, NULL);
    struct doc *d = NULL;
    struct buf out;
    struct err e;
    if (!value)
        return 0;
    int r = tree_from_json(value, &d, &e);
    if (r < 0) {
        fuzz_check_err(r, &e);
    } else if (json_is_object(value) && is_plain(value, 1)) { // an object of the API is one
        check_same(d, value, "as a document");
        buf_init(&out, LIMIT_DOC_BYTES);
        yamlprint_document(value, &out);
        struct doc *again = fuzz_own_doc(&out);
        check_same(again, value, buf_text(&out));
        doc_free(again);
        buf_release(&out);
    }
    doc_free(d);
    json_decref(value);
    return 0;
}
