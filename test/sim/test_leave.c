// SPDX-License-Identifier: Apache-2.0
// Fleets that start, roll, shrink, grow and die, with messages that are lost, late, doubled or forged. A
// probe that nobody answers needs an excuse; most scenarios allow none.
#include "test/unit/check.h"

#include "test/sim/fleet_world.h"

#define S NS_PER_S

static const struct fleet_link good = {.delay_ns = 20 * MS};
static const struct fleet_link bad = {.loss = 300, .duplicate = 200, .delay_ns = 90 * MS};

// All nodes are in the files from the beginning; their agents start within less than patience.
static struct fleet_world *begin(struct fleet_world *w, unsigned nodes)
{
    for (unsigned i = 0; i < nodes; i++)
        fleet_publish(w, i, true, PEER_READY);
    for (unsigned i = 0; i < nodes; i++) {
        fleet_run(w, fleet_up_to(w, 9 * S / nodes));
        fleet_start(w, i);
    }
    fleet_run(w, 5 * S);
    return w;
}

static struct fleet_world *begun(uint64_t number, struct fleet_link link, uint64_t lag_ns, unsigned nodes)
{
    return begin(fleet_new(number, link, lag_ns), nodes);
}

// The same of so many nodes with two agents each.
static struct fleet_world *begun_both(uint64_t number, struct fleet_link link, uint64_t lag_ns,
                                      unsigned nodes)
{
    struct fleet_world *w = fleet_new(number, link, lag_ns);
    w->both = true;
    return begin(w, 2 * nodes);
}

// One that is rolled comes back at its address, or at another; the operator says what it sees.
static void roll(struct fleet_world *w, unsigned node, bool moves)
{
    fleet_leave(w, node);
    fleet_publish(w, node, true, PEER_LEAVING);
    fleet_run(w, GRACE_NS);
    fleet_end(w, node, true);
    fleet_run(w, fleet_up_to(w, 3 * S));
    w->nodes[node].version += moves;
    fleet_start(w, node);
    fleet_publish(w, node, true, PEER_READY);
}

static void scale_down(struct fleet_world *w, unsigned node)
{
    fleet_leave(w, node);
    fleet_run(w, GRACE_NS);
    fleet_end(w, node, true);
    fleet_publish(w, node, false, PEER_LEAVING);
}

static void arrive(struct fleet_world *w, unsigned node)
{
    if (fleet_random(w) % 2) { // in the files before it has started
        fleet_publish(w, node, true, PEER_READY);
        fleet_run(w, fleet_up_to(w, 8 * S));
        fleet_start(w, node);
    } else {
        fleet_start(w, node);
        fleet_run(w, fleet_up_to(w, S));
        fleet_publish(w, node, true, PEER_READY);
    }
}

static unsigned any_up(struct fleet_world *w)
{
    for (;;) {
        unsigned i = (unsigned)(fleet_random(w) % MOST);
        if (w->nodes[i].up)
            return i;
    }
}

static unsigned count_up(const struct fleet_world *w)
{
    unsigned n = 0;
    for (unsigned i = 0; i < MOST; i++)
        n += w->nodes[i].up;
    return n;
}

// So many things of every orderly kind, one after the other.
static void live(struct fleet_world *w, unsigned events)
{
    for (unsigned k = 0; k < events; k++) {
        uint64_t dice = fleet_random(w) % 4;
        unsigned gone = 0;
        while (gone < MOST && w->nodes[gone].up)
            gone++;
        if (dice == 0 && count_up(w) > 4)
            scale_down(w, any_up(w));
        else if (dice == 1 && gone < MOST && (w->nodes[gone].version++, true))
            arrive(w, gone);
        else
            roll(w, any_up(w), dice == 2);
        fleet_run(w, fleet_up_to(w, 6 * S));
    }
    fleet_run(w, 10 * S);
}

// In the end everybody who is there is probed by everybody else.
static bool all_probed(struct fleet_world *w)
{
    for (unsigned i = 0; i < MOST; i++) {
        for (unsigned k = 0; k < MOST; k++) {
            unsigned held = 0;
            bool wanted = fleet_is_pair(w, i, k) && w->nodes[i].up && w->nodes[k].up;
            if (wanted && (!fleet_holds(w, &w->nodes[i], k, &held) || held)) {
                printf("    seed %" PRIu64 ": n%02u does not probe n%02u\n", w->seed, i, k);
                return false;
            }
        }
    }
    return true;
}

