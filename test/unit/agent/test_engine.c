// SPDX-License-Identifier: Apache-2.0
// The engine step by step; test/sim drives it through days.
#include "test/unit/check.h"

#include <errno.h>
#include <malloc.h>

#include "agent/engine.h"
#include "agent/flight.h"
#include "test/unit/agent/files.h"

#define S NS_PER_S
#define MS NS_PER_MS

static struct files f;
static struct engine *en;
static uint64_t now;
static struct engine_send out[LIMIT_BURST];

static int apply(void)
{
    return files_apply(&f, en, now);
}

static void stop(void)
{
    engine_free(en);
    en = NULL;
    files_release(&f);
}

// One target that is pinged each second.
static void start(void)
{
    struct err e;
    if (en) // a case failed before this one
        stop();
    now = 100 * S;
    files_init(&f);
    files_target(&f, "gateway", SPEC_ICMP, "192.0.2.1", 0);
    en = engine_new(files_random, NULL, &e);
}

// Ticks until a probe is begun, at most for 20 s.
static struct engine_token next_probe(void)
{
    for (uint64_t end = now + 20 * S; now < end; now += 10 * MS) {
        if (engine_due(en, now, out, 1) == 1) {
            engine_sent(en, &out[0].token, now);
            return out[0].token;
        }
    }
    printf("    no probe\n");
    return (struct engine_token){0};
}

static struct engine_reply after(uint64_t rtt)
{
    return (struct engine_reply){.now_ns = now + rtt, .rx_ns = now + rtt};
}

static const struct stats *st(void)
{
    return engine_stats(en, 0);
}

static void test_outcomes(void)
{
    start();
    CHECK_INT(apply(), 0);
    struct engine_token t = next_probe();
    CHECK_INT(st()->in_flight, 1);
    struct engine_reply r = after(70 * NS_PER_US);
    CHECK(engine_reply(en, &t, &r));
    CHECK_INT(st()->results[STATS_RECEIVED], 1);
    CHECK_INT(st()->buckets[0], 1);
    CHECK_INT(st()->rtt_sum_ns, 70 * NS_PER_US);
    CHECK(engine_reply(en, &t, &r));
    CHECK_INT(st()->duplicates, 1);

    t = next_probe();
    r = after(1 * S);
    CHECK(engine_reply(en, &t, &r)); // exactly at the timeout is in time
    CHECK_INT(st()->results[STATS_RECEIVED], 2);
    t = next_probe();
    r = after(1 * S + 1);
    CHECK(engine_reply(en, &t, &r));
    CHECK_INT(st()->results[STATS_LATE], 1);
    t = next_probe();
    r = after(2 * S + 1);
    CHECK(engine_reply(en, &t, &r));
    CHECK_INT(st()->results[STATS_LOST], 1);
    CHECK_INT(stats_rtt_count(st()), 2); // the time of a failure is no RTT

    t = next_probe();
    CHECK(engine_unreachable(en, &t, REASON_HOST));
    r = after(1);
    CHECK(!engine_reply(en, &t, &r)); // it has ended
    t = next_probe();
    CHECK(engine_send_failed(en, &t, ENETUNREACH));
    CHECK(!engine_send_failed(en, &t, ENETUNREACH)); // it has ended
    t = next_probe();
    r.corrupt = true;
    CHECK(engine_reply(en, &t, &r));
    t = next_probe();
    r = after(70 * NS_PER_US);
    r.unexpected = true;
    CHECK(engine_reply(en, &t, &r));
    CHECK(engine_reply(en, &t, &r));
    CHECK_INT(st()->duplicates, 2);
    CHECK_INT(st()->results[STATS_UNEXPECTED], 1);
    CHECK_INT(stats_rtt_count(st()), 2); // of what was to be expected only
    t = next_probe();
    r = after(2 * S + 1);
    r.unexpected = true;
    CHECK(engine_reply(en, &t, &r));
    CHECK_INT(st()->results[STATS_UNEXPECTED], 1); // so late, nothing is to be expected
    CHECK_INT(st()->results[STATS_LOST], 2);
    CHECK_INT(st()->results[STATS_UNREACHABLE], 1);
    CHECK_INT(st()->results[STATS_SEND_ERROR], 1);
    CHECK_INT(st()->results[STATS_CORRUPT], 1);
    CHECK_INT(st()->sent, 9);
    CHECK(stats_consistent(st()));
    stop();
}

