// SPDX-License-Identifier: Apache-2.0
// A plan like the one before, with its names' pairs made anew.
#include "agent/plan_resolve.h"

#include <errno.h>
#include <string.h>

#include "agent/plan_carry.h"
#include "agent/plan_parts.h"
#include "agent/plan_text.h"

// The family in which a name was probed last; IPv4 if it never was.
static enum family family_of(const struct plan *old, const char *target)
{
    enum family f = FAMILY_IPV4;
    for (size_t i = 0; i < old->n_pairs; i++) {
        const struct plan_dest *d = &old->dests[old->pairs[i].dest];
        if (d->target && old->probes[old->pairs[i].probe].named && strcmp(d->name, target) == 0) {
            f = (enum family)old->pairs[i].family;
            if (!old->pairs[i].gone)
                break;
        }
    }
    return f;
}

// a NULL: the name has no address.
static int add_named(struct plan *p, const struct plan_host *h, const struct addr *a, enum family f)
{
    char text[ADDR_TEXT_MAX];
    struct plan_dest *d = plan_parts_dest(p, h->target, "", p->network, true);
    if (!d)
        return -ENOMEM;
    if (a)
        d->addr[f] = *a;
    if (a && h->all)
        d->address = plan_text_add(p, addr_text(a, text));
    if (!d->address)
        return -ENOMEM;
    plan_parts_pair(p, p->n_dests - 1, h->probe, f);
    return 0;
}

static int add_hosts(struct plan *p, const struct plan *old, plan_lookup_fn *lookup, void *arg)
{
    for (size_t i = 0; i < p->n_hosts; i++) {
        const struct plan_host *h = &p->hosts[i];
        const struct addr *list;
        size_t n;
        if (!lookup(h->host, &list, &n, arg))
            continue;
        if (n == 0 && add_named(p, h, NULL, family_of(old, h->target)) != 0)
            return -ENOMEM;
        n = MIN(n, h->all ? (size_t)LIMIT_HOST_ADDRESSES : 1);
        for (size_t k = 0; k < n; k++)
            if (add_named(p, h, &list[k], (enum family)list[k].family) != 0)
                return -ENOMEM;
    }
    return 0;
}

int plan_resolve(const struct plan *old, plan_lookup_fn *lookup, void *arg, uint64_t now_ns,
                 struct plan **ret, struct err *e)
{
    CLEANUP_PLAN struct plan *p = plan_carry_like(old, old->n_hosts * LIMIT_HOST_ADDRESSES);
    if (!p || add_hosts(p, old, lookup, arg) != 0)
        return plan_parts_no_memory(e);
    plan_parts_sort(p);
    if (plan_carry_over(p, old, PLAN_CARRY_UNNAMED, now_ns) != 0 || plan_parts_finish(p) != 0)
        return plan_parts_no_memory(e);
    if (p->n_live > LIMIT_PAIRS)
        return err_set(e, E2BIG, "%zu pairs to probe, at most %d are possible", p->n_live, LIMIT_PAIRS);
    *ret = TAKE_PTR(p);
    return 0;
}
