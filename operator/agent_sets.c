// SPDX-License-Identifier: Apache-2.0
// One DaemonSet for each network and override.
#include "operator/agent_sets.h"

#include <stdio.h>
#include <string.h>

static const enum spec_network networks[AGENT_NETWORKS] = {SPEC_NETWORK_POD, SPEC_NETWORK_NODE};

static void add(struct agent_sets *sets, enum spec_network network, const char *override)
{
    struct agent_set *set = &sets->list[sets->n];
    if (sets->n < AGENT_SETS_MAX && base_copy(set->override, sizeof(set->override), override) == 0) {
        set->network = network;
        sets->n++;
    }
}

void agent_sets_of(const struct spec *spec, struct agent_sets *ret)
{
    *ret = (struct agent_sets){0};
    for (size_t i = 0; i < AGENT_NETWORKS; i++) {
        if (!(spec->mesh.networks & (1u << networks[i])))
            continue;
        add(ret, networks[i], "");
        for (size_t k = 0; k < spec->placement.n_overrides; k++)
            add(ret, networks[i], spec->placement.overrides[k].name);
    }
}

size_t agent_sets_index(const struct agent_set *set, const struct spec_placement *p)
{
    size_t i = 0;
    while (i < p->n_overrides && strcmp(p->overrides[i].name, set->override) != 0)
        i++;
    return i;
}

const char *agent_sets_name(const struct agent_set *set, const char *fleet, char out[static LIMIT_NAME + 1])
{
    snprintf(out, LIMIT_NAME + 1, "%.*s-%s%s%s", LIMIT_FLEET_NAME, fleet,
             set->network == SPEC_NETWORK_NODE ? "node" : "pod", set->override[0] ? "-" : "", set->override);
    return out;
}

struct live {
    const char *namespace;
    const char *fleet;
    enum spec_network network;
    struct agent_sets *ret;
};

// A DaemonSet of the fleet whose name is what agent_sets_name gives.
static int add_live(const void *object, void *arg)
{
    struct live *l = arg;
    const struct store_child *child = object;
    const struct agent_set rest = {.network = l->network};
    char name[LIMIT_NAME + 1];
    if (strcmp(child->meta.namespace, l->namespace) != 0 || strcmp(child->meta.fleet, l->fleet) != 0)
        return 0;
    size_t len = strlen(agent_sets_name(&rest, l->fleet, name));
    const char *end = child->meta.name + len;
    if (strncmp(child->meta.name, name, len) == 0 && (*end == '\0' || (*end == '-' && end[1])))
        add(l->ret, l->network, *end ? end + 1 : "");
    return 0;
}

void agent_sets_live(const struct store *s, const char *namespace, const char *fleet, struct agent_sets *ret)
{
    *ret = (struct agent_sets){0};
    for (size_t i = 0; i < AGENT_NETWORKS; i++) {
        struct live l = {namespace, fleet, networks[i], ret};
        store_each(s, STORE_DAEMONSET, add_live, &l);
    }
}

bool agent_sets_of_pod(const struct store_pod *pod, struct agent_set *ret)
{
    struct agent_set set = {0};
    for (size_t i = 0; i < AGENT_NETWORKS; i++) {
        if (strcmp(pod->network, spec_network_name(networks[i])) != 0)
            continue;
        set.network = networks[i];
        memcpy(set.override, pod->override, sizeof(set.override));
        *ret = set;
        return true;
    }
    return false;
}

bool agent_sets_have(const struct agent_sets *sets, enum spec_network network)
{
    for (size_t i = 0; i < sets->n; i++) {
        if (sets->list[i].network == network)
            return true;
    }
    return false;
}

const struct store_child *agent_sets_child(const struct store *s, const char *namespace, const char *fleet,
                                           const struct agent_set *set)
{
    char name[LIMIT_NAME + 1];
    return store_child(s, STORE_DAEMONSET, namespace, agent_sets_name(set, fleet, name));
}
