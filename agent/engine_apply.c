// SPDX-License-Identifier: Apache-2.0
// A new plan comes into force: everything that can fail is prepared first, then what stays is taken over by
// key, what is new is given an id and a moment, and what left is dropped.
#include "agent/engine_apply.h"

#include <errno.h>

#include "agent/engine_heap.h"

struct change { // what engine_apply prepares before it touches anything
    struct flight **flights;
    struct flight **by_id;
    struct engine_event *heap;
    uint32_t *from; // index in the old plan + 1; 0: new
    struct zone_rtt gone;
    struct failures failures;
    size_t n; // flights filled
    const struct engine *en;
};

static bool change_reuses(const struct change *c, size_t i)
{
    return c->from[i] && c->flights[i] == c->en->flights[c->from[i] - 1];
}

static void change_release(struct change *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (!change_reuses(c, i))
            free(c->flights[i]);
    free(c->flights);
    free(c->by_id);
    free(c->heap);
    free(c->from);
    zone_rtt_release(&c->gone);
    failures_release(&c->failures);
}

static size_t own_size(const struct plan *p, size_t i, uint16_t n_slots)
{
    return flight_own_size(&p->probes[p->pairs[i].probe], n_slots);
}

// The block for pair i of p: the old one if it has the right shape, else a new one. old_own: its type's
// bytes.
static struct flight *block_for(const struct plan *p, size_t i, struct flight *old, size_t old_own)
{
    uint16_t n_slots = flight_slots_for(&p->probes[p->pairs[i].probe]);
    if (!old)
        return flight_new(n_slots, p->n_bounds, own_size(p, i, n_slots));
    while (n_slots < flight_window(old))
        n_slots = (uint16_t)(n_slots * 2);
    size_t own = own_size(p, i, n_slots);
    if (old->n_slots == n_slots && flight_stats(old)->n_buckets == p->n_bounds && old_own == own)
        return old;
    return flight_new(n_slots, p->n_bounds, own);
}

static int change_prepare(struct change *c, const struct plan *p)
{
    const struct plan *old = c->en->plan;
    size_t n_ids = MAX(p->n_pairs, c->en->n_ids), j = 0;
    c->flights = calloc(p->n_pairs + 1, sizeof(*c->flights));
    c->by_id = calloc(n_ids + 1, sizeof(*c->by_id));
    c->heap = calloc(p->n_pairs + 1, sizeof(*c->heap));
    c->from = calloc(p->n_pairs + 1, sizeof(*c->from));
    if (!c->flights || !c->by_id || !c->heap || !c->from || zone_rtt_init(&c->gone, p) != 0)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_pairs; i++) {
        while (old && j < old->n_pairs && plan_compare(old, j, p, i) < 0)
            j++;
        if (old && j < old->n_pairs && plan_compare(old, j, p, i) == 0)
            c->from[i] = (uint32_t)++j;
        struct flight *from = c->from[i] ? c->en->flights[c->from[i] - 1] : NULL;
        struct flight *f = block_for(p, i, from, from ? own_size(old, c->from[i] - 1, from->n_slots) : 0);
        if (!f)
            return -ENOMEM;
        c->flights[i] = f;
        c->n = i + 1;
    }
    return 0;
}

// Where in its interval a pair sends: spread by a hash, the same over reloads, turned by a random angle for
// each agent.
static uint64_t phase_of(const struct engine *en, const struct plan *p, size_t i, uint64_t interval_ns)
{
    const struct plan_pair *r = &p->pairs[i];
    const char *names[] = {p->node, p->dests[r->dest].name, p->probes[r->probe].name};
    uint64_t h = BASE_HASH_INIT;
    for (size_t k = 0; k < ARRAY_LEN(names); k++)
        h = base_hash(h, names[k], strlen(names[k]) + 1);
    h = base_hash(h, &r->family, sizeof(r->family));
    h = base_hash(h, &p->dests[r->dest].network, sizeof(uint8_t));
    h = base_hash(h, &en->start, sizeof(en->start));
    return (h ^ h >> 29) % interval_ns;
}

static uint64_t interval_of(const struct plan *p, size_t i)
{
    return p->probes[p->pairs[i].probe].interval_ns;
}

