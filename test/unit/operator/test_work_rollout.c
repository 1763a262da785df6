// SPDX-License-Identifier: Apache-2.0
// Settings under observation, by the operator's whole rounds: what is written in which order, what a new
// operator makes of what the last one left, and that nobody is replaced whom it was not decided about.
#include "operator/page_reports.h"
#include "operator/report_table.h"
#include "test/unit/operator/rollout_fleet.h"

// The place of the last action of a kind, by which orders are compared.
static size_t place(const struct fake *f, enum action_verb verb)
{
    for (size_t i = f->n; i > 0; i--) {
        if (f->asked[i - 1].verb == verb)
            return i;
    }
    return 0;
}

// The DaemonSet as it was last applied, which its controller has yet to look at.
static bool show_unobserved(struct fake *f)
{
    json_t *set = stored(f, last(f, ACTION_APPLY, STORE_DAEMONSET, "mesh-pod"));
    json_object_set_new(set, "status",
                        json_pack("{s:i, s:i, s:i, s:i}", "observedGeneration", f->applies - 1,
                                  "desiredNumberScheduled", AGENTS, "updatedNumberScheduled", AGENTS,
                                  "numberReady", AGENTS));
    return put(f, STORE_DAEMONSET, set);
}

static void without_a_rollout_all_roll(void)
{
    struct fake f;
    char before[17];
    CHECK(start(&f, 0, before));
    CHECK(put_fleet_of(&f, fleet(2, 0), 2, json_deep_copy(store_fleet(f.store, "ns", "mesh")->status)));
    CHECK(await_phase(&f, "Rolling"));
    CHECK_STR(strategy(&f), "RollingUpdate");
    CHECK(strcmp(settings(&f), before) != 0);
    CHECK_STR(json_string_value(json_object_get(rollout(&f), "before")), before);
    CHECK_STR(json_string_value(json_object_get(rollout(&f), "type")), "Jemalloc");
    CHECK_STR(json_string_value(json_object_get(rollout(&f), "typeBefore")), "Jemalloc");
    for (int i = 1; i <= AGENTS; i++)
        CHECK(put_agent(&f, i, settings(&f), false));
    CHECK(roll_out(&f, AGENTS) && await_phase(&f, "Complete"));
    CHECK_INT(count(&f, ACTION_DELETE, NULL), 0);
    teardown(&f);
}

static void canaries_first(void)
{
    struct fake f;
    char before[17], after[17];
    CHECK(start(&f, 34, before)); // two of three
    CHECK_STR(strategy(&f), "RollingUpdate");
    f.lags = true; // the watch shows neither the DaemonSet nor the status: nobody may be replaced yet
    CHECK(put_fleet_of(&f, fleet(2, 34), 2, json_deep_copy(store_fleet(f.store, "ns", "mesh")->status)));
    CHECK(await_strategy(&f, "OnDelete") && settle(&f));
    CHECK(strcmp(settings(&f), before) != 0);
    CHECK_INT(count(&f, ACTION_DELETE, NULL), 0);
    f.lags = false;
    CHECK(show_unobserved(&f) && await_phase(&f, "Canary") && settle(&f) && settle(&f) && settle(&f));
    CHECK_INT(count(&f, ACTION_DELETE, NULL), 0); // who came back now would be as before
    CHECK(roll_out(&f, AGENTS) && await_deletes(&f, 1) && settle(&f));
    CHECK_INT(count(&f, ACTION_DELETE, NULL), 1); // 10 % of three may be away, and the first is still there
    CHECK_STR(condition(&f, "Progressing", "reason"), "AllocatorUnderObservation");
    const struct action *first = &f.asked[place(&f, ACTION_DELETE) - 1];
    CHECK_INT(first->kind, STORE_POD);
    CHECK_CONTAINS(first->uid, before);
    int node = first->name[4] - '0';
    snprintf(after, sizeof(after), "%s", settings(&f));
    CHECK(put_agent(&f, node, after, false) && await_deletes(&f, 2));
    const struct action *second = &f.asked[place(&f, ACTION_DELETE) - 1];
    CHECK(strcmp(second->name, first->name) != 0);
    CHECK(put_agent(&f, second->name[4] - '0', after, false) && settle(&f));
    CHECK_INT(count(&f, ACTION_DELETE, NULL), 2); // the third keeps what it has
    CHECK_STR(strategy(&f), "OnDelete");
    CHECK_STR(phase(&f), "Canary");
    CHECK(json_object_get(rollout(&f), "observedAt") != NULL);
    teardown(&f);
}

