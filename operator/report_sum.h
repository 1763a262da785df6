// SPDX-License-Identifier: Apache-2.0
// The reports of a fleet's agents in one value, whose size does not follow the number of agents. Pure.
#ifndef KUBECANARY_OPERATOR_REPORT_SUM_H
#define KUBECANARY_OPERATOR_REPORT_SUM_H

#include "operator/report_told.h"

// Agents by the cores that they see: 1-2, 3-4, 5-8, 9-16, 17-32, 33-64, 65 and more; and those that do not
// say.
#define REPORT_SUM_CLASSES 8
extern const char *const report_sum_class_names[REPORT_SUM_CLASSES]; // "1-2" ... "65+", "unknown"

struct report_sum_agent { // one agent, as it is known; borrowed
    const char *node;
    const struct report *report; // NULL: it does not report
    const char *trouble;         // why not; "" if it was not asked yet
    // What it was told; NULL: nothing. An agent that knows of fewer settings is not rolled out yet. (Another
    // program's report holds the comparison already.)
    const struct report_told *told;
};

struct report_sum_memory { // resident, bytes; of the agents that told
    size_t agents;         // 0: the rest means nothing
    uint64_t min, median, max;
};

struct report_sum_sides { // of agents that were told other settings of their allocator, and of those told
                          // these
    struct report_sum_memory old[REPORT_SUM_CLASSES], now[REPORT_SUM_CLASSES];
};

struct report_sum {
    size_t agents;                     // Ready agents, whether they report or not
    size_t reporting;                  // answered when they were last asked
    size_t nodes;                      // on which every Ready agent reports
    size_t failing;                    // did not; the rest was not asked yet
    char failing_node[LIMIT_NAME + 1]; // the first of them by name
    char failing_why[256];
    size_t foreign;  // of reporting: images that have no /report; not in the next four
    size_t outdated; // work by files of an earlier generation than the fleet's
    uint64_t pairs, series, packets_per_ks;
    struct report_sum_memory memory[REPORT_SUM_CLASSES];
    struct report_loss loss; // of the last minutes
    // Allocator. Of the reporting.
    size_t effective, ineffective, unknown;
    char allocator[64]; // "jemalloc 5.3.0", of the first node by name among those that the verdict is about
    unsigned settings;  // of the same one
    char node[LIMIT_NAME + 1];
    char setting[REPORT_TEXT], wanted[REPORT_TEXT], actual[REPORT_TEXT]; // as in report_allocator
    size_t same; // on how many nodes it is this setting
};

// list: sorted by node. generation: the fleet's. ENOMEM.
MUST_USE int report_sum_of(const struct report_sum_agent *list, size_t n, uint64_t generation,
                           struct report_sum *ret, struct err *e);

// Of the resident sizes alone: the entries of a list that have no report are left out. ENOMEM.
MUST_USE int report_sum_memory_of(const struct report_sum_agent *list, size_t n,
                                  struct report_sum_memory ret[static REPORT_SUM_CLASSES], struct err *e);

#endif
