// SPDX-License-Identifier: Apache-2.0
// What libcurl says of a transfer that ended, in the words of the agent.
#ifndef KUBECANARY_AGENT_HTTP_TRANSFER_OUTCOME_H
#define KUBECANARY_AGENT_HTTP_TRANSFER_OUTCOME_H

#include <curl/curl.h>

#include "agent/http_wire.h"

// Outcome, status, errno, phases and text; id and dates are left 0. error: libcurl's own words, may be "".
// socket_err: errno of a socket that there could not be, or 0.
void transfer_outcome(CURL *easy, CURLcode code, const char *error, int socket_err,
                      struct http_wire_result *ret);

#endif
