// SPDX-License-Identifier: Apache-2.0
// One round of work on one fleet: spec -> peers -> render -> reconcile -> actions, one after another ->
// status
// -> pokes. Started by the controller when the queue hands out the fleet's key; reports once when the round
// is over.
#ifndef KUBECANARY_OPERATOR_WORK_H
#define KUBECANARY_OPERATOR_WORK_H

#include "operator/cluster.h"
#include "operator/reconcile.h"
#include "operator/render.h"
#include "operator/reports.h"
#include "operator/status.h"

// A status of which only numbers changed is written at most so often; a changed condition at once.
#define WORK_STATUS_PAUSE_NS (5 * NS_PER_S)
// A change of settings that is observed is looked at so often; once its status says what was decided, it is
// acted upon so soon.
#define WORK_ROLLOUT_PAUSE_NS (10 * NS_PER_S)
#define WORK_DECIDED_PAUSE_NS (1 * NS_PER_S)
// What the server says to a delete that it refuses may be another text each time: it is told at most so
// often.
#define WORK_REFUSAL_PAUSE_NS (60 * NS_PER_S)
// Children of a fleet that was deleted and made again go with the garbage collector, within seconds. Until
// then they are looked for each second; after so long they are a collision.
#define WORK_LEFTOVERS_PAUSE_NS (1 * NS_PER_S)
#define WORK_LEFTOVERS_NS (60 * NS_PER_S)

struct work_env { // what every round shares; borrowed
    struct loop *loop;
    struct cluster *cluster;
    struct store *store;
    const struct render_config *config;
    struct reports *reports; // NULL: the agents are not asked
};

struct work_job; // a round under way

struct work_record { // what the operator remembers of a fleet between rounds; all of it can be lost without
                     // harm
    char namespace[LIMIT_NAMESPACE + 1];
    char name[LIMIT_NAME + 1];
    char uid[LIMIT_UID + 1];
    struct reconcile_marks marks;
    uint64_t status_written_ns;
    unsigned slices;            // of the peers, as last rendered; 0: not yet
    struct members_known known; // the nodes when the fleet last was within its budget
    uint64_t agent_file;        // hash of agent.yaml, as last rendered
    char published[17];         // what the Pods' annotation shall be
    uint64_t published_ns;      // since when
    uint64_t poke_ns;           // no pokes before
    size_t poke_turn;           // rounds of pokes so far
    uint64_t leftovers_ns; // since when children of a fleet of this name that is gone are in the way; 0: not
    // What the server said when it last refused to let Pods be deleted (403); "": it does not, as far as is
    // known. Until it accepts one, or no canary is missing.
    char refusal[256];
    uint64_t refusal_ns;  // when that was taken
    char problem[768];    // the one last logged
    struct work_job *job; // NULL between rounds
    uint64_t rounds, failures, applies;
};

struct work_outcome {
    bool failed;             // come again after a back-off
    uint64_t again_in_ns;    // come again after that time; 0: no need
    uint64_t retry_least_ns; // if failed: not before that, a server asked for it; 0: nobody did
};

typedef void work_done_fn(struct work_record *r, const struct work_outcome *o, void *arg);

// Starts a round for the fleet of the record, which must be in the store. done is called once, later or from
// inside.
void work_start(const struct work_env *env, struct work_record *r, work_done_fn *done, void *arg);
// Also drops a round under way (without done): only when the backend has been stopped.
void work_record_release(struct work_record *r);

#endif
