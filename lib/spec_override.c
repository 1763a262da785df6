// SPDX-License-Identifier: Apache-2.0
// Multiplies out: "not all of these labels" is "one of them not", for each selector before.
#include "lib/spec_override.h"

#include <errno.h>
#include <string.h>

#include "lib/spec_check.h"
#include "lib/spec_env.h"

// What a selector says of a label: NULL if nothing.
static const char *wants(const struct spec_pair *list, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i].key, key) == 0)
            return list[i].value;
    }
    return NULL;
}

// What all nodes of i have in this label, as far as is known; NULL: anything.
static const char *known(const struct spec_placement *p, size_t i, const char *key)
{
    const char *value = wants(p->selector, p->n_selector, key);
    if (strcmp(key, "kubernetes.io/os") == 0)
        return "linux"; // it is always wanted
    if (!value && i < p->n_overrides)
        value = wants(p->overrides[i].selector, p->overrides[i].n_selector, key);
    return value;
}

// The labels of one selector that nodes of i may have or not. *apart: they cannot all have them.
static size_t undecided(const struct spec_placement *p, size_t i, const struct spec_override *before,
                        const struct spec_pair *ret[static LIMIT_OVERRIDE_SELECTOR], bool *apart)
{
    size_t n = 0;
    *apart = false;
    for (size_t k = 0; k < before->n_selector; k++) {
        const char *value = known(p, i, before->selector[k].key);
        if (!value)
            ret[n++] = &before->selector[k];
        else if (strcmp(value, before->selector[k].value) != 0)
            *apart = true;
    }
    return n;
}

static bool has(const struct spec_override_term *t, const struct spec_pair *pair)
{
    for (size_t i = 0; i < t->n; i++) {
        if (strcmp(t->not [i] -> key, pair -> key) == 0 && strcmp(t->not [i] -> value, pair -> value) == 0)
            return true;
    }
    return false;
}

// Each term once for each of the labels. A term that excludes one of them already is left as it is.
static int multiply(struct spec_override_terms *terms, const struct spec_pair *const *labels, size_t n)
{
    size_t had = terms->n;
    for (size_t t = 0; t < had; t++) {
        const struct spec_override_term term = terms->list[t];
        bool excluded = false;
        for (size_t k = 0; k < n; k++)
            excluded |= has(&term, labels[k]);
        for (size_t k = 0; k < n && !excluded; k++) {
            if (k > 0 && terms->n == LIMIT_OVERRIDE_TERMS)
                return -E2BIG;
            struct spec_override_term *to = k == 0 ? &terms->list[t] : &terms->list[terms->n++];
            *to = term;
            to->not [to->n++] = labels[k];
        }
    }
    return 0;
}

int spec_override_terms(const struct spec_placement *p, size_t i, struct spec_override_terms *ret,
                        size_t *ret_by)
{
    *ret = (struct spec_override_terms){.n = 1};
    for (size_t j = 0; j < i; j++) {
        const struct spec_pair *labels[LIMIT_OVERRIDE_SELECTOR];
        bool apart;
        size_t n = undecided(p, i, &p->overrides[j], labels, &apart);
        *ret_by = j;
        if (apart)
            continue;
        if (n == 0)
            return -EINVAL;
        if (multiply(ret, labels, n) < 0)
            return -E2BIG;
    }
    if (ret->list[0].n == 0)
        ret->n = 0;
    return 0;
}

struct spec_agent spec_override_agent(const struct spec *s, size_t i)
{
    struct spec_agent a = s->agent;
    if (i >= s->placement.n_overrides)
        return a;
    const struct spec_override *o = &s->placement.overrides[i];
    if (o->has_allocator)
        a.allocator = o->allocator;
    if (o->has_resources)
        a.resources = o->resources;
    return a;
}

// That there is a node which the placement lets it have.
static int check_apart(const struct spec_placement *p, const struct spec_override *o, struct err *e)
{
    for (size_t k = 0; k < o->n_selector; k++) {
        const char *value = wants(p->selector, p->n_selector, o->selector[k].key);
        if (!value || strcmp(value, o->selector[k].value) == 0)
            continue;
        err_set(e, EINVAL, "takes no node: placement.nodeSelector wants %s", value);
        return err_at(e, "nodeSelector[%s]", o->selector[k].key);
    }
    return 0;
}

static int check_terms(const struct spec_placement *p, size_t i, struct err *e)
{
    struct spec_override_terms terms;
    size_t by = 0;
    int r = spec_override_terms(p, i, &terms, &by);
    if (r == -EINVAL && i < p->n_overrides)
        err_set(e, EINVAL, "takes no node: overrides[%zu] has every node that it could have", by);
    else if (r == -EINVAL)
        err_set(e, EINVAL,
                "takes every node that is left: what is to be of all of them belongs into spec.agent");
    else if (r < 0)
        err_set(e, EINVAL,
                "with the labels of those before there are more than %d combinations; use one label that "
                "tells the nodes apart",
                LIMIT_OVERRIDE_TERMS);
    return r < 0 ? err_at(e, "overrides[%zu].nodeSelector", i < p->n_overrides ? i : by) : 0;
}

// One of its own; the fleet's has been checked.
static int check_allocator(const struct spec_agent *a, struct err *e)
{
    int r = spec_allocator_check(&a->allocator, !a->image[0], e);
    if (r == 0)
        r = spec_env_check_allocator(a, e);
    return r < 0 ? r : spec_check_rollout(a, e);
}

static int check_one(const struct spec *s, size_t i, struct err *e)
{
    const struct spec_placement *p = &s->placement;
    const struct spec_agent a = spec_override_agent(s, i);
    for (size_t j = 0; j < i; j++) {
        if (strcmp(p->overrides[i].name, p->overrides[j].name) == 0) {
            err_set(e, EINVAL, "%s is the name of overrides[%zu] too", p->overrides[i].name, j);
            return err_at(e, "name");
        }
    }
    int r = spec_check_selector(p->overrides[i].selector, p->overrides[i].n_selector, e);
    if (r == 0)
        r = check_apart(p, &p->overrides[i], e);
    if (r == 0 && p->overrides[i].has_allocator)
        r = check_allocator(&a, e);
    if (r == 0 && p->overrides[i].has_resources)
        r = spec_check_resources(&a.resources, e);
    if (r == 0 && !p->overrides[i].has_allocator && !p->overrides[i].has_resources)
        r = err_set(e, EINVAL, "needs allocator or resources: without them its agents are the fleet's");
    return r < 0 ? r : spec_env_check_apart(&a, e) < 0 ? err_at(e, "allocator.variable") : 0;
}

int spec_override_check(const struct spec *s, struct err *e)
{
    for (size_t i = 0; i < s->placement.n_overrides; i++) {
        if (check_one(s, i, e) < 0)
            return err_at(e, "placement.overrides[%zu]", i);
    }
    for (size_t i = 0; i <= s->placement.n_overrides; i++) {
        if (check_terms(&s->placement, i, e) < 0)
            return err_at(e, "placement");
    }
    return 0;
}
