// SPDX-License-Identifier: Apache-2.0
// The backend's front: fills the store, carries out actions on the objects, lets the parts know what changed.
#include "operator/local.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/log.h"
#include "operator/local_files.h"
#include "operator/local_fleets.h"
#include "operator/local_report.h"
#include "operator/local_state.h"

struct answer { // of an action, until it is delivered
    STAILQ_ENTRY(answer) link;
    struct action_result result;
    json_t *object; // what result.object borrows
    action_done_fn *done;
    void *arg;
};
STAILQ_HEAD(answers, answer);

struct local {
    struct cluster cluster; // first
    struct loop *loop;
    struct local_opts opts;
    char *fleets_path, *agent, *agent_jemalloc; // what opts points to
    struct local_state state;
    struct local_net net;
    struct local_objects *objects;
    struct local_sets *sets;
    struct local_fleets *fleets;
    struct local_report report;
    struct answers answers;
    struct loop_timer deliver;
};

static struct local *from(struct cluster *c)
{
    return CONTAINER_OF(c, struct local, cluster);
}

// --- start
// --------------------------------------------------------------------------------------------------------

static json_t *node_object(const struct local_node *n)
{
    char v4[ADDR_TEXT_MAX], v6[ADDR_TEXT_MAX];
    json_t *addresses = json_array();
    json_array_append_new(addresses, json_pack("{s:s, s:s}", "type", "InternalIP", "address",
                                               addr_text(&n->ip[FAMILY_IPV4], v4)));
    if (n->ip[FAMILY_IPV6].set)
        json_array_append_new(addresses, json_pack("{s:s, s:s}", "type", "InternalIP", "address",
                                                   addr_text(&n->ip[FAMILY_IPV6], v6)));
    return json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s, s:s}}, s:{s:o, s:[{s:s, s:s}]}}", "apiVersion", "v1",
                     "kind", "Node", "metadata", "name", n->name, "labels", "kubernetes.io/hostname", n->name,
                     "kubernetes.io/os", "linux", "topology.kubernetes.io/zone", n->zone, "status",
                     "addresses", addresses, "conditions", "type", "Ready", "status", "True");
}

static int put_nodes(struct local *l, struct err *e)
{
    for (size_t i = 0; i < l->net.n; i++) {
        json_t *node = node_object(&l->net.nodes[i]);
        int r = node ? local_objects_put(l->objects, STORE_NODE, node, e)
                     : err_set(e, ENOMEM, "no memory for a node");
        if (r < 0)
            return r;
    }
    return 0;
}

static void on_pods_changed(void *arg)
{
    struct local *l = arg;
    struct err e;
    if (local_report_pods(&l->report, &e) < 0)
        log_error("cannot write the Pods' files", LOG_ERR(&e));
}

static void remove_stale(struct local *l, const char *dir, enum store_kind kind);

static void on_fleet_deleted(void *arg)
{
    struct local *l = arg;
    local_sets_touch(l->sets, false);
    remove_stale(l, "rules", STORE_PROMETHEUSRULE);
    remove_stale(l, "status", STORE_FLEET);
}

static int make_parts(struct local *l, struct store *s, struct err *e)
{
    struct local_sets_opts o = {.loop = l->loop,
                                .net = &l->net,
                                .agent = l->agent,
                                .agent_jemalloc = l->agent_jemalloc,
                                .state_dir = l->state.dir,
                                .changed = on_pods_changed,
                                .arg = l};
    l->objects = o.objects = local_objects_new(s);
    if (!l->objects)
        return err_set(e, ENOMEM, "no memory for the objects");
    l->sets = local_sets_new(&o, e);
    l->fleets =
        l->sets ? local_fleets_new(l->loop, l->objects, l->fleets_path, on_fleet_deleted, l, e) : NULL;
    if (!l->fleets)
        return -e->code;
    l->report = (struct local_report){
        .objects = l->objects, .net = &l->net, .sets = l->sets, .state_dir = l->state.dir};
    return local_report_init(&l->report, e);
}

