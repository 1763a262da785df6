// SPDX-License-Identifier: Apache-2.0
// The schedule (a heap of pairs by the time of their next event: a probe due, or one to be given up) and what
// becomes of each probe.
#include "agent/engine.h"

#include <assert.h>
#include <errno.h>

#include "agent/flight.h"

#define RANDOM_POOL 64

// A kernel stamp may be off against our own clock by this much: the clocks are read one after the other.
#define STAMP_SLACK_NS (1 * NS_PER_MS)

// Ticks (reference: docs, measured). A wake-up costs as much as ten probes, so few probes a second get a slow
// tick; many need a fast one, because the answers of one tick and the stamps of what was sent must fit the
// receive buffer that a default kernel grants (about 270 probes).
#define TICK_IDLE_NS (1 * NS_PER_S)
#define TICK_FEW_NS (100 * NS_PER_MS)
#define TICK_NS (50 * NS_PER_MS)
#define TICK_MANY_NS (20 * NS_PER_MS)
#define TICK_MIN_NS (5 * NS_PER_MS)
#define RATE_FEW 10
#define RATE_MANY 2000

struct event {
    uint64_t at_ns;
    struct flight *f;
};

struct engine {
    struct plan *plan;
    struct flight **flights; // by the plan's index
    struct flight **by_id;
    uint32_t n_ids; // room in by_id
    struct event *heap;
    size_t n_heap;
    bool stopped;
    uint64_t start; // random: agents that start together do not send together
    uint64_t probes_per_ks;
    engine_random_fn *random;
    void *random_arg;
    size_t n_pool;
    uint64_t pool[RANDOM_POOL];
    struct stats_agent agent;
};

static uint64_t random_u64(struct engine *en)
{
    if (en->n_pool == 0) {
        en->random(en->pool, RANDOM_POOL, en->random_arg);
        en->n_pool = RANDOM_POOL;
    }
    return en->pool[--en->n_pool];
}

struct engine *engine_new(engine_random_fn *random, void *arg, struct err *e)
{
    struct engine *en = calloc(1, sizeof(*en));
    if (!en) {
        err_set(e, ENOMEM, "no memory for the engine");
        return NULL;
    }
    en->random = random;
    en->random_arg = arg;
    en->start = random_u64(en);
    return en;
}

void engine_free(struct engine *en)
{
    if (!en)
        return;
    for (size_t i = 0; en->plan && i < en->plan->n_pairs; i++)
        free(en->flights[i]);
    free(en->flights);
    free(en->by_id);
    free(en->heap);
    plan_free(en->plan);
    free(en);
}

struct plan *engine_plan(const struct engine *en)
{
    return en->plan;
}

const struct stats *engine_stats(const struct engine *en, size_t i)
{
    return flight_stats(en->flights[i]);
}

const struct stats_agent *engine_agent_stats(const struct engine *en)
{
    return &en->agent;
}

struct stats_agent *engine_agent(struct engine *en)
{
    return &en->agent;
}

size_t engine_memory(const struct plan *p)
{
    size_t bytes = sizeof(struct engine) + plan_bytes(p);
    for (size_t i = 0; i < p->n_pairs; i++)
        bytes += flight_size(flight_slots_for(&p->probes[p->pairs[i].probe]), p->n_bounds);
    return bytes + (p->n_pairs + 1) * (2 * sizeof(struct flight *) + sizeof(struct event));
}

uint64_t engine_in_flight(const struct engine *en)
{
    uint64_t n = 0;
    for (size_t i = 0; en->plan && i < en->plan->n_pairs; i++)
        n += flight_stats(en->flights[i])->in_flight;
    return n;
}

static const struct plan_probe *probe_of(const struct engine *en, const struct flight *f)
{
    return &en->plan->probes[en->plan->pairs[f->index].probe];
}

static uint64_t wait_of(const struct plan_probe *r)
{
    return r->timeout_ns + r->grace_ns;
}

// --- the heap ------------------------------------------------------------------------------------

static bool is_sending(const struct engine *en, const struct flight *f)
{
    return !en->stopped && !en->plan->paused && !en->plan->pairs[f->index].gone;
}

static uint64_t event_of(const struct engine *en, const struct flight *f)
{
    uint64_t give_up = flight_deadline(f, wait_of(probe_of(en, f)));
    return is_sending(en, f) ? MIN(f->next_ns, give_up) : give_up;
}

