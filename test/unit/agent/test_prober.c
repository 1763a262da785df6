// SPDX-License-Identifier: Apache-2.0
// The agent's probes against this host's own stack, in a network namespace: real sockets, real stamps.
#include "test/unit/check.h"

#include <netinet/in.h>

#include "agent/prober.h"
#include "test/unit/agent/netns.h"

static struct spec_agent_file file;
static struct spec_target targets[8];
static struct peers no_peers;

static void add_target(const char *name, enum spec_probe_type type, const char *address, uint16_t port)
{
    struct spec_target *t = &targets[file.spec.n_targets++];
    *t = (struct spec_target){
        .type = type, .port = port, .interval_ns = 100 * NS_PER_MS, .timeout_ns = 200 * NS_PER_MS};
    if (base_copy(t->name, sizeof(t->name), name) != 0 || addr_parse(address, &t->address) != 0)
        printf("    bad address %s\n", address);
}

static void reset(void)
{
    memset(&file, 0, sizeof(file));
    file.spec.targets = targets;
    file.spec.metrics.n_buckets = 3;
    file.spec.metrics.rtt_buckets_us[0] = 1000;
    file.spec.metrics.rtt_buckets_us[1] = 10000;
    file.spec.metrics.rtt_buckets_us[2] = 100000;
}

// Runs until every pair has `n` results of one kind, at most 20 s.
static bool run_until(struct loop *l, struct prober *p, enum stats_result r, uint64_t n)
{
    struct err e;
    for (uint64_t end = sock_now() + 20 * NS_PER_S; sock_now() < end;) {
        bool done = true;
        for (size_t i = 0; i < prober_plan(p)->n_pairs; i++) {
            const struct stats *s = engine_stats(prober_engine(p), i);
            if (!stats_consistent(s))
                return false;
            done = done && s->results[r] >= n;
        }
        if (done)
            return true;
        if (loop_once(l, NS_PER_S, &e) != 0)
            return false;
    }
    return false;
}

static int listener(uint16_t *ret_port)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6};
    socklen_t len = sizeof(a);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        printf("    no listener: %s\n", strerror(errno));
    *ret_port = ntohs(a.sin6_port);
    return fd;
}

struct fixture {
    struct loop *l;
    struct prober *p;
};

static bool start(struct fixture *x, const struct sock_opts *o)
{
    struct err e;
    x->l = loop_new(&e);
    x->p = prober_new(x->l, "n1", SPEC_NETWORK_POD, o, &e);
    if (x->p && prober_apply(x->p, &file, &no_peers, &e) == 0)
        return true;
    printf("    %s %s\n", e.path, e.msg);
    return false;
}

static void finish(struct fixture *x)
{
    prober_free(x->p);
    loop_free(x->l);
}

static uint64_t others(const struct stats *s, enum stats_result but)
{
    uint64_t n = 0;
    for (unsigned r = 0; r < STATS_RESULTS; r++)
        n += r == but ? 0 : s->results[r];
    return n;
}

static void answered_with(const struct sock_opts *o, enum stats_stamp source)
{
    uint16_t port;
    int fd = listener(&port);
    reset();
    add_target("v4", SPEC_ICMP, "127.0.0.1", 0);
    add_target("v6", SPEC_ICMP, "::1", 0);
    bool tcp = source == STATS_STAMP_KERNEL;
    if (tcp) {
        add_target("tcp4", SPEC_TCP, "127.0.0.1", port);
        add_target("tcp6", SPEC_TCP, "::1", port);
    }
    struct fixture x;
    CHECK(start(&x, o));
    CHECK(prober_ready(x.p, NULL));
    CHECK(run_until(x.l, x.p, STATS_RECEIVED, 5));
    for (size_t i = 0; i < prober_plan(x.p)->n_pairs; i++) {
        const struct stats *s = engine_stats(prober_engine(x.p), i);
        CHECK_INT(others(s, STATS_RECEIVED), 0);
        CHECK_INT(stats_rtt_count(s), s->results[STATS_RECEIVED]);
        CHECK(s->rtt_sum_ns > 0);
        CHECK_INT(s->duplicates + s->reordered, 0);
    }
    const struct stats_agent *a = engine_agent_stats(prober_engine(x.p));
    uint64_t all = a->stamps[0] + a->stamps[1] + a->stamps[2];
    // The kernel may switch its stamps on only after the first packets.
    CHECK(a->stamps[source] + 6 >= all && a->stamps[source] > 0);
    CHECK_INT(a->unmatched, 0);
    prober_stop(x.p);
    struct err e;
    for (int i = 0; i < 200 && prober_in_flight(x.p) > 0; i++)
        CHECK_INT(loop_once(x.l, NS_PER_S, &e), 0);
    CHECK_INT(prober_in_flight(x.p), 0);
    finish(&x);
    close(fd);
}

