// SPDX-License-Identifier: Apache-2.0
// Compares the rendered children with the store and decides what to apply, delete and poke.
#include "operator/reconcile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "operator/project.h"
#include "operator/render_part.h"
#include "operator/tree.h"

void action_list_release(struct action_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        action_release(&l->list[i]);
    free(l->list);
    *l = (struct action_list){0};
}

void reconcile_marks_release(struct reconcile_marks *m)
{
    free(m->list);
    *m = (struct reconcile_marks){0};
}

struct action *action_list_add(struct action_list *l)
{
    if (l->n == l->cap) {
        size_t cap = MAX(l->cap * 2, (size_t)16);
        struct action *list = realloc(l->list, cap * sizeof(*list));
        if (!list)
            return NULL;
        l->list = list;
        l->cap = cap;
    }
    struct action *a = &l->list[l->n++];
    *a = (struct action){0};
    return a;
}

struct action *action_list_add_of(struct action_list *l, enum action_verb verb, enum store_kind kind,
                                  const struct store_meta *object)
{
    struct action *a = action_list_add(l);
    if (!a)
        return NULL;
    a->verb = verb;
    a->kind = kind;
    memcpy(a->namespace, object->namespace, sizeof(a->namespace));
    memcpy(a->name, object->name, sizeof(a->name));
    memcpy(a->uid, object->uid, sizeof(a->uid));
    return a;
}

static struct reconcile_mark *find_mark(const struct reconcile_marks *m, enum store_kind kind,
                                        const char *name)
{
    for (size_t i = 0; i < m->n; i++) {
        if (m->list[i].kind == kind && strcmp(m->list[i].name, name) == 0)
            return &m->list[i];
    }
    return NULL;
}

static bool needs_apply(const struct reconcile_input *in, const struct render_object *o,
                        const struct store_child *live)
{
    const struct reconcile_mark *mark = find_mark(in->marks, o->kind, o->name);
    if (live && live->meta.deleting)
        return false; // wait until it is gone
    if (!mark || mark->wanted != tree_hash(o->body))
        return true;
    if (mark->pending_until_ns > in->now_ns)
        return false;
    return !live || live->meta.digest != mark->settled;
}

// Counts this apply against the child's minute. False: too many, and the intent has not changed.
static bool may_apply(const struct reconcile_input *in, const struct render_object *o)
{
    struct reconcile_mark *mark = find_mark(in->marks, o->kind, o->name);
    if (!mark || mark->wanted != tree_hash(o->body))
        return true;
    if (in->now_ns - mark->minute_ns >= 60 * NS_PER_S) {
        mark->minute_ns = in->now_ns;
        mark->applies = 0;
    }
    return mark->applies < RECONCILE_APPLIES_PER_MINUTE;
}

static int add_apply(const struct reconcile_input *in, const struct render_object *o, bool fresh,
                     struct action_list *ret, struct err *e)
{
    struct action *a = action_list_add(ret);
    if (!a)
        return err_set(e, ENOMEM, "no memory for the actions");
    a->verb = ACTION_APPLY;
    a->kind = o->kind;
    memcpy(a->namespace, in->fleet->meta.namespace, sizeof(a->namespace));
    memcpy(a->name, o->name, sizeof(a->name));
    a->fresh = fresh;
    a->body = json_incref(o->body);
    return 0;
}

// 0, or what makes that object none of ours.
static int check_owner(const struct store_child *live, const struct store_fleet *fleet,
                       const struct render_object *o, struct err *e)
{
    const char *kind = store_kinds[o->kind].kind;
    if (!live || !live->meta.owner_uid[0] || strcmp(live->meta.owner_uid, fleet->meta.uid) == 0)
        return 0;
    if (strcmp(live->meta.fleet, fleet->meta.name) == 0)
        return err_set(e, EAGAIN, "%s %s is left of a fleet of this name that was deleted", kind, o->name);
    return err_set(e, EEXIST, "%s %s belongs to another owner", kind, o->name);
}

struct prune {
    const struct reconcile_input *in;
    struct action_list *ret;
};

static bool is_wanted(const struct render_set *set, const struct store_child *child)
{
    for (size_t i = 0; i < set->n; i++) {
        if (set->list[i].kind == child->kind && strcmp(set->list[i].name, child->meta.name) == 0)
            return true;
    }
    return false;
}

static int prune_child(const void *object, void *arg)
{
    const struct prune *p = arg;
    const struct store_child *child = object;
    const struct store_meta *fleet = &p->in->fleet->meta;
    bool ours = strcmp(child->meta.owner_uid, fleet->uid) == 0 &&
                strcmp(child->meta.namespace, fleet->namespace) == 0;
    if (!ours || child->meta.deleting || is_wanted(p->in->wanted, child))
        return 0;
    return action_list_add_of(p->ret, ACTION_DELETE, child->kind, &child->meta) ? 0 : -ENOMEM;
}

// blocked: something that was wanted before it is not to be had.
static int plan_child(const struct reconcile_input *in, const struct render_object *o, bool blocked,
                      struct action_list *ret, struct err *e)
{
    const struct store_child *live = store_child(in->store, o->kind, in->fleet->meta.namespace, o->name);
    int r = check_owner(live, in->fleet, o, e);
    if (r < 0 || !needs_apply(in, o, live) || (blocked && o->kind == STORE_DAEMONSET))
        return r;
    if (!may_apply(in, o))
        return err_set(e, ELOOP, "%s %s is changed back again and again by somebody else",
                       store_kinds[o->kind].kind, o->name);
    return add_apply(in, o, !live && !find_mark(in->marks, o->kind, o->name), ret, e);
}

