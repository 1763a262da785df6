// SPDX-License-Identifier: Apache-2.0
// The rules of a spec that join several fields, and the forecast of what a fleet costs. Pure; reads the plain
// struct only. All check functions: 0, or EINVAL (EDQUOT for the budget) with the path of the field that is
// to be changed.
#ifndef KUBECANARY_LIB_SPEC_CHECK_H
#define KUBECANARY_LIB_SPEC_CHECK_H

#include "lib/spec.h"
#include "lib/topo.h"

// Names are unique; flows and dscp with STAMP only. Path "probes[1].name".
MUST_USE int spec_check_probes(const struct spec *s, struct err *e);
// The degree with Sampled and Zonal only. Path "topology.degree".
MUST_USE int spec_check_topology(const struct spec *s, struct err *e);
// Names, and (type, address, port) are unique, of DNS the question and the transport too; the fields of each
// type; records that can be of that type. Path "targets[1].address".
MUST_USE int spec_check_targets(const struct spec *s, struct err *e);
// Tolerations that the API server would refuse; the node selector. Path "placement.tolerations[0].operator".
MUST_USE int spec_check_placement(const struct spec *s, struct err *e);
// Allocator's fields, environment, resources. Path "agent.env[0].name".
MUST_USE int spec_check_agent(const struct spec *s, struct err *e);
// Pieces of the former that spec_override.c needs. Paths "nodeSelector[a]", "resources.requests.cpu".
MUST_USE int spec_check_selector(const struct spec_pair *list, size_t n, struct err *e);
MUST_USE int spec_check_resources(const struct spec_resources *r, struct err *e);
// maxResidentBytes against the memory limit. Path "allocator.rollout.maxResidentBytes".
MUST_USE int spec_check_rollout(const struct spec_agent *a, struct err *e);
// The window against the scrape interval. Path "alerting.window".
MUST_USE int spec_check_alerting(const struct spec *s, struct err *e);

// How large a fleet is: its nodes, and how many address families they use.
struct spec_scale {
    struct topo_size size;
    unsigned families;
};

// What a fleet costs.
struct spec_load {
    uint64_t pairs;          // (peer, family, probe, and network of the peer's address) plus targets
    uint64_t probes_per_ks;  // probes started per 1,000 s
    uint64_t packets_per_ks; // packets sent per 1,000 s (spec_probe_packets)
    uint64_t series;         // of one scrape (of one scrape of each agent)
};
// Of the agent that has most to do, and of all agents together (never too little).
void spec_forecast(const struct spec *s, const struct spec_scale *scale, struct spec_load *ret);
void spec_forecast_fleet(const struct spec *s, const struct spec_scale *scale, struct spec_load *ret);
// EDQUOT when the budget is exceeded, with the path of the interval that weighs most
// ("spec.mesh.probes[0].interval").
MUST_USE int spec_check_budget(const struct spec *s, const struct spec_scale *scale, struct err *e);

#endif
