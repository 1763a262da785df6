// SPDX-License-Identifier: Apache-2.0
// The agent's program: command line, signals, and the parts on one loop. Files flow in through inputs, probes
// run in prober, /metrics and its neighbours read from both. What a failure means for the process is decided
// here, and logged once.
#include <errno.h>
#include <signal.h>
#include <sys/random.h>

#include "agent/cli.h"
#include "agent/footprint.h"
#include "agent/forecast.h"
#include "agent/inputs.h"
#include "agent/peer_link.h"
#include "agent/prober.h"
#include "agent/reflect.h"
#include "agent/reflect_stamp.h"
#include "agent/runtime.h"
#include "agent/web.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/output.h"
#include "lib/stdfd.h"
#include "lib/version.h"

static const char program[] = "kubecanary-agent";

struct listeners { // what answers the peers, each on its port
    struct reflect *tcp;
    struct reflect_stamp *stamp;
    struct peer_door *door;
};

struct agent {
    const struct cli *cli;
    struct loop *loop;
    struct prober *prober;
    struct listeners listeners;
    struct peer_link *link;
    struct inputs *inputs;
    struct web *web;
    struct loop_timer stop, trim;
    uint64_t trim_ns; // until code is let go of again
    bool leaving;
};

static uint64_t random_seed(void)
{
    uint64_t seed = 0;
    while (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        ; // it was interrupted
    return seed;
}

// Room for every session that the peers who probe this node will have with it. Without the memory their new
// sessions are stateless, and nothing else is wrong.
static void expect_sessions(struct agent *a, const struct spec_mesh *m)
{
    struct err e;
    const size_t *coverage = prober_plan(a->prober)->coverage;
    size_t flows = 0, sources = (coverage[SPEC_NETWORK_POD] + coverage[SPEC_NETWORK_NODE]) * FAMILIES;
    for (size_t i = 0; i < m->n_probes; i++)
        if (m->probes[i].type == SPEC_STAMP)
            flows += MAX(m->probes[i].flows, 1);
    if (flows && reflect_stamp_expect(a->listeners.stamp, sources * flows, sources, &e) < 0)
        log_error("the STAMP reflector has no room for more sessions", LOG_ERR(&e));
}

// Closes those of a set that are not in the other.
static void listeners_drop(struct agent *a, const struct listeners *l, const struct listeners *keep)
{
    if (l->tcp != keep->tcp)
        reflect_free(l->tcp);
    if (l->stamp != keep->stamp)
        reflect_stamp_free(l->stamp);
    if (l->door != keep->door)
        peer_link_close(a->link, l->door);
}

// The listeners that these files want: those that are there already, and new ones. All or none.
static int listeners_open(struct agent *a, const struct spec_ports *ports, struct listeners *ret,
                          struct err *e)
{
    const struct addr *addr = &a->cli->listen;
    struct listeners l = a->listeners;
    int r = 0;
    if (!l.tcp || reflect_port(l.tcp) != ports->tcp)
        l.tcp = reflect_new(a->loop, addr, ports->tcp, e);
    if (!l.tcp)
        r = err_at(e, "ports.tcp");
    if (r == 0 && (!l.stamp || reflect_stamp_port(l.stamp) != ports->stamp)) {
        l.stamp = reflect_stamp_new(a->loop, addr, ports->stamp, random_seed(), e);
        r = l.stamp ? 0 : err_at(e, "ports.stamp");
    }
    if (r == 0 && (!l.door || peer_link_port(l.door) != ports->peer)) {
        l.door = peer_link_open(a->link, addr, ports->peer, e);
        r = l.door ? 0 : err_at(e, "ports.peer");
    }
    if (r < 0)
        listeners_drop(a, &l, &a->listeners);
    else
        *ret = l;
    return r;
}

static void listeners_use(struct agent *a, const struct listeners *l)
{
    peer_link_use(a->link, l->door);
    web_set_reflect(a->web, l->tcp, l->stamp);
    listeners_drop(a, &a->listeners, l);
    a->listeners = *l;
}

// At first when all that a start needs has run, then as what follows a start has: after 1 s, 2 s, 4 s ... And
// from then on now and then, for what is rare. Without the memory for the timer the program stays mapped as
// it is, and nothing is wrong.
static void on_trim(struct loop_timer *t, void *arg)
{
    struct agent *a = arg;
    struct err e;
    footprint_trim();
    if (loop_timer_set(a->loop, t, loop_now(a->loop) + a->trim_ns, on_trim, a, &e) < 0)
        log_debug("code stays mapped", LOG_ERR(&e));
    a->trim_ns = MIN(2 * a->trim_ns, LIMIT_TRIM_NS);
}

// The command line says where /metrics is, before any file is read; files that say otherwise are not meant
// for this agent.
static int check_http_port(const struct spec_ports *ports, uint16_t port, struct err *e)
{
    if (ports->http == port)
        return 0;
    err_set(e, EINVAL, "is %u, but this agent serves at %u: --listen says so", ports->http, port);
    return err_at(e, "ports.http");
}

// What can fail first: on failure the old ports, plan and peers stay together. But for the hints, which can
// fail for want of memory only, and are tried again.
static int on_files(const struct inputs_files *f, void *arg, struct err *e)
{
    struct agent *a = arg;
    struct listeners l;
    int r = check_http_port(&f->agent.ports, web_port(a->web), e);
    if (r == 0)
        r = listeners_open(a, &f->agent.ports, &l, e);
    if (r < 0)
        return r;
    r = a->leaving ? 0 : prober_apply(a->prober, &f->agent, &f->peers, e);
    if (r < 0) {
        listeners_drop(a, &l, &a->listeners);
        return r;
    }
    listeners_use(a, &l);
    r = peer_link_apply(a->link, &f->agent, &f->peers, e);
    if (!a->leaving)
        expect_sessions(a, &f->agent.spec.mesh);
    peer_link_wake(a->link);
    a->trim_ns = NS_PER_S;
    if (footprint_known() && r == 0)
        r = loop_timer_set(a->loop, &a->trim, loop_now(a->loop), on_trim, a, e);
    return r;
}

static void on_grace_over(struct loop_timer *t UNUSED, void *arg)
{
    struct agent *a = arg;
    loop_stop(a->loop);
}

// The first signal: no new probes, and the peers are told; but what is in flight may end, and peers are
// answered until the grace is over. The second: at once.
static void on_signal(int signo, void *arg)
{
    struct agent *a = arg;
    struct err e;
    if (a->leaving) {
        loop_stop(a->loop);
        return;
    }
    log_end(LOG_INFO, "leaving", LOG_INT("signal", signo),
            LOG_INT("graceMilliseconds", a->cli->grace_ns / NS_PER_MS));
    a->leaving = true;
    web_set_leaving(a->web);
    prober_stop(a->prober);
    peer_link_leave(a->link);
    if (loop_timer_set(a->loop, &a->stop, loop_now(a->loop) + a->cli->grace_ns, on_grace_over, a, &e) < 0)
        loop_stop(a->loop);
}

static int start(struct agent *a, struct err *e)
{
    a->loop = loop_new(e);
    if (!a->loop)
        return -e->code;
    if (loop_signal(a->loop, SIGTERM, on_signal, a, e) < 0 ||
        loop_signal(a->loop, SIGINT, on_signal, a, e) < 0)
        return -e->code;
    a->prober = prober_new(a->loop, a->cli->node, a->cli->network, NULL, e);
    if (!a->prober)
        return -e->code;
    a->link = peer_link_new(a->loop, a->cli->node, a->cli->network, prober_presence(a->prober), e);
    if (!a->link)
        return -e->code;
    struct web_opts o = {.addr = a->cli->listen,
                         .port = a->cli->port,
                         .node = a->cli->node,
                         .network = spec_network_name(a->cli->network),
                         .prober = a->prober,
                         .link = a->link};
    a->web = web_new(a->loop, &o, e);
    if (!a->web)
        return -e->code;
    log_info("serving", LOG_INT("port", web_port(a->web)), LOG_STR("node", a->cli->node),
             LOG_STR("version", version_text));
    a->inputs = inputs_new(a->loop, a->cli->config, LIMIT_INPUTS_POLL_NS, on_files, a, e);
    if (!a->inputs)
        return -e->code;
    web_set_inputs(a->web, inputs_state(a->inputs));
    return 0;
}

static void release(struct agent *a)
{
    inputs_free(a->inputs);
    web_free(a->web);
    if (a->link) // before it there is no listener
        listeners_drop(a, &a->listeners, &(struct listeners){0});
    peer_link_free(a->link);
    prober_free(a->prober);
    loop_free(a->loop);
}

static int run(const struct cli *c)
{
    struct agent a = {.cli = c};
    struct err e;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN); // files are read when they change; a terminal that goes is no reason to go
    runtime_start_time();
    runtime_raise_descriptors();
    int r = start(&a, &e);
    if (r == 0)
        r = loop_run(a.loop, &e);
    if (r < 0)
        log_end(LOG_ERROR, "the agent cannot run", LOG_ERR(&e));
    else
        log_end(LOG_INFO, "left", LOG_INT("inFlight", prober_in_flight(a.prober)));
    release(&a);
    return r < 0 ? 1 : 0;
}

