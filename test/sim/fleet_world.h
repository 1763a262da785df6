// SPDX-License-Identifier: Apache-2.0
// A world for the leave protocol: a fleet of agents (engine, plan, presence, hints) on one virtual clock. The
// network loses no probe: one that nobody answers was sent to where nobody is. What agents tell each other is
// lost, delayed and doubled, and others forge it. Truth is kept beside: who was there when, and whether an
// agent can have known that another leaves.
#ifndef KUBECANARY_TEST_SIM_FLEET_WORLD_H
#define KUBECANARY_TEST_SIM_FLEET_WORLD_H

#include "agent/engine.h"
#include "agent/hints.h"
#include "agent/peer_rate.h"
#include "agent/peer_wire.h"
#include "agent/presence.h"
#include "test/sim/sim.h"

#define MS NS_PER_MS
#define MOST 16
#define TICK_NS (100 * MS)          // the longest of these engines
#define GRACE_NS (2 * NS_PER_S)     // the agent's default
#define SAME_QUESTION_NS (200 * MS) // an answer that is quicker is to the last question, surely
#define INTERVAL_NS NS_PER_S        // of the probes, and their timeout

struct fleet_link { // of messages; per mille
    unsigned loss, duplicate;
    uint64_t delay_ns; // of messages and probes, one way: up to
};

enum fleet_event_kind { TICK, TALK, RELOAD, PROBE, REPLY, MESSAGE };
struct fleet_event {
    struct sim_at when;
    enum fleet_event_kind kind;
    unsigned from, to; // nodes
    unsigned life;     // of the one that it is about: whom it goes to, or whose probe it is
    struct addr source, target;
    struct engine_token token;
    uint64_t sent_ns; // PROBE; MESSAGE: when its question was asked
    struct peer_wire m;
    bool after_hint; // a question that was asked after a hint had come, and its answer
};

// What one agent can know of another.
struct fleet_view {
    uint64_t hint_ns; // a hint of the departure that goes on came
    uint64_t told_ns; // a question of after that was answered "I leave"
    bool known;       // it was there, and is probed
};

struct fleet_node {
    bool in_files, up, leaving;
    unsigned life;   // counts starts
    uint8_t version; // of its address; in the files: file_version
    uint8_t file_version;
    enum peer_state state; // in the files
    uint64_t since_ns;     // it is up, or is not
    bool orderly;          // if it is not up: it left; else it died
    uint64_t file_ns;      // the files have its address since
    uint64_t read_ns;      // it has read files
    struct engine *en;
    struct presence *ps;
    struct hints hints;
    struct peer_rate rate;
    uint64_t unanswered;
    struct fleet_view views[MOST];
};

struct fleet_world {
    uint64_t seed, random, now_ns;
    bool both; // nodes[2 * i] and nodes[2 * i + 1] are the agents of one node, in the networks Pod and Node
    uint64_t lag_ns; // files are read so much later, at most
    struct fleet_link link;
    struct fleet_node nodes[MOST];
    struct sim_queue queue;             // of fleet_event
    uint64_t probes, excused, failures; // excused: nobody answered, and nobody could know
    uint64_t messages, forged;
};

static uint64_t fleet_random(struct fleet_world *w)
{
    return sim_random(&w->random);
}

static uint64_t fleet_up_to(struct fleet_world *w, uint64_t most)
{
    return fleet_random(w) % (most + 1);
}

static void fleet_fill(uint64_t *out, size_t n, void *arg)
{
    for (size_t i = 0; i < n; i++)
        out[i] = fleet_random(arg);
}

static void fleet_name(const struct fleet_world *w, unsigned node, char out[16])
{
    snprintf(out, 16, "n%02u", w->both ? node / 2 : node);
}

static enum spec_network fleet_network(const struct fleet_world *w, unsigned node)
{
    return w->both && node % 2 ? SPEC_NETWORK_NODE : SPEC_NETWORK_POD;
}

// Agents of one node do not probe each other.
static bool fleet_is_pair(const struct fleet_world *w, unsigned a, unsigned b)
{
    return a != b && !(w->both && a / 2 == b / 2);
}

static struct addr fleet_addr(enum family f, unsigned node, uint8_t version)
{
    struct addr a = {.family = (uint8_t)f, .set = 1};
    a.bytes[0] = f == FAMILY_IPV4 ? 198 : 0xfd;
    a.bytes[1] = version;
    a.bytes[3] = (uint8_t)node;
    return a;
}

