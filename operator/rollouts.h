// SPDX-License-Identifier: Apache-2.0
// One step of each rollout of a fleet: what its Pods and its agents' reports show, held against its spec and
// against the last step, which its status has. Reads; changes nothing.
#ifndef KUBECANARY_OPERATOR_ROLLOUTS_H
#define KUBECANARY_OPERATOR_ROLLOUTS_H

#include "lib/spec.h"
#include "operator/reconcile.h"
#include "operator/reports.h"
#include "operator/rollout_json.h"

// What else a step needs to be known.
struct rollouts_input {
    const struct store *store;
    const struct store_fleet *fleet;
    const struct spec *spec;
    const struct reconcile_marks *marks; // what was applied
    const struct reports *reports;       // NULL: the agents are not asked
    int64_t now_s;                       // the real time, since the epoch
    bool forbidden;                      // this operator may not delete Pods, as far as it knows
};

// ENOMEM.
MUST_USE int rollouts_step(const struct rollouts_input *in, struct rollouts *ret, struct err *e);
// As the status has them: while the spec is not carried out.
void rollouts_keep(const struct store_fleet *fleet, struct rollouts *ret);

// Of which overrides the DaemonSets' Pods are replaced by nobody but this operator: bits 1 <<
// agent_sets_index.
unsigned rollouts_held(const struct store_fleet *fleet, const struct spec *spec, const struct rollouts *r);
// Whether somebody has to look again soon: a decision hangs on time.
bool rollouts_wait(const struct rollouts *r);
// Pods of one round.
#define ROLLOUTS_REPLACE 20
// Appends the deletes of Pods that are to be canaries, of DaemonSets that are as this operator last applied
// them and whose controller knows that: who goes comes back with the new settings. *ret_lacking: canaries are
// missing, be it that none may go at the moment. -ENOMEM.
MUST_USE int rollouts_replace(const struct rollouts_input *in, const struct rollouts *r,
                              struct action_list *ret, bool *ret_lacking);

#endif
