// SPDX-License-Identifier: Apache-2.0
// The topologies. Switches without default, so that a new one cannot be forgotten here.
#include "lib/topo.h"

#include <string.h>

int topo_init(struct topo *t, const struct spec_topology *how, const struct peers *all, struct err *e)
{
    (void)e;
    *t = (struct topo){.all = all, .type = how->type};
    return 0;
}

void topo_release(struct topo *t)
{
    *t = (struct topo){0};
}

static void choose_all(const struct topo *t, const struct peer *self, uint8_t *roles)
{
    memset(roles, self ? TOPO_PROBES | TOPO_PROBED_BY : TOPO_PROBES, t->all->n);
    if (self)
        roles[self - t->all->list] = 0;
}

void topo_choose(const struct topo *t, const char *self, uint8_t *ret_roles)
{
    const struct peer *peer = peers_find(t->all, self);
    switch (t->type) {
    case SPEC_FULL: choose_all(t, peer, ret_roles); break;
    }
}

size_t topo_degree(const struct spec_topology *how, size_t nodes)
{
    switch (how->type) {
    case SPEC_FULL: return nodes > 0 ? nodes - 1 : 0;
    }
    return 0;
}
