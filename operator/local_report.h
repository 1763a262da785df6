// SPDX-License-Identifier: Apache-2.0
// The files that the local backend writes for others (local.h lists them): scrape targets and rules for
// Prometheus, nodes, status. A pure consequence of objects, network and Pods; written again only when it
// differs.
#ifndef KUBECANARY_OPERATOR_LOCAL_REPORT_H
#define KUBECANARY_OPERATOR_LOCAL_REPORT_H

#include "operator/local_sets.h"

struct local_report { // borrowed
    const struct local_objects *objects;
    const struct local_net *net;
    const struct local_sets *sets;
    const char *state_dir;
};

// Makes the directories and what never changes.
MUST_USE int local_report_init(const struct local_report *r, struct err *e);
// prometheus' targets and nodes.json.
MUST_USE int local_report_pods(const struct local_report *r, struct err *e);
// The groups of one PrometheusRule; NULL object: removes the file.
MUST_USE int local_report_rules(const struct local_report *r, const char *namespace, const char *name,
                                const json_t *object, struct err *e);
// status/NAMESPACE.NAME.yaml; NULL status: removes the file.
MUST_USE int local_report_status(const struct local_report *r, const char *namespace, const char *name,
                                 const json_t *status, struct err *e);

#endif
