// SPDX-License-Identifier: Apache-2.0
// A table.
#include "lib/report_names.h"

const char *report_names_result(size_t i)
{
    static const char *const names[REPORT_NAMES_RESULTS] = {
        "received", "late", "lost", "corrupt", "unreachable", "sendError", "unexpected", "unresolved"};
    return names[i];
}
