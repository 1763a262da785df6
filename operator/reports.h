// SPDX-License-Identifier: Apache-2.0
// Asks the Ready agents of every fleet for their /report, and an image of somebody's own that has none for
// its /metrics: by plain HTTP to the Pod's address, some at a time, at a bounded rate, each bounded in bytes
// and time. Agents are asked while this operator leads; nothing of what they say is written anywhere but
// into the fleets' status, which is built from reports_sum.
#ifndef KUBECANARY_OPERATOR_REPORTS_H
#define KUBECANARY_OPERATOR_REPORTS_H

#include "lib/loop.h"
#include "lib/spec.h"
#include "operator/report_sum.h"
#include "operator/store.h"

// What changed is worth a look at the fleet's status.
typedef void reports_changed_fn(const char *namespace, const char *fleet, void *arg);

struct reports_opts {
    uint16_t port;       // of all agents; 0: SPEC_PORT_HTTP
    uint64_t timeout_ns; // of one request; 0: LIMIT_REPORT_TIMEOUT_NS
    const char *user_agent;
};

struct reports_stats {
    uint64_t received;    // reports
    uint64_t metrics;     // pages of metrics, of images that have no report
    uint64_t unreachable; // no answer: refused, timed out, broken off
    uint64_t invalid;     // answers that are not believed, or too long, or with another status
    size_t agents, reporting;
};

struct reports;

// store is borrowed; the rest of opts is copied. NULL on failure.
struct reports *reports_new(struct loop *l, const struct store *store, const struct reports_opts *o,
                            reports_changed_fn *changed, void *arg, struct err *e);
void reports_free(struct reports *r); // takes NULL
// Not asking at first. Whoever stops forgets what it knows.
void reports_set_asking(struct reports *r, bool asking);
// Pods or fleets changed in the store: the table follows in a moment.
void reports_touch(struct reports *r);
// A fleet's spec, as last admitted.
void reports_configure(struct reports *r, const char *namespace, const char *fleet, const struct spec *spec);
MUST_USE int reports_sum(const struct reports *r, const char *namespace, const char *fleet,
                         struct report_sum *ret, struct err *e);
// As report_table_split.
struct report_split;
MUST_USE int reports_split(const struct reports *r, const char *namespace, const char *fleet,
                           const char *override, const char *settings, struct report_split *ret,
                           struct err *e);
struct reports_stats reports_stats(const struct reports *r);

#endif
