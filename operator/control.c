// SPDX-License-Identifier: Apache-2.0
// Store changes in, rounds of work out. Holds back until every kind is synced and this operator leads.
#include "operator/control.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/log.h"
#include "operator/work.h"

struct fleet_entry {
    LIST_ENTRY(fleet_entry) link;
    struct work_record record;
    // The fleet as it last was a reason to work: status is not in it.
    char uid[LIMIT_UID + 1];
    uint64_t digest;
    int64_t generation;
    bool deleting;
};

struct control {
    struct loop *loop;
    struct cluster *cluster;
    struct store *store;
    struct queue *queue;
    struct work_env env;
    struct reports *reports; // NULL: the agents are not asked
    struct loop_timer resync;
    LIST_HEAD(, fleet_entry) fleets;
    uint64_t rounds, failures, applies; // of fleets that are gone
    bool leading;
    bool announced; // that everything is synced
    bool stopped;
};

static struct fleet_entry *find(const struct control *c, const char *namespace, const char *name)
{
    struct fleet_entry *at;
    LIST_FOREACH (at, &c->fleets, link) {
        if (strcmp(at->record.name, name) == 0 && strcmp(at->record.namespace, namespace) == 0)
            return at;
    }
    return NULL;
}

static struct fleet_entry *find_or_add(struct control *c, const char *namespace, const char *name)
{
    struct fleet_entry *at = find(c, namespace, name);
    if (at)
        return at;
    at = calloc(1, sizeof(*at));
    if (!at || base_copy(at->record.namespace, sizeof(at->record.namespace), namespace) < 0 ||
        base_copy(at->record.name, sizeof(at->record.name), name) < 0) {
        free(at);
        return NULL;
    }
    LIST_INSERT_HEAD(&c->fleets, at, link);
    return at;
}

static void drop(struct control *c, struct fleet_entry *at)
{
    c->rounds += at->record.rounds;
    c->failures += at->record.failures;
    c->applies += at->record.applies;
    LIST_REMOVE(at, link);
    work_record_release(&at->record);
    free(at);
}

static void on_round_done(struct work_record *r, const struct work_outcome *o, void *arg)
{
    struct control *c = arg;
    queue_done(c->queue, r->namespace, r->name, o->failed, o->retry_least_ns);
    if (o->again_in_ns && queue_add(c->queue, r->namespace, r->name, o->again_in_ns) < 0)
        log_error("no memory for the queue: the next resync will do", LOG_STR("fleet", r->name));
}

static void enqueue(struct control *c, const char *namespace, const char *name, uint64_t delay_ns)
{
    if (queue_add(c->queue, namespace, name, delay_ns) < 0)
        log_error("no memory for the queue: the next resync will do", LOG_STR("fleet", name));
}

struct enqueue_all {
    struct control *c;
    uint64_t delay_ns;
};

static int enqueue_fleet(const void *object, void *arg)
{
    const struct enqueue_all *all = arg;
    const struct store_fleet *fleet = object;
    enqueue(all->c, fleet->meta.namespace, fleet->meta.name, all->delay_ns);
    return 0;
}

static void enqueue_all(struct control *c, uint64_t delay_ns)
{
    struct enqueue_all all = {.c = c, .delay_ns = delay_ns};
    store_each(c->store, STORE_FLEET, enqueue_fleet, &all);
}

static void announce_sync(struct control *c)
{
    if (c->announced || !store_synced(c->store))
        return;
    c->announced = true;
    log_info("every kind is synced", LOG_INT("fleets", store_count(c->store, STORE_FLEET)),
             LOG_INT("nodes", store_count(c->store, STORE_NODE)));
    enqueue_all(c, 0);
}

// Whether anything but its status has changed since the last time. (Our own writes of it come back here.)
static bool is_news(struct fleet_entry *at, const struct store_meta *meta)
{
    if (strcmp(at->uid, meta->uid) == 0 && at->digest == meta->digest && at->generation == meta->generation &&
        at->deleting == meta->deleting)
        return false;
    memcpy(at->uid, meta->uid, sizeof(at->uid));
    at->digest = meta->digest;
    at->generation = meta->generation;
    at->deleting = meta->deleting;
    return true;
}

static void on_key(const char *namespace, const char *name, void *arg)
{
    struct control *c = arg;
    const struct store_fleet *fleet = store_fleet(c->store, namespace, name);
    struct fleet_entry *at = find(c, namespace, name);
    announce_sync(c);
    if (!fleet && at)
        drop(c, at);
    if (!fleet || fleet->meta.deleting || !c->leading || !store_synced(c->store)) {
        queue_done(c->queue, namespace, name, false, 0);
        return;
    }
    at = find_or_add(c, namespace, name);
    if (!at) {
        queue_done(c->queue, namespace, name, true, 0);
        return;
    }
    is_news(at, &fleet->meta); // what this round is about
    work_start(&c->env, &at->record, on_round_done, c);
}

static void on_fleet(struct control *c, enum store_change change, const struct store_meta *meta)
{
    struct fleet_entry *at = find(c, meta->namespace, meta->name);
    if (change == STORE_DELETED || !at || is_news(at, meta))
        enqueue(c, meta->namespace, meta->name, 0);
}

static void on_reports(const char *namespace, const char *fleet, void *arg)
{
    struct control *c = arg;
    if (store_fleet(c->store, namespace, fleet))
        enqueue(c, namespace, fleet, CONTROL_REPORTS_NS);
}

