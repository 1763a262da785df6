// SPDX-License-Identifier: Apache-2.0
// From the plan that would be in force, without an engine.
#include "agent/forecast.h"

#include <errno.h>

#include "agent/export.h"
#include "agent/presence.h"

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

static int write_series(const struct plan *p, struct buf *out)
{
    static const struct failures none;
    CLEANUP(failures_release) struct failures f = {0};
    if (failures_init(&f, p, &none) < 0)
        return -ENOMEM;
    bool limited = export_limited(p, &f);
    buf_fmt(out, "%llu series%s\n", (unsigned long long)export_series(p, &f, !limited),
            limited ? " (seriesLimit: histograms by zone, no flows)" : "");
    return 0;
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
}

static int write_all(const struct plan *p, const struct spec_agent_file *file, const struct peers *peers,
                     struct buf *out)
{
    buf_fmt(out, "fleet %s, generation %llu%s\n", p->fleet, (unsigned long long)p->generation,
            p->paused ? ", paused" : "");
    buf_fmt(out, "%zu pairs, %.3f packets a second\n", p->n_live, (double)p->packets_per_ks / 1000);
    write_networks(p, out);
    if (write_series(p, out) < 0)
        return -ENOMEM;
    buf_fmt(out, "%zu bytes for the plan and its counters\n", engine_memory(p) + presence_memory(p));
    note_plan(p, file, peers, out);
    return 0;
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
