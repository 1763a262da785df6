// SPDX-License-Identifier: Apache-2.0
// /report: one agent's state as a small JSON object, for the operator and for people. Its size does not grow with the number of pairs.
//
// {"version", "revision", "fleet", "node", "zone", "network",
//  "generation": of the files in force (0: none), "ready", "reason": why not ("" if ready), "paused", "lastReloadSuccessful", "reloadError",
//  "pairs", "peers": {"Ready", "Pending", "NotReady", "Leaving"}, "packetsPerSecond", "series", "seriesLimited",
//  "totals": {"sent", "received", "late", "lost", "corrupt", "unreachable", "sendError", "inFlight", "duplicates", "reordered"},
//  "lossRatio": of all probes ended since the start, null if none has,
//  "allocator": {"name", "version", "arenas", "effective", "settings": [{"name", "wanted", "actual", "effective"}]},
//  "residentBytes", "threads", "cpus"}
#ifndef KUBECANARY_AGENT_REPORT_H
#define KUBECANARY_AGENT_REPORT_H

#include "agent/export.h"
#include "lib/buf.h"

#define REPORT_MAX (16u << 10)

struct report_health {
    const char *node;
    const char *network;
    bool ready;
    const char *reason; // "" if ready
};

void report_write(const struct export_sources *from, const struct report_health *h, struct buf *out);

#endif