static void sift_down(struct engine *en, size_t i)
{
    struct event x = en->heap[i];
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= en->n_heap)
            break;
        if (c + 1 < en->n_heap && en->heap[c + 1].at_ns < en->heap[c].at_ns)
            c++;
        if (x.at_ns <= en->heap[c].at_ns)
            break;
        en->heap[i] = en->heap[c];
        i = c;
    }
    en->heap[i] = x;
}

// Every pair that has something to wait for, from scratch: after a plan, and at the stop.
static void heap_fill(struct engine *en)
{
    en->n_heap = 0;
    for (size_t i = 0; i < en->plan->n_pairs; i++) {
        uint64_t at = event_of(en, en->flights[i]);
        if (at != UINT64_MAX)
            en->heap[en->n_heap++] = (struct event){at, en->flights[i]};
    }
    for (size_t i = en->n_heap / 2; i > 0; i--)
        sift_down(en, i - 1);
}

// The first pair's next event is at at_ns.
static void heap_update_first(struct engine *en, uint64_t at_ns)
{
    if (at_ns == UINT64_MAX)
        en->heap[0] = en->heap[--en->n_heap];
    else
        en->heap[0].at_ns = at_ns;
    if (en->n_heap > 0)
        sift_down(en, 0);
}

// --- a new plan ----------------------------------------------------------------------------------

struct change { // what engine_apply prepares before it touches anything
    struct flight **flights;
    struct flight **by_id;
    struct event *heap;
    uint32_t *from; // index in the old plan + 1; 0: new
    size_t n;       // flights filled
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
}

// The block for pair i of p: the old one if it has the right shape, else a new one.
static struct flight *block_for(const struct plan *p, size_t i, struct flight *old)
{
    uint16_t n_slots = flight_slots_for(&p->probes[p->pairs[i].probe]);
    if (!old)
        return flight_new(n_slots, p->n_bounds);
    while (n_slots < flight_window(old))
        n_slots = (uint16_t)(n_slots * 2);
    if (old->n_slots == n_slots && flight_stats(old)->n_buckets == p->n_bounds)
        return old;
    return flight_new(n_slots, p->n_bounds);
}

static int change_prepare(struct change *c, const struct plan *p)
{
    const struct plan *old = c->en->plan;
    size_t n_ids = MAX(p->n_pairs, c->en->n_ids), j = 0;
    c->flights = calloc(p->n_pairs + 1, sizeof(*c->flights));
    c->by_id = calloc(n_ids + 1, sizeof(*c->by_id));
    c->heap = calloc(p->n_pairs + 1, sizeof(*c->heap));
    c->from = calloc(p->n_pairs + 1, sizeof(*c->from));
    if (!c->flights || !c->by_id || !c->heap || !c->from)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_pairs; i++) {
        while (old && j < old->n_pairs && plan_compare(old, j, p, i) < 0)
            j++;
        if (old && j < old->n_pairs && plan_compare(old, j, p, i) == 0)
            c->from[i] = (uint32_t)++j;
        struct flight *f = block_for(p, i, c->from[i] ? c->en->flights[c->from[i] - 1] : NULL);
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
    h = base_hash(h, &en->start, sizeof(en->start));
    return (h ^ h >> 29) % interval_ns;
}

static void schedule(const struct engine *en, const struct plan *p, size_t i, struct flight *f, bool carried,
                     uint64_t now_ns)
{
    uint64_t interval = p->probes[p->pairs[i].probe].interval_ns;
    if (!carried || f->next_ns > now_ns + interval)
        f->next_ns = now_ns + phase_of(en, p, i, interval);
    else if (f->next_ns + interval <
             now_ns) // it paused, or was gone: on at its phase, with nothing to make up for
        f->next_ns += ((now_ns - f->next_ns) / interval + 1) * interval;
}