int reconcile_children(const struct reconcile_input *in, struct action_list *ret, struct err *e)
{
    struct err first = {0}; // what stands in the way
    for (size_t i = 0; i < in->wanted->n; i++) {
        int r = plan_child(in, &in->wanted->list[i], first.code != 0, ret, e);
        if (r == -ENOMEM)
            return r;
        if (r < 0 && !first.code)
            first = *e;
    }
    struct prune prune = {.in = in, .ret = ret};
    for (enum store_kind k = STORE_DAEMONSET; in->complete && !first.code && k < STORE_KINDS; k++) {
        if (store_each(in->store, k, prune_child, &prune) < 0)
            return err_set(e, ENOMEM, "no memory for the actions");
    }
    if (first.code)
        *e = first;
    return -first.code;
}

// Whether the store has the very object that an apply returned: the apply changed nothing, or the watch was
// quicker than the answer.
static bool is_shown(const struct store_child *live, const json_t *object)
{
    const json_t *meta = json_object_get(object, "metadata");
    const char *version = json_string_value(json_object_get(meta, "resourceVersion"));
    return live && version && strcmp(live->meta.resource_version, version) == 0;
}

int reconcile_applied(struct reconcile_marks *m, const struct action *a, const json_t *object,
                      const struct store_child *live, uint64_t now_ns)
{
    struct reconcile_mark *mark = find_mark(m, a->kind, a->name);
    if (!mark) {
        struct reconcile_mark *list = realloc(m->list, (m->n + 1) * sizeof(*list));
        if (!list)
            return -ENOMEM;
        m->list = list;
        mark = &m->list[m->n++];
        *mark = (struct reconcile_mark){.kind = a->kind, .minute_ns = now_ns};
        memcpy(mark->name, a->name, sizeof(mark->name));
    }
    mark->wanted = tree_hash(a->body);
    mark->settled = project_digest(object);
    mark->generation = json_integer_value(json_object_get(json_object_get(object, "metadata"), "generation"));
    mark->pending_until_ns = is_shown(live, object) ? 0 : now_ns + RECONCILE_PENDING_NS;
    mark->applies++;
    return 0;
}

void reconcile_seen(struct reconcile_marks *m, enum store_kind kind, const char *name)
{
    struct reconcile_mark *mark = find_mark(m, kind, name);
    if (mark)
        mark->pending_until_ns = 0;
}

bool reconcile_is_shown(const struct reconcile_marks *m, const struct store_child *live, enum store_kind kind,
                        const char *name)
{
    const struct reconcile_mark *mark = find_mark(m, kind, name);
    return !mark || (live && live->meta.generation >= mark->generation);
}

void reconcile_published(const struct render_set *wanted, uint64_t *agent_file, char out[static 17])
{
    uint64_t hash = BASE_HASH_INIT;
    for (size_t i = 0; i < wanted->n; i++) {
        const json_t *data = json_object_get(wanted->list[i].body, "data");
        if (wanted->list[i].kind != STORE_CONFIGMAP)
            continue;
        uint64_t part = tree_hash(data);
        if (json_object_get(data, RENDER_PART_AGENT_KEY))
            *agent_file = part;
        else
            hash = base_hash(hash, &part, sizeof(part));
    }
    hash = base_hash(hash, agent_file, sizeof(*agent_file));
    snprintf(out, 17, "%016" PRIx64, hash);
}

struct poke {
    const struct store *store;
    const struct store_fleet *fleet;
    const struct members_known *known;
    const char *published;
    struct action_list *ret; // NULL: only count
    size_t stale;            // Pods that lag, seen so far
    size_t first;            // of those, the first to be poked
};

static int add_poke(const struct store_pod *pod, const char *published, struct action_list *ret)
{
    struct action *a = action_list_add_of(ret, ACTION_POKE, STORE_POD, &pod->meta);
    return a ? base_copy(a->value, sizeof(a->value), published) : -ENOMEM;
}

static int poke_pod(const void *object, void *arg)
{
    struct poke *p = arg;
    const struct store_pod *pod = object;
    if (!pod->running || pod->meta.deleting || strcmp(pod->published, p->published) == 0 ||
        !members_is_known(p->known, pod) ||
        !members_is_member(p->store, p->fleet->meta.namespace, p->fleet->meta.name, pod))
        return 0;
    size_t number = p->stale++;
    bool turn = p->ret && number >= p->first && number - p->first < RECONCILE_POKES;
    return turn ? add_poke(pod, p->published, p->ret) : 0;
}

int reconcile_pokes(const struct store *s, const struct store_fleet *fleet, const struct members_known *known,
                    const char *published, size_t turn, struct action_list *ret)
{
    struct poke count = {.store = s, .fleet = fleet, .known = known, .published = published};
    store_each(s, STORE_POD, poke_pod, &count);
    if (count.stale == 0)
        return 0;
    struct poke p = count;
    size_t before = ret->n;
    p.ret = ret;
    p.stale = 0;
    p.first = count.stale > RECONCILE_POKES ? turn * RECONCILE_POKES % count.stale : 0;
    int r = store_each(s, STORE_POD, poke_pod, &p);
    return r < 0 ? r : (int)(count.stale - (ret->n - before));
}
