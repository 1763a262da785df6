// SPDX-License-Identifier: Apache-2.0
// What fills a probe's packet up to its payload: bytes that no link can compress (RFC 8972 4.1 wants that of
// STAMP), always the same ones, so that they stand once for all probes. Made when a plan wants them first.
#ifndef KUBECANARY_AGENT_PADDING_H
#define KUBECANARY_AGENT_PADDING_H

#include "agent/plan.h"

struct padding { // zero-initialised
    size_t n;
    uint8_t *bytes;
};

// Room for the largest payload that a plan's probes of this type have beyond the least; it only grows.
// ENOMEM.
MUST_USE int padding_reserve(struct padding *p, const struct plan *plan, enum spec_probe_type type,
                             struct err *e);
void padding_release(struct padding *p);
// The largest payload of a plan's probes of this type; 0: it has none.
size_t padding_payload(const struct plan *plan, enum spec_probe_type type);

#endif
