// SPDX-License-Identifier: Apache-2.0
// How soon a silent death is told: the engine, ticked as the prober ticks it, with probes of every type to
// who answers each at once and then, right after an answer, never again.
#include "test/unit/check.h"

#include "agent/engine.h"
#include "test/unit/agent/files.h"

#define S NS_PER_S
#define MS NS_PER_MS
#define RTT_NS (50 * NS_PER_US)
#define SEND_NS (3 * NS_PER_US) // what the sending of one packet takes
#define PAIRS 5

struct times {
    uint64_t interval, timeout;
};

static const struct times same[] = {
    {S, 3 * S},     {200 * MS, S}, {S, S},      {250 * MS, 2 * S}, {100 * MS, 60 * S}, {100 * MS, 100 * MS},
    {100 * MS, MS}, {5 * S, S},    {7 * S, S},  {10 * S, 10 * S},  {700 * MS, 2 * S},  {S, 100 * MS},
    {130 * MS, S},  {199 * MS, S}, {60 * S, S}, {60 * S, 60 * S},
};

static struct files f;
static struct engine *en;
static uint64_t now;

// One pair of each type, all of them to n2's address; times[i] are of the i-th.
static int begin(const struct times times[PAIRS])
{
    static char query[] = "www.example.com", url[] = "http://192.0.2.2/";
    struct plan *p;
    struct err e = {0};
    now = 100 * S;
    files_init(&f);
    files_peer(&f, "n1", "a", "192.0.2.1", NULL, PEER_READY);
    files_peer(&f, "n2", "a", "192.0.2.2", NULL, PEER_READY);
    files_target(&f, "resolver", SPEC_DNS, "192.0.2.2", 53);
    files_target(&f, "page", SPEC_HTTP, "192.0.2.2", 0);
    snprintf(f.targets[0].query, sizeof(f.targets[0].query), "%s", query);
    f.targets[0].server = f.targets[0].address;
    f.targets[0].record_type = DNS_A;
    f.targets[1].url = url;
    f.file.spec.mesh.families = FAMILY_BIT(FAMILY_IPV4);
    f.file.spec.mesh.n_probes = 3;
    for (unsigned i = 0; i < 3; i++) {
        static const enum spec_probe_type types[] = {SPEC_ICMP, SPEC_STAMP, SPEC_TCP};
        struct spec_probe *r = &f.file.spec.mesh.probes[i];
        *r = (struct spec_probe){.type = types[i],
                                 .flows = types[i] == SPEC_STAMP ? 4 : 0,
                                 .interval_ns = times[i].interval,
                                 .timeout_ns = times[i].timeout};
        snprintf(r->name, sizeof(r->name), "p%u", i);
    }
    for (unsigned i = 0; i < 2; i++) {
        f.targets[i].interval_ns = times[3 + i].interval;
        f.targets[i].timeout_ns = times[3 + i].timeout;
    }
    en = engine_new(files_random, NULL, &e);
    int r = plan_build(&f.file, &f.peers, "n1", SPEC_NETWORK_POD, NULL, now, &p, &e);
    if (r == 0)
        r = engine_apply(en, p, now, &e);
    if (r != 0)
        printf("    %s\n", e.msg);
    return r;
}

static void end(void)
{
    engine_free(en);
    en = NULL;
    files_release(&f);
}

// One tick. Of what it sent only the first `answers` are answered, before the next tick; when the last of
// these was, or 0.
static uint64_t tick(size_t answers, uint64_t rtt)
{
    static struct engine_send out[LIMIT_BURST];
    struct engine_reply r[LIMIT_BURST] = {0};
    uint64_t last = 0;
    size_t n = engine_due(en, now, out, engine_burst(en));
    for (size_t i = 0; i < n; i++) {
        uint64_t sent = now + (i + 1) * SEND_NS;
        engine_sent(en, &out[i].token, sent);
        r[i].rtt_ns = rtt;
        if (i < answers)
            last = sent + rtt;
    }
    now += engine_tick_ns(en);
    for (size_t i = 0; i < n && i < answers; i++) {
        r[i].now_ns = now;
        engine_reply(en, &out[i].token, &r[i]);
    }
    return last;
}

static const struct plan_probe *probe_of(size_t i)
{
    return &engine_plan(en)->probes[engine_plan(en)->pairs[i].probe];
}

// Answers for so long, dies after the answer to the first probe of a tick, and waits until every pair has
// told of it. The number of pairs that told it too late.
static unsigned die(uint64_t alive_ns)
{
    uint64_t dead = 0, told[PAIRS] = {0};
    unsigned late = 0, n = 0;
    for (uint64_t until = now + alive_ns; now < until;)
        tick(LIMIT_BURST, RTT_NS);
    while (!dead)
        dead = tick(1, RTT_NS);
    for (uint64_t until = now + 400 * S; n < PAIRS && now < until;) {
        uint64_t at = now;
        tick(0, 0);
        for (size_t i = 0; i < PAIRS; i++) {
            if (told[i] || engine_stats(en, i)->results[STATS_LOST] == 0)
                continue;
            told[i] = at;
            n++;
        }
    }
    for (size_t i = 0; i < PAIRS; i++) {
        const struct plan_probe *r = probe_of(i);
        uint64_t line = dead + 2 * r->interval_ns + r->timeout_ns;
        if (told[i] && told[i] <= line)
            continue;
        printf("    type %d, every %" PRIu64 " ms, timeout %" PRIu64 " ms: told %" PRId64
               " us after the line\n",
               r->type, r->interval_ns / MS, r->timeout_ns / MS,
               told[i] ? (int64_t)(told[i] - line) / (int64_t)NS_PER_US : -1);
        late++;
    }
    return late;
}

