// SPDX-License-Identifier: Apache-2.0
// Carries one action out on the API server: server-side apply, status, delete, poke, event. Each is one
// request that is never repeated here: what became of a write whose answer was lost, the next round of work
// sees in the store.
#ifndef KUBECANARY_OPERATOR_KUBE_ACT_H
#define KUBECANARY_OPERATOR_KUBE_ACT_H

#include <sys/queue.h>

#include "operator/cluster.h"
#include "operator/kube_http.h"

// Shorter than a lease lives, so that no write is under way long after its right to be has ended.
#define KUBE_ACT_TIMEOUT_NS (10 * NS_PER_S)

struct kube_act_set { // the actions under way
    struct kube_http *http;
    LIST_HEAD(, kube_act) list;
};

void kube_act_init(struct kube_act_set *s, struct kube_http *http);
void kube_act_cancel_all(struct kube_act_set *s); // no done any more

// As cluster_ops.act. Results: DELETE and POKE of an object that is gone, or is another one by now, succeeded
// (status 404, 409 or 422, no err); so did an EVENT that is there already.
MUST_USE int kube_act_start(struct kube_act_set *s, const struct action *a, action_done_fn *done, void *arg,
                            struct err *e);

#endif