// --- events --------------------------------------------------------------------------------------

static void fleet_push(struct fleet_world *w, struct fleet_event e)
{
    sim_push(&w->queue, &e.when);
}

// Of this life of a node.
static void fleet_later(struct fleet_world *w, enum fleet_event_kind kind, unsigned node, uint64_t at_ns)
{
    if (at_ns != UINT64_MAX)
        fleet_push(w, (struct fleet_event){
                          .when.at_ns = at_ns, .kind = kind, .to = node, .life = w->nodes[node].life});
}

static void fleet_send(struct fleet_world *w, struct fleet_event e)
{
    w->messages++;
    e.kind = MESSAGE;
    for (unsigned copies = 1 + (fleet_random(w) % 1000 < w->link.duplicate); copies > 0; copies--) {
        e.when.at_ns = w->now_ns + 1 + fleet_up_to(w, w->link.delay_ns);
        if (fleet_random(w) % 1000 >= w->link.loss)
            fleet_push(w, e);
    }
}

// --- files ---------------------------------------------------------------------------------------

// The line of a node whose first agent is i. False: it has none.
static bool fleet_line(const struct fleet_world *w, unsigned i, struct peer *p)
{
    const struct fleet_node *pod = &w->nodes[i], *host = w->both ? &w->nodes[i + 1] : pod;
    p->state = pod->in_files ? pod->state : PEER_PENDING;
    p->has_host_state = w->both;
    p->host_state = (uint8_t)(!w->both ? 0 : host->in_files ? host->state : PEER_PENDING);
    for (unsigned f = 0; f < FAMILIES; f++) {
        if (pod->in_files)
            p->pod[f] = fleet_addr((enum family)f, i, pod->file_version);
        if (w->both && host->in_files)
            p->host[f] = fleet_addr((enum family)f, i + 1, host->file_version);
    }
    return pod->in_files || host->in_files;
}

static bool fleet_plan(struct fleet_world *w, unsigned node, struct err *e)
{
    struct fleet_node *n = &w->nodes[node];
    CLEANUP_PEERS struct peers peers = {0};
    CLEANUP(presence_change_release) struct presence_change change = {0};
    struct spec_agent_file file = {.generation = 1, .fleet = "mesh"};
    struct plan *plan = NULL;
    char name[16];
    file.spec.mesh = (struct spec_mesh){
        .present = true,
        .networks = 1u << SPEC_NETWORK_POD | (unsigned)w->both << SPEC_NETWORK_NODE,
        .families = FAMILY_BIT(FAMILY_IPV4) | FAMILY_BIT(FAMILY_IPV6),
        .n_probes = 1,
        .probes =
            {{.name = "icmp", .type = SPEC_ICMP, .interval_ns = INTERVAL_NS, .timeout_ns = INTERVAL_NS}},
    };
    file.spec.metrics.series_limit = 50000;
    for (unsigned i = 0; i < MOST; i += 1 + w->both) {
        struct peer p = {.node = name, .zone = (char[]){""}};
        fleet_name(w, i, name);
        if (fleet_line(w, i, &p) && peers_add(&peers, &p, e) != 0)
            return false;
    }
    fleet_name(w, node, name);
    enum spec_network network = fleet_network(w, node);
    if (peers_sort(&peers, e) != 0 || hints_set(&n->hints, &file, &peers, name, network, e) != 0)
        return false;
    if (n->leaving)
        return true;
    if (plan_build(&file, &peers, name, network, engine_plan(n->en), w->now_ns, &plan, e) != 0)
        return false;
    if (presence_prepare(n->ps, plan, w->now_ns, &change, e) != 0 ||
        engine_apply(n->en, plan, w->now_ns, e) != 0) {
        plan_free(plan);
        return false;
    }
    presence_commit(n->ps, &change);
    return true;
}

static void fleet_read(struct fleet_world *w, unsigned node)
{
    struct err e;
    if (!fleet_plan(w, node, &e))
        SIM_FAIL(w, "%s", e.msg);
    w->nodes[node].read_ns = w->now_ns;
    fleet_later(w, TALK, node, w->now_ns);
}

