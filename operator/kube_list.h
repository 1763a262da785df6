// SPDX-License-Identifier: Apache-2.0
// One consistent list of a kind, in pages, into the store. What a page brings is put while it arrives, one
// object in memory at a time; what is gone is removed only when the whole list is there. Pages whose snapshot
// was compacted away (410) are begun again, and at last asked for whole.
#ifndef KUBECANARY_OPERATOR_KUBE_LIST_H
#define KUBECANARY_OPERATOR_KUBE_LIST_H

#include "operator/kube_http.h"
#include "operator/kube_items.h"
#include "operator/store.h"

struct kube_scope { // of what, from where to where; borrowed
    struct loop *loop;
    struct kube_http *http;
    struct store *store;
    struct kube_stats *stats;
    enum store_kind kind;
    const char *namespace; // "": all
};

// failure NULL: version is the list's resourceVersion. Else the store is as far as the list came, and nothing
// was removed.
typedef void kube_list_fn(const struct kube_http_result *failure, const char *version, void *arg);

struct kube_list {
    const struct kube_scope *scope;
    kube_list_fn *done;
    void *arg;
    struct kube_http_req *req; // NULL: not under way
    struct kube_items items;
    struct err problem; // of the items
    char *page;         // continue token of the page that is asked for; NULL: the first
    char version[LIMIT_RESOURCE_VERSION + 1];
    unsigned restarts;
};

void kube_list_init(struct kube_list *l, const struct kube_scope *scope, kube_list_fn *done, void *arg);
void kube_list_release(struct kube_list *l); // no done any more
// done is called later, or from inside when the request cannot even be sent.
void kube_list_start(struct kube_list *l);

#endif