static int print_version(void)
{
    char text[256];
    snprintf(text, sizeof(text), "%s %s (%s)\n", program, version_text, version_revision);
    return output_result(program, text);
}

static void note_leftover(const char *config, unsigned slices, struct buf *out)
{
    unsigned leftover = inputs_leftover(config, slices);
    if (leftover && slices)
        buf_fmt(
            out,
            "note: peers-%02u.yaml is none of the %u slices that peers-00.yaml tells of: it is not read\n",
            leftover, slices);
    else if (leftover)
        buf_fmt(out, "note: there is no peers-00.yaml: peers-%02u.yaml is not read\n", leftover);
}

// Prints what these files would make this agent do.
static int check(const struct cli *c)
{
    CLEANUP_INPUTS_FILES struct inputs_files files = {0};
    CLEANUP_BUF struct buf out;
    struct err e;
    char text[sizeof(e)];
    buf_init(&out, LIMIT_FORECAST);
    if (inputs_read(c->config, &files, &e) < 0 || check_http_port(&files.agent.ports, c->port, &e) < 0 ||
        forecast_text(&files.agent, &files.peers, c->node, c->network, &out, &e) < 0) {
        fprintf(stderr, "%s: %s\n", c->config, err_text(&e, text, sizeof(text)));
        return 1;
    }
    note_leftover(c->config, files.slices, &out);
    return output_result(program, buf_text(&out));
}

int main(int argc, char **argv)
{
    struct cli c;
    struct err e;
    if (stdfd_open(&e) < 0) {
        fprintf(stderr, "%s: %s\n", program, e.msg);
        return 1;
    }
    if (cli_parse(argc, argv, &c, &e) < 0) {
        fprintf(stderr, "%s: %s\n%s", program, e.msg, cli_usage());
        return 2;
    }
    log_init(c.log_level, STDERR_FILENO);
    switch (c.mode) {
    case CLI_HELP: return output_result(program, cli_usage());
    case CLI_VERSION: return print_version();
    case CLI_CHECK: return check(&c);
    case CLI_RUN: return run(&c);
    }
    return 2;
}
