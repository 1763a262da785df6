// SPDX-License-Identifier: Apache-2.0
// Who probes whom is lib/topo's; here a peer's addresses become pairs.
#include "agent/plan_mesh.h"

#include <errno.h>
#include <string.h>

#include "agent/plan_parts.h"
#include "lib/topo.h"

void plan_mesh_release(struct plan_mesh *m)
{
    free(m->roles);
}

unsigned plan_mesh_networks(const struct spec_mesh *spec, enum spec_network own)
{
    bool probing = spec->present && (spec->networks & (1u << own));
    return probing ? spec->networks : 1u << own;
}

const struct addr *plan_mesh_addresses(const struct peer *peer, enum spec_network network)
{
    return network == SPEC_NETWORK_NODE ? peer->host : peer->pod;
}

enum peer_state plan_mesh_state(const struct peer *peer, enum spec_network network)
{
    return network == SPEC_NETWORK_NODE ? peer_host_state(peer) : peer->state;
}

// How many agents of a peer are to be probed.
static size_t count_ready(const struct peer *peer, unsigned networks)
{
    size_t n = 0;
    for (unsigned k = 0; k < SPEC_NETWORKS; k++)
        n += (networks & (1u << k)) && plan_mesh_state(peer, (enum spec_network)k) == PEER_READY;
    return n;
}

int plan_mesh_init(struct plan_mesh *m, const struct spec_mesh *spec, const struct peers *peers,
                   const char *node, enum spec_network network, struct err *e)
{
    CLEANUP_TOPO struct topo t = {0};
    m->peers = peers;
    m->probing = spec->present && (spec->networks & (1u << network));
    m->networks = plan_mesh_networks(spec, network);
    m->roles = calloc(peers->n + 1, sizeof(*m->roles));
    if (!m->roles)
        return plan_parts_no_memory(e);
    if (!m->probing)
        return 0;
    int r = topo_init(&t, &spec->topology, peers, e);
    if (r < 0)
        return r;
    topo_choose(&t, node, m->roles);
    for (size_t i = 0; i < peers->n; i++)
        if (m->roles[i] & TOPO_PROBES)
            m->n_probed += count_ready(&peers->list[i], m->networks);
    return 0;
}

// The pairs to one agent of a peer.
static int add_agent(struct plan *p, const struct peer *peer, enum spec_network network, unsigned families,
                     size_t n_probes)
{
    const struct addr *addr = plan_mesh_addresses(peer, network);
    struct plan_dest *d = plan_parts_dest(p, peer->node, peer->zone ? peer->zone : "", network, false);
    if (!d)
        return -ENOMEM;
    for (unsigned f = 0; f < FAMILIES; f++) {
        d->addr[f] = addr[f];
        if (!addr[f].set || !(families & FAMILY_BIT(f)))
            continue;
        for (size_t i = 0; i < n_probes; i++)
            plan_parts_pair(p, p->n_dests - 1, i, (enum family)f);
    }
    return 0;
}

// Both agents of a peer, each by its own state.
static int add_peer(struct plan *p, const struct peer *peer, uint8_t role, const struct spec_mesh *m)
{
    for (unsigned k = 0; k < SPEC_NETWORKS; k++) {
        enum spec_network network = (enum spec_network)k;
        enum peer_state state = plan_mesh_state(peer, network);
        if (!(p->networks & (1u << k)))
            continue;
        p->peers[k][state]++;
        if (state != PEER_READY)
            continue;
        p->coverage[k] += (role & TOPO_PROBED_BY) != 0;
        if ((role & TOPO_PROBES) && add_agent(p, peer, network, m->families, m->n_probes) != 0)
            return -ENOMEM;
    }
    return 0;
}

int plan_mesh_add(struct plan *p, const struct spec_agent_file *file, const struct plan_mesh *mesh)
{
    const struct spec_mesh *m = &file->spec.mesh;
    for (size_t i = 0; mesh->probing && i < m->n_probes; i++) {
        const struct spec_probe *r = &m->probes[i];
        struct plan_probe as = {.type = r->type, .interval_ns = r->interval_ns, .timeout_ns = r->timeout_ns};
        if (r->type == SPEC_TCP)
            as.port = file->ports.tcp;
        if (r->type == SPEC_STAMP) {
            as.port = file->ports.stamp;
            as.flows = (uint8_t)MAX(r->flows, 1);
            as.dscp = (uint8_t)r->dscp;
        }
        as.payload = r->payload;
        as.dont_fragment = r->dont_fragment;
        if (plan_parts_probe(p, r->name, &as) != 0)
            return -ENOMEM;
    }
    p->networks = mesh->networks;
    for (size_t i = 0; i < mesh->peers->n; i++) {
        const struct peer *peer = &mesh->peers->list[i];
        if (strcmp(peer->node, p->node) != 0 && add_peer(p, peer, mesh->roles[i], m) != 0)
            return -ENOMEM;
    }
    return 0;
}