// What the status of an operator that is gone says, with canary `told` on node 1 and the others as before.
static bool take_over(struct fake *f, const char *state, const char *told, bool killed,
                      char before[static 17])
{
    char after[17];
    struct fake f0;
    if (!start(&f0, 34, before) || !put_fleet(&f0, fleet(2, 34), 2) || !await_strategy(&f0, "OnDelete"))
        return false;
    snprintf(after, sizeof(after), "%s", settings(&f0));
    await_phase(&f0, "Canary");
    json_t *status = json_deep_copy(store_fleet(f0.store, "ns", "mesh")->status);
    json_object_set_new(json_array_get(json_object_get(status, "allocatorRollouts"), 0), "phase",
                        json_string(state));
    teardown(&f0);
    if (!set_up(f))
        return false;
    json_t *set =
        json_pack("{s:{s:s, s:s, s:s, s:s, s:i, s:{s:s}, s:[{s:b, s:s}]}, s:{s:i, s:i, s:i, s:i}}",
                  "metadata", "namespace", "ns", "name", "mesh-pod", "uid", "mesh-pod", "resourceVersion",
                  "5", "generation", 1, "labels", "kubecanary.io/fleet", "mesh", "ownerReferences",
                  "controller", 1, "uid", "fleet-uid", "status", "observedGeneration", 1,
                  "desiredNumberScheduled", AGENTS, "updatedNumberScheduled", 1, "numberReady", AGENTS);
    bool ok = put(f, STORE_DAEMONSET, set);
    for (int i = 1; i <= AGENTS; i++)
        ok = ok && put_node(f, i) && put_agent(f, i, i == 1 && told ? after : before, i == 1 && killed);
    return ok && put_fleet_of(f, fleet(2, 34), 2, status);
}

static void a_new_operator_goes_on(void)
{
    struct fake f;
    char before[17];
    CHECK(take_over(&f, "Canary", "new", false, before));
    CHECK(await_strategy(&f, "OnDelete"));
    CHECK(roll_out(&f, AGENTS) && await_deletes(&f, 1) && settle(&f));
    CHECK_INT(count(&f, ACTION_DELETE, NULL), 1); // of two canaries one is there
    CHECK_INT(count(&f, ACTION_DELETE, "pod-1"), 0);
    teardown(&f);
    CHECK(take_over(&f, "Stopped", "new", false, before));
    CHECK(await_strategy(&f, "OnDelete") && settle(&f));
    CHECK_INT(count(&f, ACTION_DELETE, NULL), 0);
    CHECK_STR(phase(&f), "Stopped");
    CHECK_STR(condition(&f, "Progressing", "status"), "False");
    CHECK_STR(condition(&f, "Progressing", "reason"), "AllocatorRolloutStopped");
    teardown(&f);
    CHECK(take_over(&f, "Rolling", "new", false, before));
    CHECK(await_strategy(&f, "RollingUpdate") && settle(&f));
    CHECK_INT(count(&f, ACTION_DELETE, NULL), 0);
    teardown(&f);
}

static void killed_for_its_memory(void)
{
    struct fake f;
    char before[17];
    CHECK(take_over(&f, "Rolling", "new", true, before));
    CHECK(await_phase(&f, "Stopped") && settle(&f));
    CHECK_STR(strategy(&f), "OnDelete");
    CHECK_STR(degraded(&f, "reason"), "AllocatorRolloutStopped");
    CHECK_CONTAINS(degraded(&f, "message"),
                   "spec.agent.allocator: the agent on node n1 was killed for its memory");
    CHECK_STR(condition(&f, "Ready", "reason"), "AllocatorRolloutStopped");
    const struct action *event = last(&f, ACTION_EVENT, STORE_FLEET, "mesh");
    CHECK(event != NULL);
    CHECK_STR(json_string_value(json_object_get(event ? event->body : NULL, "reason")),
              "AllocatorRolloutStopped");
    CLEANUP_BUF struct buf page = {0};
    buf_init(&page, 1 << 16);
    page_reports_write(f.control, &page, METRIC_TEXT_0_0_4);
    CHECK_CONTAINS(buf_text(&page),
                   "kubecanary_fleet_allocator_rollout_stopped{fleet_namespace=\"ns\",fleet=\"mesh\","
                   "override=\"\",reason=\"OutOfMemory\"} 1\n");
    // Back to what was: by the DaemonSet's controller, at once.
    CHECK(put_fleet_of(&f, fleet(1, 34), 3, json_deep_copy(store_fleet(f.store, "ns", "mesh")->status)));
    CHECK(await_phase(&f, "Rolling"));
    CHECK_STR(strategy(&f), "RollingUpdate");
    CHECK_STR(settings(&f), before);
    CHECK_STR(degraded(&f, "status"), "False");
    teardown(&f);
}

