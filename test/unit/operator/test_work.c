// SPDX-License-Identifier: Apache-2.0
// Whole rounds of work against a backend that remembers what it was told and answers like an API server,
// whose watch may lag: the budget before and during growth, somebody else's object, refusals of every kind,
// events, a bad spec that keeps what runs, and an end in the middle of a round.
#include <errno.h>

#include "operator/control.h"
#include "operator/reconcile.h"
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
    uint64_t at[MOST];    // when each was asked
    const char *collides; // name of an object that is somebody else's
    const char *refused;  // name of an object whose writes are refused
    int refused_status, retry_after_s;
    const char *why; // the refusal's text, which has a number in it each time
    bool pokes_refused;
    bool status_denied; // writes of the status
    bool lags;          // the watch shows nothing any more
    int applies;        // of DaemonSets: their generation
    int fleet_writes;
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
    f->at[f->n] = loop_now(f->loop);
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
    if (a->kind == STORE_DAEMONSET)
        json_object_set_new(meta, "generation", json_integer(f->applies));
    return object;
}

// A status that was taken comes back by the watch, with a new version of the fleet.
static void show_status(struct fake *f, const struct action *a)
{
    const struct store_fleet *fleet = store_fleet(f->store, a->namespace, a->name);
    json_t *object =
        json_pack("{s:{s:s, s:s, s:s, s:I}, s:O, s:O}", "metadata", "namespace", a->namespace, "name",
                  a->name, "uid", fleet->meta.uid, "generation", (json_int_t)fleet->meta.generation, "spec",
                  fleet->spec, "status", json_object_get(a->body, "status"));
    json_object_set_new(json_object_get(object, "metadata"), "resourceVersion",
                        json_sprintf("status-%d", f->fleet_writes++));
    put(f, STORE_FLEET, object);
}

// A poked Pod comes back with its annotation.
static void show_poke(struct fake *f, const struct action *a);

static void refuse(struct fake *f, struct action_result *result)
{
    result->status = f->refused_status;
    result->retry_after_s = f->retry_after_s ? f->retry_after_s : -1;
    err_set(&result->err, EPROTO, "%s (%zu)", f->why ? f->why : "no", f->answered);
}

