// SPDX-License-Identifier: Apache-2.0
// The objects that a fleet consists of, as a pure function of its spec, its peers and the operator's own
// settings: DaemonSet, ConfigMaps (agent.yaml, peers slices), ServiceAccount, PodMonitor, PrometheusRule.
// Same input, same bytes; golden tests hold it in the hand.
#ifndef KUBECANARY_OPERATOR_RENDER_H
#define KUBECANARY_OPERATOR_RENDER_H

#include <jansson.h>

#include "lib/peers.h"
#include "lib/spec.h"
#include "operator/store.h"

// The operator's own settings; strings borrowed.
struct render_config {
    const char *version;              // app.kubernetes.io/version
    const char *agent_image;          // for System
    const char *agent_jemalloc_image; // for Jemalloc
    const char *image_pull_policy;    // "IfNotPresent"
};

struct render_input {
    const struct render_config *config;
    const char *namespace;
    const char *fleet;
    const char *uid; // of the fleet, for owner references; "": no owner reference (render command)
    int64_t generation;
    const struct spec *spec;
    const struct peers *peers; // sorted
    unsigned slices;           // of the peers
    bool pod_monitor;          // this cluster has the API PodMonitor
    bool prometheus_rule;      // this cluster has the API PrometheusRule
    unsigned held; // of which overrides the DaemonSets' controller replaces no Pods (OnDelete): bits 1 <<
                   // agent_sets_index
};

struct render_object {
    enum store_kind kind;
    char name[LIMIT_NAME + 1];
    // Complete intent: apiVersion, kind, metadata (name, namespace, labels, ownerReferences) and the rest; no
    // nulls, no empty maps or lists (server-side apply would fight over them).
    json_t *body;
};

// In the order in which they are to be applied: ServiceAccount, ConfigMaps, DaemonSets, monitoring.
struct render_set {
    size_t n;
    struct render_object *list;
};

MUST_USE int render_fleet(const struct render_input *in, struct render_set *ret, struct err *e);
// Only the peers ConfigMaps: what goes on being published while the spec is bad.
MUST_USE int render_peers(const struct render_input *in, struct render_set *ret, struct err *e);
void render_set_release(struct render_set *s);
// The whole set as YAML documents, for the render command.
struct buf;
void render_print(const struct render_set *s, struct buf *out);

#endif
