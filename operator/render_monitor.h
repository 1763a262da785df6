// SPDX-License-Identifier: Apache-2.0
// PodMonitor and PrometheusRule of a fleet, for clusters that have prometheus-operator's API.
#ifndef KUBECANARY_OPERATOR_RENDER_MONITOR_H
#define KUBECANARY_OPERATOR_RENDER_MONITOR_H

#include "operator/render.h"

// NULL: no memory.
json_t *render_monitor_pods(const struct render_input *in);
// From the template that the chart ships (charts/kubecanary/rules/fleet.yaml).
MUST_USE int render_monitor_rules(const struct render_input *in, json_t **ret, struct err *e);

#endif