static void test_orderly(void)
{
    for (unsigned run = 0; run < 8; run++) {
        struct fleet_world *w = begun(run, good, run % 2 ? S : 60 * S, 10);
        live(w, 12);
        fleet_run(w, 60 * S);
        uint64_t excused = w->excused, probes = w->probes;
        bool probed = all_probed(w);
        CHECK_INT(fleet_free(w), 0);
        CHECK_INT(excused, 0); // nothing at all is lost
        CHECK(probed && probes > 1000);
    }
}

// Three in ten messages are lost: what is lost of the probes is lost because nobody could know.
static void test_lossy(void)
{
    uint64_t excused = 0, probes = 0;
    for (unsigned run = 0; run < 8; run++) {
        struct fleet_world *w = begun(100 + run, bad, run % 2 ? S : 30 * S, 10);
        live(w, 12);
        fleet_run(w, 60 * S);
        excused += w->excused;
        probes += w->probes;
        bool probed = all_probed(w);
        CHECK_INT(fleet_free(w), 0);
        CHECK(probed);
    }
    printf("# %" PRIu64 " of %" PRIu64
           " probes were lost to who had left, with a third of the messages lost\n",
           excused, probes);
    CHECK(excused * 5000 < probes);
}

// A whole fleet ends at the same moment, each agent with its own grace.
static void test_all_leave(void)
{
    struct fleet_world *w = begun(200, good, S, MOST);
    for (unsigned i = 0; i < MOST; i++)
        fleet_leave(w, i);
    fleet_run(w, GRACE_NS);
    for (unsigned i = 0; i < MOST; i++)
        fleet_end(w, i, true);
    fleet_run(w, 5 * S);
    uint64_t excused = w->excused;
    CHECK_INT(fleet_free(w), 0);
    CHECK_INT(excused, 0);
}

static uint64_t ended_to(const struct fleet_world *w, const struct fleet_node *n, unsigned peer,
                         enum family f, enum stats_result result)
{
    const struct plan *p = engine_plan(n->en);
    char name[16];
    fleet_name(w, peer, name);
    for (size_t i = 0; i < p->n_pairs; i++) {
        const struct plan_dest *d = &p->dests[p->pairs[i].dest];
        if (strcmp(d->name, name) == 0 && d->network == fleet_network(w, peer) && p->pairs[i].family == f)
            return engine_stats(n->en, i)->results[result];
    }
    return 0;
}

static uint64_t lost_to(const struct fleet_world *w, const struct fleet_node *n, unsigned peer, enum family f)
{
    return ended_to(w, n, peer, f, STATS_LOST);
}

// Killed, at any moment: everybody counts a loss in both families within two intervals and the timeout, and
// goes on counting.
static void test_dead(void)
{
    for (unsigned run = 0; run < 12; run++) {
        struct fleet_world *w = begun(300 + run, run % 2 ? good : bad, S, 8);
        fleet_run(w, 10 * S + fleet_up_to(w, S));
        fleet_end(w, 3, false);
        fleet_run(w, 2 * INTERVAL_NS + INTERVAL_NS + TICK_NS);
        for (unsigned i = 0; i < 8; i++)
            for (unsigned f = 0; i != 3 && f < FAMILIES; f++)
                if (lost_to(w, &w->nodes[i], 3, (enum family)f) < 1)
                    SIM_FAIL(w, "n%02u has not noticed", i);
        fleet_run(w, 60 * S);
        for (unsigned i = 0; i < 8; i++)
            if (i != 3 && lost_to(w, &w->nodes[i], 3, FAMILY_IPV4) < 59)
                SIM_FAIL(w, "n%02u has lost only %" PRIu64, i, lost_to(w, &w->nodes[i], 3, FAMILY_IPV4));
        CHECK_INT(fleet_free(w), 0);
    }
}

// Left in order, but the files keep it: silence ends, and what is lost then counts.
static void test_left_and_kept(void)
{
    struct fleet_world *w = begun(400, good, S, 4);
    fleet_leave(w, 2);
    fleet_run(w, GRACE_NS);
    fleet_end(w, 2, true);
    fleet_run(w, LIMIT_PEER_SILENCE_NS - 5 * S);
    uint64_t before = w->excused;
    fleet_run(w, 10 * S + 3 * INTERVAL_NS);
    for (unsigned i = 0; i < 4; i++)
        if (i != 2 && lost_to(w, &w->nodes[i], 2, FAMILY_IPV6) == 0)
            SIM_FAIL(w, "n%02u never finds that n02 is gone", i);
    CHECK_INT(before, 0);
    CHECK_INT(fleet_free(w), 0);
}

