// SPDX-License-Identifier: Apache-2.0
// Whole rounds of work against a backend that only remembers what it was told: the budget before and during
// growth, somebody else's object, events, a bad spec that keeps what runs, and an end in the middle of a
// round.
#include <errno.h>

#include "operator/control.h"
#include "test/unit/check.h"

#define MOST 256

struct fake {
    struct cluster cluster;
    struct store *store;
    struct loop *loop;
    struct control *control;
    struct action asked[MOST]; // all so far; bodies owned
    size_t n, answered;
    action_done_fn *done[MOST];
    void *arg[MOST];
    const char *collides; // name of an object that is somebody else's
};

static const struct render_config config = {
    .version = "0", .agent_image = "a", .agent_jemalloc_image = "j", .image_pull_policy = "Never"};

static int fake_start(struct cluster *c, struct store *s, struct err *e UNUSED)
{
    ((struct fake *)c)->store = s;
    for (int k = 0; k < STORE_KINDS; k++)
        store_set_synced(s, (enum store_kind)k);
    return 0;
}

static int fake_act(struct cluster *c, const struct action *a, action_done_fn *done, void *arg, struct err *e)
{
    struct fake *f = (struct fake *)c;
    if (f->n == MOST)
        return err_set(e, E2BIG, "the test's list is full");
    f->asked[f->n] = *a;
    json_incref(a->body);
    f->done[f->n] = done;
    f->arg[f->n++] = arg;
    return 0;
}

static void fake_nothing(struct cluster *c UNUSED)
{
}

static const struct cluster_ops fake_ops = {"fake", fake_start, fake_act, fake_nothing, fake_nothing};

static bool put(struct fake *f, enum store_kind kind, json_t *object)
{
    struct err e;
    int r = store_put(f->store, kind, object, &e);
    json_decref(object);
    return r == 0;
}

// The object as an API would return it, which the watch then shows.
static json_t *stored(const struct fake *f, const struct action *a)
{
    char version[24];
    snprintf(version, sizeof(version), "%zu", f->answered + 100);
    json_t *object = json_deep_copy(a->body), *meta = json_object_get(object, "metadata");
    json_object_set_new(meta, "uid", json_string(a->name));
    json_object_set_new(meta, "resourceVersion", json_string(version));
    return object;
}

static void answer(struct fake *f)
{
    size_t i = f->answered++;
    const struct action *a = &f->asked[i];
    struct action_result result = {.status = 200, .retry_after_s = -1};
    json_t *object = a->verb == ACTION_APPLY ? stored(f, a) : NULL;
    result.object = object;
    if (a->verb == ACTION_APPLY && f->collides && strcmp(a->name, f->collides) == 0) {
        result.status = 409;
        err_set(&result.err, EEXIST, "there is one of that name which is not this fleet's");
    } else if (object) {
        put(f, a->kind, json_incref(object));
    }
    f->done[i](&result, f->arg[i]);
    json_decref(object);
}

// Lets the operator work until it neither asks nor waits for anything sooner than a few seconds.
static bool settle(struct fake *f)
{
    struct err e;
    for (int idle = 0; idle < 5;) {
        if (loop_once(f->loop, 100 * NS_PER_MS, &e) < 0)
            return false;
        idle = f->answered < f->n ? 0 : idle + 1;
        while (f->answered < f->n)
            answer(f);
    }
    return true;
}

static bool put_fleet(struct fake *f, json_t *spec, int generation)
{
    json_t *fleet =
        json_pack("{s:{s:s, s:s, s:s, s:s, s:i}, s:o}", "metadata", "namespace", "ns", "name", "mesh", "uid",
                  "fleet-uid", "resourceVersion", "1", "generation", generation, "spec", spec);
    json_object_set_new(json_object_get(fleet, "metadata"), "resourceVersion",
                        json_sprintf("fleet-%d-%zu", generation, f->n));
    return put(f, STORE_FLEET, fleet);
}

static json_t *mesh(int budget)
{
    return json_pack("{s:{s:[{s:s, s:s, s:s, s:s}]}, s:{s:i}}", "mesh", "probes", "name", "icmp", "type",
                     "ICMP", "interval", "1s", "timeout", "1s", "budget", "packetsPerSecond", budget);
}

static bool put_node(struct fake *f, int i)
{
    char name[16], address[32];
    snprintf(name, sizeof(name), "n%d", i);
    snprintf(address, sizeof(address), "198.18.0.%d", i);
    return put(f, STORE_NODE,
               json_pack("{s:{s:s, s:s, s:s}, s:{s:[{s:s, s:s}], s:[{s:s, s:s}]}}", "metadata", "name", name,
                         "uid", name, "resourceVersion", "1", "status", "addresses", "type", "InternalIP",
                         "address", address, "conditions", "type", "Ready", "status", "True"));
}

