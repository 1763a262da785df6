// SPDX-License-Identifier: Apache-2.0
// Both plans are sorted, so one walk finds what the new one lacks.
#include "agent/plan_carry.h"

#include <errno.h>
#include <string.h>

#include "agent/plan_parts.h"
#include "agent/plan_text.h"

struct carry { // where the old plan's destinations and probes are in the new one, + 1
    uint32_t *dests;
    uint32_t *probes;
};

static void carry_release(struct carry *c)
{
    free(c->dests);
    free(c->probes);
}

// Adds the old plan's pair i with its names. until_ns 0: live.
static int carry_pair(struct plan *p, struct carry *c, const struct plan *old, size_t i, uint64_t until_ns)
{
    const struct plan_pair *o = &old->pairs[i];
    const struct plan_dest *od = &old->dests[o->dest];
    const struct plan_probe *op = &old->probes[o->probe];
    if (!c->dests[o->dest]) {
        struct plan_dest *d =
            plan_parts_dest(p, od->name, od->zone, (enum spec_network)od->network, od->target);
        if (!d)
            return -ENOMEM;
        d->address = od->address[0] ? plan_text_add(p, od->address) : "";
        if (!d->address)
            return -ENOMEM;
        memcpy(d->addr, od->addr, sizeof(d->addr));
        c->dests[o->dest] = (uint32_t)p->n_dests;
    }
    if (!c->probes[o->probe]) {
        if (plan_parts_probe(p, op->name, op) != 0)
            return -ENOMEM;
        c->probes[o->probe] = (uint32_t)p->n_probes;
    }
    size_t dest = c->dests[o->dest] - 1, probe = c->probes[o->probe] - 1;
    if (until_ns == 0) {
        plan_parts_pair(p, dest, probe, (enum family)o->family);
        return 0;
    }
    plan_parts_gone(p, dest, probe, (enum family)o->family, until_ns);
    return 0;
}

// Until when the old plan's pair i, which p lacks, is to be kept: 0 as a live one, UINT64_MAX not at all.
static uint64_t keep_until(const struct plan *p, const struct plan *old, size_t i, enum plan_carry_stay stay,
                           uint64_t now_ns)
{
    const struct plan_pair *o = &old->pairs[i];
    const struct plan_probe *r = &old->probes[o->probe];
    if (o->gone && o->gone_until_ns <= now_ns)
        return UINT64_MAX;
    if (stay == PLAN_CARRY_ALL || (stay == PLAN_CARRY_UNNAMED && !r->named))
        return o->gone_until_ns;
    if (p->n_pairs >= LIMIT_PAIRS || p->n_probes >= UINT16_MAX)
        return UINT64_MAX; // no room: what is gone goes at once
    return o->gone ? o->gone_until_ns : now_ns + r->timeout_ns + r->grace_ns + p->gone_ns;
}

int plan_carry_over(struct plan *p, const struct plan *old, enum plan_carry_stay stay, uint64_t now_ns)
{
    CLEANUP(carry_release)
    struct carry c = {calloc(old->n_dests + 1, sizeof(uint32_t)),
                      calloc(old->n_probes + 1, sizeof(uint32_t))};
    if (!c.dests || !c.probes)
        return -ENOMEM;
    size_t n_sorted = p->n_pairs, j = 0;
    for (size_t i = 0; i < old->n_pairs; i++) {
        while (j < n_sorted && plan_compare(p, j, old, i) < 0)
            j++;
        if (j < n_sorted && plan_compare(p, j, old, i) == 0)
            continue;
        uint64_t until = keep_until(p, old, i, stay, now_ns);
        if (until != UINT64_MAX && carry_pair(p, &c, old, i, until) != 0)
            return -ENOMEM;
    }
    return 0;
}

// Everything but pairs and what they lead to.
static int copy_head(struct plan *p, const struct plan *old)
{
    if (plan_parts_names(p, old->fleet, old->node, old->zone) != 0)
        return -ENOMEM;
    p->generation = old->generation;
    p->paused = old->paused;
    p->network = old->network;
    p->networks = old->networks;
    p->series_limit = old->series_limit;
    p->gone_ns = old->gone_ns;
    p->gzip = old->gzip;
    p->n_bounds = old->n_bounds;
    memcpy(p->bounds_ns, old->bounds_ns, sizeof(p->bounds_ns));
    memcpy(p->peers, old->peers, sizeof(p->peers));
    memcpy(p->coverage, old->coverage, sizeof(p->coverage));
    for (size_t i = 0; i < old->n_hosts; i++) {
        const struct plan_host *h = &old->hosts[i];
        const struct plan_probe *r = &old->probes[h->probe];
        if (plan_parts_probe(p, r->name, r) != 0 ||
            plan_parts_host(p, h->target, h->host, p->n_probes - 1, h->all) != 0)
            return -ENOMEM;
    }
    return 0;
}

struct plan *plan_carry_like(const struct plan *old, size_t pairs)
{
    const struct plan_room room = {.pairs = old->n_pairs + pairs,
                                   .dests = old->n_dests + pairs,
                                   // A name's probe may come twice: with it, and with a pair that is gone.
                                   // None has answers or a URL.
                                   .probes = old->n_probes + old->n_hosts,
                                   .answers = old->n_answers,
                                   .https = old->n_https,
                                   .hosts = old->n_hosts};
    CLEANUP_PLAN struct plan *p = plan_parts_new(&room);
    return p && copy_head(p, old) == 0 ? TAKE_PTR(p) : NULL;
}
