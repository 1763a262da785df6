// SPDX-License-Identifier: Apache-2.0
// A backend that remembers what it was told and answers like an API server, whose watch may lag and which
// refuses what a test wants it to; and the operator's whole rounds of work on it, as fast as they go.
#ifndef KUBECANARY_TEST_FAKE_CLUSTER_H
#define KUBECANARY_TEST_FAKE_CLUSTER_H

#include <errno.h>

#include "operator/control.h"
#include "test/unit/check.h"

#define MOST 256
// Of a case, turns of `work` in which nothing is asked. The operator looks again after ten seconds at most.
#define QUIET 128
// How long a case waits for what comes by the clock, on however busy a machine.
#define PATIENCE_NS (120 * NS_PER_S)

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
    const char *deletes_forbidden;                             // why Pods may not be deleted; NULL: they may
    bool status_denied;                                        // writes of the status
    bool lags;                                                 // the watch shows nothing any more
    void (*show_poke)(struct fake *f, const struct action *a); // NULL: the Pod is one of put_pod_of
    const char *pod_address;                                   // of every Pod; NULL: 198.19.0.x
    int applies;                                               // of DaemonSets: their generation
    int fleet_writes;
    int quiet; // turns of `work` so far in which nothing was asked
    uint64_t begun_ns;
};

static const struct render_config config = {
    .version = "0", .agent_image = "a", .agent_jemalloc_image = "j", .image_pull_policy = "Never"};

static inline int fake_start(struct cluster *c, struct store *s, struct err *e UNUSED)
{
    ((struct fake *)c)->store = s;
    for (int k = 0; k < STORE_KINDS; k++)
        store_set_synced(s, (enum store_kind)k);
    return 0;
}

static inline int fake_act(struct cluster *c, const struct action *a, action_done_fn *done, void *arg,
                           struct err *e)
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

static inline void fake_nothing(struct cluster *c UNUSED)
{
}

static const struct cluster_ops fake_ops = {"fake", fake_start, fake_act, fake_nothing, fake_nothing};

static inline bool put(struct fake *f, enum store_kind kind, json_t *object)
{
    struct err e;
    int r = store_put(f->store, kind, object, &e);
    json_decref(object);
    return r == 0;
}

// The object as an API would return it, which the watch then shows.
static inline json_t *stored(const struct fake *f, const struct action *a)
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
static inline void show_status(struct fake *f, const struct action *a)
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
static inline void show_poke(struct fake *f, const struct action *a);

// What the watch shows of a write that was taken.
static inline void show(struct fake *f, const struct action *a, json_t *object)
{
    if (f->lags)
        return;
    if (a->verb == ACTION_STATUS)
        show_status(f, a);
    else if (a->verb == ACTION_POKE && f->show_poke)
        f->show_poke(f, a);
    else if (a->verb == ACTION_POKE)
        show_poke(f, a);
    else if (a->verb == ACTION_DELETE)
        store_delete(f->store, a->kind, a->namespace, a->name);
    else if (object)
        put(f, a->kind, json_incref(object));
}

// Sets the error of a write that is not taken.
static inline void judge(struct fake *f, const struct action *a, struct action_result *result)
{
    bool named = f->refused && strcmp(a->name, f->refused) == 0;
    if ((named && a->verb == ACTION_APPLY) || (f->pokes_refused && a->verb == ACTION_POKE)) {
        result->status = f->refused_status;
        result->retry_after_s = f->retry_after_s ? f->retry_after_s : -1;
        err_set(&result->err, EPROTO, "%s (%zu)", f->why ? f->why : "no", f->answered);
    } else if (a->verb == ACTION_DELETE && a->kind == STORE_POD && f->deletes_forbidden) {
        result->status = 403;
        err_set(&result->err, EACCES, "%s (%zu)", f->deletes_forbidden, f->answered);
    } else if (a->verb == ACTION_STATUS && f->status_denied) {
        result->status = 403;
        err_set(&result->err, EACCES, "you may not");
    } else if (a->verb == ACTION_APPLY && f->collides && strcmp(a->name, f->collides) == 0) {
        result->status = 409;
        err_set(&result->err, EEXIST, "there is one of that name which is not this fleet's");
    }
}

static inline void answer(struct fake *f)
{
    size_t i = f->answered++;
    const struct action *a = &f->asked[i];
    struct action_result result = {.status = 200, .retry_after_s = -1};
    judge(f, a, &result);
    f->applies += a->verb == ACTION_APPLY && a->kind == STORE_DAEMONSET;
    json_t *object = a->verb == ACTION_APPLY ? stored(f, a) : NULL;
    result.object = object;
    if (!result.err.code)
        show(f, a, object);
    f->done[i](&result, f->arg[i]);
    json_decref(object);
}

// One turn for those who wait for something. False: it is waited for in vain, which is told.
static inline bool work(struct fake *f)
{
    struct err e;
    const size_t n = f->n;
    if (loop_once(f->loop, NS_PER_S, &e) < 0)
        return false;
    f->quiet += f->n == n;
    while (f->answered < f->n)
        answer(f);
    if (f->n == MOST || f->quiet == QUIET)
        printf("    waited in vain: %zu actions, %d turns without one\n", f->n, f->quiet);
    return f->n < MOST && f->quiet < QUIET;
}