static bool put_pod(struct fake *f, int i, bool known)
{
    char name[16], node[16], address[32];
    snprintf(name, sizeof(name), "pod-%d", i);
    snprintf(node, sizeof(node), "n%d", i);
    snprintf(address, sizeof(address), "198.19.0.%d", i);
    json_t *pod = json_pack(
        "{s:{s:s, s:s, s:s, s:s, s:{s:s}, s:[{s:b, s:s}]}, s:{s:s}, s:{s:s, s:[{s:s}], s:[{s:s, s:s}]}}",
        "metadata", "namespace", "ns", "name", name, "uid", name, "resourceVersion", known ? "2" : "1",
        "labels", "kubecanary.io/fleet", "mesh", "ownerReferences", "controller", 1, "uid", "mesh-pod",
        "spec", "nodeName", node, "status", "phase", "Running", "podIPs", "ip", address, "conditions", "type",
        "Ready", "status", "True");
    if (known)
        json_object_set_new(json_object_get(pod, "metadata"), "annotations",
                            json_pack("{s:s}", "kubecanary.io/published", "before"));
    return put(f, STORE_POD, pod);
}

static bool setup(struct fake *f)
{
    struct err e;
    *f = (struct fake){.cluster.ops = &fake_ops};
    f->loop = loop_new(&e);
    f->control = f->loop ? control_new(f->loop, &f->cluster, &config, &e) : NULL;
    if (f->control)
        control_set_leading(f->control, true);
    return f->control != NULL;
}

static void teardown(struct fake *f)
{
    control_free(f->control);
    loop_free(f->loop);
    for (size_t i = 0; i < f->n; i++)
        action_release(&f->asked[i]);
}

static const struct action *last(const struct fake *f, enum action_verb verb, enum store_kind kind,
                                 const char *name)
{
    for (size_t i = f->n; i > 0; i--) {
        const struct action *a = &f->asked[i - 1];
        if (a->verb == verb && a->kind == kind && strcmp(a->name, name) == 0)
            return a;
    }
    return NULL;
}

static const char *degraded(const struct fake *f, const char *key)
{
    const struct action *a = last(f, ACTION_STATUS, STORE_FLEET, "mesh");
    size_t i;
    const json_t *c;
    json_array_foreach(json_object_get(json_object_get(a ? a->body : NULL, "status"), "conditions"), i, c)
    {
        if (strcmp(json_string_value(json_object_get(c, "type")), "Degraded") == 0)
            return json_string_value(json_object_get(c, key));
    }
    return "";
}

static const char *peers(const struct fake *f)
{
    const struct action *a = last(f, ACTION_APPLY, STORE_CONFIGMAP, "mesh-peers-00");
    return a ? json_string_value(json_object_get(json_object_get(a->body, "data"), "peers-00.yaml")) : "";
}

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
    struct err e;
    while (strcmp(degraded(&f, "reason"), "NameCollision") != 0) {
        CHECK_INT(loop_once(f.loop, NS_PER_S, &e), 0);
        while (f.answered < f.n)
            answer(&f);
        CHECK(f.n < MOST / 2);
    }
    CHECK(last(&f, ACTION_APPLY, STORE_DAEMONSET, "mesh-pod") == NULL);
    teardown(&f);
}

static void a_round_under_way_is_dropped_at_the_end(void)
{
    struct fake f;
    struct err e;
    CHECK(setup(&f) && put_node(&f, 1) && put_fleet(&f, mesh(500), 1));
    while (f.n == 0)
        CHECK_INT(loop_once(f.loop, NS_PER_S, &e), 0);
    teardown(&f); // the sanitizer tells whether something is left
}

static const struct check_case cases[] = {
    {"a fleet is rendered", a_fleet_is_rendered},
    {"a budget is refused before it is spent", budget_is_refused_before_it_is_spent},
    {"growth over the budget adds nobody", growth_over_the_budget_adds_nobody},
    {"a bad spec keeps what runs", bad_spec_keeps_what_runs},
    {"a priority class must exist", priority_class_must_exist},
    {"a priority class that cannot be looked at is taken", priority_class_unknown_without_the_right},
    {"a foreign object is a collision", foreign_object_is_a_collision},
    {"a round under way is dropped at the end", a_round_under_way_is_dropped_at_the_end},
};
CHECK_MAIN(cases)
