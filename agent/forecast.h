// SPDX-License-Identifier: Apache-2.0
// What files would make an agent do, as text for who looks before they are put in force: how much there is to
// probe, what that costs, and in lines that begin with "note: " what they allow and may not mean.
#ifndef KUBECANARY_AGENT_FORECAST_H
#define KUBECANARY_AGENT_FORECAST_H

#include "lib/buf.h"
#include "lib/peers.h"
#include "lib/spec_agent_file.h"

// Appends some lines, each with its new line. Peers sorted; node and network are the agent's own. Errors:
// plan_build's, ENOMEM.
MUST_USE int forecast_text(const struct spec_agent_file *file, const struct peers *peers, const char *node,
                           enum spec_network network, struct buf *out, struct err *e);

#endif
