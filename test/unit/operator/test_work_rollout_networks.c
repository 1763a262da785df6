// SPDX-License-Identifier: Apache-2.0
// Settings under observation in a fleet of both networks: each has a DaemonSet and canaries of its own, which
// are judged together, and what one of them does stops both.
#include "operator/report_table.h"
#include "test/unit/operator/fake_cluster.h"

#define NODES 2

static const char *const networks[] = {"Pod", "Node"};
static const char *const sets[] = {"mesh-pod", "mesh-node"};

static json_t *fleet(int narenas)
{
    json_t *spec = mesh(500);
    json_object_set_new(json_object_get(spec, "mesh"), "networks", json_pack("[s, s]", "Pod", "Node"));
    json_object_set_new(spec, "agent",
                        json_pack("{s:{s:s, s:i, s:{s:i}}}", "allocator", "type", "Jemalloc", "narenas",
                                  narenas, "rollout", "canaryPercent", 50));
    return spec;
}

static bool change(struct fake *f, int narenas, int generation)
{
    const struct store_fleet *now = store_fleet(f->store, "ns", "mesh");
    return put(f, STORE_FLEET,
               json_pack("{s:{s:s, s:s, s:s, s:s, s:i}, s:o, s:O}", "metadata", "namespace", "ns", "name",
                         "mesh", "uid", "fleet-uid", "resourceVersion", "9", "generation", generation, "spec",
                         fleet(narenas), "status", now->status));
}

static const json_t *set_spec(const struct fake *f, size_t network)
{
    const struct action *a = last(f, ACTION_APPLY, STORE_DAEMONSET, sets[network]);
    return json_object_get(a ? a->body : NULL, "spec");
}

static const char *strategy(const struct fake *f, size_t network)
{
    return json_string_value(
        json_object_get(json_object_get(set_spec(f, network), "updateStrategy"), "type"));
}

static const char *settings(const struct fake *f)
{
    const json_t *meta = json_object_get(json_object_get(set_spec(f, 0), "template"), "metadata");
    return json_string_value(
        json_object_get(json_object_get(meta, "annotations"), "kubecanary.io/allocator"));
}

static const char *phase(const struct fake *f)
{
    const json_t *list = json_object_get(store_fleet(f->store, "ns", "mesh")->status, "allocatorRollouts");
    const char *text = json_string_value(json_object_get(json_array_get(list, 0), "phase"));
    return text ? text : "";
}

static const char *observed(const struct fake *f)
{
    const json_t *list = json_object_get(store_fleet(f->store, "ns", "mesh")->status, "allocatorRollouts");
    return json_string_value(json_object_get(json_array_get(list, 0), "observedAt"));
}

static bool put_agent(struct fake *f, int node, size_t network, const char *told, bool killed)
{
    static unsigned version;
    char name[32], on[16];
    snprintf(name, sizeof(name), "%s-%d", networks[network], node);
    snprintf(on, sizeof(on), "n%d", node);
    json_t *container =
        killed ? json_pack("{s:{s:{s:s}}}", "lastState", "terminated", "reason", "OOMKilled") : json_object();
    return put(f, STORE_POD,
               json_pack("{s:{s:s, s:s, s:o, s:o, s:{s:s, s:s}, s:{s:s}, s:[{s:b, s:s}]}, s:{s:s}, "
                         "s:{s:s, s:[{s:s}], s:[{s:s, s:s}], s:[o]}}",
                         "metadata", "namespace", "ns", "name", name, "uid",
                         json_sprintf("%s-%s", name, told), "resourceVersion", json_sprintf("v%u", ++version),
                         "labels", "kubecanary.io/fleet", "mesh", "kubecanary.io/network", networks[network],
                         "annotations", "kubecanary.io/allocator", told, "ownerReferences", "controller", 1,
                         "uid", sets[network], "spec", "nodeName", on, "status", "phase", "Running", "podIPs",
                         "ip", "198.19.0.9", "conditions", "type", "Ready", "status", "True",
                         "containerStatuses", container));
}

// As its controller shows it, that many of its Pods of the newest template.
static bool show_sets(struct fake *f, int updated)
{
    bool ok = true;
    for (size_t k = 0; ok && k < ARRAY_LEN(sets); k++) {
        json_t *set = stored(f, last(f, ACTION_APPLY, STORE_DAEMONSET, sets[k]));
        json_object_set_new(json_object_get(set, "metadata"), "resourceVersion",
                            json_sprintf("shown-%d-%d", f->applies, updated));
        json_object_set_new(set, "status",
                            json_pack("{s:i, s:i, s:i, s:i}", "observedGeneration", f->applies,
                                      "desiredNumberScheduled", NODES, "updatedNumberScheduled", updated,
                                      "numberReady", NODES));
        ok = put(f, STORE_DAEMONSET, set);
    }
    return ok;
}

static void nothing_shown(struct fake *f UNUSED, const struct action *a UNUSED)
{
}

static bool put_agents(struct fake *f, const char *told)
{
    bool ok = true;
    for (int i = 1; ok && i <= NODES; i++)
        ok = put_agent(f, i, 0, told, false) && put_agent(f, i, 1, told, false);
    return ok;
}

