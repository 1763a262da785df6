// SPDX-License-Identifier: Apache-2.0
// Ping sockets against a network that answers badly, in both families.
#include "test/unit/check.h"

#include <sys/random.h>

#include "agent/probe_icmp.h"
#include "test/system/tun.h"
#include "test/unit/agent/files.h"
#include "test/unit/agent/netns.h"

#define PROBES 8
#define ROUND_NS (100 * NS_PER_MS)

static struct tun tun;

static void fill(uint64_t *to, size_t n, void *arg UNUSED)
{
    if (getrandom(to, n * sizeof(*to), 0) != (ssize_t)(n * sizeof(*to)))
        printf("    no random\n");
}

struct fixture {
    struct files f;
    struct engine *en;
    struct probe_icmp *icmp;
    struct sock_clock clock;
    uint64_t now; // the engine's, which runs ahead: its time is ours, so that nobody need wait for a second
                  // to pass
    struct stats total;
};

static void release(struct fixture *x)
{
    probe_icmp_free(x->icmp);
    engine_free(x->en);
    files_release(&x->f);
}

// An engine and its sockets, with the fixture's files in force.
static bool put_in_force(struct fixture *x, const struct sock_opts *o)
{
    struct plan *p;
    struct err e = {0};
    x->en = engine_new(fill, NULL, &e);
    x->icmp = probe_icmp_new(x->en, o, &e);
    x->now = sock_now();
    if (plan_build(&x->f.file, &x->f.peers, "n1", SPEC_NETWORK_POD, NULL, x->now, &p, &e) == 0 &&
        probe_icmp_reserve(x->icmp, p, &e) == 0 && engine_apply(x->en, p, x->now, &e) == 0) {
        probe_icmp_apply(x->icmp);
        return true;
    }
    printf("    %s\n", e.msg);
    return false;
}

static bool start(struct fixture *x, const struct sock_opts *o)
{
    memset(x, 0, sizeof(*x));
    files_init(&x->f);
    files_target(&x->f, "v4", SPEC_ICMP, "198.18.0.2", 0);
    files_target(&x->f, "v6", SPEC_ICMP, "fd00:18::2", 0);
    for (unsigned i = 0; i < 2; i++) {
        x->f.targets[i].interval_ns = ROUND_NS;
        x->f.targets[i].timeout_ns =
            5 * NS_PER_S; // nothing ends by time while a case runs ahead of the clock
    }
    return put_in_force(x, o);
}

// What has become known so far: results, duplicates and what matched nothing.
static uint64_t progress(const struct fixture *x)
{
    uint64_t n = engine_agent_stats(x->en)->unmatched;
    for (size_t i = 0; i < 2; i++) {
        const struct stats *s = engine_stats(x->en, i);
        n += s->sent - s->in_flight + s->duplicates;
    }
    return n;
}

// Begins a probe of each target and has the tun answer both.
static void send_both(struct fixture *x)
{
    struct engine_send out[2];
    unsigned want = tun.seen + 2;
    x->now += ROUND_NS;
    probe_icmp_send(x->icmp, out, engine_due(x->en, x->now, out, 2));
    for (uint64_t end = sock_now() + 5 * NS_PER_S; sock_now() < end && tun.seen < want;)
        tun_pump(&tun);
}

// Reads until so much is known: the kernel may deliver late. False: it never was.
static bool drain(struct fixture *x, uint64_t want)
{
    for (uint64_t end = sock_now() + 5 * NS_PER_S; sock_now() < end;) {
        sock_clock_sample(&x->clock);
        probe_icmp_drain(x->icmp, &x->clock, sock_now());
        if (progress(x) >= want)
            return true;
    }
    return false;
}