static void test_unresolved(void)
{
    start();
    CHECK_INT(apply(), 0);
    struct engine_token t = next_probe();
    engine_unresolved(en, &t);
    engine_unresolved(en, &t); // it has ended
    CHECK_INT(st()->results[STATS_UNRESOLVED], 1);
    CHECK_INT(st()->in_flight, 0);
    CHECK(stats_consistent(st()));
    stop();
}

// Timeout and grace are two seconds; two ticks before their end it is settled.
static void test_lost_only_after_the_grace(void)
{
    start();
    CHECK_INT(apply(), 0);
    struct engine_token t = next_probe();
    uint64_t sent = now;
    engine_stop(en);
    uint64_t end = sent + 2 * S - 2 * engine_tick_ns(en);
    CHECK_INT(engine_due(en, end - 1, out, 1), 0);
    CHECK_INT(st()->results[STATS_LOST], 0);
    CHECK_INT(engine_in_flight(en), 1);
    CHECK_INT(engine_due(en, end, out, 1), 0);
    CHECK_INT(st()->results[STATS_LOST], 1);
    CHECK_INT(engine_in_flight(en), 0);
    struct engine_reply r = after(0);
    CHECK(!engine_reply(en, &t, &r));
    CHECK_INT(st()->results[STATS_RECEIVED], 0);
    stop();
}

// An answer belongs to a probe by all three parts of its token.
static void test_no_alias(void)
{
    start();
    CHECK_INT(apply(), 0);
    struct engine_token t = next_probe();
    struct engine_reply r = after(1);
    struct engine_token wrong[] = {{t.id + 1, t.seq, t.cookie},          {t.id, t.seq + 1, t.cookie},
                                   {t.id, t.seq, t.cookie ^ 1},          {t.id, t.seq + 0x10000, t.cookie},
                                   {t.id, t.seq - 2, t.cookie},          {UINT32_MAX, t.seq, t.cookie},
                                   {t.id, t.seq + 0x80000000u, t.cookie}};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        CHECK(!engine_reply(en, &wrong[i], &r));
        CHECK(!engine_unreachable(en, &wrong[i], REASON_HOST));
        CHECK(!engine_send_failed(en, &wrong[i], ENETUNREACH));
        engine_tx(en, &wrong[i], now);
    }
    CHECK_INT(st()->in_flight, 1);
    CHECK(engine_reply(en, &t, &r));
    stop();
}

// 70,000 probes, past 16 bits, each second answer out of turn.
static void test_long_run(void)
{
    start();
    CHECK_INT(apply(), 0);
    for (unsigned i = 0; i < 70000; i++) {
        struct engine_token t = next_probe(), u = next_probe();
        struct engine_reply r = after(1);
        CHECK(engine_reply(en, &u, &r));
        CHECK(engine_reply(en, &t, &r));
    }
    CHECK_INT(st()->sent, 140000);
    CHECK_INT(st()->results[STATS_RECEIVED] + st()->results[STATS_LATE], 140000);
    CHECK_INT(st()->reordered, 70000);
    CHECK_INT(st()->duplicates, 0);
    stop();
}

// Flows are read one after another, and have ways of their own: only in one flow can an answer be out of
// turn.
static void test_turns_of_flows(void)
{
    start();
    f.file.spec.n_targets = 0;
    f.file.spec.mesh.families = FAMILY_BIT(FAMILY_IPV4);
    f.file.spec.mesh.probes[0] = (struct spec_probe){
        .name = "udp", .type = SPEC_STAMP, .flows = 2, .interval_ns = 100 * MS, .timeout_ns = S};
    files_peer(&f, "n1", "a", "192.0.2.1", NULL, PEER_READY);
    files_peer(&f, "n2", "a", "192.0.2.2", NULL, PEER_READY);
    CHECK_INT(apply(), 0);
    struct engine_token t[4];
    struct engine_reply r = after(1), corrupt = after(1);
    corrupt.corrupt = true;
    for (unsigned i = 0; i < 4; i++)
        t[i] = next_probe();
    CHECK(engine_reply(en, &t[1], &r));
    CHECK(engine_reply(en, &t[0], &r)); // of the other flow
    CHECK_INT(st()->reordered, 0);
    for (unsigned i = 0; i < 4; i++)
        t[i] = next_probe();
    CHECK(engine_reply(en, &t[3], &r));
    CHECK(engine_reply(en, &t[2], &corrupt));
    CHECK(engine_reply(en, &t[0], &r)); // what is corrupt puts nothing out of turn
    CHECK_INT(st()->reordered, 0);
    CHECK(engine_reply(en, &t[1], &r));
    CHECK_INT(st()->reordered, 1);
    stop();
}