static void test_same_times(void)
{
    for (size_t k = 0; k < ARRAY_LEN(same); k++)
        for (unsigned i = 0; i < 25; i++) {
            const struct times times[PAIRS] = {same[k], same[k], same[k], same[k], same[k]};
            CHECK_INT(begin(times), 0);
            CHECK_INT(engine_plan(en)->n_pairs, PAIRS);
            CHECK_INT(die(2 * same[k].interval + i * 37 * MS), 0);
            end();
        }
}

// The shortest interval of a plan sets the tick of all.
static void test_mixed_times(void)
{
    for (size_t k = 0; k < ARRAY_LEN(same); k++)
        for (unsigned i = 0; i < 10; i++) {
            struct times times[PAIRS];
            for (size_t j = 0; j < PAIRS; j++)
                times[j] = same[(k + 3 * j) % ARRAY_LEN(same)];
            CHECK_INT(begin(times), 0);
            CHECK_INT(die(10 * S + i * 37 * MS), 0);
            end();
        }
}

// However long it is waited: what comes within the grace less two ticks is late, whenever it was sent.
static void test_late_is_not_lost(void)
{
    for (size_t k = 0; k < ARRAY_LEN(same); k++) {
        const struct times times[PAIRS] = {same[k], same[k], same[k], same[k], same[k]};
        CHECK_INT(begin(times), 0);
        uint64_t grace = probe_of(0)->grace_ns, ticks = 2 * engine_tick_ns(en);
        CHECK_INT(grace, MIN(MIN(same[k].interval, same[k].timeout), 5 * S));
        end();
        if (grace <= ticks)
            continue;
        CHECK_INT(begin(times), 0);
        struct engine_send out[PAIRS];
        struct engine_token t[PAIRS] = {0};
        uint64_t due[PAIRS] = {0};
        unsigned answered = 0;
        while (answered < PAIRS) { // one probe of each pair, answered at the first tick after that time
            for (size_t i = 0; i < PAIRS; i++) {
                if (!due[i] || now < due[i] || due[i] == UINT64_MAX)
                    continue;
                CHECK(engine_reply(
                    en, &t[i],
                    &(struct engine_reply){.now_ns = now, .rtt_ns = same[k].timeout + grace - ticks}));
                due[i] = UINT64_MAX;
                answered++;
            }
            size_t n = engine_due(en, now, out, PAIRS);
            for (size_t i = 0; i < n; i++) {
                engine_sent(en, &out[i].token, now + SEND_NS);
                if (due[out[i].pair])
                    continue;
                t[out[i].pair] = out[i].token;
                due[out[i].pair] = now + SEND_NS + same[k].timeout + grace - ticks;
            }
            now += engine_tick_ns(en);
        }
        for (size_t i = 0; i < PAIRS; i++)
            CHECK_INT(engine_stats(en, i)->results[STATS_LATE], 1);
        end();
    }
}

static void count_sends(struct engine_send *s, size_t n, void *arg)
{
    size_t *sent = arg;
    for (size_t i = 0; i < n; i++)
        engine_sent(en, &s[i].token, now);
    *sent += n;
}

// A tick that may begin no more has all the same to end what nobody answered, of every pair.
static void test_full_tick(void)
{
    struct engine_send out[7];
    struct plan *p;
    struct err e;
    size_t sent = 0;
    now = 100 * S;
    files_init(&f);
    f.file.spec.mesh.families = FAMILY_BIT(FAMILY_IPV4);
    for (unsigned i = 1; i <= 60; i++) {
        char name[8], address[16];
        snprintf(name, sizeof(name), "n%u", i);
        snprintf(address, sizeof(address), "192.0.2.%u", i);
        files_peer(&f, name, "a", address, NULL, PEER_READY);
    }
    en = engine_new(files_random, NULL, &e);
    CHECK_INT(plan_build(&f.file, &f.peers, "n1", SPEC_NETWORK_POD, NULL, now, &p, &e), 0);
    CHECK_INT(engine_apply(en, p, now, &e), 0);
    for (; sent < 59; now += engine_tick_ns(en))
        engine_tick(en, now, out, ARRAY_LEN(out), count_sends, &sent);
    now += 10 * S; // each pair is due again, and each probe has been given up
    sent = 0;
    engine_tick(en, now, out, ARRAY_LEN(out), count_sends, &sent);
    CHECK_INT(sent, engine_burst(en));
    CHECK(sent < 59);
    for (size_t i = 0; i < 59; i++)
        CHECK(engine_stats(en, i)->results[STATS_LOST] > 0);
    for (unsigned i = 0; i < 59; i++)
        engine_tick(en, now, out, ARRAY_LEN(out), count_sends, &sent);
    CHECK_INT(sent, 59); // who did not come to it
    end();
}

static const struct check_case cases[] = {
    {"a silent death is told within two intervals and the timeout", test_same_times},
    {"so it is beside probes with other times", test_mixed_times},
    {"what is late is not lost", test_late_is_not_lost},
    {"a tick without room for more probes ends the old ones", test_full_tick},
};
CHECK_MAIN(cases)