// Each target's counters after PROBES rounds: how many ended as r.
static void expect(enum tun_answer answer, enum stats_result r, uint64_t duplicates, uint64_t unmatched)
{
    struct fixture x;
    CHECK(start(&x, &(struct sock_opts){0}));
    tun.answer = answer;
    unsigned each = answer == TUN_SILENCE ? 0 : answer == TUN_TWICE ? 4 : 2;
    for (unsigned i = 1; i <= PROBES; i++) {
        send_both(&x);
        if (!drain(&x, i * each))
            break;
    }
    engine_stop(x.en);
    struct engine_send none;
    x.now += 60 * NS_PER_S;
    uint64_t n = engine_due(x.en, x.now, &none, 1);
    struct stats s[2];
    for (size_t i = 0; i < 2; i++)
        s[i] = *engine_stats(x.en, i);
    uint64_t unknown = engine_agent_stats(x.en)->unmatched;
    release(&x);
    CHECK_INT(n, 0);
    for (size_t i = 0; i < 2; i++) {
        for (unsigned k = 0; k < STATS_RESULTS; k++)
            if (k != r && s[i].results[k])
                printf("    target %zu: %" PRIu32 " %s\n", i, s[i].results[k], stats_result_name(k));
        CHECK_INT(s[i].sent, PROBES);
        CHECK_INT(s[i].results[r], PROBES);
        CHECK_INT(s[i].duplicates, duplicates);
        CHECK_INT(s[i].in_flight, 0);
    }
    CHECK_INT(unknown, unmatched);
}

// A new address and a new device drop their first packets; from then on none may be missing.
static bool warm_up(void)
{
    struct fixture x;
    bool ok = start(&x, &(struct sock_opts){0});
    tun.answer = TUN_ECHO;
    for (uint64_t end = sock_now() + 20 * NS_PER_S; ok && sock_now() < end;) {
        struct engine_send out[2];
        x.now += ROUND_NS;
        probe_icmp_send(x.icmp, out, engine_due(x.en, x.now, out, 2));
        tun_pump(&tun);
        probe_icmp_drain(x.icmp, &x.clock, sock_now());
        ok = !engine_stats(x.en, 0)->results[STATS_RECEIVED] ||
             !engine_stats(x.en, 1)->results[STATS_RECEIVED];
    }
    tun_pump(&tun);
    release(&x);
    return !ok;
}

static bool enter(void)
{
    return netns_enter() && tun_open(&tun) && warm_up();
}

static void test_echo(void)
{
    expect(TUN_ECHO, STATS_RECEIVED, 0, 0);
}

static void test_silence(void)
{
    expect(TUN_SILENCE, STATS_LOST, 0, 0);
}

static void test_twice(void)
{
    expect(TUN_TWICE, STATS_RECEIVED, PROBES, 0);
}

static void test_corrupt(void)
{
    expect(TUN_CORRUPT, STATS_CORRUPT, 0, 0);
}

static void test_short(void)
{
    expect(TUN_SHORT, STATS_CORRUPT, 0, 0);
}

static void test_stranger(void)
{
    expect(TUN_STRANGER, STATS_LOST, 0, 2 * PROBES);
}

static void test_elsewhere(void)
{
    expect(TUN_ELSEWHERE, STATS_LOST, 0, 2 * PROBES);
}

static void test_unreachable(void)
{
    expect(TUN_UNREACHABLE, STATS_UNREACHABLE, 0, 0);
}

static void test_quote_8(void)
{
    expect(TUN_QUOTE_8, STATS_UNREACHABLE, 0, 0);
}

// An error that came for one probe is not the next one's fault, which the socket would have us believe.
static void test_error_then_send(void)
{
    struct fixture x;
    CHECK(start(&x, &(struct sock_opts){0}));
    for (unsigned i = 0; i < 2 * PROBES; i++) {
        tun.answer = i % 2 ? TUN_ECHO : TUN_UNREACHABLE;
        send_both(&x);
        // the errors wait in the socket while the next probes are sent
        if (i % 2 && !drain(&x, 2 * i + 2))
            break;
    }
    struct stats s[2];
    for (size_t i = 0; i < 2; i++)
        s[i] = *engine_stats(x.en, i);
    release(&x);
    for (size_t i = 0; i < 2; i++) {
        CHECK_INT(s[i].results[STATS_SEND_ERROR], 0);
        CHECK_INT(s[i].results[STATS_UNREACHABLE], PROBES);
        CHECK_INT(s[i].results[STATS_RECEIVED], PROBES);
    }
}

