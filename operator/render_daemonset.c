// SPDX-License-Identifier: Apache-2.0
// Builds the DaemonSet from the inside out: container, volume, pod, object. Restricted pod security profile
// throughout, but for the network Node, whose pods are in the host's network.
#include "operator/render_daemonset.h"

#include <stdio.h>
#include <string.h>

#include "lib/spec_agent_file.h"
#include "operator/render_allocator.h"
#include "operator/render_exporter.h"
#include "operator/render_override.h"
#include "operator/render_part.h"

#define CONFIG_DIR "/etc/kubecanary"
#define AGENT_ID 65532 // user and group of the images; the group may open ping sockets
#define GRACE_SECONDS 10
#define ALLOCATOR_TEXT 2048 // all options with the longest values, and conf, are 1,100
// A kubelet holds a watch for each ConfigMap that it mounts: past 2,048 nodes twice as many would burden the
// API server.
#define SPARE_SLICES_UP_TO 16u

unsigned render_daemonset_mounts(unsigned slices)
{
    return slices <= SPARE_SLICES_UP_TO ? 2 * slices : slices;
}

// Appends value to list, which it owns from then on even on failure. False: no memory.
static bool append(json_t *list, json_t *value)
{
    return json_array_append_new(list, value) == 0;
}

// {name: value, ...} of pairs that are not empty; null if none is.
static json_t *quantities(const char *cpu, const char *memory)
{
    if (!cpu[0] && !memory[0])
        return json_null();
    return json_pack("{s:s?, s:s?}", "cpu", cpu[0] ? cpu : NULL, "memory", memory[0] ? memory : NULL);
}

static json_t *resources(const struct spec_resources *a)
{
    json_t *limits = quantities(a->cpu_limit, a->memory_limit);
    json_t *requests = quantities(a->cpu_request, a->memory_request);
    if (json_is_null(limits) && json_is_null(requests))
        return json_null();
    return json_pack("{s:o, s:o}", "limits", limits, "requests", requests);
}

static json_t *environment(const struct spec_agent *a)
{
    CLEANUP_BUF struct buf options;
    buf_init(&options, ALLOCATOR_TEXT);
    render_allocator(&a->allocator, &options);
    json_t *env = json_pack("[{s:s, s:{s:{s:s, s:s}}}]", "name", "NODE_NAME", "valueFrom", "fieldRef",
                            "apiVersion", "v1", "fieldPath", "spec.nodeName");
    bool ok = env != NULL && !options.failed;
    if (ok && options.len > 0)
        ok = append(env, json_pack("{s:s, s:s}", "name", spec_allocator_variable(&a->allocator), "value",
                                   buf_text(&options)));
    if (ok && a->threads.present) {
        char count[16];
        snprintf(count, sizeof(count), "%u", a->threads.count);
        ok = append(env, json_pack("{s:s, s:s}", "name", a->threads.variable, "value", count));
    }
    for (size_t i = 0; ok && i < a->n_env; i++)
        ok = append(env, json_pack("{s:s, s:s}", "name", a->env[i].key, "value", a->env[i].value));
    if (ok)
        return env;
    json_decref(env);
    return NULL;
}

static const char *image(const struct render_input *in)
{
    const struct spec_agent *a = &in->spec->agent;
    if (a->image[0])
        return a->image;
    return a->allocator.type == SPEC_ALLOCATOR_JEMALLOC ? in->config->agent_jemalloc_image
                                                        : in->config->agent_image;
}

// Healthy: the process answers; nothing that the network does may restart an agent. Ready: sockets are open,
// files are read.
static json_t *http_probe(const char *path, int period, int timeout)
{
    return json_pack("{s:{s:s, s:s, s:s}, s:i, s:i, s:i}", "httpGet", "path", path, "port", "http", "scheme",
                     "HTTP", "periodSeconds", period, "timeoutSeconds", timeout, "failureThreshold", 3);
}

