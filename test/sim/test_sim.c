// SPDX-License-Identifier: Apache-2.0
// The engine, its plan and its counters through days of bad networks: what it reports is what happened, at
// every moment. SIM_SEED=n repeats a run.
#include "test/unit/check.h"

#include "test/sim/one_agent.h"

// Whether each pair sent at least so much, and all of it ended as r.
static bool world_only(const struct world *w, enum stats_result r, uint64_t at_least)
{
    for (size_t i = 0; i < ROWS; i++)
        if (w->rows[i].used && (w->rows[i].results[r] != w->rows[i].sent || w->rows[i].sent < at_least))
            return false;
    return true;
}

static char zone_a[] = "a";

static void five_nodes(struct files *f, struct world *w)
{
    fleet_init(f);
    for (unsigned i = 0; i < 5; i++)
        fleet_add(f, i, zone_a, 1, PEER_READY);
    if (!fleet_apply(f, w))
        w->failures++;
}

// A day of one agent among five nodes: every probe that was due was sent, and each ended as the network
// decided.
static void test_day(void)
{
    struct world *w = world_new();
    struct files f;
    w->exact = true;
    w->link = rough_link;
    five_nodes(&f, w);
    run(w, 86400 * NS_PER_S, false);
    // 4 peers x 2 families x (1 + 1/5) + 2 a second, at most one more or less for each of the 17 pairs
    uint64_t want = 86400 * (8 * 6 + 10) / 5;
    uint64_t off = w->sends > want ? w->sends - want : want - w->sends;
    wind_down(w);
    uint64_t skipped = engine_agent_stats(w->en)->skipped;
    CHECK(close_world(w, &f));
    CHECK_INT(MAX(off, (uint64_t)34), 34);
    CHECK_INT(skipped, 0);
}

// An hour of which every probe ends the same way.
static void check_only(struct link link, enum stats_result r)
{
    struct world *w = world_new();
    struct files f;
    w->exact = true;
    w->link = link;
    five_nodes(&f, w);
    run(w, 3600 * NS_PER_S, true);
    wind_down(w);
    bool only = world_only(w, r, 700);
    CHECK(close_world(w, &f));
    CHECK(only);
}

// A healthy network: nothing but received, from the first probe to the last.
static void test_healthy(void)
{
    check_only((struct link){.delay_ns = 50 * NS_PER_US, .jitter_ns = 100 * NS_PER_US}, STATS_RECEIVED);
}

// Everything is lost: 100 %, not 0 of 0.
static void test_dead(void)
{
    check_only((struct link){.loss = 1000}, STATS_LOST);
}

// STAMP in several flows, and a DNS server, with answers that overtake each other by many probes, in one flow
// and between flows: all is exact, and the ways of losses once the network is well again; until then no more
// are told of either way than there were.
static void test_overtaken(void)
{
    struct world *w = world_new();
    struct files f;
    w->exact = true;
    w->tidy = true;
    w->link = rough_link;
    w->link.short_error = 0;
    w->link.jitter_ns = 900 * MS;
    w->link.unexpected = 100;
    fleet_init(&f);
    f.file.spec.mesh.probes[1] = (struct spec_probe){
        .name = "udp", .type = SPEC_STAMP, .flows = 3, .interval_ns = 100 * MS, .timeout_ns = NS_PER_S};
    fleet_dns(&f);
    for (unsigned i = 0; i < 3; i++)
        fleet_add(&f, i, zone_a, 1, PEER_READY);
    CHECK(fleet_apply(&f, w));
    struct link bad = w->link;
    w->link = (struct link){.delay_ns = 100 * NS_PER_US};
    run(w, 10 * NS_PER_S, false); // each session begins in order
    w->link = bad;
    run(w, 2 * 3600 * NS_PER_S, false);
    w->link = (struct link){.delay_ns = 100 * NS_PER_US};
    run(w, 20 * NS_PER_S, false);
    for (size_t i = 0; i < engine_plan(w->en)->n_pairs; i++)
        if (probe_stamp_path(w->en, i))
            row_check_ways(w, w->by_pair[i], world_probe(w, i), true);
    wind_down(w);
    uint64_t told[STAMP_PATH_WAYS] = {0}, lost = 0, reordered = 0, unexpected = 0;
    for (size_t i = 0; i < engine_plan(w->en)->n_pairs; i++) {
        const struct stamp_path *p = probe_stamp_path(w->en, i);
        const struct stats *s = engine_stats(w->en, i);
        unexpected += s->results[STATS_UNEXPECTED];
        for (unsigned k = 0; p && k < STAMP_PATH_WAYS; k++)
            told[k] += p->lost[k];
        lost += p ? s->results[STATS_LOST] : 0;
        reordered += p ? s->reordered : 0;
    }
    printf("# %" PRIu64 " lost, %" PRIu64 " there and %" PRIu64 " back, %" PRIu64 " out of turn\n", lost,
           told[STAMP_PATH_FORWARD], told[STAMP_PATH_BACKWARD], reordered);
    CHECK(close_world(w, &f));
    CHECK(reordered > 1000 && unexpected > 100);
    CHECK(told[STAMP_PATH_FORWARD] > lost / 3 && told[STAMP_PATH_BACKWARD] > lost / 3);
}

