// SPDX-License-Identifier: Apache-2.0
// The container of a program that is not ours (spec.agent.program Exporter): of it nothing is known but where
// it serves Prometheus metrics, so it gets its own arguments, its own port, and no probe that it might not
// answer. Security context, resources, environment and the fleet's files are as the agent's.
#ifndef KUBECANARY_OPERATOR_RENDER_EXPORTER_H
#define KUBECANARY_OPERATOR_RENDER_EXPORTER_H

#include <jansson.h>

#include "lib/spec.h"

// Turns the agent's container into the exporter's, in place, where the spec says so; members that are to be
// left out become null. Returns container; NULL, with the container released: no memory. Takes NULL.
json_t *render_exporter(const struct spec_agent *a, enum spec_network network, json_t *container);

#endif
