// SPDX-License-Identifier: Apache-2.0
// Agents sorted by their Pod's uid; three queues, each with a delay of its own, so that each is in the order
// of what is due.
#include "operator/report_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/spec_override.h"
#include "operator/members.h"

TAILQ_HEAD(queue_head, report_agent);

struct report_table {
    LIST_HEAD(, report_fleet) fleets;
    struct queue_head queues[REPORT_TABLE_QUEUES];
    struct report_agent **list; // the first `sorted` of them by uid
    size_t n, cap, sorted;
    void (*gone)(struct report_agent *a, void *arg);
    void *arg;
};

struct report_table *report_table_new(void (*gone)(struct report_agent *a, void *arg), void *arg)
{
    struct report_table *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    LIST_INIT(&t->fleets);
    for (size_t i = 0; i < REPORT_TABLE_QUEUES; i++)
        TAILQ_INIT(&t->queues[i]);
    t->gone = gone;
    t->arg = arg;
    return t;
}

size_t report_table_count(const struct report_table *t, size_t *ret_known)
{
    *ret_known = 0;
    for (size_t i = 0; i < t->n; i++)
        *ret_known += t->list[i]->known;
    return t->n;
}

// --- queues ---

static void leave_queue(struct report_table *t, struct report_agent *a)
{
    if (a->queue != REPORT_TABLE_QUEUES)
        TAILQ_REMOVE(&t->queues[a->queue], a, queued);
    a->queue = REPORT_TABLE_QUEUES;
}

static void enter_queue(struct report_table *t, struct report_agent *a, enum report_table_queue queue,
                        uint64_t now_ns)
{
    static const uint64_t delays[REPORT_TABLE_QUEUES] = {REPORT_TABLE_FRESH_NS, REPORT_TABLE_SOON_NS,
                                                         REPORT_TABLE_PERIOD_NS};
    leave_queue(t, a);
    a->queue = queue;
    a->due_ns = now_ns + delays[queue];
    TAILQ_INSERT_TAIL(&t->queues[queue], a, queued);
}

struct report_agent *report_table_next(const struct report_table *t)
{
    struct report_agent *next = NULL;
    for (size_t i = 0; i < REPORT_TABLE_QUEUES; i++) {
        struct report_agent *first = TAILQ_FIRST(&t->queues[i]);
        if (first && (!next || first->due_ns < next->due_ns))
            next = first;
    }
    return next;
}

const struct addr *report_table_address(const struct report_agent *a)
{
    const struct addr *first = &a->ip[a->family];
    return first->set ? first : &a->ip[!a->family];
}

void report_table_ask(struct report_table *t, struct report_agent *a, void *asking)
{
    leave_queue(t, a);
    a->asking = asking;
}

// --- fleets and agents ---

static struct report_fleet *find_fleet(const struct report_table *t, const char *namespace, const char *name)
{
    struct report_fleet *f;
    LIST_FOREACH (f, &t->fleets, link) {
        if (strcmp(f->name, name) == 0 && strcmp(f->namespace, namespace) == 0)
            return f;
    }
    return NULL;
}

static struct report_fleet *find_or_add_fleet(struct report_table *t, const char *namespace, const char *name)
{
    struct report_fleet *f = find_fleet(t, namespace, name);
    if (f)
        return f;
    f = calloc(1, sizeof(*f));
    if (!f || base_copy(f->namespace, sizeof(f->namespace), namespace) < 0 ||
        base_copy(f->name, sizeof(f->name), name) < 0) {
        free(f);
        return NULL;
    }
    LIST_INIT(&f->agents);
    LIST_INSERT_HEAD(&t->fleets, f, link);
    return f;
}

static void agent_free(struct report_table *t, struct report_agent *a)
{
    if (a->asking)
        t->gone(a, t->arg);
    leave_queue(t, a);
    LIST_REMOVE(a, of_fleet);
    free(a->node);
    free(a);
}

static int compare(const void *a, const void *b)
{
    const struct report_agent *const *x = a, *const *y = b;
    return strcmp((*x)->uid, (*y)->uid);
}

static int compare_uid(const void *uid, const void *b)
{
    const struct report_agent *const *y = b;
    return strcmp(uid, (*y)->uid);
}

static struct report_agent *find_agent(const struct report_table *t, const char *uid)
{
    struct report_agent **at =
        t->sorted ? bsearch(uid, t->list, t->sorted, sizeof(*t->list), compare_uid) : NULL;
    return at ? *at : NULL;
}