static json_t *arguments(enum spec_network network)
{
    char listen[16];
    snprintf(listen, sizeof(listen), ":%d", SPEC_PORT_HTTP);
    return json_pack("[s, s, s, s, s, s, s, s]", "--config", CONFIG_DIR, "--node", "$(NODE_NAME)",
                     "--network", spec_network_name(network), "--listen", listen);
}

// In the host's network a container's port is the host's: the scheduler then keeps two fleets off one node.
static json_t *port(enum spec_network network, const char *name, int number, const char *protocol)
{
    return json_pack("{s:s, s:i, s:o, s:s}", "name", name, "containerPort", number, "hostPort",
                     network == SPEC_NETWORK_NODE ? json_integer(number) : json_null(), "protocol", protocol);
}

static json_t *ports(enum spec_network network)
{
    return json_pack("[o, o, o, o]", port(network, "http", SPEC_PORT_HTTP, "TCP"),
                     port(network, "tcp", SPEC_PORT_TCP, "TCP"), port(network, "peer", SPEC_PORT_PEER, "UDP"),
                     port(network, "stamp", SPEC_PORT_STAMP, "UDP"));
}

static json_t *container(const struct render_input *in, enum spec_network network)
{
    json_t *security = json_pack("{s:b, s:b, s:{s:[s]}}", "allowPrivilegeEscalation", 0,
                                 "readOnlyRootFilesystem", 1, "capabilities", "drop", "ALL");
    // What an agent that cannot run logged last is what the status shows.
    json_t *agent =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:[{s:s, s:s, s:b}]}", "name",
                  "agent", "image", image(in), "imagePullPolicy", in->config->image_pull_policy, "args",
                  arguments(network), "env", environment(&in->spec->agent), "ports", ports(network),
                  "livenessProbe", http_probe("/healthz", 10, 5), "readinessProbe",
                  http_probe("/readyz", 2, 2), "resources", resources(&in->spec->agent.resources),
                  "terminationMessagePolicy", "FallbackToLogsOnError", "securityContext", security,
                  "volumeMounts", "name", "config", "mountPath", CONFIG_DIR, "readOnly", 1);
    return render_exporter(&in->spec->agent, network, agent);
}

// Only our own key of a ConfigMap: one that somebody added to it (server-side apply leaves it there) would
// otherwise lie in the directory too, or over another ConfigMap's file. An optional source may lack the key.
static json_t *source(const struct render_input *in, const char *suffix, const char *key, bool optional)
{
    char name[LIMIT_NAME + 1];
    return json_pack("{s:{s:s, s:[{s:s, s:s}], s:o}}", "configMap", "name",
                     render_part_name(in, suffix, name), "items", "key", key, "path", key, "optional",
                     optional ? json_true() : json_null());
}

// One volume of all ConfigMaps, so that the agent sees one directory that changes at once.
static json_t *volume(const struct render_input *in)
{
    char suffix[24], key[24];
    json_t *sources = json_pack("[o]", source(in, "-agent", RENDER_PART_AGENT_KEY, false));
    for (unsigned i = 0; sources && i < render_daemonset_mounts(in->slices); i++) {
        render_part_slice(i, suffix, key);
        if (!append(sources, source(in, suffix, key, true))) {
            json_decref(sources);
            return NULL;
        }
    }
    return json_pack("{s:s, s:{s:i, s:o}}", "name", "config", "projected", "defaultMode", 0444, "sources",
                     sources);
}

