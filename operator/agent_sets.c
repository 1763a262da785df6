// SPDX-License-Identifier: Apache-2.0
// One DaemonSet a network.
#include "operator/agent_sets.h"

#include <stdio.h>
#include <string.h>

static const struct agent_set all[] = {{SPEC_NETWORK_POD}, {SPEC_NETWORK_NODE}};

void agent_sets_of(const struct spec *spec, struct agent_sets *ret)
{
    *ret = (struct agent_sets){0};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (spec->mesh.networks & (1u << all[i].network))
            ret->list[ret->n++] = all[i];
    }
}

void agent_sets_live(const struct store *s, const char *namespace, const char *fleet, struct agent_sets *ret)
{
    *ret = (struct agent_sets){0};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        const struct store_child *set = agent_sets_child(s, namespace, fleet, &all[i]);
        if (set && strcmp(set->meta.fleet, fleet) == 0)
            ret->list[ret->n++] = all[i];
    }
}

bool agent_sets_of_pod(const struct store_pod *pod, struct agent_set *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (strcmp(pod->network, spec_network_name(all[i].network)) != 0)
            continue;
        *ret = all[i];
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

const char *agent_sets_name(const struct agent_set *set, const char *fleet, char out[static LIMIT_NAME + 1])
{
    snprintf(out, LIMIT_NAME + 1, "%.*s-%s", LIMIT_FLEET_NAME, fleet,
             set->network == SPEC_NETWORK_NODE ? "node" : "pod");
    return out;
}

const struct store_child *agent_sets_child(const struct store *s, const char *namespace, const char *fleet,
                                           const struct agent_set *set)
{
    char name[LIMIT_NAME + 1];
    return store_child(s, STORE_DAEMONSET, namespace, agent_sets_name(set, fleet, name));
}
