// SPDX-License-Identifier: Apache-2.0
// The controller: turns changes in the store into keys in the queue and keys into rounds of work, while it
// leads. Owns store, queue and the fleets' records. The same for every backend.
#ifndef KUBECANARY_OPERATOR_CONTROL_H
#define KUBECANARY_OPERATOR_CONTROL_H

#include "operator/cluster.h"
#include "operator/queue.h"
#include "operator/render.h"
#include "operator/reports.h"

// Nodes and Pods change in bursts (a roll, a node's status): their effects are gathered for so long.
#define CONTROL_GATHER_NS (300 * NS_PER_MS)
// Every fleet is looked at again this often, changed or not: the insurance against a lost event.
#define CONTROL_RESYNC_NS (600 * NS_PER_S)

// Reports come one by one: their effects are gathered for so long.
#define CONTROL_REPORTS_NS (5 * NS_PER_S)

struct control;

struct control_stats {
    struct queue_stats queue;
    uint64_t rounds, failures, applies;
    size_t fleets, nodes, pods;
    bool leading, synced;
    struct reports_stats reports;
};

// The cluster is started here and freed by control_free. config is borrowed.
struct control *control_new(struct loop *l, struct cluster *c, const struct render_config *config,
                            struct err *e);
// Has the agents asked for their reports from now on, while this operator leads. Once.
MUST_USE int control_read_reports(struct control *c, const struct reports_opts *o, struct err *e);
// Only a leader writes. Becoming one starts work on every fleet.
void control_set_leading(struct control *c, bool leading);
bool control_synced(const struct control *c);
struct control_stats control_stats(const struct control *c);
// What the agents of each fleet say in sum.
typedef void control_reports_fn(const char *namespace, const char *fleet, const struct report_sum *s,
                                void *arg);
void control_each_reports(const struct control *c, control_reports_fn *fn, void *arg);
// Each fleet that is known, as the store has it.
typedef void control_fleet_fn(const struct store_fleet *fleet, void *arg);
void control_each_fleet(const struct control *c, control_fleet_fn *fn, void *arg);
// Ends the backend: no write is begun any more, those under way are cut off. Reading goes on to be possible;
// then control_free.
void control_stop(struct control *c);
void control_free(struct control *c); // takes NULL

#endif