// An operator that died after it had decided, and before it wrote it, decides again; it rolls only then.
static void a_verdict(void)
{
    struct fake f;
    char before[17];
    CHECK(take_over(&f, "Canary", NULL, false, before));
    json_t *status = json_deep_copy(store_fleet(f.store, "ns", "mesh")->status);
    json_t *r = json_array_get(json_object_get(status, "allocatorRollouts"), 0);
    json_object_set_new(r, "observedAt", json_string("2020-01-01T00:00:00Z"));
    CHECK(put_fleet_of(&f, fleet(2, 34), 2, status));
    CHECK(await_phase(&f, "Stopped"));
    CHECK_STR(json_string_value(json_object_get(rollout(&f), "reason")), "CanariesNotReady");
    CHECK_INT(count(&f, ACTION_DELETE, NULL), 0);
    teardown(&f);
}

static void a_spec_that_is_bad_moves_nobody(void)
{
    struct fake f;
    char before[17];
    CHECK(take_over(&f, "Canary", NULL, false, before));
    CHECK(put_fleet_of(&f, json_pack("{s:{s:[]}}", "mesh", "probes"), 3,
                       json_deep_copy(store_fleet(f.store, "ns", "mesh")->status)));
    CHECK(settle(&f));
    CHECK_STR(degraded(&f, "reason"), "InvalidSpec");
    CHECK_STR(phase(&f), "Canary");
    CHECK_INT(count(&f, ACTION_DELETE, NULL), 0);
    teardown(&f);
}

// --- overrides ---

static json_t *two_sets(int rest, int large)
{
    json_t *spec = fleet(rest, 50);
    json_t *allocator = json_pack("{s:s, s:i, s:{s:i}}", "type", "Jemalloc", "narenas", large, "rollout",
                                  "canaryPercent", 50);
    json_object_set_new(spec, "placement",
                        json_pack("{s:[{s:s, s:{s:s}, s:o}]}", "overrides", "name", "large", "nodeSelector",
                                  "size", "large", "allocator", allocator));
    return spec;
}

static const char *strategy_of(const struct fake *f, const char *set)
{
    const struct action *a = last(f, ACTION_APPLY, STORE_DAEMONSET, set);
    const json_t *spec = json_object_get(a ? a->body : NULL, "spec");
    return json_string_value(json_object_get(json_object_get(spec, "updateStrategy"), "type"));
}

// A set of one agent, rolled out with what it was last told.
static bool roll_set(struct fake *f, const char *set, int node, const char *override)
{
    const struct action *a = last(f, ACTION_APPLY, STORE_DAEMONSET, set);
    const json_t *template = json_object_get(json_object_get(a->body, "spec"), "template");
    const json_t *told = json_object_get(
        json_object_get(json_object_get(template, "metadata"), "annotations"), "kubecanary.io/allocator");
    char name[16], pod_name[16];
    snprintf(name, sizeof(name), "n%d", node);
    snprintf(pod_name, sizeof(pod_name), "pod-%d", node);
    json_t *daemonset_now = stored(f, a);
    json_object_set_new(daemonset_now, "status",
                        json_pack("{s:i, s:i, s:i, s:i}", "observedGeneration", f->applies,
                                  "desiredNumberScheduled", 1, "updatedNumberScheduled", 1, "numberReady",
                                  1));
    json_t *pod =
        json_pack("{s:{s:s, s:s, s:s, s:s, s:{s:s, s:s, s:s*}, s:{s:O}, s:[{s:b, s:s}]}, s:{s:s}, "
                  "s:{s:s, s:[{s:s}], s:[{s:s, s:s}]}}",
                  "metadata", "namespace", "ns", "name", pod_name, "uid", pod_name, "resourceVersion", "1",
                  "labels", "kubecanary.io/fleet", "mesh", "kubecanary.io/network", "Pod",
                  "kubecanary.io/override", override, "annotations", "kubecanary.io/allocator", told,
                  "ownerReferences", "controller", 1, "uid", set, "spec", "nodeName", name, "status", "phase",
                  "Running", "podIPs", "ip", "198.19.0.9", "conditions", "type", "Ready", "status", "True");
    return put_node(f, node) && put(f, STORE_DAEMONSET, daemonset_now) && put(f, STORE_POD, pod);
}

