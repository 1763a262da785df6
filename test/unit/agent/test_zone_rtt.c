// SPDX-License-Identifier: Apache-2.0
// Zones' sums over thousands of reloads in which peers come, go, return and change their zone: each answer is
// in the sum of the zone that its peer was in, for as long as the zone is there, and no sum ever falls.
#include "test/unit/check.h"

#include "agent/engine.h"
#include "agent/plan_zone.h"
#include "test/unit/agent/files.h"

#define PEERS 6
#define ZONES 3
#define PROBES 2
#define ROWS (ZONES * PROBES * SPEC_NETWORKS * FAMILIES)

static const char *const zones[ZONES] = {"a", "b", ""};
static const char *const probes[PROBES] = {"icmp", "tcp"};

struct world {
    struct engine *en;
    struct files files;
    uint64_t now, random;
    uint64_t truth[ROWS][4]; // two bounds: three buckets and the sum
};

static uint64_t pick(struct world *w, uint64_t n)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (w->random >> 33) % n;
}

static void fill(uint64_t *to, size_t n, void *arg)
{
    struct world *w = arg;
    for (size_t i = 0; i < n; i++)
        to[i] = pick(w, UINT64_C(1) << 31) << 32 | pick(w, UINT64_C(1) << 31);
}

static uint64_t *truth_of(struct world *w, const char *zone, const char *probe, unsigned network,
                          unsigned family)
{
    for (size_t z = 0; z < ZONES; z++)
        for (size_t r = 0; r < PROBES; r++)
            if (strcmp(zone, zones[z]) == 0 && strcmp(probe, probes[r]) == 0)
                return w->truth[((z * PROBES + r) * SPEC_NETWORKS + network) * FAMILIES + family];
    return NULL;
}

static void change_peers(struct world *w)
{
    peers_release(&w->files.peers);
    w->files.peers = (struct peers){0};
    for (unsigned i = 0; i < PEERS; i++) {
        char name[8], v4[32], v6[32];
        snprintf(name, sizeof(name), "n%u", i + 2);
        snprintf(v4, sizeof(v4), "192.0.2.%u", i + 2);
        snprintf(v6, sizeof(v6), "2001:db8::%u", i + 2);
        if (pick(w, 3) == 0)
            continue;
        files_peer(&w->files, name, zones[pick(w, ZONES)], v4, pick(w, 2) ? v6 : NULL, PEER_READY);
        snprintf(v4, sizeof(v4), "198.18.0.%u", i + 2);
        snprintf(v6, sizeof(v6), "2001:db8:1::%u", i + 2);
        files_host(&w->files, name, pick(w, 2) ? v4 : NULL, v6, pick(w, 4) ? PEER_READY : PEER_LEAVING);
    }
    w->files.file.spec.mesh.n_probes = 1 + pick(w, PROBES);
    w->files.file.spec.mesh.networks = pick(w, 4) ? 3 : 1;
}

// A zone that the plan has not has no past when it comes back.
static void forget(struct world *w)
{
    for (size_t i = 0; i < ROWS; i++) {
        const char *zone = zones[i / FAMILIES / SPEC_NETWORKS / PROBES];
        const char *probe = probes[i / FAMILIES / SPEC_NETWORKS % PROBES];
        enum spec_network network = (enum spec_network)(i / FAMILIES % SPEC_NETWORKS);
        const struct plan *p = engine_plan(w->en);
        if (plan_zone_find(p, zone, probe, network, (enum family)(i % FAMILIES)) == p->n_zones)
            memset(w->truth[i], 0, sizeof(w->truth[i]));
    }
}

static int reload(struct world *w, bool prune)
{
    struct plan *p = NULL;
    struct err e = {0};
    const struct plan *old = engine_plan(w->en);
    int r = prune ? plan_prune(old, w->now, &p, &e)
                  : plan_build(&w->files.file, &w->files.peers, "n1", SPEC_NETWORK_POD, old, w->now, &p, &e);
    if (r == 0)
        r = engine_apply(w->en, p, w->now, &e);
    if (r == 0)
        forget(w);
    return r;
}