// With another interval than before pairs are spread anew: over a longer one they would all come in the part
// that was the shorter one.
static void schedule(const struct engine *en, const struct plan *p, size_t i, struct flight *f,
                     uint64_t old_interval, uint64_t now_ns)
{
    uint64_t interval = interval_of(p, i);
    if (interval != old_interval || f->next_ns > now_ns + interval)
        f->next_ns = now_ns + phase_of(en, p, i, interval);
    else if (f->next_ns + interval <
             now_ns) // it paused, or was gone: on at its phase, with nothing to make up for
        f->next_ns += ((now_ns - f->next_ns) / interval + 1) * interval;
}

// Keeps the zones' sums from falling: what was counted by pairs that are dropped, or whose destination is in
// another zone now.
static void keep_sums(const struct engine *en, struct change *c, const struct plan *p)
{
    size_t i = 0;
    zone_rtt_carry(&c->gone, p, &en->gone, en->plan);
    for (size_t j = 0; j < en->plan->n_pairs; j++) {
        const struct stats *s = flight_stats(en->flights[j]);
        while (i < p->n_pairs && c->from[i] <= j)
            i++;
        bool stays = i < p->n_pairs && c->from[i] == j + 1;
        if (stays &&
            strcmp(p->dests[p->pairs[i].dest].zone, en->plan->dests[en->plan->pairs[j].dest].zone) == 0)
            continue;
        zone_rtt_add(&c->gone, p, en->plan, j, s);
        if (stays)
            zone_rtt_take(&c->gone, p, p, i, s);
    }
}

static void adopt(struct engine *en, struct change *c, const struct plan *p, bool same_bounds,
                  uint64_t now_ns)
{
    if (en->plan && same_bounds)
        keep_sums(en, c, p);
    for (size_t i = 0; i < p->n_pairs; i++) { // what stays
        struct flight *f = c->flights[i], *old = c->from[i] ? en->flights[c->from[i] - 1] : NULL;
        if (old && f != old) {
            size_t own = own_size(en->plan, c->from[i] - 1, old->n_slots);
            flight_move(f, old, MIN(own, own_size(p, i, f->n_slots)));
            free(old);
        }
        if (old) {
            en->flights[c->from[i] - 1] = NULL;
            c->by_id[f->id] = f;
            if (!same_bounds)
                stats_reset_rtt(flight_stats(f));
        }
        f->index = (uint32_t)i;
        schedule(en, p, i, f, old ? interval_of(en->plan, c->from[i] - 1) : 0, now_ns);
    }
    uint32_t id = 0;
    for (size_t i = 0; i < p->n_pairs; i++) { // what is new
        if (c->from[i])
            continue;
        while (c->by_id[id])
            id++;
        c->flights[i]->id = id;
        c->flights[i]->seq_next = c->flights[i]->seq_old = (uint32_t)engine_random(en);
        c->by_id[id] = c->flights[i];
    }
}

static bool bounds_equal(const struct plan *a, const struct plan *b)
{
    return a->n_bounds == b->n_bounds &&
           memcmp(a->bounds_ns, b->bounds_ns, a->n_bounds * sizeof(a->bounds_ns[0])) == 0;
}

int engine_apply(struct engine *en, struct plan *p, uint64_t now_ns, struct err *e)
{
    CLEANUP(change_release) struct change c = {.en = en};
    if (change_prepare(&c, p) != 0 || failures_init(&c.failures, p, &en->failures) != 0)
        return err_set(e, ENOMEM, "no memory for %zu pairs", p->n_pairs);
    adopt(en, &c, p, !en->plan || bounds_equal(en->plan, p), now_ns);

    for (size_t i = 0; en->plan && i < en->plan->n_pairs; i++) // what is dropped
        free(en->flights[i]);
    free(en->flights);
    free(en->by_id);
    free(en->heap);
    zone_rtt_release(&en->gone);
    failures_carry(&c.failures, &en->failures);
    failures_release(&en->failures);
    plan_free(en->plan);
    en->flights = TAKE_PTR(c.flights);
    en->by_id = TAKE_PTR(c.by_id);
    en->heap = TAKE_PTR(c.heap);
    en->gone = c.gone;
    c.gone = (struct zone_rtt){0};
    en->failures = c.failures;
    c.failures = (struct failures){0};
    c.n = 0;
    en->n_ids = (uint32_t)MAX(p->n_pairs, en->n_ids);
    en->plan = p;
    en->probes_per_ks = 0;
    for (size_t i = 0; i < p->n_pairs; i++)
        if (!p->pairs[i].gone)
            en->probes_per_ks += 1000 * NS_PER_S / p->probes[p->pairs[i].probe].interval_ns;
    engine_heap_fill(en);
    return 0;
}
