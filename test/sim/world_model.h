// SPDX-License-Identifier: Apache-2.0
// The state of a world for the engine, and a naive model of what must be counted: lists that are searched, no
// ring, no heap. For world.h.
#ifndef KUBECANARY_TEST_SIM_WORLD_MODEL_H
#define KUBECANARY_TEST_SIM_WORLD_MODEL_H

#include <errno.h>

#include "agent/engine.h"
#include "agent/flight.h"
#include "agent/probe_stamp.h"
#include "agent/sock.h"
#include "lib/limits.h"
#include "test/sim/sim.h"

#define MS NS_PER_MS
#define ROWS 2048
#define REMEMBERED 512
#define WHYS 64

struct link { // probabilities in 1/1000
    unsigned loss, unreachable, short_error, corrupt, duplicate, send_error, slow, too_slow, no_tx, no_rx,
        unexpected;
    uint64_t delay_ns, jitter_ns;
};

enum probe_state { FLYING, ANSWERED, ENDED };
struct probe {
    struct engine_token t;
    uint64_t sent_ns, tx_ns; // tx_ns 0: the engine was told of none
    enum probe_state state;
    bool reflected;  // STAMP: it came to the reflector
    bool lost_there; // it is one of ways.lost[STAMP_PATH_FORWARD]
};

// STAMP: the reflector's side of a pair, and on which way losses were.
struct ways {
    uint32_t number[LIMIT_STAMP_FLOWS]; // of the reflector's next answer in each session
    uint32_t opened[LIMIT_STAMP_FLOWS]; // number of the first probe of a session that was answered; 0: none
    uint64_t lost[STAMP_PATH_WAYS];     // after that
    uint64_t flow_lost[LIMIT_STAMP_FLOWS];
    bool doubtful; // the reflector began again
};

struct row { // what the model knows of one pair
    bool used;
    uint32_t life; // counts re-uses: packets of an earlier life match nothing
    char key[128];
    uint64_t hash; // of key
    uint64_t sent, results[STATS_RESULTS], duplicates, reordered, rtt_sum_ns, in_flight;
    uint64_t n_rtt;                   // in the histogram since the bounds changed
    uint32_t base;                    // seq of the first probe
    uint32_t high[LIMIT_STAMP_FLOWS]; // number (from 1 on) of the latest that was answered, of each flow
    struct ways ways;
    size_t pair;     // in the plan in force
    size_t n, first; // no probe before `first` is in flight
    struct probe *list;
};

enum kind { REPLY, UNREACHABLE, SHORT_ERROR, TX_STAMP, REFLECT };
struct packet {
    struct sim_at when;
    enum kind kind;
    size_t row;
    uint32_t life;
    struct engine_token t;
    struct addr to;
    enum reason reason;
    uint64_t rtt_ns;  // of a TCP connect
    uint64_t back_ns; // REFLECT: what the way back takes
    uint32_t number;  // REPLY of STAMP: the reflector's
    bool corrupt, unexpected, no_rx, lost_back;
};

