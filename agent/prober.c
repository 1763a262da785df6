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

#define PRUNE_AGAIN_NS (10 * NS_PER_S) // after a failure, which can only be memory

struct prober {
    struct loop *loop;
    struct loop_timer timer;
    const char *node;
    enum spec_network network;
    struct engine *engine;
    struct presence *presence;
    struct probe_icmp *icmp;
    struct probe_tcp *tcp;
    struct probe_stamp *stamp;
    struct probe_dns *dns;
    struct probe_http *http;
    struct sock_clock clock;
    struct engine_send *due; // burst entries
    size_t burst;
    uint64_t prune_ns;
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

// Puts a plan in force, and what is known of its peers with it. On failure everything is as before, the plan
// the caller's.
static int put_in_force(struct prober *p, struct plan *plan, uint64_t now_ns, struct err *e)
{
    CLEANUP(presence_change_release) struct presence_change c = {0};
    int r = presence_prepare(p->presence, plan, now_ns, &c, e);
    if (r == 0)
        r = probe_stamp_reserve(p->stamp, plan, p->burst, e);
    if (r == 0)
        r = probe_dns_reserve(p->dns, plan, e);
    if (r == 0)
        r = probe_http_reserve(p->http, plan, e);
    if (r == 0)
        r = engine_apply(p->engine, plan, now_ns, e);
    if (r == 0) {
        presence_commit(p->presence, &c);
        probe_stamp_apply(p->stamp);
        probe_http_apply(p->http);
    }
    return r;
}

static void prune(struct prober *p, uint64_t now_ns)
{
    struct plan *old = engine_plan(p->engine), *plan;
    if (!old || now_ns < old->gone_until_ns || now_ns < p->prune_ns)
        return;
    struct err e;
    p->prune_ns = now_ns + PRUNE_AGAIN_NS;
    if (plan_prune(old, now_ns, &plan, &e) != 0)
        return;
    if (put_in_force(p, plan, now_ns, &e) != 0)
        plan_free(plan);
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
    size_t n = engine_due(p->engine, now, p->due, MIN(p->burst, engine_burst(p->engine)));
    probe_icmp_send(p->icmp, p->due, n);
    probe_stamp_send(p->stamp, p->due, n);
    probe_tcp_send(p->tcp, p->due, n);
    probe_dns_send(p->dns, p->due, n);
    probe_http_send(p->http, p->due, n);
    prune(p, now);

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
    p->presence = p->engine ? presence_new(fill_random, NULL, e) : NULL;
    p->icmp = p->presence ? probe_icmp_new(p->engine, o ? o : &plain, e) : NULL;
    p->stamp = p->icmp ? probe_stamp_new(p->engine, o ? o : &plain, e) : NULL;
    p->tcp = p->stamp ? probe_tcp_new(p->engine, e) : NULL;
    p->dns = p->tcp ? probe_dns_new(l, p->engine, o ? o : &plain, e) : NULL;
    p->http = p->dns ? probe_http_new(l, p->engine, e) : NULL;
    if (!p->http || loop_timer_set(l, &p->timer, loop_now(l), on_tick, p, e) != 0) {
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
    probe_http_free(p->http);
    probe_dns_free(p->dns);
    probe_tcp_free(p->tcp);
    probe_stamp_free(p->stamp);
    probe_icmp_free(p->icmp);
    presence_free(p->presence);
    engine_free(p->engine);
    free(p->due);
    free(p);
}

int prober_apply(struct prober *p, const struct spec_agent_file *file, const struct peers *peers,
                 struct err *e)
{
    struct plan *plan;
    uint64_t now = loop_refresh(p->loop);
    int r = plan_build(file, peers, p->node, p->network, engine_plan(p->engine), now, &plan, e);
    if (r != 0)
        return r;
    // Room for the longest burst that any plan may ask for is reserved once it is needed; it only grows.
    size_t most = MIN(plan->n_pairs + 16, (size_t)LIMIT_BURST);
    struct engine_send *due = most > p->burst ? reallocarray(p->due, most, sizeof(*due)) : p->due;
    if (!due) {
        plan_free(plan);
        return err_set(e, ENOMEM, "no memory for the prober");
    }
    p->due = due;
    p->burst = MAX(p->burst, most);
    r = put_in_force(p, plan, now, e);
    if (r != 0) {
        plan_free(plan);
        return r;
    }
    p->prune_ns = 0;
    probe_icmp_set_burst(p->icmp, engine_burst(p->engine));
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
