// SPDX-License-Identifier: Apache-2.0
// Whole rounds of work: the budget before and during growth, somebody else's object, events, a bad spec that
// keeps what runs, and an end in the middle of a round.
#include "test/unit/operator/fake_cluster.h"

static void a_fleet_is_rendered(void)
{
    struct fake f;
    CHECK(setup(&f) && put_node(&f, 1) && put_fleet(&f, mesh(500), 1) && settle(&f));
    CHECK(last(&f, ACTION_APPLY, STORE_DAEMONSET, "mesh-pod") != NULL);
    CHECK_STR(degraded(&f, "status"), "False");
    CHECK(put_pod(&f, 1, false) && settle(&f));
    CHECK_CONTAINS(peers(&f), "node: n1");
    CHECK(last(&f, ACTION_POKE, STORE_POD, "pod-1") != NULL);
    teardown(&f);
}

static void budget_is_refused_before_it_is_spent(void)
{
    struct fake f;
    CHECK(setup(&f));
    for (int i = 1; i <= 8; i++)
        CHECK(put_node(&f, i));
    CHECK(put_fleet(&f, mesh(3), 1) && settle(&f));
    CHECK(last(&f, ACTION_APPLY, STORE_DAEMONSET, "mesh-pod") == NULL);
    CHECK_STR(degraded(&f, "reason"), "BudgetExceeded");
    CHECK_CONTAINS(degraded(&f, "message"), "spec.mesh.probes[0].interval");
    const struct action *event = last(&f, ACTION_EVENT, STORE_FLEET, "mesh");
    CHECK(event != NULL);
    CHECK_STR(json_string_value(json_object_get(event->body, "type")), "Warning");
    CHECK_CONTAINS(json_string_value(json_object_get(event->body, "note")), "spec.mesh.probes[0].interval");
    teardown(&f);
}

static void growth_over_the_budget_adds_nobody(void)
{
    struct fake f;
    CHECK(setup(&f) && put_fleet(&f, mesh(3), 1));
    for (int i = 1; i <= 4; i++)
        CHECK(put_node(&f, i) && put_pod(&f, i, true));
    CHECK(settle(&f));
    CHECK_STR(degraded(&f, "status"), "False");
    CHECK(put_node(&f, 5) && put_pod(&f, 5, false) && settle(&f));
    CHECK_STR(degraded(&f, "reason"), "BudgetExceeded");
    CHECK_CONTAINS(peers(&f), "{node: n4, pod: [198.19.0.4], host: [198.18.0.4], state: Ready}");
    CHECK_CONTAINS(peers(&f), "{node: n5, pod: [198.19.0.5], host: [198.18.0.5], state: Pending}");
    store_delete(f.store, STORE_POD, "ns", "pod-2"); // replaced: it is no growth
    CHECK(settle(&f));
    CHECK(strstr(peers(&f), "node: n2") == NULL);
    CHECK(put_pod(&f, 2, false) && settle(&f));
    CHECK_STR(degraded(&f, "reason"), "BudgetExceeded");
    CHECK_CONTAINS(peers(&f), "{node: n2, pod: [198.19.0.2], host: [198.18.0.2], state: Ready}");
    CHECK(last(&f, ACTION_POKE, STORE_POD, "pod-2") != NULL); // its mount is hurried as ever
    teardown(&f);
}

static void bad_spec_keeps_what_runs(void)
{
    struct fake f;
    CHECK(setup(&f) && put_node(&f, 1) && put_fleet(&f, mesh(500), 1) && put_pod(&f, 1, true) && settle(&f));
    size_t before = f.n;
    json_t *bad = mesh(500);
    json_object_set_new(bad, "nonsense", json_true());
    CHECK(put_fleet(&f, bad, 2) && put_node(&f, 2) && put_pod(&f, 2, true) && settle(&f));
    CHECK_STR(degraded(&f, "reason"), "InvalidSpec");
    CHECK_CONTAINS(degraded(&f, "message"), "spec.nonsense");
    CHECK_CONTAINS(peers(&f), "node: n2"); // members go on being published
    for (size_t i = before; i < f.n; i++)
        CHECK(f.asked[i].verb != ACTION_DELETE &&
              (f.asked[i].verb != ACTION_APPLY || strcmp(f.asked[i].name, "mesh-peers-00") == 0));
    teardown(&f);
}

static json_t *mesh_in(const char *network, const char *other)
{
    json_t *spec = mesh(500);
    json_object_set_new(json_object_get(spec, "mesh"), "networks", json_pack("[s, s*]", network, other));
    return spec;
}

static bool put_host_pod(struct fake *f, const char *ready)
{
    return put(
        f, STORE_POD,
        json_pack("{s:{s:s, s:s, s:s, s:s, s:{s:s, s:s}, s:[{s:b, s:s}]}, s:{s:s}, s:{s:s, s:[{s:s, s:s}]}}",
                  "metadata", "namespace", "ns", "name", "host-1", "uid", "host-1", "resourceVersion", ready,
                  "labels", "kubecanary.io/fleet", "mesh", "kubecanary.io/network", "Node", "ownerReferences",
                  "controller", 1, "uid", "mesh-node", "spec", "nodeName", "n1", "status", "phase", "Running",
                  "conditions", "type", "Ready", "status", ready));
}

