// SPDX-License-Identifier: Apache-2.0
// From the plan that would be in force, without an engine.
#include "agent/forecast.h"

#include <errno.h>
#include <string.h>

#include "agent/export.h"
#include "agent/presence.h"
#include "lib/series.h"
#include "lib/spec_note.h"

// Of a fleet with both networks: the pairs by the label `network`.
static void write_networks(const struct plan *p, struct buf *out)
{
    size_t n[SPEC_NETWORKS] = {0};
    for (size_t i = 0; i < p->n_pairs; i++)
        n[p->dests[p->pairs[i].dest].network] += !p->dests[p->pairs[i].dest].target;
    if (p->networks == (1u << p->network))
        return;
    for (unsigned i = 0; i < SPEC_NETWORKS; i++)
        buf_fmt(out, "%zu pairs of the mesh in the network %s\n", n[i],
                plan_network(p, (enum spec_network)i));
}

// *ret_limited: histograms are by zone. *ret_over: what is above the limit although no histogram of a pair is
// among it; 0: nothing.
static int write_series(const struct plan *p, struct buf *out, bool *ret_limited, uint64_t *ret_over)
{
    static const struct failures none;
    CLEANUP(failures_release) struct failures f = {0};
    if (failures_init(&f, p, &none) < 0)
        return -ENOMEM;
    bool limited = *ret_limited = export_limited(p, &f);
    uint64_t n = export_series(p, &f, !limited);
    buf_fmt(out, "%llu series%s\n", (unsigned long long)n,
            limited ? " (seriesLimit: histograms by zone, no flows)" : "");
    *ret_over = limited && SERIES_FIXED + n > p->series_limit ? SERIES_FIXED + n - p->series_limit : 0;
    return 0;
}

// --- addresses that two nodes have

struct place {
    const struct addr *addr;
    const char *node;
};

static int by_address(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    int order = memcmp(x->addr->bytes, y->addr->bytes, sizeof(x->addr->bytes));
    if (order == 0)
        order = (x->addr->family > y->addr->family) - (x->addr->family < y->addr->family);
    return order ? order : strcmp(x->node, y->node);
}

// Those of one network, sorted, into room for FAMILIES of each peer.
static size_t places_of(const struct peers *p, enum spec_network network, struct place *to)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct peer *peer = &p->list[i];
        const struct addr *addrs = network == SPEC_NETWORK_NODE ? peer->host : peer->pod;
        for (unsigned f = 0; f < FAMILIES; f++)
            if (addrs[f].set)
                to[n++] = (struct place){&addrs[f], peer->node};
    }
    if (n)
        qsort(to, n, sizeof(*to), by_address);
    return n;
}

// While an address passes from one node to another the operator's files may have it twice for a moment: so
// they are taken, and it is only said.
static int note_shared(const struct peers *p, unsigned networks, struct buf *out)
{
    CLEANUP_FREE struct place *places = calloc(p->n * FAMILIES + 1, sizeof(*places));
    if (!places)
        return -ENOMEM;
    for (unsigned network = 0; network < SPEC_NETWORKS; network++) {
        size_t n = networks & 1u << network ? places_of(p, (enum spec_network)network, places) : 0;
        size_t shared = 0, first = 0;
        for (size_t i = 1; i < n; i++) {
            if (!addr_equal(places[i - 1].addr, places[i].addr))
                continue;
            first = shared++ ? first : i;
        }
        char text[ADDR_TEXT_MAX];
        if (shared)
            buf_fmt(out,
                    "note: nodes %s and %s have the same address in the network %s, %s: what is measured "
                    "there is one of them (such addresses: %zu)\n",
                    places[first - 1].node, places[first].node, spec_network_name((enum spec_network)network),
                    addr_text(places[first].addr, text), shared);
    }
    return 0;
}

// Peers that nothing leads to, in the families and networks of the fleet.
static void note_unreachable(const struct plan *p, const struct spec_mesh *m, const struct peers *peers,
                             struct buf *out)
{
    const struct peer *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < peers->n; i++) {
        const struct peer *peer = &peers->list[i];
        bool any = strcmp(peer->node, p->node) == 0 || peer->state != PEER_READY;
        for (unsigned f = 0; f < FAMILIES; f++)
            any = any || (m->families & FAMILY_BIT(f) &&
                          ((m->networks & 1u << SPEC_NETWORK_POD && peer->pod[f].set) ||
                           (m->networks & 1u << SPEC_NETWORK_NODE && peer->host[f].set)));
        n += !any;
        first = any || first ? first : peer;
    }
    if (n)
        buf_fmt(
            out,
            "note: %s has no address in the fleet's families and networks: it is not probed (such peers: %zu)\n",
            first->node, n);
}

static void note_plan(const struct plan *p, const struct spec_agent_file *file, const struct peers *peers,
                      struct buf *out)
{
    const struct spec_mesh *m = &file->spec.mesh;
    if (p->n_hosts)
        buf_fmt(
            out,
            "note: %zu targets have names, which are not resolved here: their pairs are not among these\n",
            p->n_hosts);
    if (m->present && !(m->networks & (1u << p->network)))
        buf_fmt(out, "note: the fleet has no network %s: nobody is probed\n", spec_network_name(p->network));
    if (m->present && !peers_find(peers, p->node))
        buf_fmt(out, "note: no peer is named %s\n", p->node);
    if (m->present)
        note_unreachable(p, m, peers, out);
}

static int write_all(const struct plan *p, const struct spec_agent_file *file, const struct peers *peers,
                     struct buf *out)
{
    uint64_t over;
    bool limited;
    buf_fmt(out, "fleet %s, generation %llu%s\n", p->fleet, (unsigned long long)p->generation,
            p->paused ? ", paused" : "");
    buf_fmt(out, "%zu pairs, %.3f packets a second\n", p->n_live, (double)p->packets_per_ks / 1000);
    write_networks(p, out);
    if (write_series(p, out, &limited, &over) < 0)
        return -ENOMEM;
    buf_fmt(out, "%zu bytes for the plan and its counters\n", engine_memory(p) + presence_memory(p));
    buf_fmt(out, "%zu bytes more for each scrape under way\n", export_memory(p, limited));
    if (over)
        buf_fmt(
            out,
            "note: %llu series more than seriesLimit (%u): counters stay whatever their number, the limit "
            "takes histograms only\n",
            (unsigned long long)over, p->series_limit);
    note_plan(p, file, peers, out);
    spec_note_all(&file->spec, out);
    return file->spec.mesh.present ? note_shared(peers, file->spec.mesh.networks, out) : 0;
}

int forecast_text(const struct spec_agent_file *file, const struct peers *peers, const char *node,
                  enum spec_network network, struct buf *out, struct err *e)
{
    struct plan *p;
    int r = plan_build(file, peers, node, network, NULL, 0, &p, e);
    if (r < 0)
        return r;
    r = write_all(p, file, peers, out);
    plan_free(p);
    return r < 0 || out->failed ? err_set(e, ENOMEM, "no memory") : 0;
}