struct why { // why probes of a name and family failed, of all pairs, those that went too
    char probe[LIMIT_PROBE_NAME + 1];
    unsigned family;
    uint64_t n[REASONS + REASON_ERRORS];
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
    struct row *active[ROWS];  // rows with a probe in flight, and some that had one
    size_t n_active;
    bool tidy;              // STAMP: nothing gets to the reflector a reach later, so losses are told exactly
    uint8_t held[ROWS];     // by destination: families that are not to be probed
    struct sim_queue queue; // of packets
    uint64_t sends, failures;
    size_t n_why;
    struct why why[WHYS];
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
    uint64_t hash = base_hash(BASE_HASH_INIT, key, strlen(key));
    for (size_t i = 0; i < ROWS; i++) {
        if (w->rows[i].used && w->rows[i].hash == hash && strcmp(w->rows[i].key, key) == 0)
            return &w->rows[i];
        if (!w->rows[i].used && !spare)
            spare = &w->rows[i];
    }
    if (!spare)
        abort(); // more pairs than the world has room for: a bug of the test
    *spare = (struct row){.used = true,
                          .life = spare->life + 1,
                          .hash = hash,
                          .list = calloc(REMEMBERED, sizeof(struct probe))};
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

// --- STAMP ---------------------------------------------------------------------------------------

// 1, 2, 3 ...: the engine begins anywhere.
static uint32_t row_number(const struct row *row, uint32_t seq)
{
    return seq - row->base + 1;
}

static unsigned row_flow(const struct row *row, const struct plan_probe *r, uint32_t seq)
{
    return (seq - row->base) % MAX((unsigned)r->flows, 1u);
}

static void row_lose(struct row *row, const struct plan_probe *r, struct probe *p)
{
    unsigned flow = row_flow(row, r, p->t.seq);
    row_end(row, p, ENDED, STATS_LOST);
    if (r->type != SPEC_STAMP)
        return;
    row->ways.flow_lost[flow]++;
    if (!row->ways.opened[flow] || row->ways.opened[flow] >= row_number(row, p->t.seq))
        return;
    p->lost_there = !p->reflected;
    row->ways.lost[p->reflected ? STAMP_PATH_BACKWARD : STAMP_PATH_FORWARD]++;
}

// It came to the reflector, maybe when nobody waited for it any more: then it got there all the same.
static void row_reflect(struct row *row, struct probe *p)
{
    p->reflected = true;
    if (!p->lost_there)
        return;
    p->lost_there = false;
    row->ways.lost[STAMP_PATH_FORWARD]--;
    row->ways.lost[STAMP_PATH_BACKWARD]++;
}

// What is told of losses is never more than there were, at any moment; exactly: at the end, once others have
// been answered since.
static void row_check_ways(struct world *w, const struct row *row, const struct plan_probe *r, bool exactly)
{
    const struct stamp_path *p = probe_stamp_path(w->en, row->pair);
    const struct ways *m = &row->ways;
    if (p->lost[0] + p->lost[1] > row->results[STATS_LOST])
        SIM_FAIL(w, "%s: more losses are told than there were", row->key);
    for (unsigned k = 0; k < STAMP_PATH_WAYS && w->tidy && !m->doubtful; k++)
        if (exactly ? p->lost[k] != m->lost[k] : p->lost[k] > m->lost[k])
            SIM_FAIL(w, "%s: %s is %" PRIu64 ", want %" PRIu64, row->key,
                     stamp_path_way_name((enum stamp_path_way)k), p->lost[k], m->lost[k]);
    for (unsigned k = 0; k < r->flows; k++) {
        uint64_t told = stamp_path_flow_lost(p, k);
        if (exactly ? told != m->flow_lost[k] : told > m->flow_lost[k])
            SIM_FAIL(w, "%s: flow %u lost %" PRIu64 ", want %" PRIu64, row->key, k, told, m->flow_lost[k]);
    }
}

// --- comparing -----------------------------------------------------------------------------------

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

static const struct plan_probe *world_probe(const struct world *w, size_t pair)
{
    const struct plan *p = engine_plan(w->en);
    return &p->probes[p->pairs[pair].probe];
}

static void world_check_row(struct world *w, const struct row *row)
{
    const struct plan_probe *r = world_probe(w, row->pair);
    row_check(w, row, engine_stats(w->en, row->pair));
    if (r->type == SPEC_STAMP)
        row_check_ways(w, row, r, false);
}

// Counts a failure of a pair: `what` is a reason, or REASONS + reason_error.
static void world_why(struct world *w, size_t pair, unsigned what)
{
    const struct plan *p = engine_plan(w->en);
    const char *probe = p->probes[p->pairs[pair].probe].name;
    size_t i = 0;
    while (i < w->n_why && (strcmp(w->why[i].probe, probe) != 0 || w->why[i].family != p->pairs[pair].family))
        i++;
    if (i == WHYS)
        abort();
    if (i == w->n_why) {
        w->why[w->n_why++] = (struct why){.family = p->pairs[pair].family};
        snprintf(w->why[i].probe, sizeof(w->why[i].probe), "%s", probe);
    }
    w->why[i].n[what]++;
}

// What the plan has no probe of any more is forgotten.
static void world_why_forget(struct world *w)
{
    const struct plan *p = engine_plan(w->en);
    for (size_t i = 0; i < w->n_why;) {
        bool there = false;
        for (size_t k = 0; k < p->n_probes; k++)
            there = there || strcmp(p->probes[k].name, w->why[i].probe) == 0;
        if (there)
            i++;
        else
            w->why[i] = w->why[--w->n_why];
    }
}

static void failures_check(struct world *w)
{
    const struct failures *f = engine_failures(w->en);
    size_t found = 0;
    for (size_t r = 0; r < f->n; r++) {
        static const struct why none;
        const struct why *want = &none;
        for (size_t i = 0; i < w->n_why; i++)
            if (strcmp(w->why[i].probe, f->rows[r].probe) == 0 && w->why[i].family == f->rows[r].family)
                want = &w->why[i];
        found += want != &none;
        if (memcmp(want->n, f->rows[r].unreachable, sizeof(f->rows[r].unreachable)) != 0 ||
            memcmp(want->n + REASONS, f->rows[r].errors, sizeof(f->rows[r].errors)) != 0)
            SIM_FAIL(w, "%s, family %u: why probes failed is not as it was", f->rows[r].probe,
                     f->rows[r].family);
    }
    if (found != w->n_why)
        SIM_FAIL(w, "%zu rows of why probes failed, want %zu", found, w->n_why);
}

static void world_check(struct world *w)
{
    for (size_t i = 0; i < engine_plan(w->en)->n_pairs; i++)
        world_check_row(w, w->by_pair[i]);
    failures_check(w);
}

static void world_fit_stamp(struct world *w, size_t pair)
{
    const struct plan_probe *r = world_probe(w, pair);
    struct engine_own own = engine_own(w->en, pair);
    if (r->type == SPEC_STAMP)
        stamp_path_fit(own.bytes, r->flows, own.slots);
}

// After a new plan: finds each pair's row, forgets those that it no longer has, compares the rest.
static void world_planned(struct world *w)
{
    const struct plan *p = engine_plan(w->en);
    bool kept[ROWS] = {false};
    char key[128];
    w->n_active = 0;
    for (size_t i = 0; i < p->n_pairs && i < ROWS; i++) {
        w->by_pair[i] = world_row(w, world_key(p, i, key));
        w->by_pair[i]->pair = i;
        kept[w->by_pair[i] - w->rows] = true;
        world_fit_stamp(w, i);
        if (w->by_pair[i]->in_flight)
            w->active[w->n_active++] = w->by_pair[i];
    }
    for (size_t i = 0; i < ROWS; i++) {
        if (w->rows[i].used && !kept[i]) {
            free(w->rows[i].list);
            w->rows[i].list = NULL;
            w->rows[i].used = false;
        }
    }
    world_why_forget(w);
    world_check(w);
}

#endif
