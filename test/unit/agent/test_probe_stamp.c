// SPDX-License-Identifier: Apache-2.0
// STAMP probes against a reflector of this test's own, packet by packet, and against ours; on the loopback of
// a network namespace, with real stamps.
#include "test/unit/check.h"

#include <time.h>

#include "agent/peer_wire.h"
#include "agent/probe_stamp.h"
#include "agent/prober.h"
#include "agent/reflect_stamp.h"
#include "agent/stamp_wire.h"
#include "test/unit/agent/files.h"
#include "test/unit/agent/netns.h"

static struct files f;
static struct loop *l;
static struct prober *p;
static int server = -1; // 127.0.0.2
static uint16_t port;

struct got { // a packet that the test's reflector took
    uint8_t data[1500];
    size_t len;
    struct sockaddr_in from;
    struct stamp_wire_query q;
    int tos;
};

static void stop(void)
{
    prober_free(p);
    loop_free(l);
    base_cleanup_fd(&server);
    files_release(&f);
    p = NULL;
    l = NULL;
}

// n2 says that it stays, as its agent would: it is probed at once.
static bool greet(void)
{
    struct presence_question q[LIMIT_PEER_QUESTIONS];
    uint64_t now = loop_now(l);
    size_t n = presence_due(prober_presence(p), now, q);
    for (size_t i = 0; i < n; i++)
        if (!presence_answered(prober_presence(p), peer_wire_agent("n2", SPEC_NETWORK_POD), &q[i].to,
                               q[i].nonce, false, now))
            return false;
    return true;
}

static bool apply(void)
{
    struct err e = {0};
    if (prober_apply(p, &f.file, &f.peers, &e) == 0)
        return greet();
    printf("    %s %s\n", e.path, e.msg);
    return false;
}

static bool start(unsigned flows, const char *v4, const char *v6)
{
    struct err e;
    struct addr a;
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    int on = 1;
    if (l)
        stop();
    files_init(&f);
    server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (addr_parse("127.0.0.2", &a) != 0 ||
        bind(server, (struct sockaddr *)&sa, addr_sockaddr(&a, 0, &sa)) != 0 ||
        getsockname(server, (struct sockaddr *)&sa, &len) != 0 ||
        setsockopt(server, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on)) != 0 ||
        addr_from_sockaddr((struct sockaddr *)&sa, &a, &port) != 0)
        return false;
    f.file.ports.stamp = port;
    f.file.spec.mesh.probes[0] = (struct spec_probe){.name = "udp",
                                                     .type = SPEC_STAMP,
                                                     .interval_ns = 100 * NS_PER_MS,
                                                     .timeout_ns = 200 * NS_PER_MS,
                                                     .flows = (uint16_t)flows};
    files_peer(&f, "n2", "z", v4, v6, PEER_READY);
    l = loop_new(&e);
    p = prober_new(l, "n1", SPEC_NETWORK_POD, NULL, &e);
    return p && apply();
}

static const struct stats *st(size_t i)
{
    return engine_stats(prober_engine(p), i);
}

static const struct stamp_path *path(size_t i)
{
    return probe_stamp_path(prober_engine(p), i);
}

static void turn(void)
{
    struct err e;
    if (loop_once(l, 50 * NS_PER_MS, &e) != 0)
        printf("    %s\n", e.msg);
}

