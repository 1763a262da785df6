// SPDX-License-Identifier: Apache-2.0
// The work queue: keys of fleets (namespace, name), never objects. A key is worked on once at a time; what
// arrives meanwhile causes exactly one more run. Delayed adds keep the earlier time; failures back off
// exponentially. Works like client-go's workqueue.
#ifndef KUBECANARY_OPERATOR_QUEUE_H
#define KUBECANARY_OPERATOR_QUEUE_H

#include "lib/err.h"
#include "lib/loop.h"

// Back-off of one key: 200 ms, doubling, at most 5 minutes, +-10 % so that many failing fleets spread.
#define QUEUE_RETRY_FIRST_NS (200 * NS_PER_MS)
#define QUEUE_RETRY_MAX_NS (300 * NS_PER_S)
// Keys worked on at the same time: one fleet that waits for a slow answer must not hold up the others.
#define QUEUE_WORKERS 4

struct queue;

struct queue_stats {
    uint64_t adds;
    uint64_t retries;
    size_t depth;  // due and waiting for a worker
    size_t active; // being worked on
};

// fn starts the work on a key (strings valid until queue_done); the worker calls queue_done when it is
// finished, then or later.
typedef void queue_fn(const char *namespace, const char *name, void *arg);

struct queue *queue_new(struct loop *l, queue_fn *fn, void *arg, struct err *e);
void queue_free(struct queue *q); // takes NULL

// Work on the key after delay_ns (0: at the next wake-up). -ENOMEM is the only failure.
MUST_USE int queue_add(struct queue *q, const char *namespace, const char *name, uint64_t delay_ns);
// The work on a key is done. failed: comes again after its back-off, or sooner if it was added meanwhile or
// is added later, but in no case before least_ns (what a server asked for); else the back-off is forgotten.
void queue_done(struct queue *q, const char *namespace, const char *name, bool failed, uint64_t least_ns);
struct queue_stats queue_stats(const struct queue *q);

#endif
