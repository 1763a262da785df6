// SPDX-License-Identifier: Apache-2.0
// A fleet's status as a pure function of what is known: counts, the forecast of its load, what its agents
// say, and the conditions (Kubernetes API conventions; kstatus). Messages are deterministic, so that
// nothing is written when nothing changed.
#ifndef KUBECANARY_OPERATOR_STATUS_H
#define KUBECANARY_OPERATOR_STATUS_H

#include <jansson.h>

#include "lib/spec_check.h"
#include "operator/agent_sets.h"
#include "operator/report_sum.h"
#include "operator/rollout_json.h"
#include "operator/store.h"
#include "operator/trouble.h"

// What is wrong with a fleet, by the reason that the condition Degraded shows. Stable API.
struct status_problem {
    const char *reason; // NULL: nothing
    char message[768];  // names the field: "spec.targets[1].address: ..."
};

// One of the fleet's DaemonSets.
struct status_set {
    struct agent_set set;
    const struct store_child *daemonset; // NULL: not there (yet)
};

struct status_input {
    const struct store_fleet *fleet;
    const struct status_problem *problem;
    const struct trouble *trouble;
    size_t n_sets;
    const struct status_set *sets;
    int ready_nodes;                  // whose agents are all ready, as their Pods say (members_ready_nodes)
    const struct spec *spec;          // NULL while it cannot be parsed
    const struct spec_load *load;     // of the whole fleet; NULL as spec
    size_t load_nodes;                // how many nodes that is a forecast for
    bool settled;                     // all children are as wanted
    const struct report_sum *reports; // what the agents say; NULL: they are not asked
    const struct rollouts *rollouts;  // of the allocator's settings; NULL: not known
    const char *refusal;              // why it may not delete agents' Pods; "" or NULL: it may
    const char *now;                  // RFC 3339, for transitions
};

// The new status (new reference), NULL when memory is out. lastTransitionTime is taken from the fleet's
// present status unless a condition's status changes.
json_t *status_build(const struct status_input *in);
// Whether two statuses differ in a condition's status, reason or message, in the observed generation, or in
// where a rollout is: worth writing at once. Numbers alone can wait.
bool status_differs_in_conditions(const json_t *a, const json_t *b);
// One condition of a status; borrowed, NULL if there is none.
const json_t *status_find(const json_t *status, const char *type);
// The status of one condition ("True", "False", "Unknown"), NULL if there is none.
const char *status_condition(const json_t *status, const char *type);
// The body of the apply request for it (new reference).
json_t *status_apply_body(const struct store_fleet *fleet, json_t *status);

#endif