static bool await_hold(struct fake *f)
{
    while (strcmp(strategy(f, 0), "OnDelete") != 0 || strcmp(strategy(f, 1), "OnDelete") != 0) {
        if (!work(f))
            return false;
    }
    return true;
}

// A fleet of which all agents have one choice of settings, and are asked for another.
static bool start(struct fake *f, char before[static 17])
{
    bool ok = setup(f);
    f->show_poke = nothing_shown;
    for (int i = 1; ok && i <= NODES; i++)
        ok = put_node(f, i);
    if (!ok || !put_fleet(f, fleet(1), 1) || !settle(f) || !settings(f))
        return false;
    snprintf(before, 17, "%s", settings(f));
    return put_agents(f, before) && show_sets(f, NODES) && settle(f) && strcmp(phase(f), "Complete") == 0 &&
           change(f, 2, 2) && await_hold(f);
}

static void each_network_has_canaries(void)
{
    struct fake f;
    char before[17], after[17];
    CHECK(start(&f, before) && settle(&f));
    CHECK_STR(phase(&f), "Canary");
    CHECK_INT(count(&f, ACTION_DELETE, NULL), 0); // neither controller knows the template yet
    CHECK(show_sets(&f, 0));
    while (count(&f, ACTION_DELETE, NULL) < 2)
        CHECK(work(&f));
    CHECK(settle(&f));
    CHECK_INT(count(&f, ACTION_DELETE, NULL), 2);
    const bool first = count(&f, ACTION_DELETE, "Pod-1") > 0; // the order is that of the nodes' hashes
    const int node = first ? 1 : 2;
    CHECK_INT(count(&f, ACTION_DELETE, first ? "Pod-1" : "Pod-2"), 1);
    CHECK_INT(count(&f, ACTION_DELETE, first ? "Node-1" : "Node-2"), 1); // on the same node
    snprintf(after, sizeof(after), "%s", settings(&f));
    CHECK(put_agent(&f, node, 0, after, false) && settle(&f));
    CHECK(observed(&f) == NULL); // the other network's is not there yet
    CHECK(put_agent(&f, node, 1, after, false));
    while (!observed(&f))
        CHECK(work(&f));
    CHECK(settle(&f));
    CHECK_INT(count(&f, ACTION_DELETE, NULL), 2);
    CHECK(put_agent(&f, node, 1, after, true)); // the one in the hosts' network is killed
    while (strcmp(phase(&f), "Stopped") != 0)
        CHECK(work(&f));
    CHECK(settle(&f));
    CHECK_CONTAINS(degraded(&f, "message"),
                   first ? "node n1, network Node, was killed" : "node n2, network Node, was killed");
    CHECK_STR(strategy(&f, 0), "OnDelete");
    CHECK_STR(strategy(&f, 1), "OnDelete");
    CHECK_INT(count(&f, ACTION_DELETE, NULL), 2);
    teardown(&f);
}

// Agents in the pods' network take 1000 bytes, those in the hosts' 2000; on node 1 both have other settings
// than the rest, and take ten times as much.
static void memory_by_network(void)
{
    struct fake f;
    struct err e;
    struct report_split s;
    char before[17];
    struct report r = {.generation = 1, .cpus = 4, .allocator.name = "jemalloc"};
    CHECK(start(&f, before) && put_agent(&f, 1, 0, "other", false) && put_agent(&f, 1, 1, "other", false));
    struct report_table *t = report_table_new(NULL, NULL);
    CHECK(t && report_table_sync(t, f.store, 0) == 0);
    for (size_t i = 0; i < NODES * ARRAY_LEN(networks); i++) {
        struct report_agent *a = report_table_next(t);
        r.resident_bytes = a->set.network == SPEC_NETWORK_NODE ? 2000 : 1000;
        r.resident_bytes *= strcmp(a->allocator, "other") == 0 ? 10 : 1;
        report_table_ask(t, a, NULL);
        report_table_answer(t, a, &r, NS_PER_S);
    }
    CHECK_INT(report_table_split(t, "ns", "mesh", "", "other", &s, &e), 0);
    CHECK_INT(s.told, 2);
    CHECK_INT(s.all.now[1].agents, 2);
    CHECK_INT(s.all.old[1].agents, 2);
    for (enum spec_network k = 0; k < AGENT_NETWORKS; k++) {
        CHECK_INT(s.of[k].now[1].agents, 1);
        CHECK_INT(s.of[k].old[1].agents, 1);
        CHECK_INT(s.of[k].now[1].median, k == SPEC_NETWORK_NODE ? 20000 : 10000);
        CHECK_INT(s.of[k].old[1].median, k == SPEC_NETWORK_NODE ? 2000 : 1000);
    }
    CHECK_INT(s.max, 20000);
    CHECK_STR(s.max_node, "n1");
    CHECK_INT(s.max_network, SPEC_NETWORK_NODE);
    report_table_free(t);
    teardown(&f);
}

static const struct check_case cases[] = {
    {"each network has canaries", each_network_has_canaries},
    {"memory by network", memory_by_network},
};
CHECK_MAIN(cases)
