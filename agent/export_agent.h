// SPDX-License-Identifier: Apache-2.0
// The families of /metrics that speak of the agent and its fleet, not of a pair: read at one moment, written
// in one go.
#ifndef KUBECANARY_AGENT_EXPORT_AGENT_H
#define KUBECANARY_AGENT_EXPORT_AGENT_H

#include "agent/allocator.h"
#include "agent/export.h"
#include "agent/runtime.h"

struct export_agent {
    bool loaded;
    bool last_ok;
    uint64_t generation;
    uint64_t loads;
    uint64_t failures;
    uint64_t loaded_real;
    uint64_t reflected;
    uint64_t reflect_failed;
    struct reflect_stamp_stats stamp;
    bool has_plan;
    bool paused;
    bool limited;
    uint64_t series;
    uint64_t pairs;
    unsigned networks; // plan.networks; by them:
    uint64_t coverage[SPEC_NETWORKS];
    uint64_t peers[SPEC_NETWORKS][PEER_STATES]; // by what the files say and what is known here
    struct peer_link_stats link;
    struct presence_stats presence;
    struct helper_stats helper;
    struct stats_agent stats;
    struct runtime_process process;
    struct runtime_machine machine;
    struct allocator allocator;
};

void export_agent_read(const struct export_sources *from, struct export_agent *ret);
void export_agent_write(const struct export_agent *a, enum metric_format f, struct buf *out);

#endif
