// SPDX-License-Identifier: Apache-2.0
#include "agent/trouble.h"

#include "lib/addr.h"
#include "lib/log.h"

static bool speak(struct trouble *t, const struct plan *p, const struct trouble_pair *x, enum stats_result r,
                  const char *why, bool ended, uint64_t now_ns)
{
    const struct plan_pair *pair = &p->pairs[x->pair];
    const struct plan_dest *d = &p->dests[pair->dest];
    if (!bucket_take(&t->lines, TROUBLE_BURST, TROUBLE_LINE_NS, now_ns))
        return false;
    const struct log_field fields[] = {
        LOG_STR("probe", p->probes[pair->probe].name),
        LOG_STR(d->target ? "target" : "destination", d->name),
        LOG_STR("network", plan_network(p, (enum spec_network)d->network)),
        LOG_STR("family", addr_family_name((enum family)pair->family)),
        LOG_STR("result", stats_result_name(r)),
        LOG_STR("reason", why),
        LOG_INT("failed", x->failed),
        LOG_INT("seconds", (now_ns - x->begun_ns) / NS_PER_S),
        LOG_INT("failingPairs", t->n),
        LOG_STR("address", d->address),
    };
    log_write(ended ? LOG_INFO : LOG_WARN, ended ? "probes fail no longer for that reason" : "probes fail",
              fields, ARRAY_LEN(fields) - (d->address[0] == '\0')); // one of several addresses has it
    return true;
}

static struct trouble_pair *place_of(struct trouble *t, size_t i, uint64_t now_ns)
{
    for (size_t k = 0; k < t->n; k++)
        if (t->list[k].pair == i)
            return &t->list[k];
    if (t->n == LIMIT_TROUBLES)
        return NULL;
    t->list[t->n] = (struct trouble_pair){.pair = (uint32_t)i, .begun_ns = now_ns};
    return &t->list[t->n++];
}

void trouble_failed(struct trouble *t, const struct plan *p, size_t i, enum stats_result r, const char *why,
                    uint64_t now_ns)
{
    struct trouble_pair *x = place_of(t, i, now_ns);
    if (!x)
        return;
    x->last_ns = now_ns;
    x->failed++;
    bool news = !x->told_why || (x->told_why != why && now_ns - x->told_ns >= TROUBLE_QUIET_NS);
    if (!news || !speak(t, p, x, r, why, false, now_ns))
        return;
    x->told_result = r;
    x->told_why = why;
    x->told_ns = now_ns;
}

void trouble_settle(struct trouble *t, const struct plan *p, uint64_t now_ns)
{
    for (size_t k = 0; k < t->n;) {
        struct trouble_pair *x = &t->list[k];
        uint64_t interval_ns = p->probes[p->pairs[x->pair].probe].interval_ns;
        bool ended = now_ns - x->last_ns >= MAX(TROUBLE_QUIET_NS, 3 * interval_ns);
        // Without room for its line it stays, unless nothing was told of it.
        if (ended && (!x->told_why || speak(t, p, x, x->told_result, x->told_why, true, now_ns)))
            *x = t->list[--t->n];
        else
            k++;
    }
}

// The same pair in another plan, which is sorted; n_pairs: it is not there.
static size_t find(const struct plan *old, size_t i, const struct plan *p)
{
    size_t low = 0, high = p->n_pairs;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (plan_compare(p, middle, old, i) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < p->n_pairs && plan_compare(p, low, old, i) == 0 ? low : p->n_pairs;
}

void trouble_replan(struct trouble *t, const struct plan *old, const struct plan *p)
{
    for (size_t k = 0; k < t->n;) {
        size_t i = find(old, t->list[k].pair, p);
        if (i < p->n_pairs && !p->pairs[i].gone)
            t->list[k++].pair = (uint32_t)i;
        else
            t->list[k] = t->list[--t->n];
    }
}
