// SPDX-License-Identifier: Apache-2.0
// One readiness check: HTTP GET of a path, without blocking, answered once. As kubelet: a status from 200 to
// 399 in time is ready.
#ifndef KUBECANARY_OPERATOR_LOCAL_READY_H
#define KUBECANARY_OPERATOR_LOCAL_READY_H

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/loop.h"

#define LOCAL_READY_TIMEOUT_NS (1 * NS_PER_S)

struct local_ready;

typedef void local_ready_fn(bool ready, void *arg);

// fn is called once, never from inside; the check is gone then.
struct local_ready *local_ready_start(struct loop *l, const struct addr *addr, uint16_t port,
                                      const char *path, local_ready_fn *fn, void *arg, struct err *e);
void local_ready_cancel(struct local_ready *r); // no call any more; takes NULL

#endif