// The next probe, as it came. False after some seconds without one.
static bool take(struct got *ret)
{
    for (int i = 0; i < 400; i++, turn()) {
        uint8_t control[64];
        struct iovec iov = {ret->data, sizeof(ret->data)};
        struct msghdr m = {.msg_name = &ret->from,
                           .msg_namelen = sizeof(ret->from),
                           .msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(server, &m, MSG_DONTWAIT);
        if (n < 0)
            continue;
        ret->len = (size_t)n;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        ret->tos = c ? *CMSG_DATA(c) : -1;
        return stamp_wire_get_query(ret->data, ret->len, &ret->q) == 0;
    }
    return false;
}

// As a reflector answers that knows its RFC, with a number of its own.
static struct stamp_wire_answer answer_to(const struct got *g, uint32_t number)
{
    return (struct stamp_wire_answer){.seq = number,
                                      .time = g->q.time + 2000,
                                      .error = 0x0101,
                                      .ssid = g->q.ssid,
                                      .received = g->q.time + 1000,
                                      .sender = g->q,
                                      .ttl = 64};
}

static void give_from(int fd, const struct got *g, const struct stamp_wire_answer *a, size_t len,
                      uint16_t to_port)
{
    uint8_t data[100] = {0};
    struct sockaddr_in to = g->from;
    if (to_port)
        to.sin_port = htons(to_port);
    stamp_wire_put_answer(data, a);
    if (sendto(fd, data, len, 0, (struct sockaddr *)&to, sizeof(to)) != (ssize_t)len)
        printf("    %s\n", strerror(errno));
}

static void give(const struct got *g, const struct stamp_wire_answer *a)
{
    give_from(server, g, a, STAMP_WIRE_BYTES, 0);
}

static uint64_t unmatched(void)
{
    return engine_agent_stats(prober_engine(p))->unmatched;
}

// The sender's packets: their form, one port a flow, each with numbers from 1 on.
static void test_packets(void)
{
    CHECK(start(3, "127.0.0.2", NULL));
    f.file.spec.mesh.probes[0].dscp = 46;
    CHECK(apply());
    CHECK(prober_ready(p, NULL));
    struct got g[9];
    for (unsigned i = 0; i < 9; i++) {
        CHECK(take(&g[i]));
        CHECK_INT(g[i].len, STAMP_WIRE_BYTES);
        CHECK(stamp_wire_is_query(g[i].data));
        CHECK_INT(g[i].q.seq, i / 3 + 1);
        CHECK(g[i].q.ssid != 0);
        CHECK(!(g[i].q.error & 0x4000) && (g[i].q.error & 0xff) != 0);
        CHECK_INT(g[i].tos, 46 << 2);
        if (i >= 3)
            CHECK_INT(g[i].from.sin_port, g[i - 3].from.sin_port);
        if (i > 0) {
            CHECK(g[i].q.time > g[i - 1].q.time);
            CHECK((g[i].q.time & 0xffff) != (g[i - 1].q.time & 0xffff) || i > 1);
            CHECK_INT(g[i].q.ssid, g[0].q.ssid);
        }
    }
    CHECK(g[0].from.sin_port != g[1].from.sin_port && g[1].from.sin_port != g[2].from.sin_port &&
          g[0].from.sin_port != g[2].from.sin_port);
}

// Every way in which an answer may be another one's: it is not taken, and the true one still is.
static void test_foreign_answers(void)
{
    CHECK(start(2, "127.0.0.2", NULL));
    int stranger = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct got g, other;
    CHECK(take(&other));
    for (unsigned way = 0; way < 9; way++) {
        struct stamp_wire_answer a;
        uint64_t before = unmatched();
        CHECK(take(&g));
        a = answer_to(&g, way);
        switch (way) {
        case 0: give_from(stranger, &g, &a, STAMP_WIRE_BYTES, 0); break; // another address and port
        case 1: give_from(server, &g, &a, STAMP_WIRE_BYTES - 1, 0); break;
        case 2:
            give_from(server, &g, &a, STAMP_WIRE_BYTES, ntohs(other.from.sin_port));
            break; // another flow
        case 3: a.sender.time ^= 1; break;
        case 4: a.sender.time ^= UINT64_C(1) << 63; break;
        case 5: a.sender.seq++; break;
        case 6: a.sender.seq += 0x80000000; break;
        case 7: a.ssid++; break;
        default: a.sender = (struct stamp_wire_query){0}; break;
        }
        if (way == 2 && other.from.sin_port == g.from.sin_port)
            continue;
        if (way > 2)
            give(&g, &a);
        a = answer_to(&g, way);
        for (int i = 0; i < 200 && unmatched() == before; i++)
            turn();
        CHECK_INT(unmatched(), before + 1);
        uint64_t received = st(0)->results[STATS_RECEIVED];
        give(&g, &a);
        for (int i = 0;
             i < 200 && st(0)->results[STATS_RECEIVED] == received && st(0)->results[STATS_LATE] == 0; i++)
            turn();
        CHECK_INT(st(0)->results[STATS_CORRUPT], 0);
        CHECK(st(0)->results[STATS_RECEIVED] + st(0)->results[STATS_LATE] == received + 1);
        other = g;
    }
    CHECK(stats_consistent(st(0)));
    close(stranger);
}

static void ends_as(const struct got *g, const struct stamp_wire_answer *a, size_t len,
                    enum stats_result want)
{
    uint64_t before = st(0)->results[want];
    give_from(server, g, a, len, 0);
    for (int i = 0; i < 200 && st(0)->results[want] == before; i++)
        turn();
    CHECK_INT(st(0)->results[want], before + 1);
}

// Told for whose it is, but not what a reflector makes of it.
static void test_corrupt(void)
{
    CHECK(start(1, "127.0.0.2", NULL));
    struct got g;
    CHECK(take(&g));
    struct stamp_wire_answer a = answer_to(&g, 0);
    a.sender.error ^= 1;
    ends_as(&g, &a, STAMP_WIRE_BYTES, STATS_CORRUPT);
    CHECK(take(&g));
    a = answer_to(&g, 1);
    ends_as(&g, &a, STAMP_WIRE_BYTES + 4, STATS_CORRUPT);
    CHECK(take(&g));
    a = answer_to(&g, 2);
    a.ssid = 0; // a reflector that knows RFC 8762 only
    ends_as(&g, &a, STAMP_WIRE_BYTES, STATS_RECEIVED);
    uint64_t duplicates = st(0)->duplicates;
    give(&g, &a);
    for (int i = 0; i < 200 && st(0)->duplicates == duplicates; i++)
        turn();
    CHECK_INT(st(0)->duplicates, duplicates + 1);
    CHECK(stats_consistent(st(0)));
}

// What the reflector says it held is taken out of the RTT, if it can be.
static void test_held(void)
{
    static const struct {
        uint64_t received, time;
        bool less;
    } at[] = {{0, 0, false}, {1000, 999, false}, {0, UINT64_C(10) << 32, false}, {0, 4294967, true}}; // 1 ms
    CHECK(start(1, "127.0.0.2", NULL));
    struct got g;
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        uint64_t sum = st(0)->rtt_sum_ns;
        CHECK(take(&g));
        struct err e;
        uint64_t until = sock_now() + 3 * NS_PER_MS;
        while (sock_now() < until) // nothing is waited for: it is the reflector that is slow
            CHECK_INT(loop_once(l, 0, &e), 0);
        struct stamp_wire_answer a = answer_to(&g, (uint32_t)i);
        a.received = g.q.time + at[i].received;
        a.time = g.q.time + at[i].time;
        ends_as(&g, &a, STAMP_WIRE_BYTES, STATS_RECEIVED);
        sum = st(0)->rtt_sum_ns - sum;
        CHECK(sum > (at[i].less ? 1 : 2) * NS_PER_MS);
    }
}

