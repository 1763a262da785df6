// SPDX-License-Identifier: Apache-2.0
// A world for the engine: a clock that jumps from tick to tick, a network that loses, delays, doubles, breaks
// and refuses, and a naive model of what must be counted (lists that are searched, no ring, no heap),
// compared with the engine after every event.
#ifndef KUBECANARY_TEST_SIM_WORLD_H
#define KUBECANARY_TEST_SIM_WORLD_H

#include "agent/engine.h"
#include "agent/flight.h"
#include "agent/sock.h"
#include "test/sim/sim.h"

#define MS NS_PER_MS
#define ROWS 512
#define REMEMBERED 2048

struct link { // probabilities in 1/1000
    unsigned loss, unreachable, short_error, corrupt, duplicate, send_error, slow, too_slow, no_tx, no_rx;
    uint64_t delay_ns, jitter_ns;
};

enum probe_state { FLYING, ANSWERED, ENDED };
struct probe {
    struct engine_token t;
    uint64_t sent_ns, tx_ns; // tx_ns 0: the engine was told of none
    enum probe_state state;
};

struct row { // what the model knows of one pair
    bool used;
    uint32_t life; // counts re-uses: packets of an earlier life match nothing
    char key[128];
    uint64_t sent, results[STATS_RESULTS], duplicates, reordered, rtt_sum_ns, in_flight;
    uint64_t n_rtt; // in the histogram since the bounds changed
    uint32_t high;
    bool has_high;
    size_t pair;     // in the plan in force
    size_t n, first; // no probe before `first` is in flight
    struct probe *list;
};

enum kind { REPLY, UNREACHABLE, SHORT_ERROR, TX_STAMP };
struct packet {
    struct sim_at when;
    enum kind kind;
    size_t row;
    uint32_t life;
    struct engine_token t;
    struct addr to;
    uint64_t rtt_ns; // of a TCP connect
    bool corrupt, no_rx;
};

struct world {
    uint64_t seed, random;
    uint64_t now_ns;
    int64_t real_offset; // real time minus ours, since step_ns
    int64_t real_before; // and before
    uint64_t step_ns;
    struct sock_clock clock;
    bool exact; // every stamp is there and the clock is steady: RTTs must agree to the ns
    struct engine *en;
    struct link link;
    struct row rows[ROWS];
    struct row *by_pair[ROWS]; // of the plan in force
    uint8_t held[ROWS];        // by destination: families that are not to be probed
    struct sim_queue queue;    // of packets
    uint64_t sends, failures;
};

static uint64_t world_random(struct world *w)
{
    return sim_random(&w->random);
}

static bool world_chance(struct world *w, unsigned per_mille)
{
    return world_random(w) % 1000 < per_mille;
}

static void world_fill(uint64_t *out, size_t n, void *arg)
{
    for (size_t i = 0; i < n; i++)
        out[i] = world_random(arg);
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));
    struct err e;
    if (!w)
        abort();
    w->seed = sim_seed();
    w->queue.size = sizeof(struct packet);
    w->random = w->seed;
    w->now_ns = 1000 * NS_PER_S;
    w->real_offset = w->real_before = (int64_t)(1700000000 * NS_PER_S);
    w->en = engine_new(world_fill, w, &e);
    return w;
}

static void world_free(struct world *w)
{
    engine_free(w->en);
    for (size_t i = 0; i < ROWS; i++)
        free(w->rows[i].list);
    free(w->queue.list);
    free(w);
}

// --- rows ----------------------------------------------------------------------------------------

static const char *world_key(const struct plan *p, size_t i, char out[128])
{
    const struct plan_pair *r = &p->pairs[i];
    snprintf(out, 128, "%d/%s/%s/%u", p->dests[r->dest].target, p->dests[r->dest].name,
             p->probes[r->probe].name, r->family);
    return out;
}

static struct row *world_row(struct world *w, const char *key)
{
    struct row *spare = NULL;
    for (size_t i = 0; i < ROWS; i++) {
        if (w->rows[i].used && strcmp(w->rows[i].key, key) == 0)
            return &w->rows[i];
        if (!w->rows[i].used && !spare)
            spare = &w->rows[i];
    }
    if (!spare)
        abort(); // more pairs than the world has room for: a bug of the test
    *spare =
        (struct row){.used = true, .life = spare->life + 1, .list = calloc(REMEMBERED, sizeof(struct probe))};
    snprintf(spare->key, sizeof(spare->key), "%s", key);
    return spare;
}

static struct probe *row_find(struct row *r, const struct engine_token *t)
{
    for (size_t i = r->n; i > 0; i--)
        if (r->list[i - 1].t.cookie == t->cookie)
            return &r->list[i - 1];
    return NULL;
}

