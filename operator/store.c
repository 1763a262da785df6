// SPDX-License-Identifier: Apache-2.0
// A hash table for each kind, keyed by namespace and name. A relist is remembered by the store's counter of
// puts: what carries an older stamp when the relist ends was not in it.
#include "operator/store.h"

#include <errno.h>
#include <string.h>

#include "operator/project.h"

#define FIRST_BUCKETS 64 // a power of two, as all that follow

const struct store_kind_info store_kinds[STORE_KINDS] = {
    [STORE_FLEET] = {"kubecanary.io/v1alpha1", "ProbeFleet", "probefleets", true, false, NULL},
    [STORE_NODE] = {"v1", "Node", "nodes", false, false, NULL},
    [STORE_PRIORITYCLASS] = {"scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", false, true, NULL},
    [STORE_POD] = {"v1", "Pod", "pods", true, false, "kubecanary.io/fleet"},
    [STORE_DAEMONSET] = {"apps/v1", "DaemonSet", "daemonsets", true, false, "kubecanary.io/fleet"},
    [STORE_CONFIGMAP] = {"v1", "ConfigMap", "configmaps", true, false, "kubecanary.io/fleet"},
    [STORE_SERVICEACCOUNT] = {"v1", "ServiceAccount", "serviceaccounts", true, false, "kubecanary.io/fleet"},
    [STORE_PODMONITOR] = {"monitoring.coreos.com/v1", "PodMonitor", "podmonitors", true, true,
                          "kubecanary.io/fleet"},
    [STORE_PROMETHEUSRULE] = {"monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules", true, true,
                              "kubecanary.io/fleet"},
};

struct entry {
    struct entry *next; // in its bucket
    uint64_t hash;
    uint64_t stamp;  // the store's counter when it was last put
    union project p; // allocated only as large as its kind needs: never copied whole
};

struct scope { // what is relisted as one
    enum store_kind kind;
    char namespace[LIMIT_NAMESPACE + 1];
    uint64_t start; // stamp when the present relist began
    bool listing;
    bool ended; // at least once
};

struct table {
    struct entry **buckets;
    size_t n_buckets; // 0 until the first put
    size_t n;
    size_t scopes; // that must end a relist before the kind is synced
    bool synced;
    bool absent;
};

struct store {
    struct table tables[STORE_KINDS];
    struct scope *scopes;
    size_t n_scopes;
    uint64_t stamp;
    store_changed_fn *fn;
    void *arg;
};

static size_t kind_size(enum store_kind kind)
{
    switch (kind) {
    case STORE_FLEET: return sizeof(struct store_fleet);
    case STORE_NODE: return sizeof(struct store_node);
    case STORE_POD: return sizeof(struct store_pod);
    case STORE_PRIORITYCLASS:
    case STORE_DAEMONSET:
    case STORE_CONFIGMAP:
    case STORE_SERVICEACCOUNT:
    case STORE_PODMONITOR:
    case STORE_PROMETHEUSRULE:
    case STORE_KINDS: break;
    }
    return sizeof(struct store_child);
}

struct store *store_new(store_changed_fn *fn, void *arg)
{
    struct store *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->fn = fn;
    s->arg = arg;
    for (size_t k = 0; k < STORE_KINDS; k++)
        s->tables[k].scopes = 1;
    return s;
}

static void entry_free(enum store_kind kind, struct entry *at)
{
    project_release(kind, &at->p);
    free(at);
}

static void clear(struct table *t, enum store_kind kind)
{
    for (size_t i = 0; i < t->n_buckets; i++) {
        while (t->buckets[i]) {
            struct entry *at = t->buckets[i];
            t->buckets[i] = at->next;
            entry_free(kind, at);
        }
    }
    t->n = 0;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    for (enum store_kind k = 0; k < STORE_KINDS; k++) {
        clear(&s->tables[k], k);
        free(s->tables[k].buckets);
    }
    free(s->scopes);
    free(s);
}

static uint64_t hash_key(const char *namespace, const char *name)
{
    uint64_t hash = base_hash(BASE_HASH_INIT, namespace, strlen(namespace) + 1);
    return base_hash(hash, name, strlen(name));
}

