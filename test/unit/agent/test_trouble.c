// SPDX-License-Identifier: Apache-2.0
// What the log is told of pairs that fail: when, how often at most, and what becomes of it over a reload.
#include "test/unit/check.h"

#include <unistd.h>

#include "agent/reason.h"
#include "agent/trouble.h"
#include "lib/log.h"
#include "test/unit/agent/files.h"

static struct files f;
static struct plan *plan;
static struct trouble t;
static uint64_t now;
static int said[2];
static char text[1u << 16]; // since the last look

static struct plan *build(const struct plan *old)
{
    struct plan *p = NULL;
    struct err e;
    if (plan_build(&f.file, &f.peers, "n1", SPEC_NETWORK_POD, old, now, &p, &e) != 0)
        printf("    %s\n", e.msg);
    return p;
}

static void start(unsigned peers)
{
    now = 1000 * NS_PER_S;
    t = (struct trouble){0};
    files_init(&f);
    files_peer(&f, "n1", "", "192.0.2.1", NULL, PEER_READY);
    for (unsigned i = 0; i < peers; i++) {
        char name[16], address[32];
        snprintf(name, sizeof(name), "p%03u", i);
        snprintf(address, sizeof(address), "198.18.%u.%u", i / 250, i % 250 + 1);
        files_peer(&f, name, "", address, NULL, PEER_READY);
    }
    plan = build(NULL);
    if (pipe(said) != 0)
        printf("    no pipe\n");
    log_init(LOG_INFO, said[1]);
}

static void stop(void)
{
    log_init(LOG_INFO, STDERR_FILENO);
    close(said[0]);
    close(said[1]);
    plan_free(plan);
    files_release(&f);
}

// Lines since the last call; they stand in `text`.
static size_t lines(void)
{
    static const char end[] = "\n";
    size_t n = 0;
    ssize_t len = write(said[1], end, 1) == 1 ? read(said[0], text, sizeof(text) - 1) : 0;
    text[len > 0 ? len - 1 : 0] = '\0';
    for (const char *c = text; *c; c++)
        n += *c == '\n';
    return n;
}

static void fail(size_t i, enum reason r)
{
    trouble_failed(&t, plan, i, STATS_UNREACHABLE, reason_name(r), now);
}

static void test_begins_and_ends(void)
{
    start(2);
    fail(1, REASON_HOST);
    CHECK_INT(lines(), 1);
    CHECK_CONTAINS(
        text,
        "\"level\":\"warn\",\"msg\":\"probes fail\",\"probe\":\"icmp\",\"destination\":\"p001\",\"network\":\"Pod\","
        "\"family\":\"IPv4\",\"result\":\"unreachable\",\"reason\":\"host\"");
    for (unsigned i = 0; i < 100; i++, now += NS_PER_S) {
        fail(1, REASON_HOST);
        trouble_settle(&t, plan, now);
    }
    CHECK_INT(lines(), 0); // the same, again and again, is no news
    now += TROUBLE_QUIET_NS - 1 - NS_PER_S;
    trouble_settle(&t, plan, now);
    CHECK_INT(lines(), 0);
    now++;
    trouble_settle(&t, plan, now);
    CHECK_INT(lines(), 1);
    CHECK_CONTAINS(text, "\"level\":\"info\",\"msg\":\"probes fail no longer for that reason\"");
    CHECK_CONTAINS(text, "\"failed\":101,");
    CHECK_INT(t.n, 0);
    fail(1, REASON_HOST);
    CHECK_INT(lines(), 1);
    stop();
}

static void test_reason_changes(void)
{
    start(1);
    fail(0, REASON_HOST);
    CHECK_INT(lines(), 1);
    now += NS_PER_S;
    fail(0, REASON_ADMIN_PROHIBITED);
    CHECK_INT(lines(), 0); // not in every moment
    now += TROUBLE_QUIET_NS;
    fail(0, REASON_ADMIN_PROHIBITED);
    CHECK_INT(lines(), 1);
    CHECK_CONTAINS(text, "\"reason\":\"admin_prohibited\"");
    trouble_failed(&t, plan, 0, STATS_SEND_ERROR, reason_error_name(0), now + TROUBLE_QUIET_NS);
    CHECK_INT(lines(), 1);
    CHECK_CONTAINS(text, "\"result\":\"send_error\",\"reason\":\"ENETUNREACH\"");
    stop();
}

