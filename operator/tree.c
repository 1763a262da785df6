// SPDX-License-Identifier: Apache-2.0
// JSON to document tree and back, and a hash of values.
#include "operator/tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/limits.h"

static struct doc_node *add_scalar(struct doc *d, struct doc_node *parent, const char *key,
                                   const json_t *value)
{
    char number[40];
    switch (json_typeof(value)) {
    case JSON_STRING: return doc_add(d, parent, key, DOC_SCALAR, json_string_value(value), true);
    case JSON_INTEGER:
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return doc_add(d, parent, key, DOC_SCALAR, number, false);
    case JSON_REAL:
        snprintf(number, sizeof(number), "%.17g", json_real_value(value));
        return doc_add(d, parent, key, DOC_SCALAR, number, false);
    case JSON_TRUE: return doc_add(d, parent, key, DOC_SCALAR, "true", false);
    case JSON_FALSE: return doc_add(d, parent, key, DOC_SCALAR, "false", false);
    case JSON_NULL:
    case JSON_OBJECT:
    case JSON_ARRAY: break;
    }
    return doc_add(d, parent, key, DOC_SCALAR, "null", false);
}

static bool add(struct doc *d, struct doc_node *parent, const char *key, const json_t *value, unsigned depth)
{
    if (depth > LIMIT_DOC_DEPTH)
        return false;
    if (!json_is_object(value) && !json_is_array(value))
        return add_scalar(d, parent, key, value) != NULL;
    struct doc_node *node = doc_add(d, parent, key, json_is_object(value) ? DOC_MAP : DOC_SEQ, NULL, false);
    if (!node)
        return false;
    const char *child_key;
    json_t *child;
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)value, child_key, child)
    {
        if (!add(d, node, child_key, child, depth + 1))
            return false;
    }
    json_array_foreach(value, i, child)
    {
        if (!add(d, node, NULL, child, depth + 1))
            return false;
    }
    return true;
}

int tree_from_json(const json_t *value, struct doc **ret, struct err *e)
{
    CLEANUP_DOC struct doc *d = doc_new();
    if (!d || !add(d, NULL, NULL, value, 1))
        return err_set(e, E2BIG, "nested too deep or too large");
    *ret = TAKE_PTR(d);
    return 0;
}

static json_t *scalar_to_json(const struct doc_node *node)
{
    if (node->quoted)
        return json_string(node->text);
    if (doc_is_null(node))
        return json_null();
    if (strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0)
        return json_boolean(node->text[0] == 't');
    uint64_t value;
    const char *digits = node->text[0] == '-' ? node->text + 1 : node->text;
    if (base_parse_u64(digits, 0, INT64_MAX, &value) == 0)
        return json_integer(node->text[0] == '-' ? -(json_int_t)value : (json_int_t)value);
    return json_string(node->text);
}

json_t *tree_to_json(const struct doc_node *node)
{
    if (node->kind == DOC_SCALAR)
        return scalar_to_json(node);
    json_t *out = node->kind == DOC_MAP ? json_object() : json_array();
    for (const struct doc_node *child = node->first; out && child; child = child->next) {
        json_t *value = tree_to_json(child);
        int r = node->kind == DOC_MAP ? json_object_set_new(out, child->key, value)
                                      : json_array_append_new(out, value);
        if (r < 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

// Each value with its type in front, each text with its NUL behind, so that no two values read the same.
static uint64_t hash_value(uint64_t hash, const json_t *value);

// The sum of the members' hashes: their order does not count.
static uint64_t hash_members(const json_t *object, const char *const *keys, size_t n, bool only)
{
    uint64_t sum = 0;
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)object, key, member)
    {
        bool named = false;
        for (size_t i = 0; i < n; i++)
            named = named || strcmp(keys[i], key) == 0;
        if (named == only)
            sum += hash_value(base_hash(BASE_HASH_INIT, key, strlen(key) + 1), member);
    }
    return sum;
}

static uint64_t hash_bytes(uint64_t hash, json_type type, const void *data, size_t len)
{
    char tag = (char)('a' + type);
    return base_hash(base_hash(hash, &tag, 1), data, len);
}

static uint64_t hash_value(uint64_t hash, const json_t *value)
{
    uint64_t sum;
    size_t i, n = json_array_size(value);
    json_t *item;
    json_int_t integer = json_integer_value(value);
    double real = json_real_value(value);
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        sum = hash_members(value, NULL, 0, false);
        return hash_bytes(hash, JSON_OBJECT, &sum, sizeof(sum));
    case JSON_ARRAY:
        hash = hash_bytes(hash, JSON_ARRAY, &n, sizeof(n));
        json_array_foreach(value, i, item)
        {
            hash = hash_value(hash, item);
        }
        return hash;
    case JSON_STRING:
        return hash_bytes(hash, JSON_STRING, json_string_value(value), json_string_length(value) + 1);
    case JSON_INTEGER: return hash_bytes(hash, JSON_INTEGER, &integer, sizeof(integer));
    case JSON_REAL: return hash_bytes(hash, JSON_REAL, &real, sizeof(real));
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL: break;
    }
    return hash_bytes(hash, json_typeof(value), NULL, 0);
}

uint64_t tree_hash(const json_t *value)
{
    return value ? hash_value(BASE_HASH_INIT, value) : BASE_HASH_INIT;
}

uint64_t tree_hash_members(const json_t *object, const char *const *keys, size_t n, bool only)
{
    uint64_t sum = hash_members(object, keys, n, only);
    return hash_bytes(BASE_HASH_INIT, JSON_OBJECT, &sum, sizeof(sum));
}
