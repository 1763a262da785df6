// SPDX-License-Identifier: Apache-2.0
// The ring, and the walks on it. Switches without default, so that a new topology cannot be forgotten here.
#include "lib/topo.h"

#include <errno.h>
#include <string.h>

static const char *zone_of(const struct topo *t, size_t peer)
{
    const char *zone = t->all->list[peer].zone;
    return zone ? zone : "";
}

// --- the ring ------------------------------------------------------------------------------------

// FNV-1a leaves names that differ in their last letters close to each other, and they are often in one rack;
// the finalizer of MurmurHash3 (public domain) parts them.
static uint64_t hash_of(const char *name)
{
    uint64_t h = base_hash(BASE_HASH_INIT, name, strlen(name));
    h = (h ^ (h >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ (h >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ (h >> 33);
}

static int by_zone(const void *a, const void *b, void *arg)
{
    const struct topo_place *x = a, *y = b;
    return strcmp(zone_of(arg, x->peer), zone_of(arg, y->peer));
}

// Peers are sorted by name, so an index says which name is the lesser where hashes collide.
static int by_hash(const void *a, const void *b)
{
    const struct topo_place *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->peer > y->peer) - (x->peer < y->peer);
}

static int number_zones(struct topo *t)
{
    size_t n = t->all->n;
    qsort_r(t->ring, n, sizeof(*t->ring), by_zone, t);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && by_zone(&t->ring[i - 1], &t->ring[i], t) != 0)
            t->n_zones++;
        t->ring[i].zone = (uint32_t)t->n_zones;
    }
    t->n_zones++;
    t->seen = calloc(t->n_zones, sizeof(*t->seen));
    return t->seen ? 0 : -ENOMEM;
}

int topo_init(struct topo *t, const struct spec_topology *how, const struct peers *all, struct err *e)
{
    CLEANUP_TOPO struct topo fresh = {.all = all, .type = how->type, .degree = how->degree};
    if (how->type != SPEC_FULL && !(fresh.ring = calloc(all->n + 1, sizeof(*fresh.ring))))
        return err_set(e, ENOMEM, "no memory for the topology");
    for (size_t i = 0; fresh.ring && i < all->n; i++)
        fresh.ring[i] = (struct topo_place){.hash = hash_of(all->list[i].node), .peer = (uint32_t)i};
    if (how->type == SPEC_ZONAL && number_zones(&fresh) != 0)
        return err_set(e, ENOMEM, "no memory for the topology");
    if (fresh.ring)
        qsort(fresh.ring, all->n, sizeof(*fresh.ring), by_hash);
    *t = fresh;
    fresh = (struct topo){0};
    return 0;
}

void topo_release(struct topo *t)
{
    free(t->ring);
    free(t->seen);
    *t = (struct topo){0};
}

// --- the walks -----------------------------------------------------------------------------------

// Where a node stands on the ring.
struct stand {
    bool member; // it is among the peers
    size_t at;   // its place, or that of the next node after it
    size_t others;
    const char *zone;
};

static struct stand stand_of(const struct topo *t, const char *self, const struct peer *peer)
{
    struct topo_place key = {.hash = hash_of(self), .peer = peer ? (uint32_t)(peer - t->all->list) : 0};
    struct stand s = {.member = peer != NULL, .others = t->all->n - (peer != NULL)};
    size_t end = t->all->n;
    while (s.at < end) { // the first place that is not before the key
        size_t middle = s.at + (end - s.at) / 2;
        if (by_hash(&t->ring[middle], &key) < 0)
            s.at = middle + 1;
        else
            end = middle;
    }
    s.zone = peer ? zone_of(t, key.peer) : "";
    return s;
}

// The d-th node after it and before it, d = 1 ... others.
static const struct topo_place *after(const struct topo *t, const struct stand *s, size_t d)
{
    return &t->ring[(s->at + d - !s->member) % t->all->n];
}