static struct entry **find(const struct table *t, const char *namespace, const char *name)
{
    if (t->n_buckets == 0)
        return NULL;
    uint64_t hash = hash_key(namespace, name);
    for (struct entry **at = &t->buckets[hash & (t->n_buckets - 1)]; *at; at = &(*at)->next) {
        if ((*at)->hash == hash && strcmp((*at)->p.meta.name, name) == 0 &&
            strcmp((*at)->p.meta.namespace, namespace) == 0)
            return at;
    }
    return NULL;
}

// Keeps at most one entry a bucket on average. Without memory for more buckets the present ones go on.
static int grow(struct table *t)
{
    if (t->n < t->n_buckets)
        return 0;
    size_t n = MAX(t->n_buckets * 2, (size_t)FIRST_BUCKETS);
    struct entry **buckets = calloc(n, sizeof(struct entry *));
    if (!buckets)
        return t->n_buckets ? 0 : -ENOMEM;
    for (size_t i = 0; i < t->n_buckets; i++) {
        while (t->buckets[i]) {
            struct entry *at = t->buckets[i];
            t->buckets[i] = at->next;
            at->next = buckets[at->hash & (n - 1)];
            buckets[at->hash & (n - 1)] = at;
        }
    }
    free(t->buckets);
    t->buckets = buckets;
    t->n_buckets = n;
    return 0;
}

static void report(const struct store *s, enum store_kind kind, enum store_change change,
                   const struct store_meta *meta)
{
    if (s->fn)
        s->fn(kind, change, meta, s->arg);
}

// Nodes and Pods: what is kept. Others: the object's version (a backend without versions reports every put).
static bool same(enum store_kind kind, const struct store_meta *a, const struct store_meta *b)
{
    if (kind == STORE_NODE || kind == STORE_POD)
        return a->digest == b->digest;
    return a->resource_version[0] && strcmp(a->resource_version, b->resource_version) == 0 &&
           strcmp(a->uid, b->uid) == 0;
}

int store_put(struct store *s, enum store_kind kind, const json_t *object, struct err *e)
{
    struct table *t = &s->tables[kind];
    union project p;
    memset(&p, 0, sizeof(p));
    int r = project_object(kind, object, &p, e);
    if (r == 0 && grow(t) < 0)
        r = err_set(e, ENOMEM, "no memory for the store");
    struct entry **place = r == 0 ? find(t, p.meta.namespace, p.meta.name) : NULL;
    struct entry *at = place ? *place : NULL;
    bool unchanged = at && same(kind, &at->p.meta, &p.meta);
    if (r == 0 && !at) {
        at = calloc(1, offsetof(struct entry, p) + kind_size(kind));
        if (!at)
            r = err_set(e, ENOMEM, "no memory for %s %s", store_kinds[kind].kind, p.meta.name);
    }
    if (r < 0 || !at) {
        project_release(kind, &p);
        return r;
    }
    if (!place) {
        at->hash = hash_key(p.meta.namespace, p.meta.name);
        struct entry **bucket = &t->buckets[at->hash & (t->n_buckets - 1)];
        at->next = *bucket;
        *bucket = at;
        t->n++;
    } else {
        project_release(kind, &at->p);
    }
    memcpy(&at->p, &p, kind_size(kind));
    at->stamp = ++s->stamp;
    if (!unchanged)
        report(s, kind, STORE_PUT, &at->p.meta);
    return 0;
}

static void remove_at(struct store *s, enum store_kind kind, struct entry **place)
{
    struct entry *at = *place;
    *place = at->next;
    s->tables[kind].n--;
    report(s, kind, STORE_DELETED, &at->p.meta);
    entry_free(kind, at);
}

void store_delete(struct store *s, enum store_kind kind, const char *namespace, const char *name)
{
    struct entry **place = find(&s->tables[kind], namespace, name);
    if (place)
        remove_at(s, kind, place);
}

static struct scope *find_scope(const struct store *s, enum store_kind kind, const char *namespace)
{
    for (size_t i = 0; i < s->n_scopes; i++) {
        if (s->scopes[i].kind == kind && strcmp(s->scopes[i].namespace, namespace) == 0)
            return &s->scopes[i];
    }
    return NULL;
}

