// SPDX-License-Identifier: Apache-2.0
// A world for the engine: a clock that jumps from tick to tick, and a network that loses, delays, doubles,
// breaks and refuses. What the engine says is compared with the model of world_model.h after every event.
#ifndef KUBECANARY_TEST_SIM_WORLD_H
#define KUBECANARY_TEST_SIM_WORLD_H

#include "test/sim/world_model.h"

// --- the network ---------------------------------------------------------------------------------

static void world_push(struct world *w, struct packet p)
{
    sim_push(&w->queue, &p.when);
}

// What the docs promise: as much as the timeout again, an interval at most, and 5 s.
static uint64_t world_grace(const struct plan_probe *r)
{
    return MIN(MIN(r->timeout_ns, r->interval_ns), 5 * NS_PER_S);
}

// And that a probe without an answer ends with the first tick of the grace's last two.
static uint64_t world_patience(const struct world *w, const struct plan_probe *r)
{
    uint64_t ticks = 2 * engine_tick_ns(w->en), grace = world_grace(r);
    return r->timeout_ns + (grace > ticks ? grace - ticks : 0);
}

// How long this probe's answer takes. Never so near to the end of the grace that a tick's doubt would decide;
// nor to the timeout, unless every stamp is there.
static uint64_t world_delay(struct world *w, const struct plan_probe *r)
{
    uint64_t d = w->link.delay_ns + (w->link.jitter_ns ? world_random(w) % w->link.jitter_ns : 0);
    uint64_t late = world_patience(w, r) - r->timeout_ns;
    uint64_t near = w->exact ? MS : MIN(250 * MS, late / 2);
    if (world_chance(w, w->link.slow) && late > 100 * MS)
        d = r->timeout_ns + near + world_random(w) % (late - MS - near);
    else if (world_chance(w, w->link.too_slow))
        d = r->timeout_ns + world_grace(r) + 250 * MS + world_random(w) % r->timeout_ns;
    return d;
}

static enum kind world_fate(struct world *w, enum spec_probe_type type)
{
    if (world_chance(w, w->link.unreachable))
        return UNREACHABLE;
    if (type == SPEC_ICMP && world_chance(w, w->link.short_error))
        return SHORT_ERROR;
    return type == SPEC_STAMP ? REFLECT : REPLY;
}

// Half of a STAMP probe's losses, and of its doubles, are on the way there; k is on its way to the reflector.
// What is late or broken is not doubled on that way: two of its answers' numbers could be missing then, which
// looks like two losses.
static void world_carry_stamp(struct world *w, struct packet k, const struct plan_probe *r, uint64_t tx,
                              uint64_t delay)
{
    bool there = world_chance(w, 500);
    k.lost_back = !there && world_chance(w, 2 * w->link.loss);
    if (there && world_chance(w, 2 * w->link.loss))
        return;
    k.when.at_ns = tx + delay / 2;
    k.back_ns = delay - delay / 2;
    world_push(w, k);
    bool plain = !k.corrupt && !k.lost_back && delay < r->timeout_ns;
    if (there && plain && world_chance(w, w->link.duplicate)) {
        k.when.at_ns += 1 + world_random(w) % (5 * MS);
        world_push(w, k);
    }
}

static void world_double(struct world *w, struct packet k, const struct plan_probe *r)
{
    bool may = k.kind == REPLY && (r->type == SPEC_ICMP || r->type == SPEC_STAMP);
    if (may && world_chance(w, w->link.duplicate)) {
        k.when.at_ns += 1 + world_random(w) % (r->interval_ns / 3);
        world_push(w, k);
    }
}

// What the network makes of a probe.
static void world_carry(struct world *w, const struct engine_send *s, const struct row *row, uint64_t sent_ns)
{
    const struct plan_probe *r = world_probe(w, s->pair);
    bool stamped = s->type != SPEC_TCP;
    struct packet k = {.row = (size_t)(row - w->rows), .life = row->life, .t = s->token, .to = s->to};
    uint64_t tx = sent_ns + world_random(w) % (20 * NS_PER_US), delay = world_delay(w, r);
    if (stamped && !world_chance(w, w->link.no_tx)) {
        k.kind = TX_STAMP;
        k.when.at_ns = tx;
        world_push(w, k);
    }
    if (s->type != SPEC_STAMP && world_chance(w, w->link.loss))
        return;
    k.when.at_ns = tx + delay;
    k.kind = world_fate(w, s->type);
    k.reason = (enum reason)(world_random(w) % REASONS);
    k.rtt_ns = stamped ? 0 : delay;
    k.corrupt = stamped && world_chance(w, w->link.corrupt);
    k.unexpected = s->type == SPEC_DNS && world_chance(w, w->link.unexpected);
    k.no_rx = world_chance(w, w->link.no_rx) && delay + 250 * MS < r->timeout_ns;
    if (k.kind == REFLECT) {
        world_carry_stamp(w, k, r, tx, delay);
        return;
    }
    world_push(w, k);
    world_double(w, k, r);
}

