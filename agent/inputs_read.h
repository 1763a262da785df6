// SPDX-License-Identifier: Apache-2.0
// One look at a directory of agent.yaml and peers-NN.yaml; inputs_read (inputs.h) is implemented beside it.
#ifndef KUBECANARY_AGENT_INPUTS_READ_H
#define KUBECANARY_AGENT_INPUTS_READ_H

#include "agent/inputs.h"

// A hash over what stat says of the files (which, size, times), never 0: equal as long as nothing was
// written, replaced, added or removed.
uint64_t inputs_fingerprint(const char *dir);

#endif