static void row_end(struct row *r, struct probe *p, enum probe_state state, enum stats_result result)
{
    p->state = state;
    r->results[result]++;
    r->in_flight--;
}

static void row_check(struct world *w, const struct row *r, const struct stats *s)
{
    uint64_t sum = s->in_flight;
    for (unsigned k = 0; k < STATS_RESULTS; k++) {
        sum += s->results[k];
        if (s->results[k] != r->results[k])
            SIM_FAIL(w, "%s: %s is %" PRIu64 ", want %" PRIu64, r->key, stats_result_name(k),
                     (uint64_t)s->results[k], r->results[k]);
    }
    if (sum != s->sent || !stats_consistent(s))
        SIM_FAIL(w, "%s: sent %" PRIu64 " but results + in flight = %" PRIu64, r->key, (uint64_t)s->sent,
                 sum);
    if (s->sent != r->sent || s->in_flight != r->in_flight)
        SIM_FAIL(w, "%s: sent %" PRIu64 " in flight %u, want %" PRIu64 " and %" PRIu64, r->key,
                 (uint64_t)s->sent, s->in_flight, r->sent, r->in_flight);
    if (s->duplicates != r->duplicates || s->reordered != r->reordered)
        SIM_FAIL(w, "%s: duplicates %" PRIu64 " reordered %" PRIu64 ", want %" PRIu64 " and %" PRIu64, r->key,
                 (uint64_t)s->duplicates, (uint64_t)s->reordered, r->duplicates, r->reordered);
    if (stats_rtt_count(s) != r->n_rtt)
        SIM_FAIL(w, "%s: the histogram holds %" PRIu64 ", want %" PRIu64, r->key, stats_rtt_count(s),
                 r->n_rtt);
    uint64_t off =
        s->rtt_sum_ns > r->rtt_sum_ns ? s->rtt_sum_ns - r->rtt_sum_ns : r->rtt_sum_ns - s->rtt_sum_ns;
    if (off > (w->exact ? 0 : r->n_rtt * 100 * NS_PER_US))
        SIM_FAIL(w, "%s: RTTs sum up to %" PRIu64 ", want %" PRIu64 " (of %" PRIu64 ")", r->key,
                 s->rtt_sum_ns, r->rtt_sum_ns, r->n_rtt);
}

static void world_check(struct world *w)
{
    for (size_t i = 0; i < engine_plan(w->en)->n_pairs; i++)
        row_check(w, w->by_pair[i], engine_stats(w->en, i));
}

// After a new plan: finds each pair's row, forgets those that it no longer has, compares the rest.
static void world_planned(struct world *w)
{
    const struct plan *p = engine_plan(w->en);
    bool kept[ROWS] = {false};
    char key[128];
    for (size_t i = 0; i < p->n_pairs && i < ROWS; i++) {
        w->by_pair[i] = world_row(w, world_key(p, i, key));
        w->by_pair[i]->pair = i;
        kept[w->by_pair[i] - w->rows] = true;
    }
    for (size_t i = 0; i < ROWS; i++) {
        if (w->rows[i].used && !kept[i]) {
            free(w->rows[i].list);
            w->rows[i].list = NULL;
            w->rows[i].used = false;
        }
    }
    world_check(w);
}

// --- the network ---------------------------------------------------------------------------------

static void world_push(struct world *w, struct packet p)
{
    sim_push(&w->queue, &p.when);
}

// How long this probe's answer takes. Never so near to the timeout or the end of the grace that a tick's
// doubt would decide.
static uint64_t world_delay(struct world *w, const struct plan_probe *r)
{
    uint64_t d = w->link.delay_ns + (w->link.jitter_ns ? world_random(w) % w->link.jitter_ns : 0);
    uint64_t margin = 250 * MS;
    if (world_chance(w, w->link.slow) && r->grace_ns > 2 * margin)
        d = r->timeout_ns + MS + world_random(w) % (r->grace_ns - margin - MS);
    else if (world_chance(w, w->link.too_slow))
        d = r->timeout_ns + r->grace_ns + margin + world_random(w) % r->timeout_ns;
    return d;
}

static enum kind world_fate(struct world *w, bool icmp)
{
    if (world_chance(w, w->link.unreachable))
        return UNREACHABLE;
    return icmp && world_chance(w, w->link.short_error) ? SHORT_ERROR : REPLY;
}