// The stamps that are there decide; a stamp that cannot be is not believed.
static void test_stamps(void)
{
    const struct {
        int64_t tx, rx; // from sending, ns; 0: none
        uint64_t rtt;
        enum stats_stamp source;
    } at[] = {
        {20000, 90000, 70000, STATS_STAMP_KERNEL},
        {0, 90000, 90000, STATS_STAMP_KERNEL_RX},
        {20000, 0, 50000000, STATS_STAMP_USER},
        {0, 0, 50000000, STATS_STAMP_USER},
        {-5000, 90000, 95000, STATS_STAMP_KERNEL},                  // the clocks' noise
        {95000, 90000, 90000, STATS_STAMP_KERNEL_RX},               // sent after it came?
        {20000, 500000000, 50000000, STATS_STAMP_USER},             // from the future
        {20000, -20000000, 50000000, STATS_STAMP_USER},             // before it was sent
        {INT64_C(9000000000), 90000, 90000, STATS_STAMP_KERNEL_RX}, // out of range
    };
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        start();
        CHECK_INT(apply(), 0);
        struct engine_token t = next_probe();
        if (at[i].tx)
            engine_tx(en, &t, now + (uint64_t)at[i].tx);
        struct engine_reply r = {.now_ns = now + 50 * MS, .rx_ns = at[i].rx ? now + (uint64_t)at[i].rx : 0};
        CHECK(engine_reply(en, &t, &r));
        CHECK_INT(st()->rtt_sum_ns, at[i].rtt);
        CHECK_INT(engine_agent_stats(en)->stamps[at[i].source], 1);
        stop();
    }
}

// An error that quotes 8 bytes of ours names a probe only if it can be no other.
static void test_short_error(void)
{
    start();
    files_target(&f, "twin", SPEC_ICMP, "192.0.2.2", 0);
    CHECK_INT(apply(), 0);
    struct engine_token t = next_probe(), u = next_probe();
    struct addr a = files_addr("192.0.2.1"), b = files_addr("192.0.2.2");
    bool swapped = engine_plan(en)->pairs[out[0].pair].dest != 1;
    if (swapped) {
        struct addr x = a;
        a = b;
        b = x;
    }
    struct engine_token found;
    CHECK(!engine_find_at(en, &a, (uint16_t)(t.seq + 7), &found));
    CHECK(!engine_find_at(en, &b, (uint16_t)t.seq, &found) || (uint16_t)t.seq == (uint16_t)u.seq);
    CHECK(engine_find_at(en, &a, (uint16_t)t.seq, &found));
    CHECK(found.id == t.id && found.seq == t.seq && found.cookie == t.cookie);
    CHECK(engine_unreachable(en, &found, REASON_HOST));
    CHECK(!engine_find_at(en, &a, (uint16_t)t.seq, &found));
    CHECK(engine_unreachable(en, &u, REASON_HOST));
    stop();
}

