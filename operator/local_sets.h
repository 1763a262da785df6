// SPDX-License-Identifier: Apache-2.0
// The DaemonSet controller of the local backend: one Pod a node that the set selects, rolled when its
// template changes, and the set's status. Reads DaemonSets from the objects; owns the Pods.
#ifndef KUBECANARY_OPERATOR_LOCAL_SETS_H
#define KUBECANARY_OPERATOR_LOCAL_SETS_H

#include "operator/local_pod.h"

// After SIGTERM to all agents at once: who still runs then is killed. Nobody is left to notice an orderly
// end.
#define LOCAL_SETS_STOP_NS (3 * NS_PER_S)

struct local_sets;

struct local_sets_opts { // borrowed
    struct loop *loop;
    struct local_objects *objects;
    const struct local_net *net;
    const char *agent, *agent_jemalloc;
    const char *state_dir;
    void (*changed)(void *arg); // Pods came, went or changed
    void *arg;
};

struct local_sets *local_sets_new(const struct local_sets_opts *o, struct err *e);
void local_sets_free(struct local_sets *s); // takes NULL; after local_sets_stop
// DaemonSets or ConfigMaps changed: acts soon, not from inside. configmaps: volumes are to be looked at.
void local_sets_touch(struct local_sets *s, bool configmaps);
// -ENOENT: no Pod with this uid.
MUST_USE int local_sets_poke(struct local_sets *s, const char *namespace, const char *name, const char *uid,
                             const char *value, struct err *e);
// Ends one Pod in order; its set makes another. -ENOENT: as above.
MUST_USE int local_sets_delete(struct local_sets *s, const char *namespace, const char *name, const char *uid,
                               struct err *e);
// Ends all agents; blocks for LOCAL_SETS_STOP_NS at most.
void local_sets_stop(struct local_sets *s);
// Calls fn for each Pod.
void local_sets_each(const struct local_sets *s, void (*fn)(const struct local_pod *pod, void *arg),
                     void *arg);

// How many Pods of `desired` may be away at a time: rollingUpdate.maxUnavailable, a number or "10%", rounded
// down, at least 1.
unsigned local_sets_max_unavailable(const json_t *set, unsigned desired);

#endif