static void test_directions(void)
{
    CHECK(start(1, "127.0.0.2", NULL));
    struct got g;
    uint32_t number = 0;
    static const char what[] = "rrfrbbrffrbr";
    unsigned more = 4 * engine_own(prober_engine(p), 0).slots; // until all of it is told
    for (const char *c = what; more > 0; more -= !*c, c += *c != 0) {
        CHECK(take(&g));
        struct stamp_wire_answer a = answer_to(&g, number);
        number += *c != 'f';
        if (*c == 'r' || !*c)
            give(&g, &a);
    }
    CHECK_INT(path(0)->lost[STAMP_PATH_FORWARD], 3);
    CHECK_INT(path(0)->lost[STAMP_PATH_BACKWARD], 3);
    CHECK_INT(stamp_path_flow_lost(path(0), 0), 6);
    CHECK_INT(st(0)->results[STATS_LOST], 6);
}

// An answer that is read when its probe's time is long over, as the agent was asleep: lost on the way back,
// as in the results.
static void test_asleep(void)
{
    CHECK(start(1, "127.0.0.2", NULL));
    struct got g;
    unsigned more = 4 * engine_own(prober_engine(p), 0).slots;
    for (uint32_t number = 0; number < 4 + more; number++) {
        CHECK(take(&g));
        struct stamp_wire_answer a = answer_to(&g, number);
        if (number == 4) // timeout and grace are 300 ms
            (void)nanosleep(&(struct timespec){.tv_nsec = 600000000}, NULL);
        give(&g, &a);
    }
    CHECK_INT(st(0)->results[STATS_LOST], 1);
    CHECK_INT(stamp_path_flow_lost(path(0), 0), 1);
    CHECK_INT(path(0)->lost[STAMP_PATH_BACKWARD], 1);
    CHECK_INT(path(0)->lost[STAMP_PATH_FORWARD], 0);
}