static void on_change(enum store_kind kind, enum store_change change, const struct store_meta *meta,
                      void *arg)
{
    struct control *c = arg;
    if (c->reports && (kind == STORE_FLEET || kind == STORE_POD || kind == STORE_DAEMONSET))
        reports_touch(c->reports);
    if (kind == STORE_FLEET && change != STORE_API) {
        on_fleet(c, change, meta);
        return;
    }
    if (kind == STORE_NODE || kind == STORE_PRIORITYCLASS || change == STORE_API) {
        enqueue_all(c, CONTROL_GATHER_NS);
        return;
    }
    if (!meta->fleet[0])
        return;
    struct fleet_entry *at = find(c, meta->namespace, meta->fleet);
    if (kind != STORE_POD && at)
        reconcile_seen(&at->record.marks, kind, meta->name);
    if (store_fleet(c->store, meta->namespace, meta->fleet))
        enqueue(c, meta->namespace, meta->fleet,
                kind == STORE_POD ? CONTROL_GATHER_NS : CONTROL_GATHER_NS / 10);
}

// A small tick: notices that the store became synced (which is not a change of an object), and resyncs now
// and then.
#define TICK_NS (500 * NS_PER_MS)

static void on_tick(struct loop_timer *t, void *arg)
{
    struct control *c = arg;
    struct err e;
    uint64_t wait = c->announced ? CONTROL_RESYNC_NS : TICK_NS;
    if (c->announced)
        enqueue_all(c, 0);
    announce_sync(c);
    if (loop_timer_set(c->loop, t, loop_now(c->loop) + wait, on_tick, c, &e) < 0)
        abort(); // eight bytes: the process is beyond saving
}

struct control *control_new(struct loop *l, struct cluster *cluster, const struct render_config *config,
                            struct err *e)
{
    struct control *c = calloc(1, sizeof(*c));
    if (!c) {
        cluster->ops->free(cluster);
        err_set(e, ENOMEM, "no memory for the controller");
        return NULL;
    }
    c->loop = l;
    c->cluster = cluster;
    LIST_INIT(&c->fleets);
    c->store = store_new(on_change, c);
    c->queue = queue_new(l, on_key, c, e);
    c->env = (struct work_env){.loop = l, .cluster = cluster, .store = c->store, .config = config};
    if (!c->store)
        err_set(e, ENOMEM, "no memory for the store");
    if (!c->store || !c->queue || cluster->ops->start(cluster, c->store, e) < 0 ||
        loop_timer_set(l, &c->resync, loop_now(l) + TICK_NS, on_tick, c, e) < 0) {
        control_free(c);
        return NULL;
    }
    return c;
}

int control_read_reports(struct control *c, const struct reports_opts *o, struct err *e)
{
    c->reports = reports_new(c->loop, c->store, o, on_reports, c, e);
    c->env.reports = c->reports;
    if (!c->reports)
        return -e->code;
    reports_set_asking(c->reports, c->leading);
    return 0;
}

void control_set_leading(struct control *c, bool leading)
{
    c->leading = leading;
    if (c->reports)
        reports_set_asking(c->reports, leading);
    if (leading)
        enqueue_all(c, 0);
}

bool control_synced(const struct control *c)
{
    return store_synced(c->store);
}

struct control_stats control_stats(const struct control *c)
{
    struct control_stats s = {
        .queue = queue_stats(c->queue),
        .rounds = c->rounds,
        .failures = c->failures,
        .applies = c->applies,
        .fleets = store_count(c->store, STORE_FLEET),
        .nodes = store_count(c->store, STORE_NODE),
        .pods = store_count(c->store, STORE_POD),
        .leading = c->leading,
        .synced = store_synced(c->store),
        .reports = c->reports ? reports_stats(c->reports) : (struct reports_stats){0},
    };
    const struct fleet_entry *at;
    LIST_FOREACH (at, &c->fleets, link) {
        s.rounds += at->record.rounds;
        s.failures += at->record.failures;
        s.applies += at->record.applies;
    }
    return s;
}

void control_each_reports(const struct control *c, control_reports_fn *fn, void *arg)
{
    const struct fleet_entry *at;
    struct report_sum sum;
    struct err e;
    if (!c->reports)
        return;
    LIST_FOREACH (at, &c->fleets, link) {
        if (reports_sum(c->reports, at->record.namespace, at->record.name, &sum, &e) == 0)
            fn(at->record.namespace, at->record.name, &sum, arg);
    }
}

void control_each_fleet(const struct control *c, control_fleet_fn *fn, void *arg)
{
    const struct fleet_entry *at;
    LIST_FOREACH (at, &c->fleets, link) {
        const struct store_fleet *fleet = store_fleet(c->store, at->record.namespace, at->record.name);
        if (fleet)
            fn(fleet, arg);
    }
}

void control_stop(struct control *c)
{
    if (c->stopped)
        return;
    c->stopped = true;
    c->leading = false;
    if (c->reports)
        reports_set_asking(c->reports, false);
    loop_timer_cancel(c->loop, &c->resync);
    c->cluster->ops->stop(c->cluster);
}

void control_free(struct control *c)
{
    if (!c)
        return;
    control_stop(c);
    c->cluster->ops->free(c->cluster);
    reports_free(c->reports);
    queue_free(c->queue);
    for (struct fleet_entry *at = LIST_FIRST(&c->fleets); at;) {
        struct fleet_entry *next = LIST_NEXT(at, link);
        work_record_release(&at->record);
        free(at);
        at = next;
    }
    store_free(c->store);
    free(c);
}
