// SPDX-License-Identifier: Apache-2.0
// Builds status objects: each condition is decided by one small function.
#include "operator/status.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "operator/status_agents.h"

struct condition {
    const char *type;
    const char *status;
    const char *reason;
    const char *message;
};

const json_t *status_find(const json_t *status, const char *type)
{
    size_t i;
    const json_t *at;
    json_array_foreach(json_object_get(status, "conditions"), i, at)
    {
        const char *name = json_string_value(json_object_get(at, "type"));
        if (name && strcmp(name, type) == 0)
            return at;
    }
    return NULL;
}

const char *status_condition(const json_t *status, const char *type)
{
    return json_string_value(json_object_get(status_find(status, type), "status"));
}

static const char *transition_time(const struct status_input *in, const struct condition *c)
{
    const json_t *old = status_find(in->fleet->status, c->type);
    const char *status = json_string_value(json_object_get(old, "status"));
    const char *time = json_string_value(json_object_get(old, "lastTransitionTime"));
    return status && time && strcmp(status, c->status) == 0 ? time : in->now;
}

static json_t *condition_json(const struct status_input *in, const struct condition *c)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "type", c->type, "status", c->status, "reason",
                     c->reason, "message", c->message, "lastTransitionTime", transition_time(in, c),
                     "observedGeneration", (json_int_t)in->fleet->meta.generation);
}

static bool rolled_out(const struct store_child *d)
{
    return d && d->observed_generation >= d->meta.generation && d->updated == d->desired &&
           d->ready == d->desired;
}

static bool all_rolled_out(const struct status_input *in)
{
    for (size_t i = 0; i < in->n_sets; i++) {
        if (!rolled_out(in->sets[i].daemonset))
            return false;
    }
    return in->n_sets > 0;
}

// Agents that have said what they work by, and it is not this generation.
static bool outdated(const struct status_input *in)
{
    return in->reports && in->reports->outdated > 0;
}

// The first rollout in that phase; NULL: none is.
static const struct rollout *find_rollout(const struct status_input *in, enum rollout_phase phase)
{
    for (size_t i = 0; in->rollouts && i < in->rollouts->n; i++) {
        if (in->rollouts->list[i].phase == phase)
            return &in->rollouts->list[i];
    }
    return NULL;
}

static void describe_stopped(const struct rollout *r, char *text, size_t size)
{
    char field[LIMIT_OVERRIDE_NAME + 64] = "spec.agent.allocator";
    if (r->override[0])
        snprintf(field, sizeof(field), "spec.placement.overrides[%s].allocator", r->override);
    snprintf(
        text, size,
        "%s: %s; the other agents keep the settings that they have until other ones, or another rollout, "
        "are asked for",
        field, r->message);
}

// A rollout that waits for canaries which this operator may not make.
static bool is_forbidden(const struct status_input *in)
{
    bool waits = false;
    for (size_t i = 0; in->rollouts && i < in->rollouts->n; i++)
        waits |= in->rollouts->list[i].phase == ROLLOUT_CANARY && in->rollouts->list[i].observed_s == 0;
    return waits && in->refusal && in->refusal[0];
}

static struct condition forbidden(const struct status_input *in, const char *type, const char *status,
                                  char *text, size_t size)
{
    snprintf(
        text, size,
        "spec.agent.allocator.rollout: the API server does not let this operator delete pods, so it cannot have "
        "some agents try other settings first: nobody is replaced, and no other change of their pods is carried "
        "out. If it lacks the right, give it (helm upgrade RELEASE CHART --namespace NAMESPACE --reuse-values "
        "--set rbac.replaceAgents=true); or delete some of the fleet's pods yourself, or remove the rollout to "
        "have the settings everywhere. The server says: %s",
        in->refusal);
    return (struct condition){type, status, "AllocatorRolloutForbidden", text};
}

static bool progressing(const struct status_input *in)
{
    return !in->problem->reason && (!in->settled || !all_rolled_out(in));
}

// A node has an agent in each network, and is ready when all of them are. What the sets say of themselves
// comes first, so that nodes and condition are of one moment: the Pods are asked only who lacks which.
struct nodes {
    int desired, ready;
};

// Those of one network share no node. desired is negative if there is none.
static struct nodes count_network(const struct status_input *in, enum spec_network network, bool *lacking)
{
    struct nodes n = {-1, 0};
    for (size_t i = 0; i < in->n_sets; i++) {
        const struct store_child *d = in->sets[i].daemonset;
        if (in->sets[i].set.network != network)
            continue;
        n.desired = MAX(n.desired, 0) + (d ? d->desired : 0);
        n.ready += d ? d->ready : 0;
        *lacking |= !d || d->ready < d->desired;
    }
    return n;
}

