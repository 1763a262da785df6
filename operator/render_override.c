// SPDX-License-Identifier: Apache-2.0
// Labels to matchExpressions: one for each key of a term, with all the values that it excludes.
#include "operator/render_override.h"

#include <string.h>

static bool add_pairs(json_t *selector, const struct spec_pair *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (json_object_set_new(selector, list[i].key, json_string(list[i].value)) < 0)
            return false;
    }
    return true;
}

json_t *render_override_selector(const struct spec_placement *p, size_t index)
{
    json_t *selector = json_object();
    bool ok = selector && add_pairs(selector, p->selector, p->n_selector);
    if (ok && index < p->n_overrides)
        ok = add_pairs(selector, p->overrides[index].selector, p->overrides[index].n_selector);
    if (ok && json_object_set_new(selector, "kubernetes.io/os", json_string("linux")) == 0)
        return selector;
    json_decref(selector);
    return NULL;
}

// Appends value, which is released if that fails. False: no memory.
static bool append(json_t *list, json_t *value)
{
    return json_array_append_new(list, value) == 0;
}

// The expression about a key that is there already; NULL: none.
static json_t *find(const json_t *expressions, const char *key)
{
    size_t i;
    json_t *at;
    json_array_foreach(expressions, i, at)
    {
        if (strcmp(json_string_value(json_object_get(at, "key")), key) == 0)
            return at;
    }
    return NULL;
}

// NotIn holds for a node without the label, too.
static json_t *term(const struct spec_override_term *t)
{
    json_t *expressions = json_array();
    bool ok = expressions != NULL;
    for (size_t i = 0; ok && i < t->n; i++) {
        const json_t *have = find(expressions, t->not [i] -> key);
        ok = have ? append(json_object_get(have, "values"), json_string(t->not [i] -> value))
                  : append(expressions, json_pack("{s:s, s:s, s:[s]}", "key", t->not [i] -> key, "operator",
                                                  "NotIn", "values", t->not [i] -> value));
    }
    if (ok)
        return json_pack("{s:o}", "matchExpressions", expressions);
    json_decref(expressions);
    return NULL;
}

json_t *render_override_affinity(const struct spec_placement *p, size_t index)
{
    struct spec_override_terms terms;
    size_t by;
    if (spec_override_terms(p, index, &terms, &by) < 0 || terms.n == 0)
        return json_null(); // a spec that was checked has no terms that fail
    json_t *list = json_array();
    for (size_t i = 0; list && i < terms.n; i++) {
        if (append(list, term(&terms.list[i])))
            continue;
        json_decref(list);
        return NULL;
    }
    return json_pack("{s:{s:{s:o}}}", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution",
                     "nodeSelectorTerms", list);
}
