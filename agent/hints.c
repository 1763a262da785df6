// SPDX-License-Identifier: Apache-2.0
// The list is made with the files, so that nothing has to be allocated on the way out.
#include "agent/hints.h"

#include <errno.h>
#include <string.h>

#include "agent/plan_mesh.h"
#include "lib/topo.h"

static int by_address(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct addr));
}

void hints_release(struct hints *h)
{
    free(h->list);
    *h = (struct hints){0};
}

// The addresses of those who probe us: list has room for all.
static size_t collect(const struct spec_mesh *m, const struct peers *peers, const uint8_t *roles,
                      unsigned networks, struct addr *list)
{
    size_t n = 0;
    for (size_t i = 0; i < peers->n * SPEC_NETWORKS; i++) {
        unsigned network = (unsigned)(i % SPEC_NETWORKS);
        const struct peer *peer = &peers->list[i / SPEC_NETWORKS];
        const struct addr *addr = plan_mesh_addresses(peer, (enum spec_network)network);
        bool wanted = (roles[i / SPEC_NETWORKS] & TOPO_PROBED_BY) && (networks & (1u << network));
        for (unsigned f = 0; wanted && f < FAMILIES; f++)
            if (addr[f].set && (m->families & FAMILY_BIT(f)))
                list[n++] = addr[f];
    }
    qsort(list, n, sizeof(*list), by_address);
    return n;
}

int hints_set(struct hints *h, const struct spec_agent_file *file, const struct peers *peers,
              const char *node, enum spec_network network, struct err *e)
{
    const struct spec_mesh *m = &file->spec.mesh;
    CLEANUP_TOPO struct topo t = {0};
    CLEANUP_FREE uint8_t *roles = calloc(peers->n + 1, sizeof(*roles));
    unsigned networks = plan_mesh_networks(m, network);
    size_t room = FAMILIES * peers->n * (networks == 1u << network ? 1 : SPEC_NETWORKS) + 1;
    CLEANUP_FREE struct addr *list = calloc(room, sizeof(*list));
    if (!roles || !list)
        return err_set(e, ENOMEM, "no memory for the addresses of %zu peers", peers->n);
    int r = m->present ? topo_init(&t, &m->topology, peers, e) : 0;
    if (r < 0)
        return r;
    if (m->present)
        topo_choose(&t, node, roles);
    // Files that do not name us yet are older than others': whoever has newer ones may probe us.
    if (m->present && !peers_find(peers, node))
        memset(roles, TOPO_PROBED_BY, peers->n);
    size_t n = collect(m, peers, roles, networks, list);
    struct addr *exact = realloc(list, (n + 1) * sizeof(*list)); // it shrinks: on failure it is as it was
    list = exact ? exact : list;
    free(h->list);
    h->list = TAKE_PTR(list);
    h->n = n;
    return 0;
}

static size_t askers(const struct hints *h)
{
    return MIN(h->n_askers, (size_t)LIMIT_PEER_ASKERS);
}

bool hints_knows(const struct hints *h, const struct addr *a)
{
    return h->n && bsearch(a, h->list, h->n, sizeof(*a), by_address);
}

void hints_asked(struct hints *h, const struct addr *from)
{
    if (hints_knows(h, from))
        return;
    for (size_t i = 0; i < askers(h); i++)
        if (addr_equal(&h->askers[i], from))
            return;
    h->askers[h->n_askers++ % LIMIT_PEER_ASKERS] = *from;
}

void hints_start(struct hints *h, uint64_t now_ns)
{
    h->leaving = true;
    h->round = 0;
    h->at = 0;
    h->round_ns = h->next_ns = now_ns;
}

static uint64_t pause_after(unsigned round)
{
    static const uint64_t pauses[] = {250 * NS_PER_MS, 250 * NS_PER_MS, 500 * NS_PER_MS};
    return round < ARRAY_LEN(pauses) ? pauses[round] : NS_PER_S;
}

size_t hints_due(struct hints *h, uint64_t now_ns, struct addr *out)
{
    size_t n = 0, all = h->n + askers(h);
    if (!h->leaving || now_ns < h->next_ns)
        return 0;
    for (; n < LIMIT_PEER_HINTS && h->at < all; h->at++)
        out[n++] = h->at < h->n ? h->list[h->at] : h->askers[h->at - h->n];
    if (h->at < all) {
        h->next_ns = now_ns + LIMIT_PEER_HINTS_STEP_NS;
        return n;
    }
    // A round may have taken longer than the pause after it.
    h->round_ns = MAX(h->round_ns + pause_after(h->round), now_ns + LIMIT_PEER_HINTS_STEP_NS);
    h->round++;
    h->next_ns = h->round_ns;
    h->at = 0;
    return n;
}

uint64_t hints_next(const struct hints *h)
{
    return h->leaving ? h->next_ns : UINT64_MAX;
}
