// SPDX-License-Identifier: Apache-2.0
// The Kubernetes backend of struct cluster: one list and watch a kind and watched namespace into the store,
// actions out of it.
#ifndef KUBECANARY_OPERATOR_KUBE_H
#define KUBECANARY_OPERATOR_KUBE_H

#include "operator/cluster.h"
#include "operator/kube_http.h"

struct kube_opts {
    const char *const *namespaces; // to watch; copied
    size_t n_namespaces;           // 0: all
    const char *user_agent;        // "kubecanary/0.1.0 (linux/amd64)"; copied
    // Asked before each write: whether we still lead (lease_may_write). NULL: always.
    bool (*may_write)(void *arg);
    void *arg;
};

// config is borrowed and must outlive the cluster. Reads the credentials, sends nothing yet. NULL on failure.
struct cluster *kube_new(struct loop *l, const struct kubeconfig *config, const struct kube_opts *o,
                         struct err *e);
// Counters of a cluster that kube_new made.
const struct kube_stats *kube_stats(const struct cluster *c);

#endif
