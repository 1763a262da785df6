// SPDX-License-Identifier: Apache-2.0
#include "agent/http_counts.h"

const char *http_counts_class(unsigned i)
{
    static const char *const names[HTTP_COUNTS_CLASSES] = {"1xx", "2xx", "3xx", "4xx", "5xx", "other"};
    return names[i];
}

const char *http_counts_error(unsigned i)
{
    return i == HTTP_WIRE_ANSWERED ? "status" : http_wire_outcome_name((enum http_wire_outcome)i);
}
