// SPDX-License-Identifier: Apache-2.0
// The pairs of targets that have a name, as its addresses become known. Part of plan.h, which includes this.
#ifndef KUBECANARY_AGENT_PLAN_RESOLVE_H
#define KUBECANARY_AGENT_PLAN_RESOLVE_H

#include "lib/addr.h"
#include "lib/err.h"

struct plan;

// What is known of a name: its addresses. False: not yet, no pair is to be there; true and *ret_n = 0: it has
// none.
typedef bool plan_lookup_fn(const char *host, const struct addr **ret, size_t *ret_n, void *arg);

// The same plan with the pairs of its hosts, as they are known now; plan_build makes none. Those that old has
// and that are no more stay as gone. A name without an address has one pair, in the family of before (IPv4 if
// it never had an address), that goes nowhere. Errors: ENOMEM, E2BIG.
MUST_USE int plan_resolve(const struct plan *old, plan_lookup_fn *lookup, void *arg, uint64_t now_ns,
                          struct plan **ret, struct err *e);

#endif