static void test_answered(void)
{
    answered_with(NULL, STATS_STAMP_KERNEL);
}

static void test_no_tx_stamps(void)
{
    answered_with(&(struct sock_opts){.no_tx_stamps = true}, STATS_STAMP_KERNEL_RX);
}

static void test_no_stamps(void)
{
    answered_with(&(struct sock_opts){.no_tx_stamps = true, .no_rx_stamps = true}, STATS_STAMP_USER);
}

// Each target's probes end so, and in no other way.
static void all_end_as(enum stats_result r)
{
    struct fixture x;
    CHECK(start(&x, NULL));
    CHECK(run_until(x.l, x.p, r, 3));
    for (size_t i = 0; i < prober_plan(x.p)->n_pairs; i++)
        CHECK_INT(others(engine_stats(prober_engine(x.p), i), r), 0);
    finish(&x);
}

static void test_refused(void)
{
    reset();
    add_target("tcp4", SPEC_TCP, "127.0.0.1", 1);
    add_target("tcp6", SPEC_TCP, "::1", 1);
    all_end_as(STATS_UNREACHABLE);
}

// No route: our own fault, not the network's, and not silent.
static void test_no_route(void)
{
    reset();
    add_target("icmp4", SPEC_ICMP, "198.18.0.1", 0);
    add_target("icmp6", SPEC_ICMP, "fd00::1", 0);
    add_target("tcp4", SPEC_TCP, "198.18.0.1", 1);
    add_target("tcp6", SPEC_TCP, "fd00::1", 1);
    all_end_as(STATS_SEND_ERROR);
}

static uint64_t sent_by_live(const struct prober *p)
{
    uint64_t n = 0;
    for (size_t i = 0; i < prober_plan(p)->n_pairs; i++)
        n += prober_plan(p)->pairs[i].gone ? 0 : engine_stats(prober_engine(p), i)->sent;
    return n;
}

// What is no longer probed goes when its time is over: the one does not make the other wait. The target that
// stays is the clock: two that end 500 ms apart are not gone 50 of its probes apart.
static void test_gone(void)
{
    struct err e;
    struct fixture x;
    uint64_t first = 0;
    reset();
    add_target("stays", SPEC_ICMP, "127.0.0.1", 0);
    add_target("first", SPEC_ICMP, "127.0.0.2", 0);
    add_target("second", SPEC_ICMP, "127.0.0.3", 0);
    targets[2].timeout_ns += 500 * NS_PER_MS;
    CHECK(start(&x, NULL));
    file.spec.n_targets = 1;
    CHECK_INT(prober_apply(x.p, &file, &no_peers, &e), 0);
    CHECK_INT(prober_plan(x.p)->n_pairs, 3);
    while (prober_plan(x.p)->n_pairs > 1) {
        CHECK_INT(loop_once(x.l, NS_PER_S, &e), 0);
        uint64_t sent = sent_by_live(x.p);
        if (prober_plan(x.p)->n_pairs == 3)
            first = sent;
        CHECK(sent < first + 50);
    }
    finish(&x);
}

static const struct check_case cases[] = {
    {"icmp and tcp are answered, RTT from the kernel", test_answered},
    {"without stamps of sending", test_no_tx_stamps},
    {"without any stamps", test_no_stamps},
    {"a refused connect is unreachable", test_refused},
    {"no route is a send error", test_no_route},
    {"gone pairs go one by one", test_gone},
};
CHECK_MAIN_IN(netns_enter(), cases)