// As probe_stamp does: the pair's own bytes.
static struct stamp_path *world_path(const struct world *w, const struct row *row)
{
    return world_probe(w, row->pair)->type == SPEC_STAMP ? engine_own(w->en, row->pair).bytes : NULL;
}

static void world_begin_stamp(const struct world *w, const struct row *row, uint32_t seq)
{
    const struct plan_probe *r = world_probe(w, row->pair);
    struct engine_own own = engine_own(w->en, row->pair);
    uint32_t number;
    if (r->type == SPEC_STAMP)
        stamp_path_begin(own.bytes, r->flows, own.slots, seq, &number);
}

static void world_send(struct world *w, const struct engine_send *s)
{
    const struct plan *p = engine_plan(w->en);
    const struct plan_dest *d = &p->dests[p->pairs[s->pair].dest];
    struct row *row = w->by_pair[s->pair];
    w->sends++;
    if (row->sent++ == 0)
        row->base = s->token.seq;
    if (row->in_flight++ == 0 && w->n_active < ROWS)
        w->active[w->n_active++] = row;
    world_begin_stamp(w, row, s->token.seq);
    if (!addr_equal(&s->to, &d->addr[p->pairs[s->pair].family]) || p->pairs[s->pair].gone)
        SIM_FAIL(w, "%s: sent to where the plan does not say", row->key);
    if (w->held[p->pairs[s->pair].dest] & FAMILY_BIT(p->pairs[s->pair].family))
        SIM_FAIL(w, "%s: sent to who is held back", row->key);
    if (row->n == REMEMBERED) {
        memmove(row->list, row->list + REMEMBERED / 2, REMEMBERED / 2 * sizeof(struct probe));
        row->n = REMEMBERED / 2;
        row->first = row->first > row->n ? row->first - row->n : 0;
    }
    struct probe *q = &row->list[row->n++];
    *q = (struct probe){.t = s->token, .sent_ns = w->now_ns + world_random(w) % (50 * NS_PER_US)};
    if (world_chance(w, w->link.send_error)) {
        static const int errnos[] = {ENETUNREACH, EPERM, ENOBUFS, EIO};
        int err = errnos[world_random(w) % ARRAY_LEN(errnos)];
        row_end(row, q, ENDED, STATS_SEND_ERROR);
        world_why(w, s->pair, REASONS + reason_error(err));
        engine_send_failed(w->en, &s->token, err);
        if (world_path(w, row))
            stamp_path_failed(world_path(w, row), s->token.seq);
        return;
    }
    engine_sent(w->en, &s->token, q->sent_ns);
    world_carry(w, s, row, q->sent_ns);
}

// --- what comes back -----------------------------------------------------------------------------

static void model_reply(struct world *w, struct row *row, struct probe *q, const struct packet *k,
                        uint64_t rx_ns)
{
    const struct plan_probe *r = world_probe(w, row->pair);
    if (q->state == ANSWERED)
        row->duplicates++;
    if (q->state != FLYING)
        return;
    if (k->corrupt) {
        row_end(row, q, ANSWERED, STATS_CORRUPT);
        return;
    }
    uint64_t start = q->tx_ns && rx_ns ? q->tx_ns : q->sent_ns, end = rx_ns ? rx_ns : w->now_ns;
    uint64_t rtt = k->rtt_ns ? k->rtt_ns : end - start;
    if (rtt > r->timeout_ns + world_grace(r)) {
        row_lose(row, r, q);
        return;
    }
    unsigned flow = row_flow(row, r, k->t.seq);
    uint32_t number = row_number(row, k->t.seq);
    if (number < row->high[flow])
        row->reordered++;
    row->high[flow] = MAX(row->high[flow], number);
    if (!row->ways.opened[flow])
        row->ways.opened[flow] = number;
    if (k->unexpected) {
        row_end(row, q, ANSWERED, STATS_UNEXPECTED);
        return;
    }
    row_end(row, q, ANSWERED, rtt <= r->timeout_ns ? STATS_RECEIVED : STATS_LATE);
    if (rtt <= r->timeout_ns) {
        row->rtt_sum_ns += rtt;
        row->n_rtt++;
    }
}

