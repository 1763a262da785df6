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

int plan_mesh_init(struct plan_mesh *m, const struct spec_mesh *spec, const struct peers *peers,
                   const char *node, enum spec_network network, struct err *e)
{
    CLEANUP_TOPO struct topo t = {0};
    m->peers = peers;
    m->probing = spec->present && (spec->networks & (1u << network));
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
        m->n_probed += (m->roles[i] & TOPO_PROBES) && peers->list[i].state == PEER_READY;
    return 0;
}

static int add_peer(struct plan *p, const struct peer *peer, unsigned families, size_t n_probes)
{
    const struct addr *addr = p->network == SPEC_NETWORK_NODE ? peer->host : peer->pod;
    struct plan_dest *d = plan_parts_dest(p, peer->node, peer->zone ? peer->zone : "", false);
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
        if (plan_parts_probe(p, r->name, &as) != 0)
            return -ENOMEM;
    }
    for (size_t i = 0; i < mesh->peers->n; i++) {
        const struct peer *peer = &mesh->peers->list[i];
        if (strcmp(peer->node, p->node) == 0)
            continue;
        p->peers[peer->state]++;
        if (peer->state != PEER_READY)
            continue;
        p->coverage += (mesh->roles[i] & TOPO_PROBED_BY) != 0;
        if ((mesh->roles[i] & TOPO_PROBES) && add_peer(p, peer, m->families, m->n_probes) != 0)
            return -ENOMEM;
    }
    return 0;
}
