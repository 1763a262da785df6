// SPDX-License-Identifier: Apache-2.0
// Compares DaemonSets with Pods after every change, all of them: there are few.
#include "operator/local_sets.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "lib/log.h"
#include "operator/tree.h"

struct local_sets {
    struct local_sets_opts opts;
    struct local_pod_env env;
    LIST_HEAD(, local_pod) pods;
    struct loop_timer sync;
    bool configmaps; // look at the volumes, too
    bool stopping;
};

struct set { // a DaemonSet while it is being looked at
    json_t *object;
    json_t *template;
    uint64_t hash;
    unsigned desired, current, ready, updated, away;
};

static void on_sync(struct loop_timer *t, void *arg);

static void schedule(struct local_sets *s)
{
    struct err e;
    if (s->stopping || loop_timer_armed(&s->sync))
        return;
    if (loop_timer_set(s->opts.loop, &s->sync, loop_now(s->opts.loop), on_sync, s, &e) < 0)
        log_error("cannot look after the DaemonSets", LOG_ERR(&e));
}

void local_sets_touch(struct local_sets *s, bool configmaps)
{
    s->configmaps |= configmaps;
    schedule(s);
}

static void on_pod_changed(void *arg)
{
    schedule(arg);
}

unsigned local_sets_max_unavailable(const json_t *set, unsigned desired)
{
    const json_t *update =
        json_object_get(json_object_get(json_object_get(set, "spec"), "updateStrategy"), "rollingUpdate");
    const json_t *value = json_object_get(update, "maxUnavailable");
    uint64_t n = json_is_integer(value) ? (uint64_t)json_integer_value(value) : 1;
    const char *text = json_string_value(value);
    char digits[8] = "";
    size_t len = text ? strcspn(text, "%") : 0;
    if (text && len < sizeof(digits) && text[len] == '%') {
        memcpy(digits, text, len);
        n = base_parse_u64(digits, 0, 100, &n) == 0 ? n * desired / 100 : 1;
    } else if (text && base_parse_u64(text, 0, UINT32_MAX, &n) < 0) {
        n = 1;
    }
    return (unsigned)MAX(MIN(n, desired), 1);
}

static bool is_of(const struct local_pod *p, const json_t *set)
{
    return strcmp(p->set_uid, local_objects_meta(set, "uid")) == 0;
}

static struct local_pod *find(struct local_sets *s, const json_t *set, const struct local_node *node)
{
    struct local_pod *p;
    LIST_FOREACH (p, &s->pods, link) {
        if (p->node == node && is_of(p, set))
            return p;
    }
    return NULL;
}

static void add_pod(struct local_sets *s, struct set *set, const struct local_node *node)
{
    struct err e;
    struct local_pod *p = local_pod_new(&s->env, node, set->object, set->hash, &e);
    if (!p) {
        log_error("cannot make a Pod", LOG_STR("node", node->name), LOG_ERR(&e));
        return;
    }
    LIST_INSERT_HEAD(&s->pods, p, link);
    local_pod_refresh(p);
}

static bool selects(const struct local_sets *s, const struct set *set, const struct local_node *node)
{
    const json_t *object = local_objects_get(s->opts.objects, STORE_NODE, "", node->name);
    return local_run_selects(set->template, json_object_get(json_object_get(object, "metadata"), "labels"));
}

// One node of a set: a Pod that is missing comes, one that is not wanted there goes.
static void place(struct local_sets *s, struct set *set, const struct local_node *node)
{
    struct local_pod *p = find(s, set->object, node);
    if (!selects(s, set, node)) {
        if (p)
            local_pod_leave(p);
        return;
    }
    set->desired++;
    if (!p) {
        add_pod(s, set, node);
        p = find(s, set->object, node);
    }
    if (!p || p->leaving) {
        set->away++;
        return;
    }
    set->current++;
    set->ready += p->ready;
    set->updated += p->hash == set->hash;
    set->away += !p->ready;
}

static bool is_on_delete(const json_t *set)
{
    const json_t *update = json_object_get(json_object_get(set, "spec"), "updateStrategy");
    const char *type = json_string_value(json_object_get(update, "type"));
    return type && strcmp(type, "OnDelete") == 0;
}

// Old Pods make room for new ones: those that are not ready at once, the others as far as maxUnavailable
// allows; with OnDelete none does.
static void roll(struct local_sets *s, struct set *set)
{
    if (is_on_delete(set->object))
        return;
    unsigned most = local_sets_max_unavailable(set->object, set->desired);
    struct local_pod *p;
    LIST_FOREACH (p, &s->pods, link) {
        if (!is_of(p, set->object) || p->leaving || p->hash == set->hash)
            continue;
        if (p->ready && set->away >= most)
            continue;
        set->away += p->ready;
        local_pod_leave(p);
    }
}

static void show_status(struct local_sets *s, const struct set *set)
{
    struct err e;
    const json_t *meta = json_object_get(set->object, "metadata");
    json_t *status =
        json_pack("{s:O, s:i, s:i, s:i, s:i, s:i}", "observedGeneration", json_object_get(meta, "generation"),
                  "desiredNumberScheduled", (int)set->desired, "currentNumberScheduled", (int)set->current,
                  "numberReady", (int)set->ready, "updatedNumberScheduled", (int)set->updated,
                  "numberAvailable", (int)set->ready);
    if (json_equal(status, json_object_get(set->object, "status"))) {
        json_decref(status);
        return;
    }
    if (local_objects_put_status(s->opts.objects, STORE_DAEMONSET,
                                 local_objects_meta(set->object, "namespace"),
                                 local_objects_meta(set->object, "name"), status, &e) < 0)
        log_error("cannot show a DaemonSet's status", LOG_ERR(&e));
}

