// SPDX-License-Identifier: Apache-2.0
// A plan's life and order, and the building of one: the live pairs of the files, then those of the plan
// before that are gone, sorted by name.
#include "agent/plan.h"

#include <errno.h>
#include <string.h>

#include "agent/plan_carry.h"
#include "agent/plan_mesh.h"
#include "agent/plan_parts.h"
#include "agent/plan_targets.h"
#include "agent/plan_text.h"

struct plan *plan_hold(struct plan *p)
{
    p->refs++;
    return p;
}

void plan_free(struct plan *p)
{
    if (!p || --p->refs > 0)
        return;
    plan_text_free(p);
    free(p->pairs);
    free(p->dests);
    free(p->probes);
    free(p->zones);
    free(p->answers);
    free(p->https);
    free(p->hosts);
    free(p);
}

int plan_compare(const struct plan *a, size_t i, const struct plan *b, size_t j)
{
    return plan_parts_compare(a, &a->pairs[i], b, &b->pairs[j]);
}

const char *plan_network(const struct plan *p, enum spec_network to)
{
    return spec_network_path(p->network, to);
}

size_t plan_bytes(const struct plan *p)
{
    size_t bytes = sizeof(*p) + (p->n_pairs + 1) * sizeof(*p->pairs) + (p->n_dests + 1) * sizeof(*p->dests) +
                   (p->n_probes + 1) * sizeof(*p->probes) + (p->n_zones + 1) * sizeof(*p->zones) +
                   (p->n_answers + 1) * sizeof(*p->answers) + (p->n_https + 1) * sizeof(*p->https) +
                   (p->n_hosts + 1) * sizeof(*p->hosts);
    return bytes + plan_text_bytes(p);
}

// --- building ------------------------------------------------------------------------------------

static int fill(struct plan *p, const struct spec_agent_file *file, const struct plan_mesh *mesh,
                const char *node)
{
    const struct peer *self = peers_find(mesh->peers, node);
    if (plan_parts_names(p, file->fleet, node, self && self->zone ? self->zone : "") != 0)
        return -ENOMEM;
    p->generation = file->generation;
    p->paused = file->paused;
    p->series_limit = file->spec.metrics.series_limit;
    p->gone_ns = 2 * file->spec.metrics.scrape_interval_ns;
    p->gzip = file->spec.metrics.compression == SPEC_COMPRESSION_GZIP;
    p->n_bounds = file->spec.metrics.n_buckets;
    for (size_t i = 0; i < p->n_bounds; i++)
        p->bounds_ns[i] = file->spec.metrics.rtt_buckets_us[i] * NS_PER_US;
    if (plan_mesh_add(p, file, mesh) != 0)
        return -ENOMEM;
    return plan_targets_add(p, &file->spec);
}

int plan_build(const struct spec_agent_file *file, const struct peers *peers, const char *node,
               enum spec_network network, const struct plan *old, uint64_t now_ns, struct plan **ret,
               struct err *e)
{
    size_t n_targets = file->spec.n_targets, n_probes = file->spec.mesh.n_probes, n_answers = 0, n_https = 0;
    for (size_t i = 0; i < n_targets; i++) {
        n_answers += file->spec.targets[i].expect.n_answers;
        n_https += file->spec.targets[i].type == SPEC_HTTP;
    }
    CLEANUP(plan_mesh_release) struct plan_mesh mesh = {0};
    int r = plan_mesh_init(&mesh, &file->spec.mesh, peers, node, network, e);
    if (r < 0)
        return r;
    size_t n_pairs = mesh.n_probed * FAMILIES * n_probes + n_targets;
    const struct plan_room room = {.pairs = n_pairs + (old ? old->n_pairs : 0),
                                   .dests = mesh.n_probed + n_targets + (old ? old->n_dests : 0),
                                   .probes = n_probes + n_targets + (old ? old->n_probes : 0),
                                   .answers = n_answers + (old ? old->n_answers : 0),
                                   .https = n_https + (old ? old->n_https : 0),
                                   .hosts = n_targets};
    CLEANUP_PLAN struct plan *p = plan_parts_new(&room);
    if (!p)
        return plan_parts_no_memory(e);
    p->network = network;
    if (fill(p, file, &mesh, node) != 0)
        return plan_parts_no_memory(e);
    if (p->n_live > LIMIT_PAIRS)
        return err_set(e, E2BIG, "%zu pairs to probe, at most %d are possible", p->n_live, LIMIT_PAIRS);
    plan_parts_sort(p);
    if ((old && plan_carry_over(p, old, PLAN_CARRY_NONE, now_ns) != 0) || plan_parts_finish(p) != 0)
        return plan_parts_no_memory(e);
    *ret = TAKE_PTR(p);
    return 0;
}

int plan_prune(const struct plan *old, uint64_t now_ns, struct plan **ret, struct err *e)
{
    CLEANUP_PLAN struct plan *p = plan_carry_like(old, 0);
    if (!p || plan_carry_over(p, old, PLAN_CARRY_ALL, now_ns) != 0 || plan_parts_finish(p) != 0)
        return plan_parts_no_memory(e);
    *ret = TAKE_PTR(p);
    return 0;
}
