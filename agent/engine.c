// SPDX-License-Identifier: Apache-2.0
// Beginning probes when they are due, and what becomes of each.
#include "agent/engine.h"

#include <errno.h>

#include "agent/engine_heap.h"

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

uint64_t engine_random(struct engine *en)
{
    if (en->n_pool == 0) {
        en->random(en->pool, ENGINE_RANDOM_POOL, en->random_arg);
        en->n_pool = ENGINE_RANDOM_POOL;
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
    en->start = engine_random(en);
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
    zone_rtt_release(&en->gone);
    failures_release(&en->failures);
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

const struct zone_rtt *engine_gone(const struct engine *en)
{
    return &en->gone;
}

const struct failures *engine_failures(const struct engine *en)
{
    return &en->failures;
}

void engine_on_failure(struct engine *en, engine_failure_fn *fn, void *arg)
{
    en->on_failure = fn;
    en->on_failure_arg = arg;
}

struct engine_own engine_own(const struct engine *en, size_t i)
{
    struct flight *f = en->flights[i];
    return (struct engine_own){.bytes = flight_own(f), .id = f->id, .slots = f->n_slots};
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
    size_t bytes = sizeof(struct engine) + plan_bytes(p) + zone_rtt_bytes(p) + failures_bytes(p);
    for (size_t i = 0; i < p->n_pairs; i++) {
        const struct plan_probe *r = &p->probes[p->pairs[i].probe];
        uint16_t n_slots = flight_slots_for(r);
        bytes += flight_size(n_slots, p->n_bounds, flight_own_size(r, n_slots));
    }
    return bytes + (p->n_pairs + 1) * (2 * sizeof(struct flight *) + sizeof(struct engine_event));
}

uint64_t engine_in_flight(const struct engine *en)
{
    uint64_t n = 0;
    for (size_t i = 0; en->plan && i < en->plan->n_pairs; i++)
        n += flight_stats(en->flights[i])->in_flight;
    return n;
}

void engine_stop(struct engine *en)
{
    en->stopped = true;
    if (en->plan)
        engine_heap_fill(en);
}

void engine_hold(struct engine *en, const uint8_t *held, uint64_t now_ns)
{
    for (size_t i = 0; i < en->plan->n_pairs; i++) {
        const struct plan_pair *pair = &en->plan->pairs[i];
        struct flight *f = en->flights[i];
        bool hold = held[pair->dest] & FAMILY_BIT(pair->family);
        if (f->held && !hold)
            engine_heap_skip(en, f, now_ns);
        f->held = hold;
    }
    engine_heap_fill(en);
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

    uint64_t cookie = engine_random(en);
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
        .give_up_ns = now_ns + engine_heap_wait(r),
    };
    return true;
}

size_t engine_due(struct engine *en, uint64_t now_ns, struct engine_send *out, size_t max)
{
    size_t n = 0;
    while (en->n_heap > 0 && en->heap[0].at_ns <= now_ns) {
        struct flight *f = en->heap[0].f;
        flight_settle(f, now_ns, engine_heap_patience(en, engine_heap_probe(en, f)));
        bool due = engine_heap_sending(en, f) && f->next_ns <= now_ns;
        if (due && n == max)
            break;
        if (due)
            n += begin(en, f, now_ns, &out[n]);
        engine_heap_update_first(en, MAX(engine_heap_event(en, f), now_ns + 1));
    }
    return n;
}

// Ends what waited too long of pairs that this tick has no room for.
static void settle(struct engine *en, uint64_t now_ns)
{
    for (size_t i = 0; i < en->n_heap; i++) {
        struct flight *f = en->heap[i].f;
        if (en->heap[i].at_ns <= now_ns)
            flight_settle(f, now_ns, engine_heap_patience(en, engine_heap_probe(en, f)));
    }
}

void engine_tick(struct engine *en, uint64_t now_ns, struct engine_send *out, size_t room,
                 engine_send_fn *send, void *arg)
{
    for (size_t left = engine_burst(en); left > 0 && room > 0;) {
        size_t piece = MIN(left, room), n = engine_due(en, now_ns, out, piece);
        send(out, n, arg);
        if (n < piece)
            return;
        left -= n;
    }
    settle(en, now_ns);
}

// --- what became of it ---------------------------------------------------------------------------

static struct flight_slot *find(const struct engine *en, const struct engine_token *t, struct flight **ret)
{
    if (t->id >= en->n_ids || !en->by_id[t->id])
        return NULL;
    *ret = en->by_id[t->id];
    return flight_find(*ret, t->seq, t->cookie);
}

bool engine_find(const struct engine *en, const struct engine_token *t, size_t *ret_pair)
{
    struct flight *f;
    if (!find(en, t, &f))
        return false;
    *ret_pair = f->index;
    return true;
}

bool engine_find_at(const struct engine *en, const struct addr *to, uint16_t seq, struct engine_token *ret)
{
    struct engine_token t = {0};
    unsigned found = 0;
    for (size_t i = 0; en->plan && i < en->plan->n_pairs; i++) {
        const struct plan_pair *pair = &en->plan->pairs[i];
        const struct flight *f = en->flights[i];
        if (en->plan->probes[pair->probe].type != SPEC_ICMP || flight_stats(f)->in_flight == 0 ||
            !addr_equal(&en->plan->dests[pair->dest].addr[pair->family], to))
            continue;
        for (uint32_t k = f->seq_old; k != f->seq_next; k++) {
            const struct flight_slot *s = &f->slots[k & (uint32_t)(f->n_slots - 1)];
            if ((uint16_t)k != seq || s->state != FLIGHT_FLYING)
                continue;
            t = (struct engine_token){f->id, k, s->cookie};
            found++;
        }
    }
    if (found == 1)
        *ret = t;
    return found == 1;
}

bool engine_waits(const struct engine *en, const struct engine_token *t, uint64_t *ret_sent_ns,
                  uint64_t *ret_until_ns)
{
    struct flight *f;
    const struct flight_slot *s = find(en, t, &f);
    if (!s || s->state != FLIGHT_FLYING)
        return false;
    *ret_sent_ns = s->sent_ns;
    *ret_until_ns = s->sent_ns + engine_heap_patience(en, engine_heap_probe(en, f));
    return true;
}

void engine_rename(struct engine *en, struct engine_token *t, uint64_t cookie)
{
    struct flight *f;
    struct flight_slot *s = find(en, t, &f);
    if (s)
        s->cookie = t->cookie = cookie;
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

static void end_unreachable(struct engine *en, struct flight *f, struct flight_slot *s, enum reason reason)
{
    struct failures_row *row = failures_of(&en->failures, en->plan, f->index);
    end(f, s, FLIGHT_ENDED, STATS_UNREACHABLE);
    if (row)
        row->unreachable[reason]++;
    if (en->on_failure)
        en->on_failure(f->index, STATS_UNREACHABLE, reason_name(reason), en->on_failure_arg);
}

static void end_unsent(struct engine *en, struct flight *f, struct flight_slot *s, unsigned error)
{
    struct failures_row *row = failures_of(&en->failures, en->plan, f->index);
    end(f, s, FLIGHT_ENDED, STATS_SEND_ERROR);
    if (row)
        row->errors[error]++;
    if (en->on_failure)
        en->on_failure(f->index, STATS_SEND_ERROR, reason_error_name(error), en->on_failure_arg);
}

void engine_unresolved(struct engine *en, const struct engine_token *t)
{
    struct flight *f;
    struct flight_slot *s = find(en, t, &f);
    if (s && s->state == FLIGHT_FLYING)
        end(f, s, FLIGHT_ENDED, STATS_UNRESOLVED);
}

bool engine_send_failed(struct engine *en, const struct engine_token *t, int err)
{
    struct flight *f;
    struct flight_slot *s = find(en, t, &f);
    if (!s || s->state != FLIGHT_FLYING)
        return false;
    end_unsent(en, f, s, reason_error(err));
    return true;
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
    bool kernel_rtt = r->rtt_ns && !r->user_rtt;
    enum stats_stamp source = kernel_rtt || (rx_ok && tx && tx <= r->rx_ns) ? STATS_STAMP_KERNEL
                              : rx_ok                                       ? STATS_STAMP_KERNEL_RX
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
                     const struct engine_reply *reply)
{
    uint64_t rtt_ns = rtt_of(en, s, reply);
    const struct plan_probe *r = engine_heap_probe(en, f);
    struct stats *st = flight_stats(f);
    if (rtt_ns > engine_heap_wait(r)) { // we were asleep: it came when nobody should have waited any more
        end(f, s, FLIGHT_ENDED, STATS_LOST);
        return;
    }
    // Flows are read one after another, and each has a way of its own: what is of another one overtook
    // nothing.
    st->reordered += flight_overtaken(f, seq, MAX((unsigned)r->flows, 1u));
    s->state = FLIGHT_ANSWERED;
    if (reply->unexpected) {
        stats_end(st, STATS_UNEXPECTED);
        return;
    }
    if (reply->held_ns <= rtt_ns) // otherwise it is not to be believed
        rtt_ns -= reply->held_ns;
    if (rtt_ns <= r->timeout_ns)
        stats_receive(st, en->plan->bounds_ns, rtt_ns);
    else
        stats_end(st, STATS_LATE);
}

bool engine_reply(struct engine *en, const struct engine_token *t, const struct engine_reply *r)
{
    struct flight *f;
    struct flight_slot *s = find(en, t, &f);
    if (s && (s->state == FLIGHT_ANSWERED || s->state == FLIGHT_CORRUPT)) {
        flight_stats(f)->duplicates++;
        return true;
    }
    if (!s || s->state != FLIGHT_FLYING)
        return false;
    if (r->corrupt)
        end(f, s, FLIGHT_CORRUPT, STATS_CORRUPT);
    else
        answered(en, f, s, t->seq, r);
    return true;
}

bool engine_unreachable(struct engine *en, const struct engine_token *t, enum reason reason)
{
    struct flight *f;
    struct flight_slot *s = find(en, t, &f);
    if (s && s->state == FLIGHT_FLYING)
        end_unreachable(en, f, s, reason);
    return s != NULL;
}