static void test_reload_keeps(void)
{
    start();
    files_peer(&f, "n1", "a", "192.0.2.11", NULL, PEER_READY);
    files_peer(&f, "n2", "a", "192.0.2.12", NULL, PEER_READY);
    CHECK_INT(apply(), 0);
    struct engine_token t[2] = {next_probe(), next_probe()};
    uint64_t next = now;
    f.peers.list[1].pod[FAMILY_IPV4] = files_addr("192.0.2.99");
    f.file.spec.mesh.probes[0].timeout_ns = 4 * S; // a larger ring
    f.file.spec.metrics.rtt_buckets_us[2] = 5000;
    f.file.spec.metrics.n_buckets = 3;
    CHECK_INT(apply(), 0);
    CHECK_INT(engine_in_flight(en), 2);
    struct engine_reply r = after(1);
    CHECK(engine_reply(en, &t[0], &r));
    CHECK(engine_reply(en, &t[1], &r));
    CHECK_INT(st()->results[STATS_RECEIVED], 1);
    CHECK_INT(st()->n_buckets, 3);
    // the phase stays: nobody is probed twice within a second, or left out
    unsigned n = 0;
    for (; now < next + 1005 * MS; now += 5 * MS)
        n += (unsigned)engine_due(en, now, out, 16);
    CHECK_INT(n, 2);
    CHECK(addr_equal(&out[0].to, &f.peers.list[1].pod[0]) || addr_equal(&out[0].to, &f.targets[0].address));
    stop();
}

static void test_paused(void)
{
    start();
    CHECK_INT(apply(), 0);
    struct engine_token t = next_probe();
    f.file.paused = true;
    CHECK_INT(apply(), 0);
    struct engine_reply r = after(1);
    CHECK(engine_reply(en, &t, &r));
    uint64_t end = now + 60 * S;
    for (; now < end; now += 50 * MS)
        CHECK_INT(engine_due(en, now, out, 16), 0);
    f.file.paused = false;
    CHECK_INT(apply(), 0);
    next_probe();
    CHECK(now < end + S + 10 * MS);
    CHECK_INT(st()->sent, 2);
    CHECK_INT(engine_agent_stats(en)->skipped, 0);
    stop();
}

// 1,000 pairs at a probe a second: no tick sends more than a fraction of them.
static void test_spread(void)
{
    start();
    for (unsigned i = 0; i < 1000; i++) {
        char node[16];
        struct err e;
        snprintf(node, sizeof(node), "p%04u", i);
        struct peer p = {.node = node, .zone = (char[]){""}};
        p.pod[0] = (struct addr){.set = 1, .bytes = {198, 18, (uint8_t)(i / 256), (uint8_t)i}};
        CHECK_INT(peers_add(&f.peers, &p, &e), 0);
    }
    CHECK_INT(apply(), 0);
    CHECK_INT(engine_tick_ns(en), 50 * MS);
    size_t most = 0, sum = 0;
    for (unsigned i = 0; i < 200; i++) {
        now += engine_tick_ns(en);
        size_t n = engine_due(en, now, out, engine_burst(en));
        most = n > most ? n : most;
        sum += n;
    }
    CHECK(most < 100); // 50 on average
    CHECK(sum > 9980 && sum <= 10010);
    // After a stall of 10 s each pair sends once, in bursts that are bounded.
    now += 10 * S;
    CHECK_INT(engine_due(en, now, out, engine_burst(en)), engine_burst(en));
    CHECK(engine_agent_stats(en)->skipped > 1000);
    stop();
}

static void test_ticks(void)
{
    static const struct {
        unsigned pairs;
        uint64_t interval, tick;
    } at[] = {{0, S, S},          {1, S, 100 * MS},   {10, S, 100 * MS},     {11, S, 50 * MS},
              {2000, S, 50 * MS}, {2100, S, 20 * MS}, {1, 100 * MS, 50 * MS}};
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        start();
        f.file.spec.n_targets = 0;
        f.file.spec.mesh.probes[0].interval_ns = at[i].interval;
        for (unsigned k = 0; k < at[i].pairs; k++) {
            char node[16];
            struct err e;
            snprintf(node, sizeof(node), "p%04u", k);
            struct peer p = {.node = node, .zone = (char[]){""}};
            p.pod[0] = (struct addr){.set = 1, .bytes = {198, 18, (uint8_t)(k / 256), (uint8_t)k}};
            CHECK_INT(peers_add(&f.peers, &p, &e), 0);
        }
        CHECK_INT(apply(), 0);
        CHECK_INT(engine_tick_ns(en), at[i].tick);
        stop();
    }
}