// Nobody listens: refused, and that is neither way's loss.
static void test_refused(void)
{
    CHECK(start(2, "127.0.0.2", NULL));
    base_cleanup_fd(&server);
    for (int i = 0; i < 400 && st(0)->results[STATS_UNREACHABLE] < 20; i++)
        turn();
    CHECK(st(0)->results[STATS_UNREACHABLE] >= 20);
    CHECK_INT(st(0)->results[STATS_LOST], 0);
    CHECK_INT(path(0)->lost[STAMP_PATH_FORWARD] + path(0)->lost[STAMP_PATH_BACKWARD], 0);
    CHECK_INT(stamp_path_flow_lost(path(0), 0) + stamp_path_flow_lost(path(0), 1), 0);
    CHECK(stats_consistent(st(0)));
}

// A reload while probes are under way: with other flows, with more memory, with another interval.
static void test_reload(void)
{
    CHECK(start(2, "127.0.0.2", NULL));
    static const struct {
        uint16_t flows;
        uint64_t interval;
    } at[] = {{5, 100}, {1, 100}, {16, 100}, {3, 150}, {3, 100}};
    struct got g;
    uint32_t number[65536] = {0};
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        CHECK(take(&g));
        f.file.spec.mesh.probes[0].flows = at[i].flows;
        f.file.spec.mesh.probes[0].interval_ns = at[i].interval * NS_PER_MS;
        CHECK(apply());
        struct stamp_wire_answer a = answer_to(&g, number[g.from.sin_port]++);
        give(&g, &a);
        for (unsigned k = 0; k < 6; k++) {
            CHECK(take(&g));
            a = answer_to(&g, number[g.from.sin_port]++);
            give(&g, &a);
        }
    }
    for (int i = 0; i < 20 && st(0)->results[STATS_RECEIVED] < 35; i++)
        turn();
    CHECK(st(0)->results[STATS_RECEIVED] >= 35);
    CHECK_INT(st(0)->results[STATS_LOST] + unmatched(), 0);
    CHECK(stats_consistent(st(0)));
}

// Ours against ours, both families, kernel stamps at both ends.
static void test_ours(void)
{
    CHECK(start(4, "127.0.0.2", "::1"));
    base_cleanup_fd(&server);
    struct err e;
    struct addr any = {0};
    struct reflect_stamp *r = reflect_stamp_new(l, &any, port, 42, &e);
    CHECK(r != NULL);
    for (int i = 0; i < 400 && (st(0)->results[STATS_RECEIVED] < 20 || st(1)->results[STATS_RECEIVED] < 20);
         i++)
        turn();
    struct reflect_stamp_stats stats;
    reflect_stamp_stats(r, &stats);
    for (size_t i = 0; i < 2; i++) {
        CHECK(st(i)->results[STATS_RECEIVED] >= 20);
        CHECK_INT(st(i)->results[STATS_LOST] + st(i)->results[STATS_CORRUPT], 0);
        CHECK(st(i)->rtt_sum_ns > 0);
        CHECK(stats_consistent(st(i)));
    }
    CHECK_INT(stats.sessions, 8);
    CHECK_INT(stats.stateless, 0);
    CHECK(stats.answered >= 40);
    const struct stats_agent *a = engine_agent_stats(prober_engine(p));
    CHECK(a->stamps[STATS_STAMP_KERNEL] > a->stamps[STATS_STAMP_KERNEL_RX] + a->stamps[STATS_STAMP_USER]);
    reflect_stamp_free(r);
    stop();
}