static void probe(struct world *w)
{
    struct engine_send out[64];
    size_t n = engine_due(w->en, w->now, out, ARRAY_LEN(out));
    for (size_t i = 0; i < n; i++) {
        const struct plan *p = engine_plan(w->en);
        const struct plan_pair *pair = &p->pairs[out[i].pair];
        uint64_t rtt = 1 + pick(w, 2 * NS_PER_MS);
        struct engine_reply r = {.now_ns = w->now + rtt, .rtt_ns = rtt};
        engine_sent(w->en, &out[i].token, w->now);
        if (pick(w, 5) && engine_reply(w->en, &out[i].token, &r) && !p->dests[pair->dest].target) {
            uint64_t *row = truth_of(w, p->dests[pair->dest].zone, p->probes[pair->probe].name,
                                     p->dests[pair->dest].network, pair->family);
            row[rtt <= p->bounds_ns[0] ? 0 : rtt <= p->bounds_ns[1] ? 1 : 2]++;
            row[3] += rtt;
        }
    }
    w->now += 1 + pick(w, 2 * NS_PER_S);
}

static bool sums_are_true(struct world *w)
{
    const struct plan *p = engine_plan(w->en);
    struct zone_rtt sums;
    bool ok = zone_rtt_init(&sums, p) == 0;
    if (ok)
        zone_rtt_carry(&sums, p, engine_gone(w->en), p);
    for (size_t i = 0; ok && i < p->n_pairs; i++)
        zone_rtt_add(&sums, p, p, i, engine_stats(w->en, i));
    for (size_t i = 0; ok && i < p->n_zones; i++) {
        const struct plan_zone *z = &p->zones[i];
        const uint64_t *truth = truth_of(w, z->zone, z->probe, z->network, z->family);
        ok = memcmp(zone_rtt_row(&sums, i), truth, sizeof(w->truth[0])) == 0;
        if (!ok)
            printf("    zone \"%s\", %s, %u\n", z->zone, z->probe, z->family);
    }
    zone_rtt_release(&sums);
    return ok;
}

static void run(struct world *w)
{
    size_t most = 0;
    for (unsigned i = 0; i < 3000; i++) {
        if (pick(w, 4) == 0)
            change_peers(w);
        CHECK_INT(reload(w, pick(w, 3) == 0), 0);
        CHECK(sums_are_true(w));
        for (uint64_t k = pick(w, 6); k > 0; k--)
            probe(w);
        CHECK(sums_are_true(w));
        most = MAX(most, engine_plan(w->en)->n_zones);
    }
    CHECK_INT(most, ROWS);
}

static void test_sums(void)
{
    struct world w = {.now = 100 * NS_PER_S, .random = 7};
    struct err e;
    files_init(&w.files);
    files_target(&w.files, "gateway", SPEC_ICMP, "192.0.2.1", 0);
    w.en = engine_new(fill, &w, &e);
    CHECK(w.en);
    change_peers(&w);
    CHECK_INT(reload(&w, false), 0);
    run(&w);
    engine_free(w.en);
    files_release(&w.files);
}

// Another shape of the histogram: nothing of the old one is told in it.
static void test_bounds(void)
{
    struct world w = {.now = 100 * NS_PER_S, .random = 7};
    struct err e;
    files_init(&w.files);
    w.en = engine_new(fill, &w, &e);
    CHECK(w.en);
    change_peers(&w);
    CHECK_INT(reload(&w, false), 0);
    for (unsigned i = 0; i < 20; i++)
        probe(&w);
    change_peers(&w);
    CHECK_INT(reload(&w, false), 0);
    w.now += 60 * NS_PER_S;
    CHECK_INT(reload(&w, true), 0); // some are gone
    CHECK(sums_are_true(&w));
    w.files.file.spec.metrics.rtt_buckets_us[1] = 1500;
    CHECK_INT(reload(&w, false), 0);
    memset(w.truth, 0, sizeof(w.truth));
    CHECK(sums_are_true(&w));
    engine_free(w.en);
    files_release(&w.files);
}

static const struct check_case cases[] = {
    {"sums over reloads", test_sums},
    {"other bounds", test_bounds},
};
CHECK_MAIN(cases)
