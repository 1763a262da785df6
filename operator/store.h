// SPDX-License-Identifier: Apache-2.0
// What the operator knows of the cluster: small structs projected from API objects while they are parsed,
// never whole objects (but for a fleet's own spec and status). One writer: the watch (or the local backend).
// Readers get borrowed pointers that are valid until the next store call.
#ifndef KUBECANARY_OPERATOR_STORE_H
#define KUBECANARY_OPERATOR_STORE_H

#include <jansson.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/limits.h"

enum store_kind {
    STORE_FLEET,
    STORE_NODE,
    STORE_PRIORITYCLASS,
    STORE_POD,
    STORE_DAEMONSET,
    STORE_CONFIGMAP,
    STORE_SERVICEACCOUNT,
    STORE_PODMONITOR,
    STORE_PROMETHEUSRULE,
    STORE_KINDS
};

// Facts of a kind: how the API names it. `optional`: its API may be absent from the cluster (404), which is
// no error.
struct store_kind_info {
    const char *api_version; // "apps/v1"
    const char *kind;        // "DaemonSet"
    const char *plural;      // "daemonsets"
    bool namespaced;
    bool optional;
    const char *selector; // labelSelector of list and watch; NULL: none
};
extern const struct store_kind_info store_kinds[STORE_KINDS];

struct store_meta {
    char namespace[LIMIT_NAMESPACE + 1]; // "" for nodes
    char name[LIMIT_NAME + 1];
    char uid[LIMIT_UID + 1];
    char resource_version[LIMIT_RESOURCE_VERSION + 1];
    char owner_uid[LIMIT_UID + 1]; // of the controller owner reference; "" if none
    char fleet[LIMIT_LABEL + 1];   // label kubecanary.io/fleet; for a fleet its own name
    int64_t generation;
    bool deleting; // deletionTimestamp is set
    // Fleets and children: of all that somebody may edit (project_digest). Nodes and Pods: of what is kept of
    // them here.
    uint64_t digest;
};

struct store_fleet {
    struct store_meta meta;
    json_t *spec;   // the store's own reference
    json_t *status; // may be NULL
};

struct store_node {
    struct store_meta meta;
    char zone[LIMIT_LABEL + 1]; // topology.kubernetes.io/zone
    struct addr host[FAMILIES]; // status.addresses InternalIP
    bool ready;                 // condition Ready = True
    bool leaving;               // it is being deleted, or has a taint of those who are about to delete it
    char *labels;               // all of them, packed: read with store_node_label
};

struct store_pod {
    struct store_meta meta;
    char network[16];                       // label kubecanary.io/network
    char override[LIMIT_OVERRIDE_NAME + 1]; // label kubecanary.io/override
    char node[LIMIT_NAME + 1];              // spec.nodeName
    struct addr ip[FAMILIES];               // status.podIPs
    bool ready;                             // condition Ready = True
    bool running;                           // phase Running
    bool killed;                            // a container ended last because it took too much memory
    char waiting_reason[64];   // of the container that waits, e.g. ErrImagePull, or Unschedulable; "" if none
    char waiting_message[256]; // CrashLoopBackOff: what the container said last, if it is known
    char published[32];        // annotation kubecanary.io/published
    char allocator[17];        // annotation kubecanary.io/allocator: what it was told; "": it does not say
};

struct store_child { // DaemonSet, ConfigMap, ServiceAccount, PodMonitor, PrometheusRule; and PriorityClass
    struct store_meta meta;
    enum store_kind kind;
    int64_t observed_generation; // DaemonSet status, as the next ones
    int desired, created, ready, updated;
};

// STORE_API: the API of an optional kind appeared or went away (store_absent says which); the meta is then
// empty.
enum store_change { STORE_PUT, STORE_DELETED, STORE_API };

// Called after each change, with the object's kind, namespace, name and fleet ("" if it has none). For a Node
// or Pod only when something changed that is kept here: a heartbeat is no change. For fleets and children
// with every event that brings a new resourceVersion.
typedef void store_changed_fn(enum store_kind kind, enum store_change change, const struct store_meta *meta,
                              void *arg);

struct store;
struct store *store_new(store_changed_fn *fn, void *arg);
void store_free(struct store *s);

// One object of a list or of an ADDED/MODIFIED event. EINVAL for an object without the fields that its kind
// cannot do without; the store is then as before.
MUST_USE int store_put(struct store *s, enum store_kind kind, const json_t *object, struct err *e);
// A DELETED event. Unknown objects are ignored.
void store_delete(struct store *s, enum store_kind kind, const char *namespace, const char *name);
// A relist: begin, store_put for every object of all pages, then end: what was not seen since is removed (and
// reported as STORE_DELETED). `namespace` "" = all. Several namespaces may be relisted at a time. -ENOMEM:
// nothing was begun.
MUST_USE int store_relist_begin(struct store *s, enum store_kind kind, const char *namespace);
void store_relist_end(struct store *s, enum store_kind kind, const char *namespace);
void store_relist_abort(struct store *s, enum store_kind kind, const char *namespace); // nothing is removed
// A kind is synced once each of its scopes (namespaces, or all as one) has had a relist end. One scope unless
// told otherwise, before the first.
void store_set_scopes(struct store *s, enum store_kind kind, size_t scopes);
// Synced without a relist: for a backend that has no lists.
void store_set_synced(struct store *s, enum store_kind kind);
// The API of an optional kind is absent: its objects are gone (not reported one by one), and the kind counts
// as synced from then on.
void store_set_absent(struct store *s, enum store_kind kind, bool absent);
bool store_synced(const struct store *s); // every kind is
bool store_absent(const struct store *s, enum store_kind kind);

const struct store_fleet *store_fleet(const struct store *s, const char *namespace, const char *name);
const struct store_node *store_node(const struct store *s, const char *name);
// Of a kind whose objects are in no namespace: namespace "".
const struct store_child *store_child(const struct store *s, enum store_kind kind, const char *namespace,
                                      const char *name);
// The value of a node's label, NULL if it has none of that key.
const char *store_node_label(const struct store_node *n, const char *key);
size_t store_count(const struct store *s, enum store_kind kind);
// Calls fn for each object of a kind (cast by kind: store_fleet, store_node, store_pod, store_child); stops
// when fn returns non-zero and returns that. fn must not change the store. In no particular order.
int store_each(const struct store *s, enum store_kind kind, int (*fn)(const void *object, void *arg),
               void *arg);

#endif
