// SPDX-License-Identifier: Apache-2.0
// The tick: what has come is read, what waited too long is settled, what is due is sent. Nothing else wakes
// for probes.
#include "agent/prober.h"

#include <errno.h>

#include <sys/random.h>

#include "agent/probe_dns.h"
#include "agent/probe_http.h"
#include "agent/probe_icmp.h"
#include "agent/probe_stamp.h"
#include "agent/probe_tcp.h"
#include "agent/resolve.h"
#include "agent/trouble.h"

#define PIECE_MAX 256            // probes that are handed on at once; more hardly saves a system call
#define AGAIN_NS (10 * NS_PER_S) // after a failure, which can only be memory

struct prober {
    struct loop *loop;
    struct loop_timer timer;
    const char *node;
    enum spec_network network;
    struct engine *engine;
    struct scratch *snapshots; // places for those of the plan
    struct presence *presence;
    struct probe_icmp *icmp;
    struct probe_tcp *tcp;
    struct probe_stamp *stamp;
    struct probe_dns *dns;
    struct probe_http *http;
    struct resolve *resolve;
    bool names_changed; // the plan is to be resolved again
    uint64_t names_ns;  // not before
    struct sock_clock clock;
    struct engine_send *due; // of one tick, a piece at a time
    size_t n_due;            // room
    uint64_t prune_ns;
    struct trouble trouble;
};

static void fill_random(uint64_t *out, size_t n, void *arg UNUSED)
{
    uint8_t *p = (uint8_t *)out;
    size_t left = n * sizeof(*out);
    while (left >
           0) { // it can only be interrupted: the kernel's pool is ready long before a container starts
        ssize_t got = getrandom(p, left, 0);
        if (got > 0) {
            p += got;
            left -= (size_t)got;
        }
    }
}

static void on_failure(size_t i, enum stats_result r, const char *why, void *arg)
{
    struct prober *p = arg;
    const struct plan *plan = engine_plan(p->engine);
    if (plan->probes[plan->pairs[i].probe].type != SPEC_HTTP) // which tells more by itself
        trouble_failed(&p->trouble, plan, i, r, why, loop_now(p->loop));
}

// Puts a plan in force, and what is known of its peers with it. On failure everything is as before, the plan
// the caller's.
static int put_in_force(struct prober *p, struct plan *plan, uint64_t now_ns, struct err *e)
{
    CLEANUP(presence_change_release) struct presence_change c = {0};
    struct plan *old = engine_plan(p->engine) ? plan_hold(engine_plan(p->engine)) : NULL;
    struct scratch *snapshots = snapshot_places(plan, engine_failures(p->engine), e);
    int r = snapshots ? presence_prepare(p->presence, plan, now_ns, &c, e) : -ENOMEM;
    if (r == 0)
        r = probe_icmp_reserve(p->icmp, plan, e);
    if (r == 0)
        r = probe_stamp_reserve(p->stamp, plan, p->n_due, e);
    if (r == 0)
        r = probe_tcp_reserve(p->tcp, plan, e);
    if (r == 0)
        r = probe_dns_reserve(p->dns, plan, e);
    if (r == 0)
        r = probe_http_reserve(p->http, plan, e);
    if (r == 0)
        r = engine_apply(p->engine, plan, now_ns, e);
    if (r == 0) {
        if (old)
            trouble_replan(&p->trouble, old, plan);
        presence_commit(p->presence, &c);
        probe_icmp_apply(p->icmp);
        probe_stamp_apply(p->stamp);
        probe_http_apply(p->http);
        struct scratch *before = p->snapshots;
        p->snapshots = snapshots;
        snapshots = before;
    }
    scratch_free(snapshots); // those of before, or those that came to nothing
    plan_free(old);
    return r;
}

// --- names ---------------------------------------------------------------------------------------

static void on_names(void *arg)
{
    struct prober *p = arg;
    p->names_changed = true; // the tick sees to it
}

static bool lookup(const char *host, const struct addr **ret, size_t *ret_n, void *arg)
{
    const struct prober *p = arg;
    return resolve_get(p->resolve, host, ret, ret_n) != RESOLVE_PENDING;
}

// The names of one plan or two are looked up from now on, and no others. With names that are wanted already
// it cannot fail.
static int want(struct prober *p, const struct plan *a, const struct plan *b, struct err *e)
{
    size_t n = 0, room = (a ? a->n_hosts : 0) + (b ? b->n_hosts : 0);
    CLEANUP_FREE const char **names = calloc(room + 1, sizeof(*names));
    if (!names)
        return err_set(e, ENOMEM, "no memory for names");
    for (size_t i = 0; a && i < a->n_hosts; i++)
        names[n++] = a->hosts[i].host;
    for (size_t i = 0; b && i < b->n_hosts; i++)
        names[n++] = b->hosts[i].host;
    return resolve_want(p->resolve, names, n, e);
}