// The operator's word of a node; everybody reads it some time later.
static void fleet_publish(struct fleet_world *w, unsigned node, bool in_files, enum peer_state state)
{
    struct fleet_node *n = &w->nodes[node];
    if (!n->in_files || n->file_version != n->version)
        n->file_ns = w->now_ns;
    n->in_files = in_files;
    n->state = state;
    n->file_version = n->version;
    for (unsigned i = 0; i < MOST; i++)
        if (w->nodes[i].up)
            fleet_later(w, RELOAD, i, w->now_ns + fleet_up_to(w, w->lag_ns));
}

// --- what happens to agents ----------------------------------------------------------------------

static void fleet_start(struct fleet_world *w, unsigned node)
{
    struct fleet_node *n = &w->nodes[node];
    struct err e;
    n->up = true;
    n->life++;
    n->since_ns = w->now_ns;
    n->unanswered = 0;
    memset(n->views, 0, sizeof(n->views));
    n->en = engine_new(fleet_fill, w, &e);
    n->ps = presence_new(fleet_fill, w, &e);
    n->hints = (struct hints){0};
    peer_rate_init(&n->rate, fleet_random(w));
    for (unsigned i = 0; i < MOST; i++)
        w->nodes[i].views[node] = (struct fleet_view){0};
    fleet_read(w, node);
    fleet_later(w, TICK, node, w->now_ns + fleet_up_to(w, TICK_NS));
}

// Every loss that it has counted was a probe that nobody answered.
static void fleet_check(struct fleet_world *w, const struct fleet_node *n)
{
    uint64_t lost = 0, other = 0;
    for (size_t i = 0; i < engine_plan(n->en)->n_pairs; i++) {
        const struct stats *s = engine_stats(n->en, i);
        lost += s->results[STATS_LOST];
        other += s->results[STATS_LATE] + s->results[STATS_CORRUPT] + s->results[STATS_UNREACHABLE] +
                 s->results[STATS_SEND_ERROR];
    }
    if (lost > n->unanswered || other)
        SIM_FAIL(w, "n%02td counts %" PRIu64 " lost and %" PRIu64 " others, of %" PRIu64 " unanswered",
                 n - w->nodes, lost, other, n->unanswered);
}

static void fleet_end(struct fleet_world *w, unsigned node, bool orderly)
{
    struct fleet_node *n = &w->nodes[node];
    fleet_check(w, n);
    engine_free(n->en);
    presence_free(n->ps);
    hints_release(&n->hints);
    n->en = NULL;
    n->ps = NULL;
    n->up = n->leaving = false;
    n->orderly = orderly;
    n->since_ns = w->now_ns;
}

// SIGTERM: fleet_end(, true) after GRACE_NS is the caller's.
static void fleet_leave(struct fleet_world *w, unsigned node)
{
    w->nodes[node].leaving = true;
    engine_stop(w->nodes[node].en);
    hints_start(&w->nodes[node].hints, w->now_ns);
    fleet_later(w, TALK, node, w->now_ns);
}

// --- probes --------------------------------------------------------------------------------------

static bool fleet_holds(const struct fleet_world *w, const struct fleet_node *n, unsigned peer,
                        unsigned *ret_held)
{
    const struct plan *p = engine_plan(n->en);
    char name[16];
    fleet_name(w, peer, name);
    for (size_t i = 0; i < p->n_dests; i++) {
        if (strcmp(p->dests[i].name, name) == 0 && p->dests[i].network == fleet_network(w, peer)) {
            *ret_held = presence_held(n->ps)[i];
            return true;
        }
    }
    return false;
}

// Who is there, said nothing of leaving and was probed goes on being probed, whatever others say.
static void fleet_watch(struct fleet_world *w, unsigned node)
{
    struct fleet_node *n = &w->nodes[node];
    for (unsigned i = 0; i < MOST; i++) {
        const struct fleet_node *o = &w->nodes[i];
        unsigned held = 0;
        bool planned = fleet_holds(w, n, i, &held);
        bool steady = o->up && !o->leaving && o->since_ns + NS_PER_S < w->now_ns &&
                      o->file_ns < o->since_ns && n->read_ns > o->since_ns;
        if (n->views[i].known && steady && planned && held && !n->leaving)
            SIM_FAIL(w, "n%02u does not probe n%02u any more, which is there", node, i);
        n->views[i].known = planned && !held && steady;
    }
}

