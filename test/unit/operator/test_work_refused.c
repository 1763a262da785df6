// SPDX-License-Identifier: Apache-2.0
// Rounds of work that are not taken as they were meant: writes that are refused, servers that ask for
// patience, a watch that lags, leftovers, and pokes at their pace. Nothing spins, nothing else is held up.
#include "operator/reconcile.h"
#include "test/unit/operator/fake_cluster.h"

static json_t *service_account(const char *fleet, const char *owner)
{
    return json_pack("{s:{s:s, s:s, s:s, s:s, s:{s:s}, s:[{s:b, s:s}]}}", "metadata", "namespace", "ns",
                     "name", "mesh-agent", "uid", "other", "resourceVersion", "1", "labels",
                     "kubecanary.io/fleet", fleet, "ownerReferences", "controller", 1, "uid", owner);
}

// As above, but the object was there before and is seen.
static void seen_foreign_object_keeps_the_peers_going(void)
{
    struct fake f;
    CHECK(setup(&f) && put_node(&f, 1) && put_fleet(&f, mesh(500), 1) && put_pod(&f, 1, true) && settle(&f));
    CHECK(put(&f, STORE_SERVICEACCOUNT, service_account("somebody", "else")));
    store_delete(f.store, STORE_POD, "ns", "pod-1");
    CHECK(put_node(&f, 2) && put_pod(&f, 2, true) && settle(&f));
    CHECK_STR(degraded(&f, "reason"), "NameCollision");
    CHECK(strstr(peers(&f), "node: n1") == NULL);
    CHECK_CONTAINS(peers(&f), "node: n2");
    teardown(&f);
}

// A fleet that is deleted and made again waits for the garbage collector; that is no collision.
static void leftovers_are_waited_for(void)
{
    struct fake f;
    CHECK(setup(&f) && put_node(&f, 1));
    CHECK(put(&f, STORE_SERVICEACCOUNT, service_account("mesh", "the fleet before")));
    CHECK(put_fleet(&f, mesh(500), 1) && settle(&f));
    CHECK_STR(degraded(&f, "status"), "False");
    CHECK_STR(condition(&f, "Progressing", "status"), "True");
    CHECK(last(&f, ACTION_APPLY, STORE_DAEMONSET, "mesh-pod") == NULL);
    CHECK_INT(count(&f, ACTION_EVENT, NULL), 0);
    store_delete(f.store, STORE_SERVICEACCOUNT, "ns", "mesh-agent");
    CHECK(settle(&f));
    CHECK(last(&f, ACTION_APPLY, STORE_DAEMONSET, "mesh-pod") != NULL);
    teardown(&f);
}

// The server's text is another one each time, so the status is; it comes back by the watch, and is no reason
// to try again at once.
static void refused_apply_backs_off(void)
{
    struct fake f;
    CHECK(setup(&f) && put_node(&f, 1));
    f.refused = "mesh-pod";
    f.refused_status = 403;
    CHECK(put_fleet(&f, mesh(500), 1) && settle(&f));
    CHECK_STR(degraded(&f, "reason"), "ApplyFailed");
    CHECK(count(&f, ACTION_APPLY, "mesh-pod") <= 5);
    CHECK(last(&f, ACTION_APPLY, STORE_PODMONITOR, "mesh") != NULL); // it needs no DaemonSet
    teardown(&f);
}

static void long_refusal_is_told(void)
{
    struct fake f;
    char why[1024];
    CHECK(setup(&f) && put_node(&f, 1));
    for (size_t i = 0; i + 2 < sizeof(why); i += 2)
        memcpy(why + i, "\xc3\xbc", 3);
    f.refused = "mesh-pod";
    f.refused_status = 403;
    for (int cut = 0; cut < 2; cut++) { // in the middle of a character, or not
        f.why = why + 2 * cut;
        why[0] = cut ? why[0] : 'x';
        CHECK(put_fleet(&f, mesh(500), cut + 1) && settle(&f));
        CHECK_STR(degraded(&f, "reason"), "ApplyFailed");
        CHECK_CONTAINS(degraded(&f, "message"), "\xc3\xbc\xc3\xbc");
    }
    teardown(&f);
}

