// SPDX-License-Identifier: Apache-2.0
// What is counted of a DNS target beside its results: the bytes that its pair has in the engine (engine_own).
#ifndef KUBECANARY_AGENT_DNS_COUNTS_H
#define KUBECANARY_AGENT_DNS_COUNTS_H

#include "lib/dns_text.h"

struct dns_counts {
    uint64_t replies[DNS_RCODES + 1]; // whole answers by response code, in time or late; the last: all others
    uint64_t mismatches;              // of these: NoError without a record that was expected
    uint64_t truncated;               // answers over UDP that were cut, and asked for again over TCP
};
#define DNS_COUNTS_WORDS (sizeof(struct dns_counts) / sizeof(uint64_t))

#endif