// The real-time clock jumps back and forth, stamps are missing: RTTs stay true.
static void test_clock(void)
{
    struct world *w = world_new();
    struct files f;
    w->link = rough_link;
    w->link.no_tx = w->link.no_rx = 100;
    w->link.slow = w->link.too_slow = 0; // without stamps, a tick's doubt would decide
    five_nodes(&f, w);
    unsigned steps = 0;
    run(w, NS_PER_S, true);
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t by = NS_PER_MS + world_random(w) % (world_chance(w, 500) ? 10 * MS : 3600 * NS_PER_S);
        world_step(w, world_chance(w, 500) ? (int64_t)by : -(int64_t)by);
        world_tick(w, w->now_ns + 1000000 + engine_tick_ns(w->en));
        steps += w->clock.stepped;
        run(w, world_random(w) % (3 * NS_PER_S), true);
    }
    wind_down(w);
    struct stats_agent a = *engine_agent_stats(w->en);
    CHECK(close_world(w, &f));
    CHECK_INT(steps, 2000);
    for (unsigned i = 0; i < STATS_STAMPS; i++)
        CHECK(a.stamps[i] > 0);
}

// The agent itself stops for seconds: what came meanwhile is judged by the kernel's stamps, what was missed
// is skipped, not made up for.
static void test_starved(void)
{
    struct world *w = world_new();
    struct files f;
    w->exact = true;
    w->link = rough_link;
    w->link.duplicate = 0; // a stall may outlast the memory of duplicates
    five_nodes(&f, w);
    uint64_t begin = w->now_ns, slept = 0;
    for (unsigned i = 0; i < 500; i++) {
        uint64_t stall = world_random(w) % (12 * NS_PER_S), before = w->sends;
        slept += stall;
        world_tick(w, w->now_ns + stall);
        if (w->sends - before > engine_plan(w->en)->n_pairs)
            SIM_FAIL(w, "a burst of %" PRIu64 " after a stall", w->sends - before);
        run(w, world_random(w) % (5 * NS_PER_S), true);
    }
    uint64_t all = (w->now_ns - begin) / NS_PER_S * (8 * 6 + 10) / 5;
    uint64_t told = w->sends + engine_agent_stats(w->en)->skipped;
    wind_down(w);
    CHECK(close_world(w, &f));
    CHECK(told + 50 > all && told < all + 50);
}

// Destinations are held back and let go at any moment: what is in flight ends as ever, nothing is made up
// for, and what is let go is probed again.
static void test_held(void)
{
    struct world *w = world_new();
    struct files f;
    w->exact = true;
    w->link = rough_link;
    five_nodes(&f, w);
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t before = w->sends;
        for (size_t d = 0; d < engine_plan(w->en)->n_dests; d++)
            w->held[d] = (uint8_t)(world_chance(w, 500) ? world_random(w) & 3 : 0);
        engine_hold(w->en, w->held, w->now_ns);
        run(w, world_random(w) % (3 * NS_PER_S), true);
        if (w->sends - before > 4 * engine_plan(w->en)->n_pairs)
            SIM_FAIL(w, "%" PRIu64 " probes after a change", w->sends - before);
    }
    memset(w->held, 0, sizeof(w->held));
    engine_hold(w->en, w->held, w->now_ns);
    uint64_t before = w->sends;
    run(w, 10 * NS_PER_S, true);
    uint64_t sent = w->sends - before, skipped = engine_agent_stats(w->en)->skipped;
    wind_down(w);
    CHECK(close_world(w, &f));
    CHECK(sent + 17 >= 10 * (8 * 6 + 10) / 5 && sent <= 10 * (8 * 6 + 10) / 5 + 17);
    CHECK_INT(skipped, 0);
}

