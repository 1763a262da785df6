// SPDX-License-Identifier: Apache-2.0
// Snapshots against the engine's own counters: equal when taken, the same however much is counted afterwards
// and whatever plan comes, and no more of them than there are places for.
#include "agent/snapshot.h"

#include <errno.h>

#include "lib/limits.h"
#include "test/unit/agent/files.h"
#include "test/unit/check.h"

static struct files f;
static struct engine *en;
static struct scratch *places;
static uint64_t now;

// As prober does: places first, with what the engine has counted so far, then the plan.
static bool apply(void)
{
    struct plan *p;
    struct err e = {0};
    if (plan_build(&f.file, &f.peers, "n1", SPEC_NETWORK_POD, engine_plan(en), now, &p, &e) != 0)
        return false;
    struct scratch *next = snapshot_places(p, engine_failures(en), &e);
    if (!next || engine_apply(en, p, now, &e) != 0)
        return false;
    scratch_free(places);
    places = next;
    return true;
}

static bool start(void)
{
    struct err e;
    now = 100 * NS_PER_S;
    files_three_nodes(&f);
    f.file.spec.mesh.n_probes = 2;
    files_target(&f, "gateway", SPEC_ICMP, "192.0.2.9", 0);
    en = engine_new(files_random, NULL, &e);
    return en && apply();
}

static void stop(void)
{
    scratch_free(places);
    places = NULL;
    engine_free(en);
    en = NULL;
    files_release(&f);
}

// Probes of some seconds, each of which ends as unreachable.
static void count_some(unsigned seconds)
{
    static struct engine_send out[64];
    for (unsigned i = 0; i < 10 * seconds; i++) {
        now += NS_PER_S / 10;
        size_t n = engine_due(en, now, out, ARRAY_LEN(out));
        for (size_t k = 0; k < n; k++)
            engine_unreachable(en, &out[k].token, REASON_HOST);
    }
}

static uint64_t unreachable_of(const struct failures *x)
{
    uint64_t n = 0;
    for (size_t i = 0; i < x->n; i++)
        n += x->rows[i].unreachable[REASON_HOST];
    return n;
}

static uint64_t sent_of(const struct snapshot *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->plan->n_pairs; i++)
        n += snapshot_stats(s, i)->sent;
    return n;
}

static void test_one_moment(void)
{
    struct snapshot a = {0}, b = {0};
    CHECK(start());
    count_some(3);
    CHECK_INT(snapshot_take(&a, places, en, false), 0);
    for (size_t i = 0; i < a.plan->n_pairs; i++)
        CHECK(memcmp(snapshot_stats(&a, i), engine_stats(en, i), stats_size(a.plan->n_bounds)) == 0);
    uint64_t sent = sent_of(&a), failed = unreachable_of(&a.failures);
    CHECK(sent > 10);
    CHECK_INT(failed, unreachable_of(engine_failures(en)));
    count_some(3);
    CHECK_INT(snapshot_take(&b, places, en, false), 0);
    CHECK(sent_of(&b) > sent && unreachable_of(&b.failures) > failed);
    CHECK_INT(sent_of(&a), sent);
    CHECK_INT(unreachable_of(&a.failures), failed);
    snapshot_give(&a);
    snapshot_give(&b);
    stop();
}

// A plan of another shape comes while one is read: probes gone, whose failures stay, more bounds and peers.
static void test_over_a_reload(void)
{
    struct snapshot a = {0}, b = {0};
    CHECK(start());
    count_some(3);
    CHECK_INT(snapshot_take(&a, places, en, true), 0);
    uint64_t sent = sent_of(&a), failed = unreachable_of(&a.failures);
    size_t rows = a.failures.n, zones = a.zones.n;
    f.file.spec.mesh.families = FAMILY_BIT(FAMILY_IPV4);
    f.file.spec.metrics.n_buckets = 3;
    f.file.spec.metrics.rtt_buckets_us[2] = 2000;
    files_peer(&f, "n4", "c", "192.0.2.4", NULL, PEER_READY);
    CHECK(apply());
    CHECK_INT(sent_of(&a), sent);
    CHECK_INT(a.plan->n_bounds, 2);
    CHECK(rows > 0 && zones > 0);
    now += 100 * NS_PER_S; // pairs that went are gone for good
    CHECK(apply());
    CHECK_INT(snapshot_take(&b, places, en, true), 0);
    CHECK_INT(b.failures.n, engine_failures(en)->n);
    CHECK(unreachable_of(&b.failures) == failed && b.failures.n >= rows);
    CHECK_INT(b.zones.n, b.plan->n_zones);
    CHECK_INT(sent_of(&a), sent);
    CHECK_INT(unreachable_of(&a.failures), failed);
    snapshot_give(&a);
    snapshot_give(&b);
    stop();
}

static void test_no_more_than_places(void)
{
    struct snapshot s[LIMIT_SCRAPES + 1] = {0};
    CHECK(start());
    for (size_t i = 0; i < LIMIT_SCRAPES; i++)
        CHECK_INT(snapshot_take(&s[i], places, en, false), 0);
    CHECK_INT(snapshot_take(&s[LIMIT_SCRAPES], places, en, false), -EBUSY);
    snapshot_give(&s[LIMIT_SCRAPES]); // which is nothing
    snapshot_give(&s[1]);
    CHECK_INT(snapshot_take(&s[1], places, en, false), 0);
    for (size_t i = 0; i < LIMIT_SCRAPES; i++)
        snapshot_give(&s[i]);
    stop();
}

static const struct check_case cases[] = {
    {"of one moment", test_one_moment},
    {"over a reload", test_over_a_reload},
    {"no more than there are places for", test_no_more_than_places},
};

CHECK_MAIN(cases)
