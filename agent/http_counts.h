// SPDX-License-Identifier: Apache-2.0
// What is kept of an HTTP target beside its results: the bytes that its pair has in the engine (engine_own).
// A scrape copies what is counted, and shows every word of it; what the log was told stays where it is.
#ifndef KUBECANARY_AGENT_HTTP_COUNTS_H
#define KUBECANARY_AGENT_HTTP_COUNTS_H

#include "agent/http_wire.h"

#define HTTP_COUNTS_CLASSES 6 // 1xx to 5xx, and what is none of these

struct http_counts {
    uint64_t answers[HTTP_COUNTS_CLASSES]; // by class of the status, expected or not, in time or late
    uint64_t phase_ns[HTTP_WIRE_PHASES];   // sums over these answers
    uint64_t
        errors[HTTP_WIRE_OUTCOMES];  // by outcome; in the place of HTTP_WIRE_ANSWERED: unexpected statuses
    int64_t leaf_end_s, chain_end_s; // of the last handshake that showed a certificate; 0: unknown
};
#define HTTP_COUNTS_WORDS (sizeof(struct http_counts) / sizeof(uint64_t))

struct http_own {
    struct http_counts counts;
    uint64_t told_ns; // when the log was told last of a change
    uint64_t told;    // what: 0 nothing, 1 + outcome
};

const char *http_counts_class(unsigned i); // "1xx" ... "5xx", "other": the label `class`
const char *http_counts_error(unsigned i); // "status", "lookup" ...: the label `class` of errors

#endif