static void adopt(struct engine *en, struct change *c, const struct plan *p, bool same_bounds,
                  uint64_t now_ns)
{
    for (size_t i = 0; i < p->n_pairs; i++) { // what stays
        struct flight *f = c->flights[i], *old = c->from[i] ? en->flights[c->from[i] - 1] : NULL;
        if (old && f != old) {
            flight_move(f, old);
            free(old);
        }
        if (old) {
            en->flights[c->from[i] - 1] = NULL;
            c->by_id[f->id] = f;
            if (!same_bounds)
                stats_reset_rtt(flight_stats(f));
        }
        f->index = (uint32_t)i;
        schedule(en, p, i, f, old != NULL, now_ns);
    }
    uint32_t id = 0;
    for (size_t i = 0; i < p->n_pairs; i++) { // what is new
        if (c->from[i])
            continue;
        while (c->by_id[id])
            id++;
        c->flights[i]->id = id;
        c->flights[i]->seq_next = c->flights[i]->seq_old = (uint32_t)random_u64(en);
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
    if (change_prepare(&c, p) != 0)
        return err_set(e, ENOMEM, "no memory for %zu pairs", p->n_pairs);
    adopt(en, &c, p, !en->plan || bounds_equal(en->plan, p), now_ns);

    for (size_t i = 0; en->plan && i < en->plan->n_pairs; i++) // what is dropped
        free(en->flights[i]);
    free(en->flights);
    free(en->by_id);
    free(en->heap);
    plan_free(en->plan);
    en->flights = TAKE_PTR(c.flights);
    en->by_id = TAKE_PTR(c.by_id);
    en->heap = TAKE_PTR(c.heap);
    c.n = 0;
    en->n_ids = (uint32_t)MAX(p->n_pairs, en->n_ids);
    en->plan = p;
    en->probes_per_ks = 0;
    for (size_t i = 0; i < p->n_pairs; i++)
        if (!p->pairs[i].gone)
            en->probes_per_ks += 1000 * NS_PER_S / p->probes[p->pairs[i].probe].interval_ns;
    heap_fill(en);
    return 0;
}

void engine_stop(struct engine *en)
{
    en->stopped = true;
    if (en->plan)
        heap_fill(en);
}

// --- sending -------------------------------------------------------------------------------------

uint64_t engine_tick_ns(const struct engine *en)
{
    if (!en->plan || en->plan->n_pairs == 0)
        return TICK_IDLE_NS;
    uint64_t rate = en->probes_per_ks / 1000;
    uint64_t tick = rate <= RATE_FEW ? TICK_FEW_NS : rate <= RATE_MANY ? TICK_NS : TICK_MANY_NS;
    if (en->plan->min_interval_ns)
        tick = MIN(tick, MAX(en->plan->min_interval_ns / 2, TICK_MIN_NS));
    return tick;
}

size_t engine_burst(const struct engine *en)
{
    uint64_t share = en->probes_per_ks * (engine_tick_ns(en) / NS_PER_MS) / 1000000;
    return MIN(4 * share + 16, LIMIT_BURST);
}

// Begins f's probe; its moment was f->next_ns or, when that is more than an interval ago, the last one that
// has passed.
static bool begin(struct engine *en, struct flight *f, uint64_t now_ns, struct engine_send *out)
{
    const struct plan_pair *pair = &en->plan->pairs[f->index];
    const struct plan_probe *r = &en->plan->probes[pair->probe];
    uint64_t missed = (now_ns - f->next_ns) / r->interval_ns;
    stats_delay_add(&en->agent.schedule_delay, now_ns - f->next_ns);
    en->agent.skipped += missed;
    f->next_ns += (missed + 1) * r->interval_ns;

    uint64_t cookie = random_u64(en);
    uint32_t seq;
    if (!flight_begin(f, cookie, now_ns, &seq)) {
        en->agent.skipped++;
        return false;
    }
    *out = (struct engine_send){
        .token = {f->id, seq, cookie},
        .pair = f->index,
        .type = r->type,
        .to = en->plan->dests[pair->dest].addr[pair->family],
        .port = r->port,
        .give_up_ns = now_ns + wait_of(r),
    };
    return true;
}

size_t engine_due(struct engine *en, uint64_t now_ns, struct engine_send *out, size_t max)
{
    size_t n = 0;
    while (en->n_heap > 0 && en->heap[0].at_ns <= now_ns) {
        struct flight *f = en->heap[0].f;
        flight_settle(f, now_ns, wait_of(probe_of(en, f)));
        bool due = is_sending(en, f) && f->next_ns <= now_ns;
        if (due && n < max)
            n += begin(en, f, now_ns, &out[n]);
        uint64_t at = event_of(en, f);
        heap_update_first(
            en, MAX(at, now_ns + 1)); // what finds no room is due again, the first of all, at the next tick
    }
    return n;
}

// --- what became of it ---------------------------------------------------------------------------

static struct flight_slot *find(const struct engine *en, const struct engine_token *t, struct flight **ret)
{
    if (t->id >= en->n_ids || !en->by_id[t->id])
        return NULL;
    *ret = en->by_id[t->id];
    return flight_find(*ret, t->seq, t->cookie);
}

void engine_sent(struct engine *en, const struct engine_token *t, uint64_t sent_ns)
{
    struct flight *f;
    struct flight_slot *s = find(en, t, &f);
    if (s)
        s->sent_ns = sent_ns;
}

static void end(struct flight *f, struct flight_slot *s, enum flight_state state, enum stats_result result)
{
    s->state = state;
    stats_end(flight_stats(f), result);
}

void engine_send_failed(struct engine *en, const struct engine_token *t)
{
    struct flight *f;
    struct flight_slot *s = find(en, t, &f);
    if (s && s->state == FLIGHT_FLYING)
        end(f, s, FLIGHT_ENDED, STATS_SEND_ERROR);
}

void engine_tx(struct engine *en, const struct engine_token *t, uint64_t tx_ns)
{
    struct flight *f;
    struct flight_slot *s = find(en, t, &f);
    if (s && s->state == FLIGHT_FLYING)
        flight_tx_set(s, tx_ns);
}

// The best measure of the way there and back that the stamps allow.
static uint64_t rtt_of(struct engine *en, const struct flight_slot *s, const struct engine_reply *r)
{
    uint64_t tx = flight_tx(s);
    bool rx_ok =
        r->rx_ns && r->rx_ns <= r->now_ns + STAMP_SLACK_NS && r->rx_ns + STAMP_SLACK_NS >= s->sent_ns;
    if (rx_ok)
        stats_delay_add(&en->agent.receive_delay, r->now_ns > r->rx_ns ? r->now_ns - r->rx_ns : 0);
    enum stats_stamp source = r->rtt_ns || (rx_ok && tx && tx <= r->rx_ns) ? STATS_STAMP_KERNEL
                              : rx_ok                                      ? STATS_STAMP_KERNEL_RX
                                                                           : STATS_STAMP_USER;
    en->agent.stamps[source]++;
    if (r->rtt_ns)
        return r->rtt_ns;
    if (source == STATS_STAMP_KERNEL)
        return r->rx_ns - tx;
    uint64_t end_ns = source == STATS_STAMP_KERNEL_RX ? r->rx_ns : r->now_ns;
    return end_ns > s->sent_ns ? end_ns - s->sent_ns : 0;
}

static void answered(struct engine *en, struct flight *f, struct flight_slot *s, uint32_t seq,
                     uint64_t rtt_ns)
{
    const struct plan_probe *r = probe_of(en, f);
    struct stats *st = flight_stats(f);
    if (rtt_ns > wait_of(r)) { // we were asleep: it came when nobody should have waited any more
        end(f, s, FLIGHT_ENDED, STATS_LOST);
        return;
    }
    if (f->high && (int32_t)(seq - f->seq_high) < 0)
        st->reordered++;
    else
        f->seq_high = seq;
    f->high = true;
    s->state = FLIGHT_ANSWERED;
    if (rtt_ns <= r->timeout_ns)
        stats_receive(st, en->plan->bounds_ns, rtt_ns);
    else
        stats_end(st, STATS_LATE);
}

bool engine_reply(struct engine *en, const struct engine_token *t, const struct engine_reply *r)
{
    struct flight *f;
    struct flight_slot *s = find(en, t, &f);
    if (s && s->state == FLIGHT_ANSWERED) {
        flight_stats(f)->duplicates++;
        return true;
    }
    if (!s || s->state != FLIGHT_FLYING)
        return false;
    if (r->corrupt)
        end(f, s, FLIGHT_ANSWERED, STATS_CORRUPT);
    else
        answered(en, f, s, t->seq, rtt_of(en, s, r));
    return true;
}

bool engine_unreachable(struct engine *en, const struct engine_token *t)
{
    struct flight *f;
    struct flight_slot *s = find(en, t, &f);
    if (s && s->state == FLIGHT_FLYING)
        end(f, s, FLIGHT_ENDED, STATS_UNREACHABLE);
    return s != NULL;
}

bool engine_unreachable_at(struct engine *en, const struct addr *to, uint16_t seq)
{
    struct flight *match = NULL;
    struct flight_slot *slot = NULL;
    for (size_t i = 0; en->plan && i < en->plan->n_pairs; i++) {
        const struct plan_pair *pair = &en->plan->pairs[i];
        struct flight *f = en->flights[i];
        if (en->plan->probes[pair->probe].type != SPEC_ICMP || flight_stats(f)->in_flight == 0 ||
            !addr_equal(&en->plan->dests[pair->dest].addr[pair->family], to))
            continue;
        for (uint32_t k = f->seq_old; k != f->seq_next; k++) {
            struct flight_slot *s = &f->slots[k & (uint32_t)(f->n_slots - 1)];
            if ((uint16_t)k != seq || s->state != FLIGHT_FLYING)
                continue;
            if (slot)
                return false;
            match = f;
            slot = s;
        }
    }
    if (!slot)
        return false;
    end(match, slot, FLIGHT_ENDED, STATS_UNREACHABLE);
    return true;
}
