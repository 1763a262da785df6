// SPDX-License-Identifier: Apache-2.0
// Counts Pods by what their annotation says that they were told.
#include "operator/rollouts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/spec_override.h"
#include "operator/canary.h"
#include "operator/members.h"
#include "operator/report_table.h"

// The fleet's own comes first, as its DaemonSet does: the i-th of the list is that of the spec's override ...
static size_t override_of(const struct spec *spec, size_t i)
{
    return i > 0 ? i - 1 : spec->placement.n_overrides;
}

// --- what is wanted ---

static void want_observation(const struct spec_rollout *r, struct rollout_wish *ret)
{
    const uint64_t parts[] = {r->canary_percent, (uint64_t)r->max_resident_bytes};
    if (!r->present)
        return;
    ret->max_resident = (uint64_t)r->max_resident_bytes;
    snprintf(ret->observation, sizeof(ret->observation), "%016" PRIx64,
             base_hash(BASE_HASH_INIT, parts, sizeof(parts)));
}

static int wish_of(const struct spec *spec, size_t override, struct rollout_wish *ret, struct err *e)
{
    const struct spec_placement *p = &spec->placement;
    const struct spec_agent agent = spec_override_agent(spec, override);
    *ret = (struct rollout_wish){0};
    if (override < p->n_overrides)
        memcpy(ret->override, p->overrides[override].name, sizeof(ret->override));
    ret->type = agent.allocator.type == SPEC_ALLOCATOR_JEMALLOC ? ROLLOUT_JEMALLOC : ROLLOUT_SYSTEM;
    want_observation(&agent.allocator.rollout, ret);
    return render_allocator_settings(&agent, ret->settings) < 0
               ? err_set(e, ENOMEM, "no memory for the allocator's settings")
               : 0;
}

// --- what is seen ---

struct look { // at the Pods of one override
    const struct store *store;
    const struct store_fleet *fleet;
    const struct rollout_wish *wish;
    struct rollout_seen *seen;
    size_t ready[AGENT_NETWORKS]; // with the settings that are wanted
};

// Whether a Pod is of this fleet and override.
static bool is_of(const struct store *s, const struct store_fleet *fleet, const char *override,
                  const struct store_pod *pod, struct agent_set *set)
{
    return agent_sets_of_pod(pod, set) && strcmp(set->override, override) == 0 &&
           members_is_member(s, fleet->meta.namespace, fleet->meta.name, pod);
}

static int look_at_pod(const void *object, void *arg)
{
    struct look *l = arg;
    const struct store_pod *pod = object;
    struct rollout_seen *seen = l->seen;
    struct agent_set set;
    if (pod->meta.deleting || !is_of(l->store, l->fleet, l->wish->override, pod, &set))
        return 0;
    const bool updated = strcmp(pod->allocator, l->wish->settings) == 0;
    seen->agents++;
    seen->updated += updated;
    l->ready[set.network] += updated && pod->ready;
    // Of several the least, so that the same Pods give the same.
    if (updated && pod->killed && (!seen->killed_node[0] || strcmp(pod->node, seen->killed_node) < 0)) {
        memcpy(seen->killed_node, pod->node, sizeof(seen->killed_node));
        seen->killed_network = set.network;
    }
    if (!updated && pod->allocator[0] && (!seen->other[0] || strcmp(pod->allocator, seen->other) < 0))
        memcpy(seen->other, pod->allocator, sizeof(seen->other));
    return 0;
}

// Of one network; `of` says whose.
static struct canary_set canaries_of(const struct rollouts_input *in, const struct agent_set *of)
{
    const struct spec_agent agent = spec_override_agent(in->spec, agent_sets_index(of, &in->spec->placement));
    const struct store_child *d =
        agent_sets_child(in->store, in->fleet->meta.namespace, in->fleet->meta.name, of);
    return (struct canary_set){.percent = MAX(agent.allocator.rollout.canary_percent, 1u),
                               .max_unavailable = in->spec->placement.max_unavailable,
                               .desired = d ? (size_t)d->desired : 0};
}

static void look_at_sets(const struct rollouts_input *in, const struct look *l)
{
    struct agent_sets sets;
    agent_sets_of(in->spec, &sets);
    for (size_t i = 0; i < sets.n; i++) {
        if (strcmp(sets.list[i].override, l->wish->override) != 0)
            continue;
        const struct canary_set c = canaries_of(in, &sets.list[i]);
        const size_t count = canary_count(&c);
        l->seen->desired += c.desired;
        l->seen->canaries += count;
        l->seen->ready += MIN(count, l->ready[sets.list[i].network]);
    }
}

static int see(const struct rollouts_input *in, const struct rollout_wish *wish, struct rollout_seen *ret,
               struct err *e)
{
    struct report_split split = {0};
    struct look l = {.store = in->store, .fleet = in->fleet, .wish = wish, .seen = ret};
    const struct store_meta *fleet = &in->fleet->meta;
    *ret = (struct rollout_seen){.forbidden = in->forbidden};
    store_each(in->store, STORE_POD, look_at_pod, &l);
    look_at_sets(in, &l);
    int r = in->reports ? reports_split(in->reports, fleet->namespace, fleet->name, wish->override,
                                        wish->settings, &split, e)
                        : 0;
    ret->all = split.all;
    memcpy(ret->of, split.of, sizeof(ret->of));
    ret->told = split.told;
    ret->max = split.max;
    ret->max_network = split.max_network;
    memcpy(ret->max_node, split.max_node, sizeof(ret->max_node));
    return r;
}