// Ping sockets of this namespace.
static int sockets(const char *table)
{
    char line[512];
    int n = -1; // the heading
    FILE *f = fopen(table, "r");
    while (f && fgets(line, sizeof(line), f))
        n++;
    if (f)
        fclose(f);
    return n;
}

static bool start_kinds(struct fixture *x)
{
    memset(x, 0, sizeof(*x));
    files_init(&x->f);
    x->f.file.spec.mesh.probes[0] = (struct spec_probe){
        .name = "any", .type = SPEC_ICMP, .interval_ns = ROUND_NS, .timeout_ns = 5 * NS_PER_S, .payload = 56};
    x->f.file.spec.mesh.probes[1] = (struct spec_probe){.name = "whole",
                                                        .type = SPEC_ICMP,
                                                        .interval_ns = ROUND_NS,
                                                        .timeout_ns = 5 * NS_PER_S,
                                                        .payload = TUN_LARGE,
                                                        .dont_fragment = true};
    x->f.file.spec.mesh.n_probes = 2;
    files_peer(&x->f, "n1", "", "198.18.0.1", "fd00:18::1", PEER_READY);
    files_peer(&x->f, "n2", "", "198.18.0.2", "fd00:18::2", PEER_READY);
    return put_in_force(x, &(struct sock_opts){0});
}

// Packets that may be fragmented and packets that may not leave by one socket. Whichever it sent last, a
// router's word that one is too big ends those that may not, and no others.
static void test_kinds(void)
{
    struct fixture x;
    struct engine_send out[4];
    struct stats s[2][FAMILIES] = {0};
    CHECK(start_kinds(&x));
    CHECK_INT(engine_plan(x.en)->n_pairs, 4);
    tun.answer = TUN_TOO_BIG;
    memset(tun.whole, 0, sizeof(tun.whole));
    for (unsigned i = 1; i <= PROBES; i++) {
        unsigned want = tun.seen + 4;
        x.now += ROUND_NS;
        size_t n = engine_due(x.en, x.now, out, 4);
        probe_icmp_send(x.icmp, out, n);
        for (uint64_t end = sock_now() + 5 * NS_PER_S; sock_now() < end && tun.seen < want;)
            tun_pump(&tun);
        // what ends: all four, if it is as it should be
        for (uint64_t end = sock_now() + NS_PER_S, ended = 0; sock_now() < end && ended < 4 * i;) {
            sock_clock_sample(&x.clock);
            probe_icmp_drain(x.icmp, &x.clock, sock_now());
            ended = 4 * i - engine_in_flight(x.en);
        }
    }
    int open[] = {sockets("/proc/self/net/icmp"), sockets("/proc/self/net/icmp6")};
    for (size_t i = 0; i < 4; i++) {
        const struct plan_pair *pair = &engine_plan(x.en)->pairs[i];
        s[engine_plan(x.en)->probes[pair->probe].dont_fragment][pair->family] = *engine_stats(x.en, i);
    }
    release(&x);
    for (unsigned f = 0; f < FAMILIES; f++) {
        CHECK_INT(s[0][f].results[STATS_RECEIVED], PROBES);
        CHECK_INT(s[1][f].results[STATS_UNREACHABLE], PROBES);
        CHECK_INT(open[f], 1);
    }
    CHECK_INT(tun.whole[0], 0);
    CHECK_INT(tun.whole[1], PROBES);
}

static const struct check_case cases[] = {
    {"echo", test_echo},
    {"silence is loss", test_silence},
    {"two answers are one and a duplicate", test_twice},
    {"a broken byte is corrupt", test_corrupt},
    {"half an answer is corrupt", test_short},
    {"a stranger's answer is nobody's", test_stranger},
    {"from another address", test_elsewhere},
    {"an ICMP error", test_unreachable},
    {"an ICMP error that quotes 8 bytes", test_quote_8},
    {"an error is not the next probe's", test_error_then_send},
    {"both kinds by one socket", test_kinds},
};
CHECK_MAIN_IN(enter(), cases)