// Nodes with an agent in each network, each of which lives for itself: as orderly as others.
static void test_two_agents(void)
{
    for (unsigned run = 0; run < 6; run++) {
        struct fleet_world *w = begun_both(700 + run, run < 4 ? good : bad, run % 2 ? S : 60 * S, 5);
        live(w, 12);
        fleet_run(w, 60 * S);
        uint64_t excused = w->excused, probes = w->probes;
        bool probed = all_probed(w);
        CHECK_INT(fleet_free(w), 0);
        CHECK(run >= 4 || excused == 0);
        CHECK(probed && probes > 1000 && excused * 1000 < probes);
    }
}

// One of a node's two leaves: that says nothing of the other, which is probed as before.
static void test_one_of_two_leaves(void)
{
    for (unsigned leaver = 2; leaver < 4; leaver++) {
        struct fleet_world *w = begun_both(800 + leaver, good, 60 * S, 4);
        unsigned other = leaver ^ 1, held = 0;
        uint64_t before[8];
        fleet_run(w, 10 * S);
        fleet_leave(w, leaver);
        fleet_run(w, GRACE_NS);
        fleet_end(w, leaver, true);
        for (unsigned i = 0; i < 8; i++)
            before[i] = i / 2 == 1 ? 0 : ended_to(w, &w->nodes[i], other, FAMILY_IPV6, STATS_RECEIVED);
        fleet_run(w, 20 * S);
        for (unsigned i = 0; i < 8; i++) {
            if (i / 2 == 1)
                continue;
            if (!fleet_holds(w, &w->nodes[i], leaver, &held) || held != 3)
                SIM_FAIL(w, "agent %u probes %u, which has left", i, leaver);
            uint64_t now = ended_to(w, &w->nodes[i], other, FAMILY_IPV6, STATS_RECEIVED);
            if (now < before[i] + 19)
                SIM_FAIL(w, "agent %u has %" PRIu64 " answers of %u, before %" PRIu64, i, now, other,
                         before[i]);
        }
        CHECK_INT(w->excused, 0);
        CHECK_INT(fleet_free(w), 0);
    }
}

// Somebody off the path says in everybody's name that they leave, or stay, or answers what nobody asked.
static void forge(struct fleet_world *w, unsigned count)
{
    for (unsigned k = 0; k < count; k++) {
        unsigned victim = any_up(w), named = any_up(w);
        enum family f = fleet_random(w) % 2 ? FAMILY_IPV4 : FAMILY_IPV6;
        struct fleet_event e = {.kind = MESSAGE, .from = victim, .to = victim, .when.at_ns = w->now_ns + 1};
        e.target = fleet_addr(f, victim, w->nodes[victim].version);
        e.source = fleet_addr(f, named, w->nodes[named].version);
        e.m =
            fleet_message(w, named, fleet_random(w) % 2 ? PEER_WIRE_HINT : PEER_WIRE_ANSWER, fleet_random(w));
        e.m.leaving = fleet_random(w) % 4 != 0;
        fleet_push(w, e);
        fleet_run(w, 5 * MS);
        w->forged++;
    }
}

static void test_forged(void)
{
    for (unsigned run = 0; run < 4; run++) {
        struct fleet_world *w = begun(500 + run, run % 2 ? good : bad, S, 6);
        forge(w, 6000);
        uint64_t excused = w->excused, messages = w->messages;
        bool probed = all_probed(w);
        CHECK_INT(fleet_free(w), 0);
        CHECK_INT(excused, 0);
        CHECK(probed);
        CHECK(messages < 4 * 30 * 5 * 6 * 5 * 2); // bounded by each agent's own pace, not by the forger's
    }
}

// And while they do, others leave in order, and that is known all the same.
static void test_forged_departures(void)
{
    for (unsigned run = 0; run < 4; run++) {
        struct fleet_world *w = begun(600 + run, good, S, 8);
        for (unsigned node = 0; node < 4; node++) {
            forge(w, 200);
            fleet_leave(w, node);
            forge(w, (unsigned)(GRACE_NS / (5 * MS)));
            fleet_end(w, node, true);
            forge(w, 200);
        }
        uint64_t excused = w->excused;
        CHECK_INT(fleet_free(w), 0);
        CHECK_INT(excused, 0);
    }
}

static const struct check_case cases[] = {
    {"orderly lives", test_orderly},
    {"orderly lives, lossy links", test_lossy},
    {"all leave", test_all_leave},
    {"the dead", test_dead},
    {"left, and kept in the files", test_left_and_kept},
    {"two agents a node", test_two_agents},
    {"one of two agents leaves", test_one_of_two_leaves},
    {"forged messages", test_forged},
    {"forged messages and departures", test_forged_departures},
};
CHECK_MAIN(cases)