static void fleet_tick(struct fleet_world *w, unsigned node)
{
    static struct engine_send sends[4 * MOST];
    struct fleet_node *n = &w->nodes[node];
    if (presence_settle(n->ps, w->now_ns))
        engine_hold(n->en, presence_held(n->ps), w->now_ns);
    fleet_watch(w, node);
    size_t count = engine_due(n->en, w->now_ns, sends, ARRAY_LEN(sends));
    for (size_t i = 0; i < count; i++) {
        const struct engine_send *s = &sends[i];
        engine_sent(n->en, &s->token, w->now_ns);
        w->probes++;
        fleet_push(w, (struct fleet_event){.when.at_ns = w->now_ns + 1 + fleet_up_to(w, w->link.delay_ns),
                                           .kind = PROBE,
                                           .from = node,
                                           .to = s->to.bytes[3],
                                           .life = n->life,
                                           .target = s->to,
                                           .token = s->token,
                                           .sent_ns = w->now_ns});
    }
    fleet_later(w, TICK, node, w->now_ns + engine_tick_ns(n->en));
}

// Nobody answers this probe. Why may it have been sent?
static void fleet_unanswered(struct fleet_world *w, const struct fleet_event *e)
{
    struct fleet_node *n = &w->nodes[e->from];
    const struct fleet_node *o = &w->nodes[e->to];
    const struct fleet_view *v = &n->views[e->to];
    n->unanswered++;
    uint64_t left_ns = o->up ? 0 : o->since_ns;
    bool could_know = v->told_ns && v->told_ns + TICK_NS + w->link.delay_ns < left_ns;
    if (could_know && e->sent_ns < v->told_ns + LIMIT_PEER_SILENCE_NS)
        SIM_FAIL(w, "n%02u was told that n%02u leaves, %.3f s before it was gone, and lost a probe to it",
                 e->from, e->to, (double)(left_ns - v->told_ns) / 1e9);
    else if (o->life == 0 && e->sent_ns < o->file_ns + LIMIT_PEER_PATIENCE_NS)
        SIM_FAIL(w, "n%02u probes n%02u, which has never been there", e->from, e->to);
    else
        w->excused++;
}

static void fleet_probe(struct fleet_world *w, struct fleet_event e)
{
    const struct fleet_node *o = &w->nodes[e.to];
    struct addr own = fleet_addr((enum family)e.target.family, e.to, o->version);
    if (w->nodes[e.from].life != e.life || !w->nodes[e.from].up)
        return; // nobody waits for it any more
    if (!o->up || !addr_equal(&own, &e.target)) {
        fleet_unanswered(w, &e);
        return;
    }
    e.kind = REPLY;
    e.to = e.from;
    e.when.at_ns = w->now_ns + 1 + fleet_up_to(w, w->link.delay_ns);
    fleet_push(w, e);
}

static void fleet_reply(struct fleet_world *w, const struct fleet_event *e)
{
    struct engine_reply r = {.now_ns = w->now_ns};
    (void)engine_reply(w->nodes[e->to].en, &e->token, &r);
}

// --- messages ------------------------------------------------------------------------------------

static struct peer_wire fleet_message(const struct fleet_world *w, unsigned node, enum peer_wire_kind kind,
                                      uint64_t nonce)
{
    char name[16];
    fleet_name(w, node, name);
    return (struct peer_wire){.kind = kind,
                              .leaving = w->nodes[node].leaving,
                              .agent = peer_wire_agent(name, fleet_network(w, node)),
                              .nonce = nonce};
}

// As peer_link_wake.
static void fleet_talk(struct fleet_world *w, unsigned node)
{
    struct fleet_node *n = &w->nodes[node];
    struct fleet_event e = {.from = node};
    if (n->leaving) {
        struct addr to[LIMIT_PEER_HINTS];
        size_t count = hints_due(&n->hints, w->now_ns, to);
        for (size_t i = 0; i < count; i++) {
            e.to = to[i].bytes[3];
            e.source = fleet_addr((enum family)to[i].family, node, n->version);
            e.target = to[i];
            e.m = fleet_message(w, node, PEER_WIRE_HINT, 0);
            fleet_send(w, e);
        }
        fleet_later(w, TALK, node, hints_next(&n->hints));
        return;
    }
    struct presence_question q[LIMIT_PEER_QUESTIONS];
    size_t count = presence_due(n->ps, w->now_ns, q);
    for (size_t i = 0; i < count; i++) {
        e.to = q[i].to.bytes[3];
        e.source = fleet_addr((enum family)q[i].to.family, node, n->version);
        e.target = q[i].to;
        e.m = fleet_message(w, node, PEER_WIRE_QUERY, q[i].nonce);
        e.sent_ns = w->now_ns;
        e.after_hint = n->views[e.to].hint_ns != 0;
        fleet_send(w, e);
    }
    if (presence_next(n->ps) != UINT64_MAX)
        fleet_later(w, TALK, node, MAX(presence_next(n->ps), w->now_ns + MS));
}