// The answer to a padded probe, as our reflector makes it, with one byte changed (0: none) and some cut off.
static void give_padded(const struct got *g, size_t changed, size_t cut)
{
    struct stamp_wire_answer a = answer_to(g, g->q.seq);
    uint8_t data[1500];
    memcpy(data, g->data, g->len);
    stamp_wire_put_answer(data, &a);
    if (g->len >= STAMP_WIRE_BYTES + STAMP_WIRE_TLV)
        data[STAMP_WIRE_BYTES] = 0; // the TLV was understood
    data[changed] ^= changed != 0;
    if (sendto(server, data, g->len - cut, 0, (const struct sockaddr *)&g->from, sizeof(g->from)) < 0)
        printf("    %s\n", strerror(errno));
}

// The next probe with so many bytes: some of another length may be under way from before.
static bool take_long(struct got *g, size_t len)
{
    for (int i = 0; i < 20; i++)
        if (take(g) && g->len == len)
            return true;
    return false;
}

// Payloads: a padding TLV as RFC 8972 has it, where there is room for one; an answer counts that is as long,
// and as it was.
static void test_payload(void)
{
    static const uint16_t payloads[] = {45, 47, 48, 100, 1472};
    for (size_t i = 0; i < ARRAY_LEN(payloads); i++) {
        struct got g;
        uint16_t len = payloads[i];
        CHECK(start(1, "127.0.0.2", NULL));
        f.file.spec.mesh.probes[0].payload = len;
        f.file.spec.mesh.probes[0].dont_fragment = i % 2;
        CHECK(apply());
        CHECK(take_long(&g, len));
        CHECK(stamp_wire_is_query(g.data));
        const uint8_t tlv[] = {0x80, 1, (uint8_t)((len - 48) >> 8), (uint8_t)(len - 48)};
        CHECK(len < 48 || memcmp(g.data + 44, tlv, sizeof(tlv)) == 0);
        give_padded(&g, 0, 0);
        CHECK(take_long(&g, len));
        CHECK_INT(st(0)->results[STATS_RECEIVED], 1);
        give_padded(&g, 0, 1);
        CHECK(take_long(&g, len));
        CHECK_INT(st(0)->results[STATS_CORRUPT], 1);
        give_padded(&g, len > 48 ? (size_t)MIN(len, SOCK_DATA) - 1 : 45, 0);
        CHECK(take_long(&g, len));
        CHECK_INT(st(0)->results[STATS_CORRUPT], len == 45 ? 1 : 2); // of 45 bytes there is no 46th
    }
}

// A reload with another payload, on another kind of socket: answers to what was under way still count.
static void test_payload_changes(void)
{
    struct got g;
    CHECK(start(1, "127.0.0.2", NULL));
    CHECK(take_long(&g, 44));
    f.file.spec.mesh.probes[0].payload = 1000;
    f.file.spec.mesh.probes[0].dont_fragment = true;
    CHECK(apply());
    give_padded(&g, 0, 0);
    CHECK(take_long(&g, 1000));
    CHECK_INT(st(0)->results[STATS_RECEIVED], 1);
    f.file.spec.mesh.probes[0].payload = 0;
    CHECK(apply());
    give_padded(&g, 0, 0);
    CHECK(take_long(&g, 44));
    CHECK_INT(st(0)->results[STATS_RECEIVED], 2);
    CHECK_INT(st(0)->results[STATS_CORRUPT], 0);
}

static const struct check_case cases[] = {
    {"payloads", test_payload},       {"payloads change", test_payload_changes},
    {"packets", test_packets},        {"other answers", test_foreign_answers},
    {"corrupt ones", test_corrupt},   {"what the reflector held", test_held},
    {"directions", test_directions},  {"the agent is asleep", test_asleep},
    {"refused", test_refused},        {"reloads", test_reload},
    {"our own reflector", test_ours},
};
CHECK_MAIN_IN(netns_enter(), cases)