// null when there are none.
static json_t *tolerations(const struct spec_placement *p)
{
    json_t *list = p->n_tolerations ? json_array() : json_null();
    for (size_t i = 0; list && i < p->n_tolerations; i++) {
        const struct spec_toleration *t = &p->tolerations[i];
        if (!append(list, json_pack("{s:s?, s:s?, s:s?, s:s?}", "key", t->key, "operator", t->op, "value",
                                    t->value, "effect", t->effect))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

// With hostNetwork (network Node) the kubelet refuses every net.* sysctl: the host's own range must do.
static json_t *pod_security(enum spec_network network)
{
    char range[32];
    json_t *sysctls = json_null();
    snprintf(range, sizeof(range), "%d %d", AGENT_ID, AGENT_ID);
    if (network == SPEC_NETWORK_POD)
        sysctls = json_pack("[{s:s, s:s}]", "name", "net.ipv4.ping_group_range", "value", range);
    return json_pack("{s:b, s:i, s:i, s:{s:s}, s:o}", "runAsNonRoot", 1, "runAsUser", AGENT_ID, "runAsGroup",
                     AGENT_ID, "seccompProfile", "type", "RuntimeDefault", "sysctls", sysctls);
}

static json_t *pod_spec(const struct render_input *in, const struct agent_set *set)
{
    char account[LIMIT_NAME + 1];
    const struct spec_placement *p = &in->spec->placement;
    size_t index = agent_sets_index(set, p);
    bool host = set->network == SPEC_NETWORK_NODE;
    // Names of targets are resolved as in a pod, by the cluster's DNS, and not as on the host.
    return json_pack(
        "{s:s, s:b, s:b, s:o, s:s?, s:i, s:s?, s:o, s:o, s:o, s:o, s:[o], s:[o]}", "serviceAccountName",
        render_part_name(in, "-agent", account), "automountServiceAccountToken", 0, "enableServiceLinks", 0,
        "hostNetwork", host ? json_true() : json_null(), "dnsPolicy", host ? "ClusterFirstWithHostNet" : NULL,
        "terminationGracePeriodSeconds", GRACE_SECONDS, "priorityClassName",
        p->priority_class[0] ? p->priority_class : NULL, "nodeSelector", render_override_selector(p, index),
        "affinity", render_override_affinity(p, index), "tolerations", tolerations(p), "securityContext",
        pod_security(set->network), "containers", container(in, set->network), "volumes", volume(in));
}

// allocator: who was told what can be told by the Pod alone, also while it does not answer.
// enable-ds-eviction: an autoscaler that removes the node lets the agent say that it leaves.
static json_t *pod_template(const struct render_input *in, const struct agent_set *set)
{
    char settings[RENDER_ALLOCATOR_SETTINGS];
    if (render_allocator_settings(&in->spec->agent, settings) < 0)
        return NULL;
    return json_pack("{s:{s:o, s:{s:s, s:s, s:s}}, s:o}", "metadata", "labels",
                     render_part_labels(in, set, false), "annotations",
                     "kubectl.kubernetes.io/default-container", "agent",
                     "cluster-autoscaler.kubernetes.io/enable-ds-eviction", "true",
                     RENDER_ANNOTATION_ALLOCATOR, settings, "spec", pod_spec(in, set));
}

static json_t *max_unavailable(const struct spec_placement *p)
{
    uint64_t number;
    if (base_parse_u64(p->max_unavailable, 1, INT32_MAX, &number) == 0)
        return json_integer((json_int_t)number);
    return json_string(p->max_unavailable);
}

static json_t *update_strategy(const struct render_input *in, size_t index)
{
    if (in->held & (1u << index))
        return json_pack("{s:s}", "type", "OnDelete");
    return json_pack("{s:s, s:{s:o}}", "type", "RollingUpdate", "rollingUpdate", "maxUnavailable",
                     max_unavailable(&in->spec->placement));
}

json_t *render_daemonset(const struct render_input *in, const struct agent_set *set)
{
    char name[LIMIT_NAME + 1];
    struct spec spec = *in->spec; // borrowed, but for what is this set's own
    struct render_input own = *in;
    const size_t index = agent_sets_index(set, &in->spec->placement);
    spec.agent = spec_override_agent(in->spec, index);
    own.spec = &spec;
    agent_sets_name(set, in->fleet, name);
    return json_pack("{s:s, s:s, s:o, s:{s:i, s:o, s:o, s:o}}", "apiVersion",
                     store_kinds[STORE_DAEMONSET].api_version, "kind", store_kinds[STORE_DAEMONSET].kind,
                     "metadata", render_part_metadata(in, name, set), "spec", "revisionHistoryLimit", 3,
                     "selector", render_part_selector(in, set), "updateStrategy", update_strategy(in, index),
                     "template", pod_template(&own, set));
}