// What the network makes of a probe.
static void world_carry(struct world *w, const struct engine_send *s, const struct row *row, uint64_t sent_ns)
{
    const struct plan *p = engine_plan(w->en);
    const struct plan_probe *r = &p->probes[p->pairs[s->pair].probe];
    bool icmp = s->type == SPEC_ICMP;
    struct packet k = {.row = (size_t)(row - w->rows), .life = row->life, .t = s->token, .to = s->to};
    uint64_t tx = sent_ns + world_random(w) % (20 * NS_PER_US), delay = world_delay(w, r);
    if (icmp && !world_chance(w, w->link.no_tx)) {
        k.kind = TX_STAMP;
        k.when.at_ns = tx;
        world_push(w, k);
    }
    if (world_chance(w, w->link.loss))
        return;
    k.when.at_ns = tx + delay;
    k.kind = world_fate(w, icmp);
    k.rtt_ns = icmp ? 0 : delay;
    k.corrupt = icmp && world_chance(w, w->link.corrupt);
    k.no_rx = world_chance(w, w->link.no_rx) && delay + 250 * MS < r->timeout_ns;
    world_push(w, k);
    if (k.kind == REPLY && icmp && world_chance(w, w->link.duplicate)) {
        k.when.at_ns += 1 + world_random(w) % (r->interval_ns / 3);
        world_push(w, k);
    }
}

static void world_send(struct world *w, const struct engine_send *s)
{
    const struct plan *p = engine_plan(w->en);
    const struct plan_dest *d = &p->dests[p->pairs[s->pair].dest];
    struct row *row = w->by_pair[s->pair];
    w->sends++;
    row->sent++;
    row->in_flight++;
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
        row_end(row, q, ENDED, STATS_SEND_ERROR);
        engine_send_failed(w->en, &s->token);
        return;
    }
    engine_sent(w->en, &s->token, q->sent_ns);
    world_carry(w, s, row, q->sent_ns);
}

// --- what comes back -----------------------------------------------------------------------------

static void model_reply(struct world *w, struct row *row, struct probe *q, const struct packet *k,
                        uint64_t rx_ns)
{
    const struct plan *p = engine_plan(w->en);
    const struct plan_probe *r = &p->probes[p->pairs[row->pair].probe];
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
    if (rtt > r->timeout_ns + r->grace_ns) {
        row_end(row, q, ENDED, STATS_LOST);
        return;
    }
    if (row->has_high && (int32_t)(k->t.seq - row->high) < 0)
        row->reordered++;
    else
        row->high = k->t.seq;
    row->has_high = true;
    row_end(row, q, ANSWERED, rtt <= r->timeout_ns ? STATS_RECEIVED : STATS_LATE);
    if (rtt <= r->timeout_ns) {
        row->rtt_sum_ns += rtt;
        row->n_rtt++;
    }
}

static void deliver_error(struct world *w, const struct packet *k, struct row *row, struct probe *q)
{
    bool flying = q && q->state == FLYING;
    if (flying)
        row_end(row, q, ENDED, STATS_UNREACHABLE);
    if (k->kind == UNREACHABLE)
        engine_unreachable(w->en, &k->t);
    else if (engine_unreachable_at(w->en, &k->to, (uint16_t)k->t.seq) != flying)
        SIM_FAIL(w, "%s: a short error was not matched as it should be", row->key);
}

static void deliver_reply(struct world *w, const struct packet *k, struct row *row, struct probe *q,
                          uint64_t stamp)
{
    bool known = q && q->state != ENDED;
    if (q)
        model_reply(w, row, q, k, stamp ? k->when.at_ns : 0);
    struct engine_reply r = {
        .now_ns = w->now_ns, .rx_ns = k->rtt_ns ? 0 : stamp, .rtt_ns = k->rtt_ns, .corrupt = k->corrupt};
    if (engine_reply(w->en, &k->t, &r) != known)
        SIM_FAIL(w, "%s: an answer was %s", row->key, known ? "not known" : "taken for ours");
}

static void world_deliver(struct world *w, const struct packet *k)
{
    struct row *row = &w->rows[k->row];
    struct probe *q = row->used && row->life == k->life ? row_find(row, &k->t) : NULL;
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
    }
}

static void model_settle(struct world *w)
{
    const struct plan *p = engine_plan(w->en);
    for (size_t i = 0; i < p->n_pairs; i++) {
        const struct plan_probe *r = &p->probes[p->pairs[i].probe];
        struct row *row = w->by_pair[i];
        while (row->first < row->n && row->list[row->first].state != FLYING)
            row->first++;
        for (size_t k = row->first; k < row->n; k++)
            if (row->list[k].state == FLYING &&
                row->list[k].sent_ns + r->timeout_ns + r->grace_ns <= w->now_ns)
                row_end(row, &row->list[k], ENDED, STATS_LOST);
    }
}

// Sets the real-time clock by so much, somewhere since the last tick.
static void world_step(struct world *w, int64_t by_ns)
{
    w->real_before = w->real_offset;
    w->real_offset += by_ns;
    w->step_ns = w->now_ns + 1 + world_random(w) % MS;
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
    size_t n = engine_due(w->en, w->now_ns, out, engine_burst(w->en));
    model_settle(w);
    for (size_t i = 0; i < n; i++)
        world_send(w, &out[i]);
}

#endif