// It only grows.
static int reserve(struct prober *p, const struct plan *plan, struct err *e)
{
    size_t most = MIN(plan->n_pairs + 16, (size_t)PIECE_MAX);
    struct engine_send *due = most > p->n_due ? reallocarray(p->due, most, sizeof(*due)) : p->due;
    if (!due)
        return err_set(e, ENOMEM, "no memory for the prober");
    p->due = due;
    p->n_due = MAX(p->n_due, most);
    return 0;
}

// Some name has other addresses now.
static void readdress(struct prober *p, uint64_t now_ns)
{
    struct plan *old = engine_plan(p->engine), *plan;
    struct err e;
    if (!p->names_changed || !old || old->n_hosts == 0 || now_ns < p->names_ns)
        return;
    p->names_ns = now_ns + AGAIN_NS; // after a failure
    if (plan_resolve(old, lookup, p, now_ns, &plan, &e) != 0)
        return;
    if (reserve(p, plan, &e) != 0 || put_in_force(p, plan, now_ns, &e) != 0) {
        plan_free(plan);
        return;
    }
    p->names_changed = false;
    p->names_ns = 0;
}

// Ends the probes that have nowhere to go; returns how many of due[n] are left.
static size_t drop_unresolved(struct prober *p, struct engine_send *due, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const struct plan *plan = engine_plan(p->engine);
        bool named = plan->probes[plan->pairs[due[i].pair].probe].named;
        if (due[i].to.set || !named)
            due[kept++] = due[i];
        else
            engine_unresolved(p->engine, &due[i].token);
    }
    return kept;
}

// --- the tick ------------------------------------------------------------------------------------

static void send_due(struct engine_send *due, size_t n, void *arg)
{
    struct prober *p = arg;
    n = drop_unresolved(p, due, n);
    probe_icmp_send(p->icmp, due, n);
    probe_stamp_send(p->stamp, due, n);
    probe_tcp_send(p->tcp, due, n);
    probe_dns_send(p->dns, due, n);
    probe_http_send(p->http, due, n);
}

static void prune(struct prober *p, uint64_t now_ns)
{
    struct plan *old = engine_plan(p->engine), *plan;
    if (!old || now_ns < old->gone_until_ns || now_ns < p->prune_ns)
        return;
    struct err e;
    p->prune_ns = now_ns + AGAIN_NS; // after a failure
    if (plan_prune(old, now_ns, &plan, &e) != 0)
        return;
    if (put_in_force(p, plan, now_ns, &e) != 0) {
        plan_free(plan);
        return;
    }
    p->prune_ns = 0;
}

static void on_tick(struct loop_timer *t, void *arg)
{
    struct prober *p = arg;
    // Read before the sockets are: whatever came until now is in their queues.
    uint64_t now = loop_refresh(p->loop);
    if (sock_clock_sample(&p->clock))
        engine_agent(p->engine)->clock_steps++;
    probe_icmp_drain(p->icmp, &p->clock, now);
    probe_stamp_drain(p->stamp, &p->clock, now);
    probe_tcp_drain(p->tcp, now);
    probe_dns_drain(p->dns, &p->clock, now);
    probe_http_drain(p->http, now);
    if (presence_settle(p->presence, now))
        engine_hold(p->engine, presence_held(p->presence), now);
    engine_tick(p->engine, now, p->due, p->n_due, send_due, p);
    trouble_settle(&p->trouble, engine_plan(p->engine), now);
    prune(p, now);
    readdress(p, now);

    // On a fixed grid; what was missed is missed.
    uint64_t tick = engine_tick_ns(p->engine), next = t->at_ns + tick;
    if (next <= now)
        next += (now - next) / tick * tick + tick;
    struct err e;
    if (loop_timer_set(p->loop, t, next, on_tick, p, &e) != 0)
        loop_stop(p->loop); // its slot in the heap was just given back: this cannot be for want of memory
}

