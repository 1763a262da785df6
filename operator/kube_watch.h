// SPDX-License-Identifier: Apache-2.0
// Keeps the store equal to the cluster for one kind in one namespace (or all): lists it in pages, watches
// from there, lists again when the watch can no longer tell what happened. Retries for ever; says in the log
// what is wrong once, not each time.
//
// Numbers and decisions are those of client-go's reflector (reference: tools/cache/reflector.go), with two
// differences: lists are always consistent reads (resourceVersion unset), so that a restart never goes back
// in time; and what a page brings is put into the store while it arrives, what is gone is removed only when
// the whole list is there.
#ifndef KUBECANARY_OPERATOR_KUBE_WATCH_H
#define KUBECANARY_OPERATOR_KUBE_WATCH_H

#include "operator/kube_list.h"

// Back-off after errors: doubling from the first to the last, times a random factor of 1 to 2; forgotten
// after so long without one.
#define KUBE_WATCH_BACKOFF_FIRST_NS (800 * NS_PER_MS)
#define KUBE_WATCH_BACKOFF_LAST_NS (30 * NS_PER_S)
#define KUBE_WATCH_BACKOFF_RESET_NS (120 * NS_PER_S)
// How long the server is asked to keep a watch: random between these, so that reconnects spread.
#define KUBE_WATCH_SECONDS_MIN 300
#define KUBE_WATCH_SECONDS_MAX 600
// The server ends a watch in time; beyond this much more it is a connection that leads nowhere.
#define KUBE_WATCH_GRACE_NS (30 * NS_PER_S)
// Bookmarks come about once a minute: a stream that brought some and then nothing for so long is dead.
#define KUBE_WATCH_SILENCE_NS (180 * NS_PER_S)
// An optional kind whose API is absent is looked for so often, +-20 %.
#define KUBE_WATCH_ABSENT_NS (60 * NS_PER_S)

struct kube_watch;

// The scope is copied. Begins at once. NULL: no memory.
struct kube_watch *kube_watch_new(const struct kube_scope *scope, struct err *e);
void kube_watch_free(struct kube_watch *w); // takes NULL

#endif