// The end that is told is that of the failure that was told, though another one came after it in silence.
static void test_end_of_what_was_told(void)
{
    start(1);
    fail(0, REASON_REFUSED);
    CHECK_INT(lines(), 1);
    now += NS_PER_S;
    trouble_failed(&t, plan, 0, STATS_SEND_ERROR, reason_error_name(0), now);
    CHECK_INT(lines(), 0);
    now += TROUBLE_QUIET_NS;
    trouble_settle(&t, plan, now);
    CHECK_INT(lines(), 1);
    CHECK_CONTAINS(text, "no longer");
    CHECK_CONTAINS(text, "\"result\":\"unreachable\",\"reason\":\"refused\",\"failed\":2,");
    stop();
}

// A slow probe is not taken for well between two of its failures.
static void test_slow_probe(void)
{
    start(1);
    plan->probes[0].interval_ns = 60 * NS_PER_S;
    fail(0, REASON_HOST);
    CHECK_INT(lines(), 1);
    trouble_settle(&t, plan, now + 179 * NS_PER_S);
    CHECK_INT(lines(), 0);
    trouble_settle(&t, plan, now + 180 * NS_PER_S);
    CHECK_INT(lines(), 1);
    stop();
}

// A whole network fails, for a minute: some lines at once, then one a second, of others each time.
static void test_bounded(void)
{
    start(200);
    for (size_t i = 0; i < 200; i++)
        fail(i, REASON_NETWORK);
    CHECK_INT(lines(), TROUBLE_BURST);
    CHECK_INT(t.n, LIMIT_TROUBLES);
    size_t more = 0;
    for (unsigned s = 0; s < 60; s++) {
        now += NS_PER_S;
        for (size_t i = 0; i < 200; i++)
            fail(i, REASON_NETWORK);
        more += lines();
    }
    CHECK_INT(more, LIMIT_TROUBLES - TROUBLE_BURST);
    now += 60 * NS_PER_S; // it ended: what was told of is taken back, as fast as lines may come
    more = 0;
    for (unsigned s = 0; s < 60; s++, now += NS_PER_S) {
        trouble_settle(&t, plan, now);
        more += lines();
    }
    CHECK_INT(more, LIMIT_TROUBLES);
    CHECK_INT(t.n, 0);
    stop();
}

static void test_reload(void)
{
    start(4);
    fail(1, REASON_HOST);
    fail(3, REASON_HOST);
    CHECK_INT(lines(), 2);
    peers_release(&f.peers);
    f.peers = (struct peers){0};
    files_peer(&f, "a", "", "192.0.2.8", NULL, PEER_READY); // before all others
    files_peer(&f, "n1", "", "192.0.2.1", NULL, PEER_READY);
    files_peer(&f, "p003", "", "198.18.0.4", NULL, PEER_READY);
    struct plan *next = build(plan);
    CHECK(next);
    trouble_replan(&t, plan, next);
    plan_free(plan);
    plan = next;
    CHECK_INT(t.n, 1); // p001 is gone, nothing more is said of it
    CHECK_STR(plan->dests[plan->pairs[t.list[0].pair].dest].name, "p003");
    fail(t.list[0].pair, REASON_HOST);
    CHECK_INT(lines(), 0); // it is known already
    stop();
}

static const struct check_case cases[] = {
    {"a line when it begins, and one when it has ended", test_begins_and_ends},
    {"another reason is news", test_reason_changes},
    {"the end of what was told", test_end_of_what_was_told},
    {"a slow probe", test_slow_probe},
    {"many at once are some lines", test_bounded},
    {"over a reload", test_reload},
};

CHECK_MAIN(cases)