static struct report_agent *add_agent(struct report_table *t, struct report_fleet *f,
                                      const struct store_pod *pod, const struct agent_set *set,
                                      uint64_t now_ns)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 16;
        struct report_agent **list = reallocarray(t->list, cap, sizeof(struct report_agent *));
        if (!list)
            return NULL;
        t->list = list;
        t->cap = cap;
    }
    struct report_agent *a = calloc(1, sizeof(*a));
    char *node = strdup(pod->node);
    if (!a || !node) {
        free(a);
        free(node);
        return NULL;
    }
    a->fleet = f;
    a->node = node;
    memcpy(a->uid, pod->meta.uid, sizeof(a->uid));
    a->set = *set;
    LIST_INSERT_HEAD(&f->agents, a, of_fleet);
    a->queue = REPORT_TABLE_QUEUES;
    enter_queue(t, a, REPORT_TABLE_FRESH, now_ns);
    t->list[t->n++] = a;
    return a;
}

// --- following the store ---

struct sync {
    struct report_table *table;
    const struct store *store;
    uint64_t now_ns;
};

static int sync_pod(const void *object, void *arg)
{
    const struct sync *s = arg;
    const struct store_pod *pod = object;
    struct report_table *t = s->table;
    struct agent_set set;
    if (!pod->ready || pod->meta.deleting || !pod->meta.uid[0] ||
        (!pod->ip[FAMILY_IPV4].set && !pod->ip[FAMILY_IPV6].set) ||
        !store_fleet(s->store, pod->meta.namespace, pod->meta.fleet) ||
        !members_is_member(s->store, pod->meta.namespace, pod->meta.fleet, pod) ||
        !agent_sets_of_pod(pod, &set))
        return 0;
    struct report_fleet *f = find_or_add_fleet(t, pod->meta.namespace, pod->meta.fleet);
    struct report_agent *a = find_agent(t, pod->meta.uid);
    if (f && !a)
        a = add_agent(t, f, pod, &set, s->now_ns);
    if (!f || !a)
        return -ENOMEM;
    a->seen = true;
    memcpy(a->ip, pod->ip, sizeof(a->ip));
    memcpy(a->allocator, pod->allocator, sizeof(a->allocator));
    return 0;
}

static void drop_unseen(struct report_table *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->n; i++) {
        struct report_agent *a = t->list[i];
        if (a->seen)
            t->list[kept++] = a;
        else
            agent_free(t, a);
    }
    t->n = kept;
    if (kept)
        qsort(t->list, kept, sizeof(*t->list), compare);
    t->sorted = kept;
}

// A fleet that changed has its agents asked whether they know.
static void sync_fleets(struct report_table *t, const struct store *s, uint64_t now_ns)
{
    struct report_fleet *next;
    for (struct report_fleet *f = LIST_FIRST(&t->fleets); f; f = next) {
        const struct store_fleet *fleet = store_fleet(s, f->namespace, f->name);
        struct report_agent *a;
        next = LIST_NEXT(f, link);
        if (!fleet && LIST_EMPTY(&f->agents)) {
            LIST_REMOVE(f, link);
            free(f);
        } else if (fleet && fleet->meta.generation != f->generation) {
            f->generation = fleet->meta.generation;
            LIST_FOREACH (a, &f->agents, of_fleet) {
                a->eager = 0;
                if (a->queue != REPORT_TABLE_QUEUES)
                    enter_queue(t, a, REPORT_TABLE_FRESH, now_ns);
            }
        }
    }
}

int report_table_sync(struct report_table *t, const struct store *s, uint64_t now_ns)
{
    struct sync sync = {.table = t, .store = s, .now_ns = now_ns};
    for (size_t i = 0; i < t->n; i++)
        t->list[i]->seen = false;
    int r = store_each(s, STORE_POD, sync_pod, &sync);
    for (size_t i = 0; r < 0 && i < t->n; i++)
        t->list[i]->seen = true; // not everybody was looked at: nobody goes
    drop_unseen(t);
    sync_fleets(t, s, now_ns);
    return r;
}

void report_table_clear(struct report_table *t)
{
    for (size_t i = 0; i < t->n; i++)
        t->list[i]->seen = false;
    drop_unseen(t);
}

void report_table_free(struct report_table *t)
{
    if (!t)
        return;
    report_table_clear(t);
    while (!LIST_EMPTY(&t->fleets)) {
        struct report_fleet *f = LIST_FIRST(&t->fleets);
        LIST_REMOVE(f, link);
        free(f);
    }
    free(t->list);
    free(t);
}