// A server that asks for patience gets it, whatever happens meanwhile.
static void patience_is_kept(void)
{
    struct fake f;
    CHECK(setup(&f));
    f.refused = "mesh-agent";
    f.refused_status = 429;
    f.retry_after_s = 1;
    CHECK(put_node(&f, 1) && put_fleet(&f, mesh(500), 1));
    for (int i = 2; count(&f, ACTION_APPLY, "mesh-agent") < 3; i++)
        CHECK(put_node(&f, 2 + i % 100) && work_awhile(&f));
    uint64_t before = 0;
    for (size_t i = 0; i < f.n; i++) {
        if (f.asked[i].verb != ACTION_APPLY)
            continue;
        CHECK(before == 0 || f.at[i] - before >= NS_PER_S);
        before = f.at[i];
    }
    teardown(&f);
}

static void no_event_of_a_status_that_was_not_taken(void)
{
    struct fake f;
    CHECK(setup(&f) && put_node(&f, 1));
    f.status_denied = true;
    json_t *bad = mesh(500);
    json_object_set_new(bad, "nonsense", json_true());
    CHECK(put_fleet(&f, bad, 1) && settle(&f));
    CHECK(count(&f, ACTION_STATUS, NULL) > 1);
    CHECK_INT(count(&f, ACTION_EVENT, NULL), 0);
    f.status_denied = false;
    CHECK(put_node(&f, 2) && settle(&f));
    CHECK_INT(count(&f, ACTION_EVENT, NULL), 1);
    teardown(&f);
}

// What an apply was answered with counts, though the watch still shows the DaemonSet of before.
static void not_ready_before_it_rolled(void)
{
    struct fake f;
    CHECK(setup(&f) && put_node(&f, 1) && put_fleet(&f, mesh(500), 1) && settle(&f));
    CHECK(roll_out(&f, 1) && settle(&f));
    CHECK_STR(condition(&f, "Ready", "status"), "True");
    f.lags = true;
    json_t *spec = mesh(500);
    json_object_set_new(spec, "agent", json_pack("{s:s}", "image", "another"));
    CHECK(put_fleet(&f, spec, 2) && settle(&f));
    CHECK_INT(f.applies, 2);
    CHECK_STR(condition(&f, "Ready", "status"), "False");
    CHECK_STR(condition(&f, "Progressing", "status"), "True");
    f.lags = false;
    CHECK(roll_out(&f, 1) && settle(&f));
    CHECK_STR(condition(&f, "Ready", "status"), "True");
    teardown(&f);
}

// However often the Pods that were poked come back by the watch.
static void pokes_keep_their_pace(void)
{
    struct fake f;
    uint64_t at[MOST];
    size_t n = 0;
    const int pods = 2 * RECONCILE_POKES + 5;
    CHECK(setup(&f) && put_fleet(&f, mesh(500), 1));
    for (int i = 1; i <= pods; i++)
        CHECK(put_node(&f, i) && put_pod(&f, i, false));
    while (count(&f, ACTION_POKE, NULL) < (size_t)pods)
        CHECK(work_awhile(&f));
    for (size_t i = 0; i < f.n; i++)
        if (f.asked[i].verb == ACTION_POKE)
            at[n++] = f.at[i];
    for (size_t i = RECONCILE_POKES; i < n; i++)
        CHECK(at[i] - at[i - RECONCILE_POKES] >= RECONCILE_POKE_PAUSE_NS);
    teardown(&f);
}

// Twenty patches that each wait ten seconds for a webhook must not keep the fleet from everything else.
static void refused_poke_ends_the_round(void)
{
    struct fake f;
    CHECK(setup(&f));
    f.pokes_refused = true;
    f.refused_status = 504;
    CHECK(put_fleet(&f, mesh(500), 1));
    for (int i = 1; i <= RECONCILE_POKES; i++)
        CHECK(put_node(&f, i) && put_pod(&f, i, false));
    CHECK(settle(&f));
    size_t pokes = count(&f, ACTION_POKE, NULL);
    CHECK(pokes >= 1 && pokes <= 6);                                  // one a round
    CHECK_STR(condition(&f, "Ready", "reason"), "RolloutInProgress"); // told all the same
    teardown(&f);
}

static const struct check_case cases[] = {
    {"a foreign object that is seen keeps the peers going", seen_foreign_object_keeps_the_peers_going},
    {"what is left of a fleet of that name is waited for", leftovers_are_waited_for},
    {"a refused apply backs off", refused_apply_backs_off},
    {"a long refusal is told", long_refusal_is_told},
    {"patience is kept", patience_is_kept},
    {"no event of a status that was not taken", no_event_of_a_status_that_was_not_taken},
    {"not ready before it rolled", not_ready_before_it_rolled},
    {"pokes keep their pace", pokes_keep_their_pace},
    {"a refused poke ends the round", refused_poke_ends_the_round},
};
CHECK_MAIN(cases)