static void change(struct files *f, struct world *w)
{
    struct spec_mesh *m = &f->file.spec.mesh;
    static const uint64_t intervals[] = {100 * MS, 200 * MS, NS_PER_S, 5 * NS_PER_S};
    static const uint64_t timeouts[] = {600 * MS, NS_PER_S, 3 * NS_PER_S, 8 * NS_PER_S};
    peers_release(&f->peers);
    fleet_add(f, 0, zone_a, 1, PEER_READY);
    unsigned n = 1 + (unsigned)(world_random(w) % 8);
    for (unsigned i = 1; i <= n; i++)
        if (!world_chance(w, 100))
            fleet_add(f, i, zone_a, (unsigned)(1 + world_random(w) % 2),
                      world_chance(w, 900) ? PEER_READY : PEER_NOT_READY);
    if (world_chance(w, 200)) {
        m->probes[0].interval_ns = intervals[world_random(w) % 4];
        m->probes[0].timeout_ns = timeouts[world_random(w) % 4];
    }
    if (world_chance(w, 100))
        m->n_probes = 3 - m->n_probes;
    if (world_chance(w, 100))
        f->file.spec.n_targets = 1 - f->file.spec.n_targets;
    f->file.paused = world_chance(w, 50);
    if (world_chance(w, 100)) {
        static unsigned base; // never the bounds of the time before
        base = (base + 1) % 90;
        f->file.spec.metrics.n_buckets = 1 + world_random(w) % 4;
        for (unsigned i = 0; i < 4; i++)
            f->file.spec.metrics.rtt_buckets_us[i] = (100u + base) << (3 * i);
        for (size_t i = 0; i < ROWS; i++)
            w->rows[i].n_rtt = w->rows[i].rtt_sum_ns = 0;
    }
}

// Thousands of reloads: peers come, go and move, probes change. No counter of a pair that stays is touched,
// no probe in flight is forgotten.
static void test_reloads(void)
{
    struct world *w = world_new();
    struct files f;
    w->exact = true;
    w->link = rough_link;
    w->link.duplicate = w->link.short_error =
        0; // a reload may shorten the memory of the one and move the address of the other
    five_nodes(&f, w);
    uint64_t pruned = 0, gone = 0;
    for (unsigned i = 0; i < 3000 && w->failures == 0; i++) {
        change(&f, w);
        if (!fleet_apply(&f, w))
            w->failures++;
        gone += engine_plan(w->en)->n_pairs - engine_plan(w->en)->n_live;
        run(w, world_random(w) % (world_chance(w, 30) ? 90 * NS_PER_S : 4 * NS_PER_S), true);
        struct plan *p;
        struct err e;
        if (w->now_ns < engine_plan(w->en)->gone_until_ns)
            continue;
        pruned++;
        if (plan_prune(engine_plan(w->en), w->now_ns, &p, &e) != 0 ||
            engine_apply(w->en, p, w->now_ns, &e) != 0)
            w->failures++;
        world_planned(w);
    }
    wind_down(w);
    CHECK(close_world(w, &f));
    CHECK(pruned > 10);
    CHECK(gone > 1000);
}

static const struct check_case cases[] = {
    {"a day among five nodes on a bad network", test_day},
    {"an hour on a healthy one", test_healthy},
    {"an hour of total loss", test_dead},
    {"flows whose packets overtake each other", test_overtaken},
    {"a clock that jumps, stamps that lack", test_clock},
    {"an agent that is starved", test_starved},
    {"destinations held back and let go", test_held},
    {"3,000 reloads", test_reloads},
};
CHECK_MAIN(cases)