static struct nodes count_nodes(const struct status_input *in)
{
    struct nodes n = {0, in->n_sets > 0 ? INT_MAX : 0};
    unsigned networks = 0;
    bool lacking = false;
    for (enum spec_network k = 0; k < AGENT_NETWORKS; k++) {
        struct nodes of = count_network(in, k, &lacking);
        if (of.desired < 0)
            continue;
        n.desired = MAX(n.desired, of.desired);
        n.ready = MIN(n.ready, of.ready);
        networks++;
    }
    if (lacking && networks > 1)
        n.ready = MIN(n.ready, in->ready_nodes);
    return n;
}

// What stands in the way of the agents themselves, as a message that names the field it comes from.
static void describe_trouble(const struct status_input *in, struct condition *c, char *text, size_t size)
{
    const struct trouble *t = in->trouble;
    const char *field = "spec.agent";
    if (t->cause == TROUBLE_IMAGE) {
        c->reason = "ImagePullFailed";
        field = in->spec && in->spec->agent.image[0] ? "spec.agent.image" : "the operator's agent image";
    } else if (t->cause == TROUBLE_CONFIG) {
        c->reason = "ContainerNotCreated";
    } else if (t->cause == TROUBLE_CRASH) {
        c->reason = "AgentsCrashing";
    } else {
        c->reason = "AgentsNotScheduled";
        field = "spec.placement";
    }
    bool host = strcmp(t->network, spec_network_name(SPEC_NETWORK_NODE)) == 0;
    snprintf(text, size, "%s: %s%s%s%s: %s", field, t->reason, t->node[0] ? " on node " : "", t->node,
             host ? ", network Node" : "", t->message);
    c->status = "True";
    c->message = text;
}

static struct condition degraded(const struct status_input *in, char *text, size_t size)
{
    struct condition c = {"Degraded", "False", "AsExpected", ""};
    const struct trouble *t = in->trouble;
    const struct rollout *stopped = find_rollout(in, ROLLOUT_STOPPED);
    if (in->problem->reason) {
        c.status = "True";
        c.reason = in->problem->reason;
        c.message = in->problem->message;
    } else if (stopped) {
        c = (struct condition){"Degraded", "True", "AllocatorRolloutStopped", text};
        describe_stopped(stopped, text, size);
    } else if (is_forbidden(in)) {
        c = forbidden(in, "Degraded", "True", text, size);
    } else if (t->pods > 0) {
        describe_trouble(in, &c, text, size);
    }
    return c;
}

// Which DaemonSets are not there yet, and where to look. Without numbers: a roll would write at each Pod.
static void describe_rollout(const struct status_input *in, char *text, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < in->n_sets && len < size; i++) {
        const struct store_child *d = in->sets[i].daemonset;
        bool host = in->sets[i].set.network == SPEC_NETWORK_NODE,
             none = d && d->desired > 0 && d->created == 0;
        char name[LIMIT_NAME + 1];
        if (rolled_out(d))
            continue;
        len += (size_t)snprintf(
            text + len, size - len, "%sDaemonSet %s: %s%s%s", len ? "; " : "",
            agent_sets_name(&in->sets[i].set, in->fleet->meta.name, name),
            none
                ? "none of its pods is there, and its events say why"
                : "not every agent is ready and runs the wanted version; if pods are missing, its events say why",
            host ? " (network Node needs Pod Security level privileged in the namespace)" : "",
            host && !none
                ? "; if they are not ready, /readyz does (ports, net.ipv4.ping_group_range of the host)"
                : "");
    }
    if (len == 0)
        snprintf(text, size, "not every child is as wanted yet");
}

static struct condition ready(const struct status_input *in, char *text, size_t size)
{
    if (in->problem->reason)
        return (struct condition){"Ready", "False", in->problem->reason, in->problem->message};
    const struct rollout *stopped = find_rollout(in, ROLLOUT_STOPPED);
    if (stopped) {
        describe_stopped(stopped, text, size);
        return (struct condition){"Ready", "False", "AllocatorRolloutStopped", text};
    }
    if (is_forbidden(in))
        return forbidden(in, "Ready", "False", text, size);
    if (!in->settled || !all_rolled_out(in)) {
        describe_rollout(in, text, size);
        return (struct condition){"Ready", "False", "RolloutInProgress", text};
    }
    if (count_nodes(in).desired == 0)
        return (struct condition){"Ready", "False", "NoNodes",
                                  "spec.placement.nodeSelector: matches no node"};
    if (in->spec && in->spec->paused)
        return (struct condition){"Ready", "True", "Paused",
                                  "spec.paused: the agents run and send no probes"};
    return (struct condition){"Ready", "True", "AgentsReady", "every agent is ready"};
}

