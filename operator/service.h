// SPDX-License-Identifier: Apache-2.0
// The commands that stay: `local` and `run`. Puts loop, backend, controller and page together, leads when it
// may, ends on SIGTERM and SIGINT.
#ifndef KUBECANARY_OPERATOR_SERVICE_H
#define KUBECANARY_OPERATOR_SERVICE_H

#include "lib/err.h"
#include "operator/cli.h"

// Both return when they were asked to end (0) or cannot go on.
MUST_USE int service_local(const struct cli *c, struct err *e);
// ECANCELED when the lease was lost: whoever started us starts us again, as a stand-by.
MUST_USE int service_run(const struct cli *c, struct err *e);

#endif