// One turn, of 50 ms at most, for those who wait for the clock. False: as above.
static inline bool work_awhile(struct fake *f)
{
    struct err e;
    if (loop_once(f->loop, 50 * NS_PER_MS, &e) < 0)
        return false;
    while (f->answered < f->n)
        answer(f);
    uint64_t waited_ns = loop_now(f->loop) - f->begun_ns;
    if (f->n == MOST || waited_ns >= PATIENCE_NS)
        printf("    waited in vain: %zu actions, %d s\n", f->n, (int)(waited_ns / NS_PER_S));
    return f->n < MOST && waited_ns < PATIENCE_NS;
}

// Lets the operator work until it neither asks nor waits for anything sooner than a few seconds.
static inline bool settle(struct fake *f)
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

static inline bool put_fleet(struct fake *f, json_t *spec, int generation)
{
    json_t *fleet =
        json_pack("{s:{s:s, s:s, s:s, s:s, s:i}, s:o}", "metadata", "namespace", "ns", "name", "mesh", "uid",
                  "fleet-uid", "resourceVersion", "1", "generation", generation, "spec", spec);
    json_object_set_new(json_object_get(fleet, "metadata"), "resourceVersion",
                        json_sprintf("fleet-%d-%zu", generation, f->n));
    return put(f, STORE_FLEET, fleet);
}

static inline json_t *mesh(int budget)
{
    return json_pack("{s:{s:[{s:s, s:s, s:s, s:s}]}, s:{s:i}}", "mesh", "probes", "name", "icmp", "type",
                     "ICMP", "interval", "1s", "timeout", "1s", "budget", "packetsPerSecond", budget);
}

static inline bool put_node_of(struct fake *f, int i, const char *version, bool ready)
{
    char name[16], address[32];
    snprintf(name, sizeof(name), "n%d", i);
    snprintf(address, sizeof(address), "198.18.0.%d", i);
    return put(f, STORE_NODE,
               json_pack("{s:{s:s, s:s, s:s}, s:{s:[{s:s, s:s}], s:[{s:s, s:s}]}}", "metadata", "name", name,
                         "uid", name, "resourceVersion", version, "status", "addresses", "type", "InternalIP",
                         "address", address, "conditions", "type", "Ready", "status",
                         ready ? "True" : "False"));
}

static inline bool put_node(struct fake *f, int i)
{
    return put_node_of(f, i, "1", true);
}

static inline bool put_pod_of(struct fake *f, int i, const char *version, const char *published)
{
    char name[16], node[16], address[32];
    snprintf(name, sizeof(name), "pod-%d", i);
    snprintf(node, sizeof(node), "n%d", i);
    if (f->pod_address)
        snprintf(address, sizeof(address), "%s", f->pod_address);
    else
        snprintf(address, sizeof(address), "198.19.0.%d", i);
    json_t *pod = json_pack(
        "{s:{s:s, s:s, s:s, s:s, s:{s:s, s:s}, s:[{s:b, s:s}]}, s:{s:s}, s:{s:s, s:[{s:s}], s:[{s:s, s:s}]}}",
        "metadata", "namespace", "ns", "name", name, "uid", name, "resourceVersion", version, "labels",
        "kubecanary.io/fleet", "mesh", "kubecanary.io/network", "Pod", "ownerReferences", "controller", 1,
        "uid", "mesh-pod", "spec", "nodeName", node, "status", "phase", "Running", "podIPs", "ip", address,
        "conditions", "type", "Ready", "status", "True");
    if (published)
        json_object_set_new(json_object_get(pod, "metadata"), "annotations",
                            json_pack("{s:s}", "kubecanary.io/published", published));
    return put(f, STORE_POD, pod);
}

static inline bool put_pod(struct fake *f, int i, bool known)
{
    return put_pod_of(f, i, known ? "2" : "1", known ? "before" : NULL);
}

static inline void show_poke(struct fake *f, const struct action *a)
{
    char version[24];
    snprintf(version, sizeof(version), "poke-%zu", f->answered);
    uint64_t number = 0;
    if (base_parse_u64(a->name + strlen("pod-"), 1, MOST, &number) == 0)
        put_pod_of(f, (int)number, version, a->value);
}

static inline bool setup(struct fake *f)
{
    struct err e;
    *f = (struct fake){.cluster.ops = &fake_ops};
    f->loop = loop_new(&e);
    f->control = f->loop ? control_new(f->loop, &f->cluster, &config, &e) : NULL;
    if (!f->control)
        return false;
    control_set_leading(f->control, true);
    f->begun_ns = loop_now(f->loop);
    return true;
}

static inline void teardown(struct fake *f)
{
    control_free(f->control);
    loop_free(f->loop);
    for (size_t i = 0; i < f->n; i++)
        action_release(&f->asked[i]);
}

static inline const struct action *last(const struct fake *f, enum action_verb verb, enum store_kind kind,
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
static inline bool roll_out(struct fake *f, int pods)
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

static inline size_t count(const struct fake *f, enum action_verb verb, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        n += f->asked[i].verb == verb && (!name || strcmp(f->asked[i].name, name) == 0);
    return n;
}

static inline const char *condition(const struct fake *f, const char *type, const char *key)
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

static inline const char *degraded(const struct fake *f, const char *key)
{
    return condition(f, "Degraded", key);
}

static inline const char *peers(const struct fake *f)
{
    const struct action *a = last(f, ACTION_APPLY, STORE_CONFIGMAP, "mesh-peers-00");
    return a ? json_string_value(json_object_get(json_object_get(a->body, "data"), "peers-00.yaml")) : "";
}

#endif