// A type's own bytes: zero, kept over reloads, the first ones also when there are more or fewer.
static int apply_own(uint16_t fixed, uint16_t slot)
{
    struct plan *p;
    struct err e = {0};
    int r = plan_build(&f.file, &f.peers, "n1", SPEC_NETWORK_POD, engine_plan(en), now, &p, &e);
    for (size_t i = 0; r == 0 && i < p->n_probes; i++) {
        p->probes[i].own_fixed = fixed;
        p->probes[i].own_slot = slot;
    }
    return r == 0 ? engine_apply(en, p, now, &e) : r;
}

static void test_own(void)
{
    start();
    CHECK_INT(apply_own(8, 4), 0);
    struct engine_own own = engine_own(en, 0);
    CHECK_INT(own.slots, 4);
    CHECK_INT((uintptr_t)own.bytes % sizeof(uint64_t), 0);
    for (unsigned i = 0; i < 24; i++) {
        CHECK_INT(((uint8_t *)own.bytes)[i], 0);
        ((uint8_t *)own.bytes)[i] = (uint8_t)(i + 1);
    }
    struct engine_token t = next_probe();
    CHECK_INT(own.id, t.id);
    static const struct {
        uint16_t fixed, slot;
        unsigned bytes, kept;
    } at[] = {{8, 4, 24, 24}, {16, 4, 32, 24}, {8, 0, 8, 8}, {8, 4, 24, 8}};
    for (size_t k = 0; k < ARRAY_LEN(at); k++) {
        size_t before = engine_memory(engine_plan(en));
        unsigned had = k ? at[k - 1].bytes : 24;
        CHECK_INT(apply_own(at[k].fixed, at[k].slot), 0);
        CHECK_INT(engine_memory(engine_plan(en)) - before, (int64_t)at[k].bytes - had);
        own = engine_own(en, 0);
        for (unsigned i = 0; i < at[k].bytes; i++)
            CHECK_INT(((uint8_t *)own.bytes)[i], i < at[k].kept ? i + 1 : 0);
    }
    struct engine_reply r = after(1);
    CHECK(engine_reply(en, &t, &r));
    CHECK(stats_consistent(st()));
    stop();
}

static void test_rename(void)
{
    start();
    CHECK_INT(apply(), 0);
    struct engine_token t = next_probe(), old = t;
    engine_rename(en, &t, 77);
    CHECK_INT(t.cookie, 77);
    struct engine_reply r = after(1);
    CHECK(!engine_reply(en, &old, &r));
    engine_rename(en, &old, 78); // nobody's any more
    CHECK(engine_reply(en, &t, &r));
    stop();
}

// What the far end held is no part of the RTT, unless it says more than there was.
static void test_held(void)
{
    static const struct {
        uint64_t rtt, held, want; // us
        enum stats_result result;
    } at[] = {{500, 200, 300, STATS_RECEIVED},   {500, 500, 0, STATS_RECEIVED},
              {500, 501, 500, STATS_RECEIVED},   {1000100, 200, 999900, STATS_RECEIVED},
              {1000100, 2000000, 0, STATS_LATE}, {2000001, 1999999, 0, STATS_LOST}}; // nobody waited so long
    start();
    CHECK_INT(apply(), 0);
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        uint64_t sum = st()->rtt_sum_ns, n = st()->results[at[i].result];
        struct engine_token t = next_probe();
        struct engine_reply r = after(at[i].rtt * NS_PER_US);
        r.held_ns = at[i].held * NS_PER_US;
        CHECK(engine_reply(en, &t, &r));
        CHECK_INT(st()->results[at[i].result], n + 1);
        CHECK_INT(st()->rtt_sum_ns - sum, at[i].want * NS_PER_US);
    }
    stop();
}

// Ticks for so long; how many probes of pair 0 were begun.
static size_t begun(uint64_t ns)
{
    size_t n = 0;
    for (uint64_t end = now + ns; now < end; now += 10 * MS)
        for (size_t i = engine_due(en, now, out, 64); i > 0; i--)
            n += out[i - 1].pair == 0;
    return n;
}

