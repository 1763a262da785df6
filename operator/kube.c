// SPDX-License-Identifier: Apache-2.0
// Puts client, watches and actions together as a cluster.
#include "operator/kube.h"

#include <errno.h>
#include <string.h>

#include "operator/kube_act.h"
#include "operator/kube_watch.h"

struct kube {
    struct cluster cluster; // first
    struct loop *loop;
    struct kube_http *http;
    struct kube_stats stats;
    struct kube_act_set actions;
    char (*namespaces)[LIMIT_NAMESPACE + 1];
    size_t n_namespaces; // at least 1: "" is all
    struct kube_watch **watches;
    size_t n_watches;
    bool (*may_write)(void *arg);
    void *arg;
};

static struct kube *of(struct cluster *c)
{
    return CONTAINER_OF(c, struct kube, cluster);
}

static int add_watch(struct kube *k, struct store *s, enum store_kind kind, const char *namespace,
                     struct err *e)
{
    struct kube_scope scope = {.loop = k->loop,
                               .http = k->http,
                               .store = s,
                               .stats = &k->stats,
                               .kind = kind,
                               .namespace = namespace};
    struct kube_watch *w = kube_watch_new(&scope, e);
    if (!w)
        return -e->code;
    k->watches[k->n_watches++] = w;
    return 0;
}

static int kube_start(struct cluster *c, struct store *s, struct err *e)
{
    struct kube *k = of(c);
    k->watches = calloc(STORE_KINDS * k->n_namespaces, sizeof(*k->watches));
    if (!k->watches)
        return err_set(e, ENOMEM, "no memory for the watches");
    for (enum store_kind kind = 0; kind < STORE_KINDS; kind++) {
        size_t scopes = store_kinds[kind].namespaced ? k->n_namespaces : 1;
        store_set_scopes(s, kind, scopes);
        for (size_t i = 0; i < scopes; i++) {
            int r = add_watch(k, s, kind, store_kinds[kind].namespaced ? k->namespaces[i] : "", e);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int kube_act(struct cluster *c, const struct action *a, action_done_fn *done, void *arg, struct err *e)
{
    struct kube *k = of(c);
    if (k->may_write && !k->may_write(k->arg))
        return err_set(e, EPERM, "this operator does not lead (any more)");
    return kube_act_start(&k->actions, a, done, arg, e);
}

static void kube_stop(struct cluster *c)
{
    struct kube *k = of(c);
    kube_act_cancel_all(&k->actions);
    for (size_t i = 0; i < k->n_watches; i++)
        kube_watch_free(k->watches[i]);
    k->n_watches = 0;
}

static void kube_free(struct cluster *c)
{
    struct kube *k = of(c);
    kube_stop(c);
    kube_http_free(k->http);
    free(k->watches);
    free(k->namespaces);
    free(k);
}

static const struct cluster_ops ops = {
    .name = "kubernetes",
    .start = kube_start,
    .act = kube_act,
    .stop = kube_stop,
    .free = kube_free,
};

static int copy_namespaces(struct kube *k, const struct kube_opts *o, struct err *e)
{
    k->n_namespaces = MAX(o->n_namespaces, (size_t)1);
    k->namespaces = calloc(k->n_namespaces, sizeof(*k->namespaces));
    if (!k->namespaces)
        return err_set(e, ENOMEM, "no memory for the namespaces");
    for (size_t i = 0; i < o->n_namespaces; i++) {
        if (!o->namespaces[i][0] ||
            base_copy(k->namespaces[i], sizeof(k->namespaces[i]), o->namespaces[i]) < 0)
            return err_set(e, EINVAL, "\"%s\" is no name of a namespace", o->namespaces[i]);
    }
    return 0;
}

struct cluster *kube_new(struct loop *l, const struct kubeconfig *config, const struct kube_opts *o,
                         struct err *e)
{
    struct kube *k = calloc(1, sizeof(*k));
    if (!k) {
        err_set(e, ENOMEM, "no memory for the API client");
        return NULL;
    }
    k->cluster.ops = &ops;
    k->loop = l;
    k->may_write = o->may_write;
    k->arg = o->arg;
    if (copy_namespaces(k, o, e) == 0)
        k->http = kube_http_new(l, config, o->user_agent, &k->stats, e);
    kube_act_init(&k->actions, k->http);
    if (!k->http) {
        kube_free(&k->cluster);
        return NULL;
    }
    return &k->cluster;
}

const struct kube_stats *kube_stats(const struct cluster *c)
{
    return &CONTAINER_OF((struct cluster *)(uintptr_t)c, struct kube, cluster)->stats;
}
