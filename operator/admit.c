// SPDX-License-Identifier: Apache-2.0
// From what a person wrote to what will be rendered, or the first thing that is wrong with it.
#include "operator/admit.h"

#include <errno.h>

#include "operator/extent.h"
#include "operator/tree.h"

void admit_release(struct admit *a)
{
    spec_release(&a->spec);
    *a = (struct admit){0};
}

// The Priority admission refuses Pods of a class that does not exist, one by one and after the old ones are
// gone: so the DaemonSet is not touched.
static int check_priority_class(const struct store *s, const char *name, struct err *e)
{
    if (!name[0] || store_absent(s, STORE_PRIORITYCLASS) || store_child(s, STORE_PRIORITYCLASS, "", name))
        return 0;
    err_set(e, EINVAL, "there is no PriorityClass %s in the cluster", name);
    return err_at(e, "spec.placement.priorityClassName");
}

// The forecast is for all nodes that the fleet is going to be on, so that a budget is refused before it is
// spent: of what its members and the nodes that may get one say, the larger.
static int measure(const struct store *s, const struct spec *spec, const struct peers *peers,
                   struct spec_scale *ret, struct err *e)
{
    struct extent now, later;
    int r = extent_of_peers(peers, spec->mesh.networks, &now, e);
    if (r == 0)
        r = extent_of_nodes(s, &spec->placement, &later, e);
    if (r < 0)
        return r;
    unsigned have = peers->n > 0 ? now.families : later.families;
    *ret = (struct spec_scale){
        .size = {.nodes = MAX(MAX(now.size.nodes, later.size.nodes), (size_t)1),
                 .largest_zone = MAX(now.size.largest_zone, later.size.largest_zone),
                 .zones = MAX(now.size.zones, later.size.zones),
                 .neighbours = MAX(now.size.neighbours, later.size.neighbours)},
        .families = MAX((unsigned)__builtin_popcount(have & spec->mesh.families), 1U),
    };
    return 0;
}

int admit_spec(const struct store_fleet *fleet, struct admit *ret, struct err *e)
{
    CLEANUP_DOC struct doc *doc = NULL;
    *ret = (struct admit){0};
    int r = tree_from_json(fleet->spec, &doc, e);
    return r < 0 ? r : spec_parse(doc_root(doc), &ret->spec, e);
}

int admit_fleet(const struct store *s, const struct peers *peers, struct admit *a, struct err *e)
{
    int r = measure(s, &a->spec, peers, &a->scale, e);
    if (r < 0)
        return r;
    a->have_spec = true;
    spec_forecast_fleet(&a->spec, &a->scale, &a->load);
    r = check_priority_class(s, a->spec.placement.priority_class, e);
    return r < 0 ? r : spec_check_budget(&a->spec, &a->scale, e);
}