static void nothing_shown(struct fake *f UNUSED, const struct action *a UNUSED)
{
}

static void each_override_for_itself(void)
{
    struct fake f;
    CHECK(setup(&f) && put_fleet(&f, two_sets(1, 1), 1) && settle(&f));
    f.show_poke = nothing_shown;
    CHECK(roll_set(&f, "mesh-pod", 1, NULL) && roll_set(&f, "mesh-pod-large", 2, "large") && settle(&f));
    CHECK(put_fleet_of(&f, two_sets(1, 2), 2, json_deep_copy(store_fleet(f.store, "ns", "mesh")->status)));
    CHECK(settle(&f));
    CHECK_STR(strategy_of(&f, "mesh-pod"), "RollingUpdate");
    CHECK_STR(strategy_of(&f, "mesh-pod-large"), "OnDelete");
    const json_t *list = json_object_get(store_fleet(f.store, "ns", "mesh")->status, "allocatorRollouts");
    CHECK_INT(json_array_size(list), 2);
    CHECK_STR(json_string_value(json_object_get(json_array_get(list, 0), "phase")), "Complete");
    CHECK_STR(json_string_value(json_object_get(json_array_get(list, 1), "override")), "large");
    CHECK_STR(json_string_value(json_object_get(json_array_get(list, 1), "phase")), "Canary");
    json_t *set = stored(&f, last(&f, ACTION_APPLY, STORE_DAEMONSET, "mesh-pod-large"));
    json_object_set_new(set, "status",
                        json_pack("{s:i, s:i, s:i, s:i}", "observedGeneration", f.applies,
                                  "desiredNumberScheduled", 1, "updatedNumberScheduled", 0, "numberReady",
                                  1));
    CHECK(put(&f, STORE_DAEMONSET, set) && await_deletes(&f, 1) && settle(&f));
    CHECK_INT(count(&f, ACTION_DELETE, "pod-2"), 1);
    CHECK_INT(count(&f, ACTION_DELETE, NULL), 1);
    teardown(&f);
}

static void memory_of_those_who_were_told(void)
{
    struct fake f;
    struct err e;
    struct report_split s;
    char before[17];
    struct report r = {.generation = 1, .cpus = 4, .allocator.name = "jemalloc"};
    CHECK(start(&f, 0, before) && put_agent(&f, 2, "other", false));
    struct report_table *t = report_table_new(NULL, NULL);
    CHECK(t && report_table_sync(t, f.store, 0) == 0);
    CHECK_INT(report_table_split(t, "ns", "mesh", "", before, &s, &e), 0);
    CHECK_INT(s.told, 0);
    for (int i = 0; i < AGENTS; i++) {
        struct report_agent *a = report_table_next(t);
        r.resident_bytes = a->node[1] == '3' ? 0 : (uint64_t)(a->node[1] - '0'); // n3 does not say
        report_table_ask(t, a, NULL);
        report_table_answer(t, a, &r, NS_PER_S);
    }
    CHECK_INT(report_table_split(t, "ns", "mesh", "", before, &s, &e), 0);
    CHECK_INT(s.told, 1);
    CHECK_INT(s.all.now[1].median, 1);
    CHECK_INT(s.max, 1);
    CHECK_STR(s.max_node, "n1");
    CHECK_INT(s.all.old[1].agents, 1);
    CHECK_INT(s.all.old[1].median, 2);
    CHECK_INT(report_table_split(t, "ns", "mesh", "large", before, &s, &e), 0);
    CHECK_INT(s.told + s.all.old[1].agents, 0);
    CHECK_INT(report_table_split(t, "ns", "elsewhere", "", before, &s, &e), 0);
    CHECK_INT(s.told, 0);
    report_table_free(t);
    teardown(&f);
}

static const struct check_case cases[] = {
    {"without a rollout all roll", without_a_rollout_all_roll},
    {"canaries first", canaries_first},
    {"a new operator goes on", a_new_operator_goes_on},
    {"killed for its memory", killed_for_its_memory},
    {"a verdict", a_verdict},
    {"a spec that is bad moves nobody", a_spec_that_is_bad_moves_nobody},
    {"each override for itself", each_override_for_itself},
    {"memory of those who were told", memory_of_those_who_were_told},
};
CHECK_MAIN(cases)
