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

static int compare_zones(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void topo_measure(const char **zones, size_t n, struct topo_size *ret)
{
    struct topo_size size = {.nodes = n};
    qsort(zones, n, sizeof(*zones), compare_zones);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && strcmp(zones[i], zones[end]) == 0;)
            end++;
        size.largest_zone = MAX(size.largest_zone, end - i);
        size.neighbours += (uint64_t)(end - i) * (end - i - 1);
    }
    *ret = size;
}

size_t topo_degree(const struct spec_topology *how, const struct topo_size *size)
{
    size_t others = size->nodes > 0 ? size->nodes - 1 : 0;
    switch (how->type) {
    case SPEC_FULL: return others;
    }
    return 0;
}

uint64_t topo_pairs(const struct spec_topology *how, const struct topo_size *size)
{
    switch (how->type) {
    case SPEC_FULL: return (uint64_t)size->nodes * topo_degree(how, size);
    }
    return 0;
}
