// SPDX-License-Identifier: Apache-2.0
// One Pod of the local backend as kubelet would run it: volume, process, readiness, restarts with a back-off,
// an orderly end. Shows itself as a Pod object; who shall exist is decided elsewhere (local_sets.h).
#ifndef KUBECANARY_OPERATOR_LOCAL_POD_H
#define KUBECANARY_OPERATOR_LOCAL_POD_H

#include <limits.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "lib/loop.h"
#include "operator/local_net.h"
#include "operator/local_objects.h"
#include "operator/local_ready.h"
#include "operator/local_run.h"

// After a crash: one second, doubling, at most a minute; forgotten after a minute without one.
#define LOCAL_POD_BACKOFF_NS (1 * NS_PER_S)
#define LOCAL_POD_BACKOFF_MAX_NS (60 * NS_PER_S)
// A Pod that was never ready is asked this often: a start shall show at once. Then
// readinessProbe.periodSeconds holds.
#define LOCAL_POD_FIRST_CHECK_NS (100 * NS_PER_MS)
// Failed checks in a row until a ready Pod is not ready: Kubernetes' default failureThreshold.
#define LOCAL_POD_FAILURES 3

enum local_pod_phase { LOCAL_POD_WAITING, LOCAL_POD_RUNNING, LOCAL_POD_ENDED };

struct local_pod_env { // what all Pods share; borrowed
    struct loop *loop;
    struct local_objects *objects;
    const char *agent, *agent_jemalloc; // programs; NULL: none
    const char *state_dir;
    void (*changed)(void *arg); // a Pod became ready, unready or ended; called from inside
    void *arg;
};

struct local_pod {
    LIST_ENTRY(local_pod) link; // the owner's
    const struct local_pod_env *env;
    const struct local_node *node;
    json_t *template;
    uint64_t hash; // of the template
    char namespace[LIMIT_NAMESPACE + 1];
    char set[LIMIT_NAME + 1]; // the DaemonSet
    char set_uid[LIMIT_UID + 1];
    char name[LIMIT_NAME + 8];
    char uid[LOCAL_OBJECTS_UID];
    char published[32]; // annotation kubecanary.io/published
    char volume[PATH_MAX], log[PATH_MAX + 8];
    enum local_pod_phase phase;
    bool leaving, ready;
    char reason[64], message[256]; // why it waits
    struct local_run run;          // of the process that runs
    pid_t pid;                     // 0: none
    int pidfd;
    struct loop_fd exit;
    struct loop_timer timer; // next start, next check, or the end of the grace period
    struct local_ready *check;
    unsigned failures, restarts;
    uint64_t started_ns;
};

// For a node, from the DaemonSet object. NULL on failure. The process starts at the first refresh.
struct local_pod *local_pod_new(const struct local_pod_env *env, const struct local_node *node,
                                const json_t *set, uint64_t hash, struct err *e);
// Its ConfigMaps may have changed: brings the volume up to date and starts what waited for it.
void local_pod_refresh(struct local_pod *p);
// SIGTERM, and SIGKILL after the grace period; phase ENDED in the end (at once if nothing runs).
void local_pod_leave(struct local_pod *p);
// Sets the annotation kubecanary.io/published.
MUST_USE int local_pod_poke(struct local_pod *p, const char *value, struct err *e);
// Removes its files and its object. The process must have ended (or is killed and reaped).
void local_pod_free(struct local_pod *p);

#endif
