// SPDX-License-Identifier: Apache-2.0
// /report: one agent's state as a small JSON object, for the operator and for people. Its size does not grow
// with the number of pairs. Members:
// - version, revision, fleet, node, zone, network: text
// - generation: of the files in force, 0 if none; paused; lastReloadSuccessful; reloadError: text, "" if none
// - ready; reason: why not, "" if ready
// - pairs, series, seriesLimited, packetsPerSecond: what is probed now
// - peers: {Ready, Pending, NotReady, Leaving}: how many nodes beside ours, by their agents in our network
// - totals: {sent, received, late, lost, corrupt, unreachable, sendError, inFlight, duplicates, reordered}
// - lossRatio: lost, corrupt and unreachable of all that ended since the start but sendError; null if none
// did
// - allocator: {name, version, arenas, tunable, effective, options: {narenas: "1", ...} (jemalloc's, as in
// effect), settings: [{name, wanted, actual, effective}], allocatedBytes and others of enum allocator_size
// that it tells}
// - residentBytes, threads, cpus: online on the node; cpusAllowed: that this process may run on
// - cpuLimitMillis, memoryLimitBytes: of the control groups, 0 if there is no limit
#ifndef KUBECANARY_AGENT_REPORT_H
#define KUBECANARY_AGENT_REPORT_H

#include "agent/export.h"
#include "lib/buf.h"
#include "lib/limits.h"

// Names and settings that need escaping included.
#define REPORT_MAX LIMIT_REPORT

struct report_health {
    const char *node;
    const char *network;
    bool ready;
    const char *reason; // "" if ready
};

void report_write(const struct export_sources *from, const struct report_health *h, struct buf *out);

#endif
