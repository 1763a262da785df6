// SPDX-License-Identifier: Apache-2.0
// How the allocator's settings of some nodes (the fleet's, or one placement override's) come to their agents:
// what was before, what is now, how much memory both take, and whether the change goes on. One step is a pure
// function of the last step, which stands in the fleet's status, of what is wanted and of what is seen, so
// that an operator that ends between any two steps loses nothing. Decision 0022.
#ifndef KUBECANARY_OPERATOR_ROLLOUT_H
#define KUBECANARY_OPERATOR_ROLLOUT_H

#include "operator/agent_sets.h"
#include "operator/render_allocator.h"
#include "operator/report_sum.h"

// From the moment when all canaries are ready: each is asked for its memory three times.
#define ROLLOUT_OBSERVE_S 180
// Without progress for so long, be it of canaries that are to be ready or of reports, it stops.
#define ROLLOUT_PATIENCE_S 600
// Worse: the median of a class of cores (the greater, where there are two) is above that of the agents that
// keep the old settings by more than both together (what tables and buffers of the same agent differ by from
// one start to the next).
#define ROLLOUT_WORSE_PERCENT 10
#define ROLLOUT_NOISE_BYTES (UINT64_C(128) << 10)

enum rollout_phase {
    ROLLOUT_COMPLETE, // every agent has the settings
    ROLLOUT_CANARY,   // the operator replaces some agents and observes them; the others keep what they have
    ROLLOUT_ROLLING,  // the DaemonSet's controller replaces the others, maxUnavailable at a time
    ROLLOUT_STOPPED,  // nobody replaces agents, until other settings or another observation are wanted
    ROLLOUT_PHASES
};
extern const char *const rollout_phase_names[ROLLOUT_PHASES];

enum rollout_reason { // why it stopped; stable API
    ROLLOUT_NO_REASON,
    ROLLOUT_OUT_OF_MEMORY, // an agent was killed for its memory
    ROLLOUT_ABOVE_MAX,     // an agent takes more than spec.agent.allocator.rollout.maxResidentBytes
    ROLLOUT_MEMORY_GREW,   // the canaries take more than the others
    ROLLOUT_NOT_READY,     // the canaries did not become ready
    ROLLOUT_NOT_TOLD,      // they do not say how much they take
    ROLLOUT_REASONS
};
extern const char *const rollout_reason_names[ROLLOUT_REASONS];

// Of all agents before the change began (nothing if none was seen), and of those that have the settings. Of
// each class only agents and median are kept.
struct rollout_memory {
    struct report_sum_memory was[REPORT_SUM_CLASSES], is[REPORT_SUM_CLASSES];
};

enum rollout_type { ROLLOUT_TYPE_UNKNOWN, ROLLOUT_SYSTEM, ROLLOUT_JEMALLOC, ROLLOUT_TYPES };
extern const char *const rollout_type_names[ROLLOUT_TYPES];

struct rollout {                                 // all zero: nothing is known yet
    char override[LIMIT_OVERRIDE_NAME + 1];      // "": the nodes of none
    char settings[RENDER_ALLOCATOR_SETTINGS];    // that are wanted, as a hash; "": not known
    char before[RENDER_ALLOCATOR_SETTINGS];      // the last ones that every agent had; "": not known
    char observation[RENDER_ALLOCATOR_SETTINGS]; // how it is to be observed, as a hash; "": it is not
    enum rollout_type type, type_before;         // of settings and before: how much is compared if the same
    enum rollout_phase phase;
    enum rollout_reason reason; // of phase Stopped
    char message[256];          // likewise, for people
    // Real times, since the epoch. 0: not yet.
    int64_t started_s;                             // when the change was first seen
    int64_t progressed_s;                          // when one more canary was ready
    int64_t observed_s;                            // since when all canaries have been
    uint64_t updated;                              // agents that have the settings
    uint64_t ready;                                // canaries that were ready, at most
    struct rollout_memory all, of[AGENT_NETWORKS]; // by network: what people read, and what is compared
};

struct rollout_wish { // by the spec
    char override[LIMIT_OVERRIDE_NAME + 1];
    char settings[RENDER_ALLOCATOR_SETTINGS];
    enum rollout_type type;
    char observation[RENDER_ALLOCATOR_SETTINGS]; // "": none is wanted
    uint64_t max_resident;                       // bytes; 0: whatever it is
};

struct rollout_seen {                      // of the agents of these nodes, in all networks
    size_t desired;                        // Pods that there shall be, by their DaemonSets
    size_t agents;                         // Pods that are not being deleted
    size_t updated;                        // of these, with the settings that are wanted
    size_t canaries;                       // Pods that are to try them first
    size_t ready;                          // canaries that do, and are ready
    bool forbidden;                        // this operator may not replace them
    char other[RENDER_ALLOCATOR_SETTINGS]; // of one that has others, and says which; "": there is none
    char killed_node[LIMIT_NAME + 1];      // of one with these settings that was killed for its memory
    enum spec_network killed_network;
    struct report_sum_sides all, of[AGENT_NETWORKS]; // memory, with others and with these; by network
    size_t told;                                     // agents in all.now
    uint64_t max;                                    // the most of one of these
    char max_node[LIMIT_NAME + 1];
    enum spec_network max_network;
};

// last: as the status has it. now_s: the real time.
void rollout_step(const struct rollout *last, const struct rollout_wish *wish,
                  const struct rollout_seen *seen, int64_t now_s, struct rollout *ret);
// Whether the DaemonSets' controller must replace nobody: until it is in the status that it may.
bool rollout_holds(const struct rollout *last, const struct rollout *now);
// Whether agents are to be replaced one by one until there are as many canaries as there shall be: only once
// the status knows of the change, and with it what was before.
bool rollout_replaces(const struct rollout *in_status, const struct rollout *now);

#endif
