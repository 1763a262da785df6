// SPDX-License-Identifier: Apache-2.0
// Members of an agent's /report that its writer (the agent) and its reader (the operator) must agree on.
// Pure.
#ifndef KUBECANARY_LIB_REPORT_NAMES_H
#define KUBECANARY_LIB_REPORT_NAMES_H

#include <stddef.h>

// Of `totals`, how probes ended: "received", "late", "lost", "corrupt", "unreachable", "sendError",
// "unexpected", "unresolved". In the order of enum stats_result and of enum report_result. i below
// REPORT_NAMES_RESULTS.
#define REPORT_NAMES_RESULTS 8
const char *report_names_result(size_t i);

#endif
