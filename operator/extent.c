// SPDX-License-Identifier: Apache-2.0
// Counts nodes, zones and families of what there is and of what there may be.
#include "operator/extent.h"

#include <errno.h>
#include <string.h>

struct eligible_nodes {
    const struct spec_placement *placement;
    const char **zones; // of each node that matches
    size_t n;
    unsigned families;
};

static bool matches(const struct store_node *node, const char *key, const char *value)
{
    const char *have = store_node_label(node, key);
    return have && strcmp(have, value) == 0;
}

static int add_node(const void *object, void *arg)
{
    struct eligible_nodes *c = arg;
    const struct store_node *node = object;
    for (size_t i = 0; i < c->placement->n_selector; i++) {
        if (!matches(node, c->placement->selector[i].key, c->placement->selector[i].value))
            return 0;
    }
    c->zones[c->n++] = node->zone;
    for (unsigned f = 0; f < FAMILIES; f++)
        c->families |= node->host[f].set ? FAMILY_BIT(f) : 0;
    return 0;
}

int extent_of_nodes(const struct store *s, const struct spec_placement *p, struct extent *ret, struct err *e)
{
    CLEANUP_FREE const char **zones = calloc(store_count(s, STORE_NODE) + 1, sizeof(*zones));
    struct eligible_nodes c = {.placement = p, .zones = zones};
    if (!zones)
        return err_set(e, ENOMEM, "no memory for the nodes");
    store_each(s, STORE_NODE, add_node, &c);
    topo_measure(zones, c.n, &ret->size);
    ret->families = c.families;
    return 0;
}

static unsigned families_of(const struct peer *p, unsigned networks)
{
    unsigned families = 0;
    for (unsigned f = 0; f < FAMILIES; f++) {
        bool pod = p->pod[f].set && (networks & (1u << SPEC_NETWORK_POD));
        bool host = p->host[f].set && (networks & (1u << SPEC_NETWORK_NODE));
        families |= pod || host ? FAMILY_BIT(f) : 0;
    }
    return families;
}

int extent_of_peers(const struct peers *p, unsigned networks, struct extent *ret, struct err *e)
{
    CLEANUP_FREE const char **zones = calloc(p->n + 1, sizeof(*zones));
    if (!zones)
        return err_set(e, ENOMEM, "no memory for the peers");
    ret->families = 0;
    for (size_t i = 0; i < p->n; i++) {
        zones[i] = p->list[i].zone;
        ret->families |= families_of(&p->list[i], networks);
    }
    topo_measure(zones, p->n, &ret->size);
    return 0;
}