static void fleet_answer(struct fleet_world *w, const struct fleet_event *e)
{
    struct fleet_node *n = &w->nodes[e->to];
    if (!peer_rate_allow(&n->rate, &e->source, hints_knows(&n->hints, &e->source), w->now_ns))
        return;
    struct fleet_event a = *e;
    a.from = e->to;
    a.to = e->from;
    a.source = e->target;
    a.target = e->source;
    a.m = fleet_message(w, e->to, PEER_WIRE_ANSWER, e->m.nonce);
    fleet_send(w, a);
    hints_asked(&n->hints, &e->source);
    presence_heard(n->ps, e->m.agent, e->m.leaving, w->now_ns);
}

// As peer_link's on_packet. What is forged has no sender (from == to): it teaches the truth nothing.
static void fleet_hear(struct fleet_world *w, const struct fleet_event *e)
{
    struct fleet_node *n = &w->nodes[e->to];
    struct addr own = fleet_addr((enum family)e->target.family, e->to, n->version);
    struct fleet_view *v = &n->views[e->from];
    bool genuine = e->from != e->to && w->nodes[e->from].leaving && e->m.leaving;
    if (!n->up || !addr_equal(&own, &e->target))
        return;
    if (e->m.kind == PEER_WIRE_QUERY) {
        fleet_answer(w, e);
    } else if (e->m.kind == PEER_WIRE_HINT) {
        presence_heard(n->ps, e->m.agent, e->m.leaving, w->now_ns);
        v->hint_ns = genuine && !v->hint_ns ? w->now_ns : v->hint_ns;
    } else {
        presence_answered(n->ps, e->m.agent, &e->source, e->m.nonce, e->m.leaving, w->now_ns);
        bool quick = w->now_ns - e->sent_ns < SAME_QUESTION_NS && e->sent_ns >= n->since_ns;
        v->told_ns = genuine && e->after_hint && quick && !v->told_ns ? w->now_ns : v->told_ns;
    }
    fleet_later(w, TALK, e->to, w->now_ns);
}

// --- time ----------------------------------------------------------------------------------------

static void fleet_happen(struct fleet_world *w, const struct fleet_event *e)
{
    bool lives = w->nodes[e->to].up && w->nodes[e->to].life == e->life;
    switch (e->kind) {
    case PROBE: fleet_probe(w, *e); return;
    case MESSAGE: fleet_hear(w, e); return;
    case TICK: lives ? fleet_tick(w, e->to) : (void)0; return;
    case TALK: lives ? fleet_talk(w, e->to) : (void)0; return;
    case RELOAD: lives ? fleet_read(w, e->to) : (void)0; return;
    case REPLY: lives ? fleet_reply(w, e) : (void)0; return;
    }
}

static void fleet_run(struct fleet_world *w, uint64_t ns)
{
    uint64_t end = w->now_ns + ns;
    struct fleet_event e;
    while (w->failures < 100 && sim_pop(&w->queue, end, &e.when)) {
        w->now_ns = e.when.at_ns;
        fleet_happen(w, &e);
    }
    w->now_ns = end;
}

// number: of the run, mixed into the seed.
static struct fleet_world *fleet_new(uint64_t number, struct fleet_link link, uint64_t lag_ns)
{
    static uint64_t seed;
    struct fleet_world *w = calloc(1, sizeof(*w));
    if (!w)
        abort();
    seed = seed ? seed : sim_seed();
    w->queue.size = sizeof(struct fleet_event);
    w->seed = seed;
    w->random = seed + (number << 32);
    w->now_ns = 1000 * NS_PER_S;
    w->link = link;
    w->lag_ns = lag_ns;
    return w;
}

// Ends the run. The number of failures.
static uint64_t fleet_free(struct fleet_world *w)
{
    uint64_t failures = w->failures;
    for (unsigned i = 0; i < MOST; i++)
        if (w->nodes[i].up)
            fleet_end(w, i, true);
    failures = w->failures;
    free(w->queue.list);
    free(w);
    return failures;
}

#endif