struct prober *prober_new(struct loop *l, const char *node, enum spec_network network,
                          const struct sock_opts *o, struct err *e)
{
    static const struct sock_opts plain;
    struct prober *p = calloc(1, sizeof(*p));
    if (!p) {
        err_set(e, ENOMEM, "no memory for the prober");
        return NULL;
    }
    p->loop = l;
    p->node = node;
    p->network = network;
    p->engine = engine_new(fill_random, NULL, e);
    if (p->engine)
        engine_on_failure(p->engine, on_failure, p);
    p->presence = p->engine ? presence_new(fill_random, NULL, e) : NULL;
    p->icmp = p->presence ? probe_icmp_new(p->engine, o ? o : &plain, e) : NULL;
    p->stamp = p->icmp ? probe_stamp_new(p->engine, o ? o : &plain, e) : NULL;
    p->tcp = p->stamp ? probe_tcp_new(p->engine, e) : NULL;
    p->dns = p->tcp ? probe_dns_new(l, p->engine, o ? o : &plain, e) : NULL;
    p->http = p->dns ? probe_http_new(l, p->engine, e) : NULL;
    struct resolve_opts names = {0};
    fill_random(&names.random, 1, NULL);
    p->resolve = p->http ? resolve_new(l, &names, on_names, p, e) : NULL;
    if (!p->resolve || loop_timer_set(l, &p->timer, loop_now(l), on_tick, p, e) != 0) {
        prober_free(p);
        return NULL;
    }
    return p;
}

void prober_free(struct prober *p)
{
    if (!p)
        return;
    loop_timer_cancel(p->loop, &p->timer);
    resolve_free(p->resolve);
    probe_http_free(p->http);
    probe_dns_free(p->dns);
    probe_tcp_free(p->tcp);
    probe_stamp_free(p->stamp);
    probe_icmp_free(p->icmp);
    presence_free(p->presence);
    engine_free(p->engine);
    scratch_free(p->snapshots);
    free(p->due);
    free(p);
}

// plan, which is taken, with its names resolved as far as they are known.
static int resolved(struct prober *p, struct plan *plan, uint64_t now_ns, struct plan **ret, struct err *e)
{
    *ret = plan;
    if (plan->n_hosts == 0)
        return 0;
    int r = plan_resolve(plan, lookup, p, now_ns, ret, e);
    plan_free(plan);
    return r;
}

int prober_apply(struct prober *p, const struct spec_agent_file *file, const struct peers *peers,
                 struct err *e)
{
    struct plan *plan, *old = engine_plan(p->engine);
    struct err ignored;
    uint64_t now = loop_refresh(p->loop);
    int r = plan_build(file, peers, p->node, p->network, old, now, &plan, e);
    if (r != 0)
        return r;
    if ((r = want(p, old, plan, e)) != 0) {
        plan_free(plan);
        return r;
    }
    if ((r = resolved(p, plan, now, &plan, e)) == 0) {
        r = reserve(p, plan, e);
        if (r == 0)
            r = put_in_force(p, plan, now, e);
        if (r != 0)
            plan_free(plan);
    }
    (void)!want(p, engine_plan(p->engine), NULL, &ignored); // without memory the others are looked up in vain
    if (r != 0)
        return r;
    p->prune_ns = 0;
    uint64_t first = now + engine_tick_ns(p->engine);
    return p->timer.at_ns > first ? loop_timer_set(p->loop, &p->timer, first, on_tick, p, e) : 0;
}

void prober_stop(struct prober *p)
{
    engine_stop(p->engine);
}

uint64_t prober_in_flight(const struct prober *p)
{
    return engine_in_flight(p->engine);
}

const struct engine *prober_engine(const struct prober *p)
{
    return p->engine;
}

struct presence *prober_presence(const struct prober *p)
{
    return p->presence;
}

struct plan *prober_plan(const struct prober *p)
{
    return engine_plan(p->engine);
}

int prober_snapshot(const struct prober *p, bool zones, struct snapshot *ret)
{
    return snapshot_take(ret, p->snapshots, p->engine, zones);
}

struct helper_stats prober_helper(const struct prober *p)
{
    return probe_http_helper(p->http);
}

bool prober_ready(const struct prober *p, const struct err **ret)
{
    const struct plan *plan = engine_plan(p->engine);
    bool needed[FAMILIES] = {false};
    for (size_t i = 0; plan && i < plan->n_pairs; i++)
        if (!plan->pairs[i].gone && plan->probes[plan->pairs[i].probe].type == SPEC_ICMP)
            needed[plan->pairs[i].family] = true;
    for (unsigned f = 0; f < FAMILIES; f++)
        if ((needed[f] && !probe_icmp_ready(p->icmp, (enum family)f, ret)) ||
            !probe_stamp_ready(p->stamp, (enum family)f, ret))
            return false;
    return true;
}
