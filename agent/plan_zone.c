// SPDX-License-Identifier: Apache-2.0
// A list of all pairs' zones, sorted and made unique: a few entries remain of thousands.
#include "agent/plan_zone.h"

#include <errno.h>

static int compare(const void *a, const void *b)
{
    const struct plan_zone *x = a, *y = b;
    int c = x->zone == y->zone ? 0 : strcmp(x->zone, y->zone);
    if (c == 0)
        c = x->probe == y->probe ? 0 : strcmp(x->probe, y->probe);
    if (c == 0)
        c = (int)x->network - (int)y->network;
    return c ? c : (int)x->family - (int)y->family;
}

int plan_zone_fill(struct plan *p)
{
    struct plan_zone *list = calloc(p->n_pairs + 1, sizeof(*list));
    size_t all = 0, n = 0;
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_pairs; i++) {
        const struct plan_pair *pair = &p->pairs[i];
        const struct plan_dest *d = &p->dests[pair->dest];
        if (!d->target)
            list[all++] = (struct plan_zone){d->zone, p->probes[pair->probe].name, pair->family, d->network};
    }
    qsort(list, all, sizeof(*list), compare);
    for (size_t i = 0; i < all; i++)
        if (n == 0 || compare(&list[n - 1], &list[i]) != 0)
            list[n++] = list[i];
    struct plan_zone *fit = reallocarray(list, n + 1, sizeof(*list));
    free(p->zones);
    p->zones = fit ? fit : list;
    p->n_zones = n;
    return 0;
}

size_t plan_zone_find(const struct plan *p, const char *zone, const char *probe, enum spec_network network,
                      enum family f)
{
    const struct plan_zone key = {zone, probe, (uint8_t)f, (uint8_t)network};
    const struct plan_zone *at = bsearch(&key, p->zones, p->n_zones, sizeof(key), compare);
    return at ? (size_t)(at - p->zones) : p->n_zones;
}