int store_relist_begin(struct store *s, enum store_kind kind, const char *namespace)
{
    struct scope *scope = find_scope(s, kind, namespace);
    if (!scope) {
        struct scope *list = realloc(s->scopes, (s->n_scopes + 1) * sizeof(*list));
        if (!list)
            return -ENOMEM;
        s->scopes = list;
        scope = &list[s->n_scopes];
        *scope = (struct scope){.kind = kind};
        if (base_copy(scope->namespace, sizeof(scope->namespace), namespace) < 0)
            return -EINVAL;
        s->n_scopes++;
    }
    scope->start = s->stamp;
    scope->listing = true;
    return 0;
}

static void sweep(struct store *s, const struct scope *scope)
{
    struct table *t = &s->tables[scope->kind];
    for (size_t i = 0; i < t->n_buckets; i++) {
        for (struct entry **at = &t->buckets[i]; *at;) {
            bool inside = !scope->namespace[0] || strcmp((*at)->p.meta.namespace, scope->namespace) == 0;
            if (inside && (*at)->stamp <= scope->start)
                remove_at(s, scope->kind, at);
            else
                at = &(*at)->next;
        }
    }
}

static bool all_ended(const struct store *s, enum store_kind kind)
{
    size_t ended = 0;
    for (size_t i = 0; i < s->n_scopes; i++)
        ended += s->scopes[i].kind == kind && s->scopes[i].ended;
    return ended >= s->tables[kind].scopes;
}

void store_relist_end(struct store *s, enum store_kind kind, const char *namespace)
{
    struct scope *scope = find_scope(s, kind, namespace);
    if (!scope || !scope->listing)
        return;
    scope->listing = false;
    scope->ended = true;
    sweep(s, scope);
    if (all_ended(s, kind))
        s->tables[kind].synced = true;
}

void store_relist_abort(struct store *s, enum store_kind kind, const char *namespace)
{
    struct scope *scope = find_scope(s, kind, namespace);
    if (scope)
        scope->listing = false;
}

void store_set_scopes(struct store *s, enum store_kind kind, size_t scopes)
{
    s->tables[kind].scopes = scopes;
}

void store_set_synced(struct store *s, enum store_kind kind)
{
    s->tables[kind].synced = true;
}

void store_set_absent(struct store *s, enum store_kind kind, bool absent)
{
    struct table *t = &s->tables[kind];
    bool changed = t->absent != absent;
    t->absent = absent;
    if (absent) {
        clear(t, kind);
        t->synced = true;
    }
    if (changed)
        report(s, kind, STORE_API, &(struct store_meta){0});
}

bool store_synced(const struct store *s)
{
    for (size_t k = 0; k < STORE_KINDS; k++) {
        if (!s->tables[k].synced)
            return false;
    }
    return true;
}

bool store_absent(const struct store *s, enum store_kind kind)
{
    return s->tables[kind].absent;
}

const struct store_fleet *store_fleet(const struct store *s, const char *namespace, const char *name)
{
    struct entry **place = find(&s->tables[STORE_FLEET], namespace, name);
    return place ? &(*place)->p.fleet : NULL;
}

const struct store_node *store_node(const struct store *s, const char *name)
{
    struct entry **place = find(&s->tables[STORE_NODE], "", name);
    return place ? &(*place)->p.node : NULL;
}

const struct store_child *store_child(const struct store *s, enum store_kind kind, const char *namespace,
                                      const char *name)
{
    struct entry **place = find(&s->tables[kind], namespace, name);
    return place ? &(*place)->p.child : NULL;
}

const char *store_node_label(const struct store_node *n, const char *key)
{
    size_t len = strlen(key);
    for (const char *l = n->labels; l && *l; l += strlen(l) + 1) {
        if (strncmp(l, key, len) == 0 && l[len] == '=')
            return l + len + 1;
    }
    return NULL;
}

size_t store_count(const struct store *s, enum store_kind kind)
{
    return s->tables[kind].n;
}

int store_each(const struct store *s, enum store_kind kind, int (*fn)(const void *object, void *arg),
               void *arg)
{
    const struct table *t = &s->tables[kind];
    for (size_t i = 0; i < t->n_buckets; i++) {
        for (const struct entry *at = t->buckets[i]; at; at = at->next) {
            int r = fn(&at->p, arg);
            if (r != 0)
                return r;
        }
    }
    return 0;
}
