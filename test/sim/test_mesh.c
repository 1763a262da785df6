// SPDX-License-Identifier: Apache-2.0
// A large mesh on a bad network: one agent of two hundred nodes, its thousand pairs, for a day. Nodes join,
// leave, move and are not ready, the clock jumps; every counter is what happened, after every event.
// SIM_SEED=n repeats a run.
#include "test/unit/check.h"

#include "lib/topo.h"
#include "test/sim/one_agent.h"

#define NODES 240
#define BEGIN 200 // of them are there from the beginning
#define ZONES 4
#define MINUTE (60 * NS_PER_S)

struct mesh {
    struct files f;
    struct node {
        bool there;
        unsigned version; // of its address
        enum peer_state state;
    } nodes[NODES];
    unsigned changes, steps;
    size_t most_pairs;
};

static void mesh_init(struct mesh *m, enum spec_topology_type type, uint32_t degree)
{
    struct spec_mesh *s = &m->f.file.spec.mesh;
    fleet_init(&m->f);
    fleet_dns(&m->f);
    m->f.targets[0].interval_ns = 5 * NS_PER_S;
    m->f.file.spec.metrics.scrape_interval_ns = 30 * NS_PER_S;
    s->topology = (struct spec_topology){.type = type, .degree = degree};
    s->n_probes = 3;
    s->probes[0].interval_ns = s->probes[1].interval_ns = MINUTE;
    s->probes[2] = (struct spec_probe){
        .name = "udp", .type = SPEC_STAMP, .flows = 4, .interval_ns = MINUTE, .timeout_ns = NS_PER_S};
    for (unsigned i = 0; i < BEGIN; i++)
        m->nodes[i] = (struct node){.there = true, .version = 1, .state = PEER_READY};
}

// Whom the agent probes by its plan is who is ready of those that the topology names; how many these are, and
// that the other side says the same.
static void mesh_check(struct mesh *m, struct world *w)
{
    static uint8_t own[NODES], other[NODES];
    const struct spec_topology *how = &m->f.file.spec.mesh.topology;
    const struct plan *p = engine_plan(w->en);
    const struct peers *all = &m->f.peers;
    CLEANUP_TOPO struct topo t = {0};
    struct err e;
    size_t named = 0, ready = 0, probed_by = 0, live = 0, mates = 0;
    if (topo_init(&t, how, all, &e) != 0)
        abort();
    topo_choose(&t, "n00", own);
    for (size_t i = 0; i < all->n; i++) {
        if (strcmp(all->list[i].node, "n00") == 0)
            continue;
        topo_choose(&t, all->list[i].node, other); // n00 is the first by name
        if (!(own[i] & TOPO_PROBES) != !(other[0] & TOPO_PROBED_BY) ||
            !(own[i] & TOPO_PROBED_BY) != !(other[0] & TOPO_PROBES))
            SIM_FAIL(w, "n00 and %s do not agree on who probes whom", all->list[i].node);
        bool is_ready = all->list[i].state == PEER_READY;
        named += (own[i] & TOPO_PROBES) != 0;
        ready += is_ready && own[i] & TOPO_PROBES;
        probed_by += is_ready && own[i] & TOPO_PROBED_BY;
        mates += strcmp(all->list[i].zone, "z0") == 0;
    }
    for (size_t i = 0; i < p->n_pairs; i++)
        live += !p->pairs[i].gone && !p->dests[p->pairs[i].dest].target;
    size_t want = how->type == SPEC_SAMPLED ? how->degree : mates + how->degree;
    if (named != MIN(want, all->n - 1))
        SIM_FAIL(w, "%zu peers are named, want %zu", named, want);
    if (live != ready * FAMILIES * 3 || p->coverage[SPEC_NETWORK_POD] != probed_by)
        SIM_FAIL(w, "%zu pairs live, %zu peers are ready; coverage is %zu, want %zu", live, ready,
                 p->coverage[SPEC_NETWORK_POD], probed_by);
    m->most_pairs = MAX(m->most_pairs, p->n_live);
}

static void mesh_apply(struct mesh *m, struct world *w)
{
    static char zones[ZONES][4] = {"z0", "z1", "z2", "z3"};
    peers_release(&m->f.peers);
    for (unsigned i = 0; i < NODES; i++)
        if (m->nodes[i].there)
            fleet_add(&m->f, i, zones[i % ZONES], m->nodes[i].version, m->nodes[i].state);
    if (!fleet_apply(&m->f, w))
        w->failures++;
    mesh_check(m, w);
}