static struct condition progress(const struct status_input *in, char *text, size_t size)
{
    const struct rollout *stopped = find_rollout(in, ROLLOUT_STOPPED);
    if (!in->problem->reason && stopped) {
        describe_stopped(stopped, text, size);
        return (struct condition){"Progressing", "False", "AllocatorRolloutStopped", text};
    }
    if (!in->problem->reason && is_forbidden(in))
        return forbidden(in, "Progressing", "False", text, size);
    if (!in->problem->reason && find_rollout(in, ROLLOUT_CANARY))
        return (struct condition){"Progressing", "True", "AllocatorUnderObservation",
                                  "some agents try the wanted settings of the allocator first"};
    if (progressing(in))
        return (struct condition){"Progressing", "True", "RolloutInProgress",
                                  "the wanted version is being rolled out"};
    if (!in->problem->reason && outdated(in))
        return (struct condition){"Progressing", "True", "ConfigurationInProgress",
                                  "not every agent works by this generation of the fleet yet"};
    return (struct condition){"Progressing", "False", in->problem->reason ? in->problem->reason : "AsWanted",
                              ""};
}

// The forecast is for the nodes that the fleet may come to; what there is of it is said.
static json_t *share(const struct status_input *in, uint64_t load, uint64_t unit)
{
    uint64_t nodes = (uint64_t)count_nodes(in).desired;
    return json_integer((json_int_t)(load * nodes / MAX(in->load_nodes, (size_t)1) / unit));
}

static int add_numbers(const struct status_input *in, json_t *status)
{
    struct nodes n = count_nodes(in);
    json_t *nodes = json_pack("{s:i, s:i}", "desired", n.desired, "ready", n.ready);
    int r = in->reports ? status_agents_numbers(in->reports, status, nodes) : 0;
    if (in->rollouts && in->rollouts->n > 0)
        r |= json_object_set_new(status, "allocatorRollouts", rollout_json_list(in->rollouts));
    r |= json_object_set_new(status, "nodes", nodes);
    if (!in->load)
        return r;
    r |= json_object_set_new(status, "pairs", share(in, in->load->pairs, 1));
    r |= json_object_set_new(status, "series", share(in, in->load->series, 1));
    r |= json_object_set_new(status, "probesPerSecond", share(in, in->load->probes_per_ks, 1000));
    r |= json_object_set_new(status, "packetsPerSecond", share(in, in->load->packets_per_ks, 1000));
    return r;
}

static json_t *verdict_json(const struct status_input *in, const char *type,
                            const struct status_agents_verdict *v)
{
    return condition_json(in, &(struct condition){type, v->status, v->reason, v->message});
}

// Whether every Pod is of the wanted template, ready or not.
static bool all_updated(const struct status_input *in)
{
    for (size_t i = 0; i < in->n_sets; i++) {
        const struct store_child *d = in->sets[i].daemonset;
        if (!d || d->observed_generation < d->meta.generation || d->updated != d->desired)
            return false;
    }
    return in->settled;
}

static int add_reported(const struct status_input *in, json_t *conditions)
{
    struct status_agents_verdict reporting, allocator;
    status_agents_reporting(in->reports, &reporting);
    status_agents_allocator(in->reports, !all_updated(in), &allocator);
    int r = json_array_append_new(conditions, verdict_json(in, "Reporting", &reporting));
    return r | json_array_append_new(conditions, verdict_json(in, "AllocatorEffective", &allocator));
}

json_t *status_build(const struct status_input *in)
{
    char trouble[768], rollout[1024], stopped[768];
    struct condition list[] = {ready(in, rollout, sizeof(rollout)), progress(in, stopped, sizeof(stopped)),
                               degraded(in, trouble, sizeof(trouble))};
    json_t *status = json_object(), *conditions = json_array();
    int r = json_object_set_new(status, "observedGeneration", json_integer(in->fleet->meta.generation));
    r |= add_numbers(in, status);
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        r |= json_array_append_new(conditions, condition_json(in, &list[i]));
    if (in->reports)
        r |= add_reported(in, conditions);
    r |= json_object_set_new(status, "conditions", conditions);
    if (r == 0)
        return status;
    json_decref(status);
    return NULL;
}

static bool same_member(const json_t *a, const json_t *b, const char *key)
{
    const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
    return x && y ? json_equal(x, y) : x == y;
}

// Of those that a has; both ways, so that one that went is seen, too.
static bool has_other_conditions(const json_t *a, const json_t *b)
{
    size_t i;
    const json_t *x;
    json_array_foreach(json_object_get(a, "conditions"), i, x)
    {
        const char *type = json_string_value(json_object_get(x, "type"));
        const json_t *y = status_find(b, type ? type : "");
        if (!same_member(x, y, "status") || !same_member(x, y, "reason") || !same_member(x, y, "message"))
            return true;
    }
    return false;
}

bool status_differs_in_conditions(const json_t *a, const json_t *b)
{
    return !same_member(a, b, "observedGeneration") || has_other_conditions(a, b) ||
           has_other_conditions(b, a) || rollout_json_differs(a, b);
}

json_t *status_apply_body(const struct store_fleet *fleet, json_t *status)
{
    const struct store_kind_info *info = &store_kinds[STORE_FLEET];
    return json_pack("{s:s, s:s, s:{s:s, s:s}, s:O}", "apiVersion", info->api_version, "kind", info->kind,
                     "metadata", "name", fleet->meta.name, "namespace", fleet->meta.namespace, "status",
                     status);
}