static void answer(struct fake *f)
{
    size_t i = f->answered++;
    const struct action *a = &f->asked[i];
    struct action_result result = {.status = 200, .retry_after_s = -1};
    f->applies += a->verb == ACTION_APPLY && a->kind == STORE_DAEMONSET;
    json_t *object = a->verb == ACTION_APPLY ? stored(f, a) : NULL;
    result.object = object;
    bool named = f->refused && strcmp(a->name, f->refused) == 0;
    if ((named && a->verb == ACTION_APPLY) || (f->pokes_refused && a->verb == ACTION_POKE)) {
        refuse(f, &result);
    } else if (a->verb == ACTION_STATUS && f->status_denied) {
        result.status = 403;
        err_set(&result.err, EACCES, "you may not");
    } else if (f->lags) {
        // taken, but not shown
    } else if (a->verb == ACTION_STATUS) {
        show_status(f, a);
    } else if (a->verb == ACTION_POKE) {
        show_poke(f, a);
    } else if (a->verb == ACTION_APPLY && f->collides && strcmp(a->name, f->collides) == 0) {
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

static bool put_pod_of(struct fake *f, int i, const char *version, const char *published)
{
    char name[16], node[16], address[32];
    snprintf(name, sizeof(name), "pod-%d", i);
    snprintf(node, sizeof(node), "n%d", i);
    snprintf(address, sizeof(address), "198.19.0.%d", i);
    json_t *pod = json_pack(
        "{s:{s:s, s:s, s:s, s:s, s:{s:s}, s:[{s:b, s:s}]}, s:{s:s}, s:{s:s, s:[{s:s}], s:[{s:s, s:s}]}}",
        "metadata", "namespace", "ns", "name", name, "uid", name, "resourceVersion", version, "labels",
        "kubecanary.io/fleet", "mesh", "ownerReferences", "controller", 1, "uid", "mesh-pod", "spec",
        "nodeName", node, "status", "phase", "Running", "podIPs", "ip", address, "conditions", "type",
        "Ready", "status", "True");
    if (published)
        json_object_set_new(json_object_get(pod, "metadata"), "annotations",
                            json_pack("{s:s}", "kubecanary.io/published", published));
    return put(f, STORE_POD, pod);
}

static bool put_pod(struct fake *f, int i, bool known)
{
    return put_pod_of(f, i, known ? "2" : "1", known ? "before" : NULL);
}

static void show_poke(struct fake *f, const struct action *a)
{
    char version[24];
    snprintf(version, sizeof(version), "poke-%zu", f->answered);
    uint64_t number = 0;
    if (base_parse_u64(a->name + strlen("pod-"), 1, MOST, &number) == 0)
        put_pod_of(f, (int)number, version, a->value);
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

// The DaemonSet as it was last applied, and as its controller reports it: all pods of that generation are
// ready.
static bool roll_out(struct fake *f, int pods)
{
    json_t *set = stored(f, last(f, ACTION_APPLY, STORE_DAEMONSET, "mesh-pod"));
    json_object_set_new(json_object_get(set, "metadata"), "resourceVersion",
                        json_sprintf("rolled-%d", f->applies));
    json_object_set_new(set, "status",
                        json_pack("{s:i, s:i, s:i, s:i}", "observedGeneration", f->applies,
                                  "desiredNumberScheduled", pods, "updatedNumberScheduled", pods,
                                  "numberReady", pods));
    return put(f, STORE_DAEMONSET, set);
}

static size_t count(const struct fake *f, enum action_verb verb, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        n += f->asked[i].verb == verb && (!name || strcmp(f->asked[i].name, name) == 0);
    return n;
}

static const char *condition(const struct fake *f, const char *type, const char *key)
{
    const struct action *a = last(f, ACTION_STATUS, STORE_FLEET, "mesh");
    size_t i;
    const json_t *c;
    json_array_foreach(json_object_get(json_object_get(a ? a->body : NULL, "status"), "conditions"), i, c)
    {
        if (strcmp(json_string_value(json_object_get(c, "type")), type) == 0)
            return json_string_value(json_object_get(c, key));
    }
    return "";
}

static const char *degraded(const struct fake *f, const char *key)
{
    return condition(f, "Degraded", key);
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
    CHECK(put_pod(&f, 1, true));
    while (!strstr(peers(&f), "node: n1")) { // the peers are published all the same
        CHECK_INT(loop_once(f.loop, NS_PER_S, &e), 0);
        while (f.answered < f.n)
            answer(&f);
        CHECK(f.n < MOST);
    }
    CHECK(last(&f, ACTION_APPLY, STORE_DAEMONSET, "mesh-pod") == NULL);
    teardown(&f);
}

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
    struct err e;
    CHECK(setup(&f));
    f.refused = "mesh-agent";
    f.refused_status = 429;
    f.retry_after_s = 1;
    CHECK(put_node(&f, 1) && put_fleet(&f, mesh(500), 1));
    for (int i = 2; count(&f, ACTION_APPLY, "mesh-agent") < 3; i++) {
        CHECK(put_node(&f, 2 + i % 100) && f.n < MOST);
        CHECK_INT(loop_once(f.loop, 50 * NS_PER_MS, &e), 0);
        while (f.answered < f.n)
            answer(&f);
    }
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
    struct err e;
    uint64_t at[MOST];
    size_t n = 0;
    const int pods = 2 * RECONCILE_POKES + 5;
    CHECK(setup(&f) && put_fleet(&f, mesh(500), 1));
    for (int i = 1; i <= pods; i++)
        CHECK(put_node(&f, i) && put_pod(&f, i, false));
    while (count(&f, ACTION_POKE, NULL) < (size_t)pods) {
        CHECK_INT(loop_once(f.loop, 50 * NS_PER_MS, &e), 0);
        while (f.answered < f.n)
            answer(&f);
    }
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
    {"a foreign object that is seen keeps the peers going", seen_foreign_object_keeps_the_peers_going},
    {"what is left of a fleet of that name is waited for", leftovers_are_waited_for},
    {"a refused apply backs off", refused_apply_backs_off},
    {"a long refusal is told", long_refusal_is_told},
    {"patience is kept", patience_is_kept},
    {"no event of a status that was not taken", no_event_of_a_status_that_was_not_taken},
    {"not ready before it rolled", not_ready_before_it_rolled},
    {"pokes keep their pace", pokes_keep_their_pace},
    {"a refused poke ends the round", refused_poke_ends_the_round},
    {"a round under way is dropped at the end", a_round_under_way_is_dropped_at_the_end},
};
CHECK_MAIN(cases)