// What is held is not begun, what was in flight ends, and afterwards it goes on at its own phase.
static void test_hold(void)
{
    static const uint8_t held[2] = {FAMILY_BIT(FAMILY_IPV4), FAMILY_BIT(FAMILY_IPV6)}, none[2];
    start();
    files_target(&f, "other", SPEC_ICMP, "192.0.2.2", 0);
    CHECK_INT(apply(), 0);
    CHECK_INT(begun(S), 1);
    uint64_t other = engine_stats(en, 1)->sent;
    struct stats_delay before = engine_agent_stats(en)->schedule_delay;
    engine_hold(en, held, now);
    CHECK_INT(begun(10 * S), 0);
    CHECK_INT(st()->sent, 1);
    CHECK_INT(st()->in_flight, 0);
    CHECK_INT(st()->results[STATS_LOST], 1); // the one in flight ends as it will
    CHECK_INT(engine_stats(en, 1)->sent, other + 10);
    engine_hold(en, none, now);
    CHECK_INT(begun(10 * S), 10);
    struct stats_delay after = engine_agent_stats(en)->schedule_delay;
    CHECK_INT(after.sum_ns - before.sum_ns < 31 * 10 * MS, 1); // never late by more than our own step
    CHECK_INT(engine_agent_stats(en)->skipped, 0);
    engine_hold(en, held, now);
    engine_stop(en);
    engine_hold(en, none, now); // it stays stopped
    CHECK_INT(begun(10 * S), 0);
    stop();
}

// Another interval spreads the probes over the whole of it, and does not leave them in a part.
static void test_spread_after_reload(void)
{
    unsigned seconds[10] = {0};
    start();
    files_release(&f);
    files_init(&f);
    for (unsigned i = 0; i < 200; i++) {
        char node[16], v4[32];
        snprintf(node, sizeof(node), "m%u", i);
        snprintf(v4, sizeof(v4), "198.19.0.%u", i + 1);
        files_peer(&f, node, "z", v4, NULL, PEER_READY);
    }
    CHECK_INT(apply(), 0);
    for (uint64_t end = now + 3 * S; now < end; now += 10 * MS)
        engine_due(en, now, out, ARRAY_LEN(out));
    f.file.spec.mesh.probes[0].interval_ns = 10 * S;
    CHECK_INT(apply(), 0);
    for (uint64_t begin = now; now < begin + 10 * S; now += 10 * MS)
        seconds[(now - begin) / S] += (unsigned)engine_due(en, now, out, ARRAY_LEN(out));
    for (size_t i = 0; i < ARRAY_LEN(seconds); i++)
        CHECK(seconds[i] >= 5 && seconds[i] <= 50); // 20 if they were even
    stop();
}

// A tick's share is handed out in pieces, as the prober asks for it; nobody is skipped for the sake of a
// piece.
static void test_pieces(void)
{
    start();
    for (unsigned k = 0; k < 600; k++) {
        char node[16], address[16];
        snprintf(node, sizeof(node), "p%04u", k);
        snprintf(address, sizeof(address), "198.18.%u.%u", k / 256, k % 256);
        files_peer(&f, node, "", address, NULL, PEER_READY);
    }
    CHECK_INT(apply(), 0);
    now += 1 * S; // everybody is due
    size_t begun = 0, piece = 7;
    for (size_t n = piece; n == piece; begun += n)
        n = engine_due(en, now, out, piece);
    CHECK_INT(begun, engine_plan(en)->n_pairs);
    CHECK_INT(engine_agent_stats(en)->skipped, 0);
    stop();
}

static const struct check_case cases[] = {
    {"a share in pieces", test_pieces},
    {"spread after a reload", test_spread_after_reload},
    {"each outcome", test_outcomes},
    {"unresolved", test_unresolved},
    {"lost only after the grace", test_lost_only_after_the_grace},
    {"no answer is taken for another's", test_no_alias},
    {"past 16 bits, out of turn", test_long_run},
    {"out of turn, by flow", test_turns_of_flows},
    {"the stamps that can be believed", test_stamps},
    {"an error that quotes little", test_short_error},
    {"a reload keeps counters, flights and phases", test_reload_keeps},
    {"a type's own bytes", test_own},
    {"another cookie", test_rename},
    {"what the far end held", test_held},
    {"paused", test_paused},
    {"held back and let go", test_hold},
    {"sending is spread, and never made up for", test_spread},
    {"ticks", test_ticks},
};
CHECK_MAIN(cases)