int report_table_configure(struct report_table *t, const char *namespace, const char *name,
                           const struct spec *spec)
{
    const struct spec_agent *a = &spec->agent;
    struct report_fleet *f = find_or_add_fleet(t, namespace, name);
    if (!f)
        return -ENOMEM;
    f->own_image = a->image[0] != '\0';
    f->exporter = a->program == SPEC_PROGRAM_EXPORTER;
    f->port = f->exporter ? a->metrics_port : 0;
    snprintf(f->metrics_path, sizeof(f->metrics_path), "%s",
             f->exporter && a->metrics_path[0] ? a->metrics_path : SPEC_METRICS_PATH);
    f->n_sets = 0;
    for (size_t i = 0; i <= spec->placement.n_overrides; i++) {
        const struct spec_agent of_set = spec_override_agent(spec, i);
        const bool other = i < spec->placement.n_overrides;
        snprintf(f->sets[i].override, sizeof(f->sets[i].override), "%s",
                 other ? spec->placement.overrides[i].name : "");
        if (report_told_of(&of_set, &f->sets[i].told) < 0)
            return -ENOMEM;
        f->n_sets++;
    }
    return 0;
}

const struct report_told *report_table_told(const struct report_agent *a)
{
    const struct report_fleet *f = a->fleet;
    for (size_t i = 0; i < f->n_sets; i++) {
        if (strcmp(f->sets[i].override, a->set.override) == 0)
            return &f->sets[i].told;
    }
    return NULL;
}

// --- answers ---

static void add_loss(struct report_fleet *f, const struct report_loss *loss, uint64_t now_ns)
{
    uint64_t minute = now_ns / (60 * NS_PER_S);
    size_t i = minute % REPORT_TABLE_MINUTES;
    if (f->minutes[i].minute != minute) {
        f->minutes[i].minute = minute;
        f->minutes[i].loss = (struct report_loss){0};
    }
    f->minutes[i].loss.ended += loss->ended;
    f->minutes[i].loss.lost += loss->lost;
}

static void sum_loss(const struct report_fleet *f, uint64_t now_ns, struct report_loss *ret)
{
    uint64_t minute = now_ns / (60 * NS_PER_S);
    for (size_t i = 0; i < REPORT_TABLE_MINUTES; i++) {
        if (f->minutes[i].minute + REPORT_TABLE_MINUTES <= minute)
            continue;
        ret->ended += f->minutes[i].loss.ended;
        ret->lost += f->minutes[i].loss.lost;
    }
}

static bool is_news(const struct report_agent *a, const struct report *now)
{
    const struct report *before = &a->report;
    return !a->known || before->generation != now->generation || before->foreign != now->foreign ||
           before->allocator.verdict != now->allocator.verdict ||
           strcmp(before->allocator.setting, now->allocator.setting) != 0;
}

// Numbers alone are told once a period.
static bool tell(struct report_fleet *f, bool news, uint64_t now_ns)
{
    if (!news && now_ns - f->told_ns < REPORT_TABLE_PERIOD_NS)
        return false;
    f->told_ns = now_ns;
    return true;
}

bool report_table_answer(struct report_table *t, struct report_agent *a, const struct report *report,
                         uint64_t now_ns)
{
    struct report_fleet *f = a->fleet;
    struct report_loss loss;
    bool news = is_news(a, report);
    bool outdated = !report->foreign && (int64_t)report->generation < f->generation;
    if (a->known && report_since(&a->report, report, &loss))
        add_loss(f, &loss, now_ns);
    a->report = *report;
    a->known = true;
    a->misses = 0;
    a->trouble[0] = '\0';
    a->asking = NULL;
    a->eager = outdated ? MIN(a->eager + 1, REPORT_TABLE_EAGER) : 0;
    enter_queue(t, a, outdated && a->eager < REPORT_TABLE_EAGER ? REPORT_TABLE_SOON : REPORT_TABLE_LATER,
                now_ns);
    return tell(f, news, now_ns);
}

bool report_table_failure(struct report_table *t, struct report_agent *a, const char *why, uint64_t now_ns)
{
    bool was_known = a->known;
    a->asking = NULL;
    a->misses = MIN(a->misses + 1, REPORT_TABLE_EAGER);
    a->family = !a->family;
    if (a->misses >= REPORT_TABLE_MISSES)
        a->known = false;
    bool news = !a->known && (was_known || strcmp(a->trouble, why) != 0);
    snprintf(a->trouble, sizeof(a->trouble), "%s", why);
    enter_queue(t, a, a->misses < REPORT_TABLE_EAGER ? REPORT_TABLE_SOON : REPORT_TABLE_LATER, now_ns);
    return tell(a->fleet, news, now_ns);
}

