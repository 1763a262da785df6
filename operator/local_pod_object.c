// SPDX-License-Identifier: Apache-2.0
// Puts a Pod's state into the fields that kubelet and the DaemonSet controller would set.
#include "operator/local_pod_object.h"
// -----------------------------------------------------------------------------------------------

static json_t *pod_ips(const struct local_pod *p)
{
    char text[ADDR_TEXT_MAX];
    json_t *list = json_array();
    for (size_t f = 0; f < FAMILIES; f++) {
        if (p->node->ip[f].set)
            json_array_append_new(list, json_pack("{s:s}", "ip", addr_text(&p->node->ip[f], text)));
    }
    return list;
}

static json_t *container_status(const struct local_pod *p)
{
    json_t *state = p->phase == LOCAL_POD_RUNNING
                        ? json_pack("{s:{}}", "running")
                        : json_pack("{s:{s:s, s:s}}", "waiting", "reason", p->reason, "message", p->message);
    return json_pack("{s:s, s:b, s:i, s:o}", "name", "agent", "ready", p->ready, "restartCount",
                     (int)p->restarts, "state", state);
}

static json_t *metadata(const struct local_pod *p)
{
    const json_t *template = json_object_get(p->template, "metadata");
    json_t *labels = json_object_get(template, "labels");
    json_t *annotations = json_deep_copy(json_object_get(template, "annotations"));
    json_t *meta =
        json_pack("{s:s, s:s, s:s, s:[{s:s, s:s, s:s, s:s, s:b, s:b}]}", "namespace", p->namespace, "name",
                  p->name, "uid", p->uid, "ownerReferences", "apiVersion", "apps/v1", "kind", "DaemonSet",
                  "name", p->set, "uid", p->set_uid, "controller", 1, "blockOwnerDeletion", 1);
    if (labels)
        json_object_set(meta, "labels", labels);
    if (p->published[0])
        json_object_set_new(annotations, "kubecanary.io/published", json_string(p->published));
    if (annotations)
        json_object_set_new(meta, "annotations", annotations);
    if (p->leaving)
        json_object_set_new(meta, "deletionTimestamp", json_string("1970-01-01T00:00:00Z"));
    return meta;
}

json_t *local_pod_object(const struct local_pod *p)
{
    return json_pack("{s:s, s:s, s:o, s:{s:s}, s:{s:s, s:o, s:[{s:s, s:s}], s:[o]}}", "apiVersion", "v1",
                     "kind", "Pod", "metadata", metadata(p), "spec", "nodeName", p->node->name, "status",
                     "phase", p->phase == LOCAL_POD_RUNNING ? "Running" : "Pending", "podIPs", pod_ips(p),
                     "conditions", "type", "Ready", "status", p->ready ? "True" : "False",
                     "containerStatuses", container_status(p));
}
