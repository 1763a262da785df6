// SPDX-License-Identifier: Apache-2.0
// Sums modulo 2^64: what is taken off a row may have been added to it as part of a pair that is still there.
#include "agent/zone_rtt.h"

#include <errno.h>

#include "agent/plan_zone.h"

static size_t width(size_t n_bounds)
{
    return n_bounds + 2;
}

int zone_rtt_init(struct zone_rtt *z, const struct plan *p)
{
    *z = (struct zone_rtt){.n = p->n_zones, .n_bounds = p->n_bounds};
    z->cells = calloc(z->n * width(z->n_bounds) + 1, sizeof(*z->cells));
    return z->cells ? 0 : -ENOMEM;
}

void zone_rtt_release(struct zone_rtt *z)
{
    free(z->cells);
    *z = (struct zone_rtt){0};
}

size_t zone_rtt_cells(const struct plan *p)
{
    return p->n_zones * width(p->n_bounds);
}

size_t zone_rtt_bytes(const struct plan *p)
{
    return (zone_rtt_cells(p) + 1) * sizeof(uint64_t);
}

uint64_t *zone_rtt_row(const struct zone_rtt *z, size_t i)
{
    return z->cells + i * width(z->n_bounds);
}

// The row of z for pair i of `from`; NULL: p has none.
static uint64_t *row_of_pair(const struct zone_rtt *z, const struct plan *p, const struct plan *from,
                             size_t i)
{
    const struct plan_pair *pair = &from->pairs[i];
    const struct plan_dest *d = &from->dests[pair->dest];
    if (d->target)
        return NULL;
    size_t k = plan_zone_find(p, d->zone, from->probes[pair->probe].name, (enum spec_network)d->network,
                              (enum family)pair->family);
    return k < z->n ? zone_rtt_row(z, k) : NULL;
}

void zone_rtt_add(struct zone_rtt *z, const struct plan *p, const struct plan *from, size_t i,
                  const struct stats *s)
{
    uint64_t *row = row_of_pair(z, p, from, i);
    for (size_t k = 0; row && k <= z->n_bounds; k++)
        row[k] += s->buckets[k];
    if (row)
        row[z->n_bounds + 1] += s->rtt_sum_ns;
}

void zone_rtt_take(struct zone_rtt *z, const struct plan *p, const struct plan *from, size_t i,
                   const struct stats *s)
{
    uint64_t *row = row_of_pair(z, p, from, i);
    for (size_t k = 0; row && k <= z->n_bounds; k++)
        row[k] -= s->buckets[k];
    if (row)
        row[z->n_bounds + 1] -= s->rtt_sum_ns;
}

void zone_rtt_carry(struct zone_rtt *z, const struct plan *p, const struct zone_rtt *old,
                    const struct plan *from)
{
    for (size_t i = 0; i < old->n; i++) {
        const struct plan_zone *o = &from->zones[i];
        size_t k =
            plan_zone_find(p, o->zone, o->probe, (enum spec_network)o->network, (enum family)o->family);
        for (size_t c = 0; k < z->n && c < width(z->n_bounds); c++)
            zone_rtt_row(z, k)[c] += zone_rtt_row(old, i)[c];
    }
}
