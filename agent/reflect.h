// SPDX-License-Identifier: Apache-2.0
// What the peers' TCP probes connect to: a listener that accepts and closes. It reads and answers nothing, so
// there is nothing to amplify.
#ifndef KUBECANARY_AGENT_REFLECT_H
#define KUBECANARY_AGENT_REFLECT_H

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/loop.h"

struct reflect;

// Listens on addr (set = 0: all addresses, both families) and port (0: any). NULL on failure.
struct reflect *reflect_new(struct loop *l, const struct addr *addr, uint16_t port, struct err *e);
void reflect_free(struct reflect *r); // takes NULL
uint16_t reflect_port(const struct reflect *r);
// Connections accepted; those not accepted for want of descriptors or memory.
uint64_t reflect_accepted(const struct reflect *r);
uint64_t reflect_failed(const struct reflect *r);

#endif