int rollouts_step(const struct rollouts_input *in, struct rollouts *ret, struct err *e)
{
    struct rollouts all = {.n = in->spec->placement.n_overrides + 1};
    for (size_t i = 0; i < all.n; i++) {
        struct rollout_wish wish;
        struct rollout_seen seen;
        struct rollout last;
        int r = wish_of(in->spec, override_of(in->spec, i), &wish, e);
        if (r == 0)
            r = see(in, &wish, &seen, e);
        if (r < 0)
            return r;
        rollout_json_read(in->fleet->status, wish.override, &last);
        rollout_step(&last, &wish, &seen, in->now_s, &all.list[i]);
    }
    *ret = all;
    return 0;
}

void rollouts_keep(const struct store_fleet *fleet, struct rollouts *ret)
{
    size_t i;
    const json_t *at;
    *ret = (struct rollouts){0};
    json_array_foreach(json_object_get(fleet->status, "allocatorRollouts"), i, at)
    {
        const char *override = json_string_value(json_object_get(at, "override"));
        if (!override || ret->n == ARRAY_LEN(ret->list))
            continue;
        rollout_json_read(fleet->status, override, &ret->list[ret->n]);
        ret->n += ret->list[ret->n].settings[0] != '\0';
    }
}

// --- what follows ---

unsigned rollouts_held(const struct store_fleet *fleet, const struct spec *spec, const struct rollouts *r)
{
    unsigned held = 0;
    for (size_t i = 0; i < r->n; i++) {
        struct rollout last;
        rollout_json_read(fleet->status, r->list[i].override, &last);
        if (rollout_holds(&last, &r->list[i]))
            held |= 1u << override_of(spec, i);
    }
    return held;
}

bool rollouts_wait(const struct rollouts *r)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->list[i].phase == ROLLOUT_CANARY)
            return true;
    }
    return false;
}

struct gather { // the Pods of one DaemonSet
    const struct rollouts_input *in;
    const struct agent_set *set;
    const char *settings;
    struct canary_pod *list;
    size_t n, cap;
};

static int gather_pod(const void *object, void *arg)
{
    struct gather *g = arg;
    const struct store_pod *pod = object;
    struct agent_set set;
    if (g->n == g->cap || !is_of(g->in->store, g->in->fleet, g->set->override, pod, &set) ||
        set.network != g->set->network)
        return 0;
    const struct store_node *node = store_node(g->in->store, pod->node);
    g->list[g->n++] = (struct canary_pod){.pod = pod,
                                          .node_ready = node && node->ready && !node->leaving,
                                          .updated = strcmp(pod->allocator, g->settings) == 0};
    return 0;
}

static int add_delete(const struct store_pod *pod, struct action_list *ret)
{
    return action_list_add_of(ret, ACTION_DELETE, STORE_POD, &pod->meta) ? 0 : -ENOMEM;
}

static int replace_of(const struct rollouts_input *in, const struct agent_set *set, const char *settings,
                      struct action_list *ret, bool *lacking)
{
    const struct canary_set c = canaries_of(in, set);
    struct gather g = {.in = in, .set = set, .settings = settings, .cap = store_count(in->store, STORE_POD)};
    CLEANUP_FREE struct canary_pod *list = calloc(g.cap + 1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    g.list = list;
    store_each(in->store, STORE_POD, gather_pod, &g);
    *lacking |= canary_missing(&c, list, g.n) > 0;
    size_t n = MIN(canary_choose(&c, list, g.n), (size_t)ROLLOUTS_REPLACE);
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++)
        r = add_delete(list[i].pod, ret);
    return r;
}

static bool is_settled(const struct rollouts_input *in, const struct agent_set *set)
{
    char name[LIMIT_NAME + 1];
    const struct store_meta *fleet = &in->fleet->meta;
    const struct store_child *d = agent_sets_child(in->store, fleet->namespace, fleet->name, set);
    return d && d->observed_generation >= d->meta.generation &&
           reconcile_is_shown(in->marks, d, STORE_DAEMONSET, agent_sets_name(set, fleet->name, name));
}

int rollouts_replace(const struct rollouts_input *in, const struct rollouts *r, struct action_list *ret,
                     bool *ret_lacking)
{
    struct agent_sets sets;
    bool lacking = false;
    agent_sets_of(in->spec, &sets);
    for (size_t i = 0; i < sets.n; i++) {
        const struct agent_set *set = &sets.list[i];
        const struct rollout *now = &r->list[(agent_sets_index(set, &in->spec->placement) + 1) % r->n];
        struct rollout in_status;
        if (!rollout_replaces(now, now))
            continue;
        rollout_json_read(in->fleet->status, set->override, &in_status);
        if (!rollout_replaces(&in_status, now) || !is_settled(in, set))
            lacking = true; // it is too early to tell
        else if (replace_of(in, set, now->settings, ret, &lacking) < 0)
            return -ENOMEM;
    }
    *ret_lacking = lacking;
    return 0;
}