static int compare_nodes(const void *a, const void *b)
{
    const struct report_sum_agent *x = a, *y = b;
    return strcmp(x->node, y->node);
}

int report_table_sum(const struct report_table *t, const char *namespace, const char *name, uint64_t now_ns,
                     struct report_sum *ret, struct err *e)
{
    const struct report_fleet *f = find_fleet(t, namespace, name);
    const struct report_agent *a;
    size_t n = 0;
    *ret = (struct report_sum){0};
    if (!f)
        return 0;
    CLEANUP_FREE struct report_sum_agent *list = calloc(t->n + 1, sizeof(*list));
    if (!list)
        return err_set(e, ENOMEM, "no memory for the reports of fleet %s", name);
    LIST_FOREACH (a, &f->agents, of_fleet)
        list[n++] = (struct report_sum_agent){.node = a->node,
                                              .report = a->known ? &a->report : NULL,
                                              .trouble = a->trouble,
                                              .told = report_table_told(a)};
    qsort(list, n, sizeof(*list), compare_nodes);
    int r = report_sum_of(list, n, (uint64_t)f->generation, ret, e);
    if (r == 0)
        sum_loss(f, now_ns, &ret->loss);
    return r;
}

// Of the agents of a fleet's override: which are looked at together.
struct side {
    const struct report_fleet *fleet;
    const char *override, *settings;
    bool now;                         // with these settings, or with others
    const enum spec_network *network; // NULL: of any
};

static bool is_of_side(const struct side *s, const struct report_agent *a)
{
    return a->known && a->report.resident_bytes > 0 && strcmp(a->set.override, s->override) == 0 &&
           (strcmp(a->allocator, s->settings) == 0) == s->now &&
           (!s->network || a->set.network == *s->network);
}

// list has room for all agents. *ret_n: those of this side.
static int sum_side(const struct side *s, struct report_sum_agent *list, size_t *ret_n,
                    struct report_sum_memory ret[static REPORT_SUM_CLASSES], struct err *e)
{
    const struct report_agent *a;
    size_t n = 0;
    LIST_FOREACH (a, &s->fleet->agents, of_fleet) {
        if (is_of_side(s, a))
            list[n++] = (struct report_sum_agent){.node = a->node, .report = &a->report};
    }
    *ret_n = n;
    return report_sum_memory_of(list, n, ret, e);
}

// Of all agents (network NULL) or of one network's.
static int sum_sides(struct side s, struct report_sum_agent *list, size_t *ret_told,
                     struct report_sum_sides *ret, struct err *e)
{
    size_t others;
    s.now = false;
    int r = sum_side(&s, list, &others, ret->old, e);
    s.now = true;
    return r < 0 ? r : sum_side(&s, list, ret_told, ret->now, e);
}

static void find_max(const struct side *s, struct report_split *ret)
{
    const struct report_agent *a;
    LIST_FOREACH (a, &s->fleet->agents, of_fleet) {
        if (!is_of_side(s, a) || a->report.resident_bytes <= ret->max)
            continue;
        ret->max = a->report.resident_bytes;
        snprintf(ret->max_node, sizeof(ret->max_node), "%s", a->node);
        ret->max_network = a->set.network;
    }
}

int report_table_split(const struct report_table *t, const char *namespace, const char *name,
                       const char *override, const char *settings, struct report_split *ret, struct err *e)
{
    const struct report_fleet *f = find_fleet(t, namespace, name);
    struct report_split split = {0};
    *ret = split;
    if (!f)
        return 0;
    CLEANUP_FREE struct report_sum_agent *list = calloc(t->n + 1, sizeof(*list));
    if (!list)
        return err_set(e, ENOMEM, "no memory for the reports of fleet %s", name);
    struct side side = {.fleet = f, .override = override, .settings = settings, .now = true};
    find_max(&side, &split);
    int r = sum_sides(side, list, &split.told, &split.all, e);
    for (enum spec_network k = 0; r == 0 && k < AGENT_NETWORKS; k++) {
        size_t told;
        side.network = &k;
        r = sum_sides(side, list, &told, &split.of[k], e);
    }
    if (r == 0)
        *ret = split;
    return r;
}
