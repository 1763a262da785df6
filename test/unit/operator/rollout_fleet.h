// SPDX-License-Identifier: Apache-2.0
// A fleet of a few agents whose settings change under observation, worked upon by the operator's whole
// rounds.
#ifndef KUBECANARY_TEST_UNIT_ROLLOUT_FLEET_H
#define KUBECANARY_TEST_UNIT_ROLLOUT_FLEET_H

#include "test/unit/operator/fake_cluster.h"

#define AGENTS 3

static inline json_t *fleet(int narenas, int percent)
{
    json_t *spec = mesh(500), *allocator = json_pack("{s:s, s:i}", "type", "Jemalloc", "narenas", narenas);
    if (percent)
        json_object_set_new(allocator, "rollout", json_pack("{s:i}", "canaryPercent", percent));
    json_object_set_new(spec, "agent", json_pack("{s:o}", "allocator", allocator));
    return spec;
}

// The fleet with a status, as an operator that begins finds it.
static inline bool put_fleet_of(struct fake *f, json_t *spec, int generation, json_t *status)
{
    return put(f, STORE_FLEET,
               json_pack("{s:{s:s, s:s, s:s, s:s, s:i}, s:o, s:o}", "metadata", "namespace", "ns", "name",
                         "mesh", "uid", "fleet-uid", "resourceVersion", "9", "generation", generation, "spec",
                         spec, "status", status));
}

static inline const json_t *daemonset(const struct fake *f)
{
    const struct action *a = last(f, ACTION_APPLY, STORE_DAEMONSET, "mesh-pod");
    return json_object_get(a ? a->body : NULL, "spec");
}

// As the DaemonSet was last applied.
static inline const char *strategy(const struct fake *f)
{
    return json_string_value(json_object_get(json_object_get(daemonset(f), "updateStrategy"), "type"));
}

static inline const char *settings(const struct fake *f)
{
    const json_t *meta = json_object_get(json_object_get(daemonset(f), "template"), "metadata");
    return json_string_value(
        json_object_get(json_object_get(meta, "annotations"), "kubecanary.io/allocator"));
}

// The Pod of node i, with these settings.
static inline bool put_agent_of(struct fake *f, int i, const char *told, bool killed, bool ready,
                                const char *published)
{
    static unsigned version;
    char name[16], node[16], address[32];
    snprintf(name, sizeof(name), "pod-%d", i);
    snprintf(node, sizeof(node), "n%d", i);
    snprintf(address, sizeof(address), "198.19.0.%d", i);
    json_t *container =
        killed ? json_pack("{s:{s:{s:s}}}", "lastState", "terminated", "reason", "OOMKilled") : json_object();
    json_t *pod = json_pack(
        "{s:{s:s, s:s, s:o, s:s, s:{s:s, s:s}, s:{s:s}, s:[{s:b, s:s}]}, s:{s:s}, s:{s:s, s:[{s:s}], "
        "s:[{s:s, s:s}], s:[o]}}",
        "metadata", "namespace", "ns", "name", name, "uid", json_sprintf("%s-%s", name, told),
        "resourceVersion", "1", "labels", "kubecanary.io/fleet", "mesh", "kubecanary.io/network", "Pod",
        "annotations", "kubecanary.io/allocator", told, "ownerReferences", "controller", 1, "uid", "mesh-pod",
        "spec", "nodeName", node, "status", "phase", "Running", "podIPs", "ip", address, "conditions", "type",
        "Ready", "status", ready ? "True" : "False", "containerStatuses", container);
    json_object_set_new(json_object_get(pod, "metadata"), "resourceVersion", json_sprintf("v%u", ++version));
    json_object_set_new(json_object_get(json_object_get(pod, "metadata"), "annotations"),
                        "kubecanary.io/published", json_string(published));
    return put(f, STORE_POD, pod);
}

static inline bool put_agent(struct fake *f, int i, const char *told, bool killed)
{
    return put_agent_of(f, i, told, killed, true, "nothing");
}

struct search {
    const char *name;
    const struct store_pod *ret;
};

static inline int match(const void *object, void *arg)
{
    struct search *s = arg;
    const struct store_pod *pod = object;
    s->ret = strcmp(pod->meta.name, s->name) == 0 ? pod : NULL;
    return s->ret != NULL;
}

static inline void show_poke_of(struct fake *f, const struct action *a)
{
    struct search s = {.name = a->name};
    if (!store_each(f->store, STORE_POD, match, &s))
        return;
    const struct store_pod pod = *s.ret;
    put_agent_of(f, a->name[4] - '0', pod.allocator, pod.killed, pod.ready, a->value);
}

static inline bool set_up(struct fake *f)
{
    bool ok = setup(f);
    f->show_poke = show_poke_of;
    return ok;
}

static inline const json_t *rollout(const struct fake *f)
{
    const struct store_fleet *fleet_now = store_fleet(f->store, "ns", "mesh");
    return json_array_get(json_object_get(fleet_now->status, "allocatorRollouts"), 0);
}

static inline const char *phase(const struct fake *f)
{
    const char *text = json_string_value(json_object_get(rollout(f), "phase"));
    return text ? text : "";
}

// Works until the status is in that phase.
static inline bool await_phase(struct fake *f, const char *wanted)
{
    while (strcmp(phase(f), wanted) != 0) {
        if (!work(f))
            return false;
    }
    return true;
}

static inline bool await_degraded(struct fake *f, const char *status)
{
    while (strcmp(degraded(f, "status"), status) != 0) {
        if (!work(f))
            return false;
    }
    return true;
}

static inline bool await_deletes(struct fake *f, size_t n)
{
    while (count(f, ACTION_DELETE, NULL) < n) {
        if (!work(f))
            return false;
    }
    return true;
}

static inline bool await_strategy(struct fake *f, const char *wanted)
{
    while (!strategy(f) || strcmp(strategy(f), wanted) != 0) {
        if (!work(f))
            return false;
    }
    return true;
}

// A fleet with narenas 1 everywhere; `before` takes that setting's hash.
static inline bool start(struct fake *f, int percent, char before[static 17])
{
    if (!set_up(f))
        return false;
    for (int i = 1; i <= AGENTS; i++) {
        if (!put_node(f, i))
            return false;
    }
    if (!put_fleet(f, fleet(1, percent), 1) || !settle(f) || !settings(f))
        return false;
    snprintf(before, 17, "%s", settings(f));
    for (int i = 1; i <= AGENTS; i++) {
        if (!put_agent(f, i, before, false))
            return false;
    }
    return roll_out(f, AGENTS) && settle(f) && strcmp(phase(f), "Complete") == 0;
}

#endif