static int local_start(struct cluster *c, struct store *s, struct err *e)
{
    struct local *l = from(c);
    int r = local_net_init(&l->net, l->opts.nodes, e);
    if (r == 0)
        r = make_parts(l, s, e);
    if (r == 0)
        r = put_nodes(l, e);
    if (r == 0)
        r = local_fleets_start(l->fleets, e);
    if (r == 0)
        r = local_report_pods(&l->report, e);
    if (r < 0)
        return r;
    for (enum store_kind k = 0; k < STORE_KINDS; k++)
        store_set_synced(s, k);
    store_set_absent(s, STORE_PRIORITYCLASS, true); // processes have no such thing
    log_info("this machine is a cluster now", LOG_INT("nodes", l->net.n), LOG_STR("state", l->state.dir));
    return 0;
}

// --- actions
// ------------------------------------------------------------------------------------------------------

// Removes rules/ or status/ files whose object is gone.
static void remove_stale(struct local *l, const char *dir, enum store_kind kind)
{
    struct err e;
    char path[PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s/%s", l->state.dir, dir);
    if (local_files_keep(path, ".yaml", local_objects_all(l->objects, kind), &e) < 0)
        log_warn("cannot remove files", LOG_STR("directory", path), LOG_ERR(&e));
}

// A child came, changed or went: lets those know whom it concerns.
static int spread(struct local *l, const struct action *a, struct err *e)
{
    if (a->kind == STORE_CONFIGMAP || a->kind == STORE_DAEMONSET)
        local_sets_touch(l->sets, a->kind == STORE_CONFIGMAP);
    if (a->kind == STORE_PODMONITOR)
        return local_report_pods(&l->report, e);
    const json_t *object = local_objects_get(l->objects, a->kind, a->namespace, a->name);
    return a->kind == STORE_PROMETHEUSRULE ? local_report_rules(&l->report, a->namespace, a->name, object, e)
                                           : 0;
}

static int apply(struct local *l, const struct action *a, struct err *e)
{
    json_t *object = json_deep_copy(a->body);
    if (!object)
        return err_set(e, ENOMEM, "no memory for an object");
    int r = local_objects_put(l->objects, a->kind, object, e);
    return r < 0 ? r : spread(l, a, e);
}

static int set_status(struct local *l, const struct action *a, struct err *e)
{
    json_t *status = json_incref(json_object_get(a->body, "status"));
    int r = local_objects_put_status(l->objects, a->kind, a->namespace, a->name, status, e);
    return r < 0 ? r : local_report_status(&l->report, a->namespace, a->name, status, e);
}

static int delete_object(struct local *l, const struct action *a, struct err *e)
{
    const json_t *object = local_objects_get(l->objects, a->kind, a->namespace, a->name);
    if (!object)
        return err_set(e, ENOENT, "%s %s is not there", store_kinds[a->kind].kind, a->name);
    if (a->uid[0] && strcmp(a->uid, local_objects_meta(object, "uid")) != 0)
        return err_set(e, EEXIST, "%s %s is another one", store_kinds[a->kind].kind, a->name);
    local_objects_delete(l->objects, a->kind, a->namespace, a->name);
    return spread(l, a, e);
}

static int carry_out(struct local *l, const struct action *a, struct err *e)
{
    switch (a->verb) {
    case ACTION_APPLY: return apply(l, a, e);
    case ACTION_STATUS: return set_status(l, a, e);
    case ACTION_DELETE:
        if (a->kind == STORE_POD)
            return local_sets_delete(l->sets, a->namespace, a->name, a->uid, e);
        return delete_object(l, a, e);
    case ACTION_POKE: return local_sets_poke(l->sets, a->namespace, a->name, a->uid, a->value, e);
    case ACTION_EVENT: return 0; // the operator's log says the same
    }
    return err_set(e, EINVAL, "unknown action");
}

static void answer_free(struct answer *at)
{
    json_decref(at->object);
    free(at);
}

static void on_deliver(struct loop_timer *t UNUSED, void *arg)
{
    struct local *l = arg;
    struct answers due = STAILQ_HEAD_INITIALIZER(due);
    STAILQ_CONCAT(&due, &l->answers); // what is added meanwhile waits for the next round
    while (!STAILQ_EMPTY(&due)) {
        struct answer *at = STAILQ_FIRST(&due);
        STAILQ_REMOVE_HEAD(&due, link);
        at->done(&at->result, at->arg);
        answer_free(at);
    }
}

static int status_of(int code)
{
    return code == 0 ? 200 : code == ENOENT ? 404 : code == EEXIST ? 409 : 500;
}

static int local_act(struct cluster *c, const struct action *a, action_done_fn *done, void *arg,
                     struct err *e)
{
    struct local *l = from(c);
    struct answer *at = calloc(1, sizeof(*at));
    if (!at)
        return err_set(e, ENOMEM, "no memory for an answer");
    int r = loop_timer_set(l->loop, &l->deliver, loop_now(l->loop), on_deliver, l, e);
    if (r < 0) {
        free(at);
        return r;
    }
    at->done = done;
    at->arg = arg;
    at->result.retry_after_s = -1;
    carry_out(l, a, &at->result.err);
    at->result.status = status_of(at->result.err.code);
    if (a->verb == ACTION_APPLY && at->result.err.code == 0)
        at->object = json_incref(local_objects_get(l->objects, a->kind, a->namespace, a->name));
    at->result.object = at->object;
    STAILQ_INSERT_TAIL(&l->answers, at, link);
    return 0;
}

// --- the end
// ------------------------------------------------------------------------------------------------------

static void local_stop(struct cluster *c)
{
    struct local *l = from(c);
    loop_timer_cancel(l->loop, &l->deliver);
    while (!STAILQ_EMPTY(&l->answers)) {
        struct answer *at = STAILQ_FIRST(&l->answers);
        STAILQ_REMOVE_HEAD(&l->answers, link);
        answer_free(at);
    }
    local_fleets_free(TAKE_PTR(l->fleets));
    local_sets_free(TAKE_PTR(l->sets));
    local_net_release(&l->net);
}

static void local_free(struct cluster *c)
{
    struct local *l = from(c);
    local_stop(c);
    local_objects_free(l->objects);
    local_state_release(&l->state);
    free(l->fleets_path);
    free(l->agent);
    free(l->agent_jemalloc);
    free(l);
}

static const struct cluster_ops ops = {
    .name = "local", .start = local_start, .act = local_act, .stop = local_stop, .free = local_free};

// The program that was named, or the one of that name beside this one; NULL if there is none.
static char *program(const char *given, const char *name)
{
    char path[PATH_MAX + LIMIT_NAME];
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (given || n < 0)
        return given ? strdup(given) : NULL;
    path[n] = '\0';
    char *last = strrchr(path, '/');
    snprintf(last ? last + 1 : path, LIMIT_NAME, "%s", name);
    return access(path, X_OK) == 0 ? strdup(path) : NULL;
}

struct cluster *local_new(struct loop *loop, const struct local_opts *o, struct err *e)
{
    struct local *l = calloc(1, sizeof(*l));
    if (!l) {
        err_set(e, ENOMEM, "no memory for the local backend");
        return NULL;
    }
    l->cluster.ops = &ops;
    l->loop = loop;
    l->opts = *o;
    l->net.hub = -1;
    STAILQ_INIT(&l->answers);
    l->fleets_path = strdup(o->fleets);
    l->agent = program(o->agent, "kubecanary-agent");
    l->agent_jemalloc = program(o->agent_jemalloc, "kubecanary-agent-jemalloc");
    if (!l->fleets_path)
        err_set(e, ENOMEM, "no memory for the local backend");
    else if (local_state_init(&l->state, o->state_dir, e) == 0)
        return &l->cluster;
    local_free(&l->cluster);
    return NULL;
}

const char *local_state_dir(struct cluster *c)
{
    return from(c)->state.dir;
}