// A DaemonSet each, one peer with two states, pokes for both; a spec that is refused changes neither.
static void two_networks(void)
{
    struct fake f;
    CHECK(setup(&f) && put_node(&f, 1) && put_fleet(&f, mesh_in("Pod", "Node"), 1) && settle(&f));
    CHECK(last(&f, ACTION_APPLY, STORE_DAEMONSET, "mesh-pod") != NULL);
    CHECK(last(&f, ACTION_APPLY, STORE_DAEMONSET, "mesh-node") != NULL);
    CHECK_CONTAINS(condition(&f, "Ready", "message"), "DaemonSet mesh-pod: ");
    CHECK_CONTAINS(condition(&f, "Ready", "message"), "DaemonSet mesh-node: ");
    CHECK(put_pod(&f, 1, false) && put_host_pod(&f, "False") && settle(&f));
    CHECK_CONTAINS(peers(&f), "host: [198.18.0.1], state: Ready, hostState: Pending}");
    CHECK(last(&f, ACTION_POKE, STORE_POD, "pod-1") != NULL);
    CHECK(last(&f, ACTION_POKE, STORE_POD, "host-1") != NULL);
    CHECK(roll_out(&f, 1) && settle(&f));
    CHECK_STR(condition(&f, "Ready", "status"), "False"); // one of two
    json_t *bad = mesh_in("Pod", NULL);
    json_object_set_new(bad, "nonsense", json_true());
    CHECK(put_fleet(&f, bad, 2) && put_host_pod(&f, "True") && settle(&f));
    CHECK_STR(degraded(&f, "reason"), "InvalidSpec");
    CHECK_CONTAINS(peers(&f), "host: [198.18.0.1], state: Ready}");
    CHECK(put_host_pod(&f, "False") && settle(&f));
    CHECK_CONTAINS(peers(&f), "hostState: Pending}");
    CHECK(last(&f, ACTION_DELETE, STORE_DAEMONSET, "mesh-node") == NULL);
    CHECK(put_fleet(&f, mesh_in("Pod", NULL), 3) && settle(&f));
    CHECK(last(&f, ACTION_DELETE, STORE_DAEMONSET, "mesh-node") != NULL);
    CHECK_CONTAINS(peers(&f), "host: [198.18.0.1], state: Ready}");
    teardown(&f);
}

static json_t *mesh_of_class(const char *name)
{
    json_t *spec = mesh(500);
    json_object_set_new(spec, "placement", json_pack("{s:s}", "priorityClassName", name));
    return spec;
}

static bool put_class(struct fake *f, const char *name)
{
    return put(
        f, STORE_PRIORITYCLASS,
        json_pack("{s:{s:s, s:s, s:s}}", "metadata", "name", name, "uid", name, "resourceVersion", "1"));
}

// Pods of a class that is not there are refused only after the old ones are gone.
static void priority_class_must_exist(void)
{
    struct fake f;
    CHECK(setup(&f) && put_class(&f, "other") && put_node(&f, 1) && put_fleet(&f, mesh(500), 1) &&
          settle(&f));
    size_t before = f.n;
    CHECK(put_fleet(&f, mesh_of_class("critical"), 2) && settle(&f));
    CHECK_STR(degraded(&f, "reason"), "InvalidSpec");
    CHECK_CONTAINS(degraded(&f, "message"),
                   "spec.placement.priorityClassName: there is no PriorityClass critical");
    for (size_t i = before; i < f.n; i++)
        CHECK(f.asked[i].verb != ACTION_APPLY);
    CHECK(put_class(&f, "critical") && settle(&f)); // nobody has to touch the fleet
    CHECK_STR(degraded(&f, "status"), "False");
    CHECK(last(&f, ACTION_APPLY, STORE_DAEMONSET, "mesh-pod") != NULL);
    teardown(&f);
}

static void priority_class_unknown_without_the_right(void)
{
    struct fake f;
    CHECK(setup(&f) && put_node(&f, 1));
    store_set_absent(f.store, STORE_PRIORITYCLASS, true);
    CHECK(put_fleet(&f, mesh_of_class("critical"), 1) && settle(&f));
    CHECK_STR(degraded(&f, "status"), "False");
    teardown(&f);
}

static void foreign_object_is_a_collision(void)
{
    struct fake f;
    CHECK(setup(&f));
    f.collides = "mesh-agent";
    CHECK(put_node(&f, 1) && put_fleet(&f, mesh(500), 1));
    while (strcmp(degraded(&f, "reason"), "NameCollision") != 0)
        CHECK(work(&f));
    CHECK(last(&f, ACTION_APPLY, STORE_DAEMONSET, "mesh-pod") == NULL);
    CHECK(put_pod(&f, 1, true));
    while (!strstr(peers(&f), "node: n1")) // the peers are published all the same
        CHECK(work(&f));
    CHECK(last(&f, ACTION_APPLY, STORE_DAEMONSET, "mesh-pod") == NULL);
    teardown(&f);
}

static void a_round_under_way_is_dropped_at_the_end(void)
{
    struct fake f;
    struct err e;
    CHECK(setup(&f) && put_node(&f, 1) && put_fleet(&f, mesh(500), 1));
    for (int turns = 0; f.n == 0; turns++) {
        CHECK(turns < QUIET);
        CHECK_INT(loop_once(f.loop, NS_PER_S, &e), 0);
    }
    teardown(&f); // the sanitizer tells whether something is left
}

static const struct check_case cases[] = {
    {"a fleet is rendered", a_fleet_is_rendered},
    {"a budget is refused before it is spent", budget_is_refused_before_it_is_spent},
    {"growth over the budget adds nobody", growth_over_the_budget_adds_nobody},
    {"a bad spec keeps what runs", bad_spec_keeps_what_runs},
    {"two networks", two_networks},
    {"a priority class must exist", priority_class_must_exist},
    {"a priority class that cannot be looked at is taken", priority_class_unknown_without_the_right},
    {"a foreign object is a collision", foreign_object_is_a_collision},
    {"a round under way is dropped at the end", a_round_under_way_is_dropped_at_the_end},
};
CHECK_MAIN(cases)