// Another agent answers from now on: its reflector knows no session, so who lost what cannot be told around
// now.
static void restarted(struct world *w, unsigned node)
{
    char prefix[16];
    size_t len = (size_t)snprintf(prefix, sizeof(prefix), "0/n%02u/", node);
    for (size_t i = 0; i < ROWS; i++) {
        struct row *r = &w->rows[i];
        if (r->used && strncmp(r->key, prefix, len) == 0) {
            r->ways.doubtful = true;
            memset(r->ways.number, 0, sizeof(r->ways.number));
        }
    }
}

static void change(struct mesh *m, struct world *w)
{
    unsigned i = (unsigned)(1 + world_random(w) % (NODES - 1));
    struct node *n = &m->nodes[i];
    m->changes++;
    if (n->there && world_chance(w, 300)) {
        n->state = n->state == PEER_READY ? PEER_NOT_READY : PEER_READY;
    } else {
        n->there = !n->there || world_chance(w, 300); // it joins, or moves; or leaves
        n->version = n->version % 250 + 1;
        n->state = PEER_READY;
        restarted(w, i);
    }
    mesh_apply(m, w);
}

static void prune(struct world *w)
{
    struct plan *p;
    struct err e;
    if (w->now_ns < engine_plan(w->en)->gone_until_ns)
        return;
    if (plan_prune(engine_plan(w->en), w->now_ns, &p, &e) != 0 || engine_apply(w->en, p, w->now_ns, &e) != 0)
        w->failures++;
    world_planned(w);
}

static void run_pruned(struct world *w, uint64_t ns)
{
    for (uint64_t end = w->now_ns + ns; w->now_ns < end && w->failures < 100; prune(w))
        run(w, MIN(end - w->now_ns, MINUTE), false);
}

// STAMP pairs of which everything can be told; all of it is, once the network is well for three turns of all
// flows, and a loss has left the ring.
static unsigned check_told(struct world *w)
{
    unsigned n = 0;
    w->link = (struct link){.delay_ns = 100 * NS_PER_US};
    run(w, 18 * MINUTE, false);
    for (size_t i = 0; i < engine_plan(w->en)->n_pairs; i++) {
        const struct plan_probe *r = world_probe(w, i);
        if (r->type != SPEC_STAMP || engine_plan(w->en)->pairs[i].gone)
            continue;
        row_check_ways(w, w->by_pair[i], r, true);
        n += !w->by_pair[i]->ways.doubtful;
    }
    return n;
}

static void live(enum spec_topology_type type, uint32_t degree, uint64_t ns, size_t pairs)
{
    struct world *w = world_new();
    struct mesh *m = calloc(1, sizeof(*m));
    w->tidy = true;
    mesh_init(m, type, degree);
    mesh_apply(m, w);
    w->link = rough_link;
    w->link.loss = 100;
    w->link.short_error = 0;
    w->link.unexpected = 50;
    w->link.no_tx = w->link.no_rx = 20;
    for (uint64_t end = w->now_ns + ns; w->now_ns < end && w->failures < 100;) {
        run_pruned(w, world_random(w) % (20 * MINUTE));
        change(m, w);
        if (world_chance(w, 300)) {
            world_step(w, world_chance(w, 500) ? (int64_t)(world_random(w) % (3600 * NS_PER_S))
                                               : -(int64_t)MINUTE);
            world_tick(w, w->now_ns + engine_tick_ns(w->en));
            m->steps += w->clock.stepped;
        }
    }
    unsigned told = check_told(w);
    wind_down(w);
    printf("# %" PRIu64
           " probes of up to %zu pairs, %u changes, %u steps of the clock; %u pairs' losses told in full\n",
           w->sends, m->most_pairs, m->changes, m->steps, told);
    size_t most = m->most_pairs;
    unsigned changes = m->changes;
    bool ok = close_world(w, &m->f);
    free(m);
    CHECK(ok);
    CHECK(most >= pairs && changes > 10 && told > 10);
}

static void test_sampled(void)
{
    live(SPEC_SAMPLED, 166, 86400 * NS_PER_S, 990);
}

static void test_zonal(void)
{
    live(SPEC_ZONAL, 40, 6 * 3600 * NS_PER_S, 500);
}

static const struct check_case cases[] = {
    {"a day of a thousand pairs, sampled", test_sampled},
    {"six hours of zones", test_zonal},
};
CHECK_MAIN(cases)