static void deliver_error(struct world *w, const struct packet *k, struct row *row, struct probe *q)
{
    struct engine_token found;
    bool flying = q && q->state == FLYING;
    if (flying) {
        row_end(row, q, ENDED, STATS_UNREACHABLE);
        world_why(w, row->pair, k->reason);
    }
    if (k->kind == UNREACHABLE) {
        if (engine_unreachable(w->en, &k->t, k->reason) && flying && world_path(w, row))
            stamp_path_refused(world_path(w, row), k->t.seq);
    } else if ((engine_find_at(w->en, &k->to, (uint16_t)k->t.seq, &found) &&
                engine_unreachable(w->en, &found, k->reason)) != flying)
        SIM_FAIL(w, "%s: a short error was not matched as it should be", row->key);
}

static void deliver_reply(struct world *w, const struct packet *k, struct row *row, struct probe *q,
                          uint64_t stamp)
{
    bool known = q && q->state != ENDED;
    if (q)
        model_reply(w, row, q, k, stamp ? k->when.at_ns : 0);
    struct engine_reply r = {.now_ns = w->now_ns,
                             .rx_ns = k->rtt_ns ? 0 : stamp,
                             .rtt_ns = k->rtt_ns,
                             .corrupt = k->corrupt,
                             .unexpected = k->unexpected};
    bool taken = engine_reply(w->en, &k->t, &r);
    struct stamp_path *path = taken && q ? world_path(w, row) : NULL;
    if (path && k->corrupt)
        stamp_path_corrupt(path, k->t.seq, k->number);
    else if (path)
        stamp_path_answered(path, k->t.seq, k->number);
    if (taken != known)
        SIM_FAIL(w, "%s: an answer was %s", row->key, known ? "not known" : "taken for ours");
}

// At the far end: the answer gets a number, and sets out. One of a pair that has gone is of no interest.
static void world_reflect(struct world *w, struct packet k, struct row *row, struct probe *q)
{
    if (!q)
        return;
    const struct plan_probe *r = world_probe(w, row->pair);
    row_reflect(row, q);
    k.number = row->ways.number[row_flow(row, r, k.t.seq)]++;
    if (k.lost_back)
        return;
    k.kind = REPLY;
    k.when.at_ns += k.back_ns;
    world_push(w, k);
    world_double(w, k, r);
}

static void world_deliver(struct world *w, const struct packet *k)
{
    struct row *row = &w->rows[k->row];
    bool lives = row->used && row->life == k->life;
    struct probe *q = lives ? row_find(row, &k->t) : NULL;
    int64_t offset = k->when.at_ns < w->step_ns ? w->real_before : w->real_offset;
    uint64_t stamp = k->no_rx ? 0 : sock_clock_convert(&w->clock, k->when.at_ns + (uint64_t)offset);
    switch (k->kind) {
    case TX_STAMP:
        if (stamp)
            engine_tx(w->en, &k->t, stamp);
        if (stamp && q)
            q->tx_ns = k->when.at_ns;
        break;
    case UNREACHABLE:
    case SHORT_ERROR: deliver_error(w, k, row, q); break;
    case REPLY: deliver_reply(w, k, row, q, stamp); break;
    case REFLECT: world_reflect(w, *k, row, q); break;
    }
    if (lives)
        world_check_row(w, row);
}

static void model_settle(struct world *w)
{
    for (size_t i = 0; i < w->n_active;) {
        struct row *row = w->active[i];
        const struct plan_probe *r = world_probe(w, row->pair);
        while (row->first < row->n && row->list[row->first].state != FLYING)
            row->first++;
        for (size_t k = row->first; k < row->n; k++)
            if (row->list[k].state == FLYING && row->list[k].sent_ns + world_patience(w, r) <= w->now_ns)
                row_lose(row, r, &row->list[k]);
        if (row->in_flight)
            i++;
        else
            w->active[i] = w->active[--w->n_active];
    }
}

// Sets the real-time clock by so much, somewhere since the last tick.
static void world_step(struct world *w, int64_t by_ns)
{
    w->real_before = w->real_offset;
    w->real_offset += by_ns;
    w->step_ns = w->now_ns + 1 + world_random(w) % MS;
}

static void world_send_all(struct engine_send *s, size_t n, void *arg)
{
    struct world *w = arg;
    for (size_t i = 0; i < n; i++)
        world_send(w, &s[i]);
    for (size_t i = 0; i < n; i++)
        world_check_row(w, w->by_pair[s[i].pair]);
}

// One tick of the agent at the time `at`.
static void world_tick(struct world *w, uint64_t at)
{
    static struct engine_send out[LIMIT_BURST];
    w->now_ns = at;
    sock_clock_update(&w->clock, w->now_ns, w->now_ns + (uint64_t)w->real_offset, NS_PER_US);
    struct packet k;
    while (sim_pop(&w->queue, w->now_ns, &k.when))
        world_deliver(w, &k);
    model_settle(w);
    engine_tick(w->en, w->now_ns, out, ARRAY_LEN(out), world_send_all, w);
}

#endif