static const struct topo_place *before(const struct topo *t, const struct stand *s, size_t d)
{
    return &t->ring[(s->at + t->all->n - d) % t->all->n];
}

static void choose_all(const struct topo *t, const struct peer *self, uint8_t *roles)
{
    memset(roles, self ? TOPO_PROBES | TOPO_PROBED_BY : TOPO_PROBES, t->all->n);
    if (self)
        roles[self - t->all->list] = 0;
}

static void choose_sampled(const struct topo *t, const struct stand *s, uint8_t *roles)
{
    size_t k = MIN(t->degree, s->others);
    for (size_t d = 1; d <= k; d++) {
        roles[after(t, s, d)->peer] |= TOPO_PROBES;
        if (s->member)
            roles[before(t, s, d)->peer] |= TOPO_PROBED_BY;
    }
}

// Who probes this node from another zone: those for which fewer than k nodes of zones that are not theirs lie
// between. t->seen counts, by zone, what lies between.
static void choose_zonal_probers(const struct topo *t, const struct stand *s, size_t look, uint8_t *roles)
{
    memset(t->seen, 0, t->n_zones * sizeof(*t->seen));
    for (size_t d = 1; d <= look; d++) {
        const struct topo_place *p = before(t, s, d);
        if (p->zone != t->ring[s->at].zone && d - 1 - t->seen[p->zone] < t->degree)
            roles[p->peer] |= TOPO_PROBED_BY;
        t->seen[p->zone]++;
    }
}

static void choose_zonal(const struct topo *t, const struct stand *s, uint8_t *roles)
{
    size_t look = MIN(TOPO_LOOK * t->degree, s->others), found = 0;
    for (size_t i = 0; i < t->all->n; i++) {
        if (strcmp(zone_of(t, i), s->zone) == 0)
            roles[i] = s->member ? TOPO_PROBES | TOPO_PROBED_BY : TOPO_PROBES;
    }
    for (size_t d = 1; d <= look && found < t->degree; d++) {
        uint32_t peer = after(t, s, d)->peer;
        if (strcmp(zone_of(t, peer), s->zone) == 0)
            continue;
        roles[peer] |= TOPO_PROBES;
        found++;
    }
    if (s->member) {
        choose_zonal_probers(t, s, look, roles);
        roles[t->ring[s->at].peer] = 0;
    }
}

void topo_choose(const struct topo *t, const char *self, uint8_t *ret_roles)
{
    const struct peer *peer = peers_find(t->all, self);
    struct stand s = t->ring ? stand_of(t, self, peer) : (struct stand){0};
    memset(ret_roles, 0, t->all->n);
    switch (t->type) {
    case SPEC_FULL: choose_all(t, peer, ret_roles); break;
    case SPEC_SAMPLED: choose_sampled(t, &s, ret_roles); break;
    case SPEC_ZONAL: choose_zonal(t, &s, ret_roles); break;
    }
}

// --- the forecast --------------------------------------------------------------------------------

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
        size.zones++;
        size.neighbours += (uint64_t)(end - i) * (end - i - 1);
    }
    *ret = size;
}

size_t topo_degree(const struct spec_topology *how, const struct topo_size *size)
{
    size_t others = size->nodes > 0 ? size->nodes - 1 : 0;
    size_t neighbours = MIN(MAX(size->largest_zone, (size_t)1) - 1, others);
    switch (how->type) {
    case SPEC_FULL: return others;
    case SPEC_SAMPLED: return MIN(how->degree, others);
    case SPEC_ZONAL: return neighbours + MIN(how->degree, others - neighbours);
    }
    return 0;
}

uint64_t topo_pairs(const struct spec_topology *how, const struct topo_size *size)
{
    uint64_t most = (uint64_t)size->nodes * topo_degree(how, size);
    uint64_t between = (uint64_t)size->nodes * how->degree;
    return how->type == SPEC_ZONAL ? MIN(most, size->neighbours + between) : most;
}