static void sync_set(struct local_sets *s, json_t *object)
{
    struct set set = {.object = json_incref(object),
                      .template = json_object_get(json_object_get(object, "spec"), "template")};
    set.hash = tree_hash(set.template);
    for (size_t i = 0; i < s->opts.net->n; i++)
        place(s, &set, &s->opts.net->nodes[i]);
    roll(s, &set);
    show_status(s, &set);
    json_decref(object);
}

static bool has_set(struct local_sets *s, const struct local_pod *p)
{
    const json_t *set = local_objects_get(s->opts.objects, STORE_DAEMONSET, p->namespace, p->set);
    return set && is_of(p, set);
}

// Ended Pods vanish, Pods of a set that is gone go, volumes follow their ConfigMaps.
static void sweep(struct local_sets *s)
{
    bool configmaps = s->configmaps;
    s->configmaps = false;
    struct local_pod *next;
    for (struct local_pod *p = LIST_FIRST(&s->pods); p; p = next) {
        next = LIST_NEXT(p, link);
        if (!has_set(s, p))
            local_pod_leave(p);
        if (configmaps)
            local_pod_refresh(p);
        if (p->phase != LOCAL_POD_ENDED)
            continue;
        LIST_REMOVE(p, link);
        local_pod_free(p);
    }
}

static void on_sync(struct loop_timer *t UNUSED, void *arg)
{
    struct local_sets *s = arg;
    sweep(s);
    const char *key;
    json_t *object;
    void *next;
    json_object_foreach_safe(local_objects_all(s->opts.objects, STORE_DAEMONSET), next, key, object)
    {
        sync_set(s, object);
    }
    s->opts.changed(s->opts.arg);
}

struct local_sets *local_sets_new(const struct local_sets_opts *o, struct err *e)
{
    struct local_sets *s = calloc(1, sizeof(*s));
    if (!s) {
        err_set(e, ENOMEM, "no memory for the DaemonSets");
        return NULL;
    }
    s->opts = *o;
    s->env = (struct local_pod_env){.loop = o->loop,
                                    .objects = o->objects,
                                    .agent = o->agent,
                                    .agent_jemalloc = o->agent_jemalloc,
                                    .state_dir = o->state_dir,
                                    .changed = on_pod_changed,
                                    .arg = s};
    LIST_INIT(&s->pods);
    return s;
}

int local_sets_poke(struct local_sets *s, const char *namespace, const char *name, const char *uid,
                    const char *value, struct err *e)
{
    struct local_pod *p;
    LIST_FOREACH (p, &s->pods, link) {
        if (strcmp(p->name, name) == 0 && strcmp(p->namespace, namespace) == 0 && strcmp(p->uid, uid) == 0)
            return local_pod_poke(p, value, e);
    }
    return err_set(e, ENOENT, "Pod %s is gone", name);
}

int local_sets_delete(struct local_sets *s, const char *namespace, const char *name, const char *uid,
                      struct err *e)
{
    struct local_pod *p;
    LIST_FOREACH (p, &s->pods, link) {
        if (strcmp(p->name, name) != 0 || strcmp(p->namespace, namespace) != 0 || strcmp(p->uid, uid) != 0)
            continue;
        if (!p->leaving)
            local_pod_leave(p);
        return 0;
    }
    return err_set(e, ENOENT, "Pod %s is gone", name);
}

void local_sets_each(const struct local_sets *s, void (*fn)(const struct local_pod *pod, void *arg),
                     void *arg)
{
    const struct local_pod *p;
    LIST_FOREACH (p, &s->pods, link)
        fn(p, arg);
}

// --- the end
// ------------------------------------------------------------------------------------------------------

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

// Waits until the process has ended or the time is over; local_pod_free then kills what is left.
static void await_end(const struct local_pod *p, uint64_t until_ns)
{
    uint64_t now = clock_ns();
    while (p->pid > 0 && now < until_ns) {
        struct pollfd fd = {.fd = p->pidfd, .events = POLLIN};
        if (poll(&fd, 1, (int)((until_ns - now) / NS_PER_MS) + 1) > 0)
            return;
        now = clock_ns();
    }
}

void local_sets_stop(struct local_sets *s)
{
    struct local_pod *p;
    uint64_t until = clock_ns() + LOCAL_SETS_STOP_NS;
    s->stopping = true;
    loop_timer_cancel(s->opts.loop, &s->sync);
    LIST_FOREACH (p, &s->pods, link) {
        if (p->pid > 0)
            kill(p->pid, SIGTERM);
    }
    while ((p = LIST_FIRST(&s->pods)) != NULL) {
        await_end(p, until);
        LIST_REMOVE(p, link);
        local_pod_free(p);
    }
}

void local_sets_free(struct local_sets *s)
{
    if (!s)
        return;
    local_sets_stop(s);
    free(s);
}
