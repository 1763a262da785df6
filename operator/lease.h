// SPDX-License-Identifier: Apache-2.0
// Leader election over a coordination.k8s.io/v1 Lease, as client-go does it (tools/leaderelection), with a
// connection of its own: a stalled watch must not cost the lease. Expiry is judged by this machine's clock
// alone: a lease is free when its record has not changed for its duration here; the times in it are for
// people.
//
// Who lost the lease must not go on: on_change(false) means stop writing and exit. It is never acquired
// again.
#ifndef KUBECANARY_OPERATOR_LEASE_H
#define KUBECANARY_OPERATOR_LEASE_H

#include "operator/kube_http.h"

#define LEASE_DURATION_S 15
#define LEASE_RENEW_DEADLINE_NS (10 * NS_PER_S)
#define LEASE_RETRY_NS (2 * NS_PER_S)
#define LEASE_REQUEST_NS (5 * NS_PER_S)

struct lease;

struct lease_opts {
    const char *namespace, *name; // of the Lease; copied
    const char *identity;         // unique to this start of the process (lease_identity); copied
    const char *user_agent;
    void (*on_change)(bool leading, void *arg); // true: once; false: once, after true
    void *arg;
};

// "<host name>_<random>": another one at each call.
void lease_identity(char *out, size_t size);

// config is borrowed. Begins to try at once. NULL on failure.
struct lease *lease_new(struct loop *l, const struct kubeconfig *config, const struct lease_opts *o,
                        struct err *e);
bool lease_leading(const struct lease *l);
// Whether a write may be sent now: we lead, and the last renewal is younger than the deadline. Looks at the
// clock itself (CLOCK_BOOTTIME: time in which the machine slept counts).
bool lease_may_write(const struct lease *l);
// Gives the lease up, if we have it, so that another need not wait for it to expire. All writes must be over.
// done is called once, also when that fails or takes too long; on_change is not called any more.
void lease_release(struct lease *l, void (*done)(void *arg), void *arg);
void lease_free(struct lease *l); // takes NULL
// Counters of the lease's own connection.
const struct kube_stats *lease_stats(const struct lease *l);

#endif
