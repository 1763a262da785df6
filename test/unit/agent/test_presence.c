// SPDX-License-Identifier: Apache-2.0
// What an agent believes of its peers, step by step under a virtual clock, and what it does not believe.
#include "test/unit/check.h"

#include "agent/peer_wire.h"
#include "agent/presence.h"
#include "test/unit/agent/files.h"

#define S NS_PER_S
#define MS NS_PER_MS
#define BOTH (FAMILY_BIT(FAMILY_IPV4) | FAMILY_BIT(FAMILY_IPV6))

static struct files f;
static struct presence *ps;
static struct plan *plan;
static uint64_t now;
static struct presence_question q[LIMIT_PEER_QUESTIONS];
static size_t n_q;

static int apply(void)
{
    struct plan *p;
    struct presence_change c = {0};
    struct err e = {0};
    int r = plan_build(&f.file, &f.peers, "n1", SPEC_NETWORK_POD, plan, now, &p, &e);
    if (r == 0)
        r = presence_prepare(ps, p, now, &c, &e);
    if (r != 0) {
        printf("    %s\n", e.msg);
        return r;
    }
    presence_commit(ps, &c);
    plan_free(plan);
    plan = p;
    return 0;
}

static void stop(void)
{
    presence_free(ps);
    plan_free(plan);
    files_release(&f);
    ps = NULL;
    plan = NULL;
}

// n1 among n2 (both families) and n3 (IPv4).
static void start(void)
{
    struct err e;
    if (ps) // a case failed before this one
        stop();
    now = 100 * S;
    files_init(&f);
    files_peer(&f, "n1", "a", "198.18.0.1", "2001:db8::1", PEER_READY);
    files_peer(&f, "n2", "a", "198.18.0.2", "2001:db8::2", PEER_READY);
    files_peer(&f, "n3", "a", "198.18.0.3", NULL, PEER_READY);
    files_target(&f, "gateway", SPEC_ICMP, "192.0.2.1", 0);
    ps = presence_new(files_random, NULL, &e);
    if (apply() != 0)
        printf("    no plan\n");
}

static unsigned held(const char *name)
{
    presence_settle(ps, now);
    for (size_t i = 0; i < plan->n_dests; i++)
        if (strcmp(plan->dests[i].name, name) == 0)
            return presence_held(ps)[i];
    return 99;
}

static size_t due(void)
{
    n_q = presence_due(ps, now, q);
    return n_q;
}

// The nonce of the last question to that address; 0: it was not asked.
static uint64_t nonce_for(const char *address)
{
    struct addr a = files_addr(address);
    for (size_t i = 0; i < n_q; i++)
        if (addr_equal(&q[i].to, &a))
            return q[i].nonce;
    return 0;
}

static bool answer(const char *node, const char *from, uint64_t nonce, bool leaving)
{
    struct addr a = files_addr(from);
    return presence_answered(ps, peer_wire_agent(node, SPEC_NETWORK_POD), &a, nonce, leaving, now);
}

static bool hear(const char *node, bool leaving)
{
    return presence_heard(ps, peer_wire_agent(node, SPEC_NETWORK_POD), leaving, now);
}

// Goes to the next moment at which something is asked: presence_next may be early. False: there is none.
static bool next_due(void)
{
    for (n_q = 0; n_q == 0 && presence_next(ps) != UINT64_MAX; due())
        now = MAX(now, presence_next(ps));
    return n_q > 0;
}

// Everybody answers that it stays.
static bool all_stay(void)
{
    due();
    bool ok = answer("n2", "198.18.0.2", nonce_for("198.18.0.2"), false);
    ok &= answer("n2", "2001:db8::2", nonce_for("2001:db8::2"), false);
    ok &= answer("n3", "198.18.0.3", nonce_for("198.18.0.3"), false);
    return ok && !held("n2") && !held("n3");
}

// n2 says so and answers so.
static bool n2_leaves(void)
{
    now += S;
    hear("n2", true);
    due();
    return answer("n2", "198.18.0.2", nonce_for("198.18.0.2"), true) && held("n2") == BOTH;
}

static void test_new_until_it_answers(void)
{
    start();
    CHECK_INT(held("n2"), BOTH);
    CHECK_INT(held("n3"), FAMILY_BIT(FAMILY_IPV4));
    CHECK_INT(held("gateway"), 0);
    CHECK_INT(due(), 3);
    CHECK_INT(presence_due(ps, now, q + n_q), 0);
    uint64_t v4 = nonce_for("198.18.0.2"), v6 = nonce_for("2001:db8::2");
    CHECK(v4 && v6 && v4 != v6);
    CHECK(answer("n2", "198.18.0.2", v4, false));
    CHECK_INT(held("n2"), FAMILY_BIT(FAMILY_IPV6)); // each address for itself
    size_t count[PRESENCE_STATES];
    presence_count(ps, SPEC_NETWORK_POD, count);
    CHECK_INT(count[PRESENCE_ACTIVE], 1);
    CHECK_INT(count[PRESENCE_PENDING], 1);
    now += S;
    CHECK_INT(due(), 3);
    CHECK_INT(nonce_for("2001:db8::2"), v6); // a slow answer still counts
    CHECK(answer("n2", "2001:db8::2", v6, false));
    CHECK_INT(held("n2"), 0);
    CHECK(answer("n3", "198.18.0.3", nonce_for("198.18.0.3"), false));
    CHECK(!next_due()); // a fleet at rest says nothing
    stop();
}

static void test_patience(void)
{
    start();
    size_t asked = 0;
    for (uint64_t end = now + LIMIT_PEER_PATIENCE_NS; now < end; now += 100 * MS) {
        CHECK_INT(held("n2"), BOTH);
        asked += due();
    }
    CHECK_INT(asked, 10 * 3);
    CHECK_INT(held("n2"), 0);
    CHECK_INT(held("n3"), 0);
    CHECK_INT(presence_stats(ps)->expired[PRESENCE_PENDING], 3);
    CHECK(!next_due());
    stop();
}

static void test_leaves_and_comes_back(void)
{
    start();
    CHECK(all_stay());
    now += 60 * S;
    CHECK(hear("n2", true));
    CHECK_INT(held("n2"), 0); // a hint alone is nothing
    CHECK_INT(due(), 2);
    CHECK(answer("n2", "2001:db8::2", nonce_for("2001:db8::2"), true));
    CHECK_INT(held("n2"), BOTH); // whichever address said it
    CHECK_INT(held("n3"), 0);
    size_t count[PRESENCE_STATES];
    presence_count(ps, SPEC_NETWORK_POD, count);
    CHECK_INT(count[PRESENCE_LEAVING], 1);
    for (unsigned i = 0; i < 5; i++) { // asked again, every two seconds
        CHECK(next_due());
        CHECK_INT(n_q, 2);
    }
    CHECK_INT(now, 160 * S + 10 * S);
    CHECK(answer("n2", "198.18.0.2", nonce_for("198.18.0.2"), false));
    CHECK_INT(held("n2"), FAMILY_BIT(FAMILY_IPV6)); // this one has yet to answer
    CHECK(answer("n2", "2001:db8::2", nonce_for("2001:db8::2"), false));
    CHECK_INT(held("n2"), 0);
    stop();
}

// One that left and came back asks us: we ask it at once, and do not wait for our turn.
static void test_its_question_makes_us_ask(void)
{
    start();
    CHECK_INT(due(), 3);
    now += 300 * MS;
    CHECK(hear("n3", false)); // we did not know that it is there
    CHECK_INT(due(), 1);
    stop();
    start();
    CHECK(all_stay());
    CHECK(n2_leaves());
    now += 300 * MS;
    CHECK(hear("n2", false));
    CHECK_INT(due(), 2);
    CHECK(answer("n2", "198.18.0.2", nonce_for("198.18.0.2"), false));
    stop();
}

// Gone without coming back: for a while it is nobody's loss, then it is.
static void test_silence_ends(void)
{
    start();
    CHECK(all_stay());
    CHECK(n2_leaves());
    uint64_t last = now;
    now += 50 * S; // it still answers, and still leaves
    due();
    CHECK(answer("n2", "198.18.0.2", nonce_for("198.18.0.2"), true));
    last = now;
    now = last + LIMIT_PEER_SILENCE_NS - 1;
    CHECK_INT(held("n2"), BOTH);
    now++;
    CHECK_INT(held("n2"), 0);
    CHECK_INT(presence_stats(ps)->expired[PRESENCE_LEAVING], 2);
    CHECK(!next_due());
    stop();
}

static void test_what_is_not_believed(void)
{
    start();
    CHECK(all_stay());
    now += 10 * S;
    CHECK(!hear("n9", true)); // no peer
    CHECK(!answer("n2", "198.18.0.2", 0, true));
    CHECK(!answer("n2", "198.18.0.2", 1, true)); // no question is open
    CHECK(hear("n2", true));
    CHECK_INT(due(), 2);
    uint64_t v4 = nonce_for("198.18.0.2"), v6 = nonce_for("2001:db8::2");
    CHECK(!answer("n2", "198.18.0.2", v4 + 1, true));
    CHECK(!answer("n2", "198.18.0.3", v4, true));  // another address
    CHECK(!answer("n2", "2001:db8::2", v4, true)); // the other address's nonce
    CHECK(!answer("n3", "198.18.0.2", v4, true));  // another node, which has this address now
    CHECK(!answer("n9", "198.18.0.2", v4, true));
    CHECK_INT(held("n2"), 0);
    CHECK(answer("n2", "198.18.0.2", v4, false));
    CHECK(answer("n2", "2001:db8::2", v6, false));
    CHECK(!answer("n2", "198.18.0.2", v4, true)); // a nonce is good for one answer
    CHECK(!answer("n2", "2001:db8::2", v6, true));
    CHECK_INT(held("n2"), 0);
    stop();
}

// An answer of last time, kept and sent again, is none.
static void test_replay(void)
{
    start();
    CHECK(all_stay());
    CHECK(n2_leaves());
    uint64_t kept = nonce_for("2001:db8::2"); // not answered yet
    now += 3 * S;
    due();
    CHECK(answer("n2", "198.18.0.2", nonce_for("198.18.0.2"), false));
    CHECK(answer("n2", "2001:db8::2", nonce_for("2001:db8::2"), false));
    CHECK_INT(held("n2"), 0);
    CHECK(!answer("n2", "2001:db8::2", kept, true));
    now += 100 * S;
    hear("n2", true);
    due();
    CHECK(nonce_for("2001:db8::2") != kept && !answer("n2", "2001:db8::2", kept, true));
    CHECK_INT(held("n2"), 0);
    stop();
}

// A question that was asked before the hint came says nothing of it, whatever its answer.
static void test_hint_after_the_question(void)
{
    start();
    CHECK(all_stay());
    now += 10 * S;
    hear("n2", true);
    CHECK_INT(due(), 2);
    uint64_t before = nonce_for("198.18.0.2");
    hear("n2", true);
    CHECK(answer("n2", "198.18.0.2", before, false));
    now += 250 * MS;
    CHECK_INT(due(), 2);
    CHECK(answer("n2", "198.18.0.2", nonce_for("198.18.0.2"), true));
    CHECK_INT(held("n2"), BOTH);
    stop();

    start();
    CHECK(all_stay());
    now += 10 * S;
    hear("n2", true);
    CHECK_INT(due(), 2);
    before = nonce_for("198.18.0.2");
    now += 250 * MS;
    hear("n2", true);
    CHECK_INT(due(), 2);
    CHECK(!answer("n2", "198.18.0.2", before, false)); // the slow answer, too late to be of use
    CHECK(answer("n2", "198.18.0.2", nonce_for("198.18.0.2"), true));
    CHECK_INT(held("n2"), BOTH);
    stop();
}

// A nonce serves for its time, whenever it was made.
static void test_slow_answers(void)
{
    start();
    CHECK(all_stay());
    now += 1900 * MS;
    hear("n2", true);
    CHECK_INT(due(), 2);
    uint64_t first = nonce_for("198.18.0.2");
    now += 250 * MS;
    CHECK_INT(due(), 2);
    CHECK(nonce_for("198.18.0.2") == first);
    CHECK(answer("n2", "198.18.0.2", first, true));
    stop();
}

// A thousand hints a second for a minute: no state changes, few questions, and n3 is heard all the same.
static void test_flood(void)
{
    start();
    CHECK(all_stay());
    size_t asked = 0;
    for (unsigned i = 0; i < 60000; i++) {
        now += MS;
        hear("n2", true);
        asked += due();
    }
    CHECK_INT(held("n2"), 0);
    CHECK(asked > 0 && asked <= 60 * 5 * 2 + 2);
    hear("n3", true);
    due();
    CHECK(answer("n3", "198.18.0.3", nonce_for("198.18.0.3"), true));
    CHECK(held("n3") != 0);
    stop();
}

static void test_reload(void)
{
    start();
    due();
    CHECK(answer("n3", "198.18.0.3", nonce_for("198.18.0.3"), false));
    uint64_t v4 = nonce_for("198.18.0.2");
    now += 4 * S;
    files_peer(&f, "n0", "a", "198.18.0.10", NULL, PEER_READY); // other indices
    CHECK_INT(apply(), 0);
    CHECK_INT(held("n3"), 0); // known
    CHECK(held("n0") != 0);
    CHECK(answer("n2", "198.18.0.2", v4, false)); // to the question of before
    CHECK_INT(held("n2"), FAMILY_BIT(FAMILY_IPV6));
    now += 6 * S; // patience did not begin anew
    CHECK_INT(held("n2"), 0);
    CHECK(n2_leaves());
    CHECK_INT(apply(), 0);
    CHECK_INT(held("n2"), BOTH);

    // A new Pod on the node: another address, which has to answer; the old one is forgotten.
    files_release(&f);
    f.peers = (struct peers){0};
    files_peer(&f, "n2", "a", "198.18.0.22", "2001:db8::22", PEER_READY);
    CHECK_INT(apply(), 0);
    size_t count[PRESENCE_STATES];
    presence_count(ps, SPEC_NETWORK_POD, count);
    CHECK_INT(count[PRESENCE_PENDING], 1);
    CHECK_INT(count[PRESENCE_ACTIVE] + count[PRESENCE_LEAVING], 0);
    CHECK_INT(due(), 2);
    CHECK(answer("n2", "198.18.0.22", nonce_for("198.18.0.22"), false));
    CHECK_INT(held("n2"), FAMILY_BIT(FAMILY_IPV6));

    // Not Ready in the files, and Ready again: new.
    f.peers.list[0].state = PEER_LEAVING;
    CHECK_INT(apply(), 0);
    presence_count(ps, SPEC_NETWORK_POD, count);
    CHECK_INT(count[0] + count[1] + count[2], 0);
    CHECK(!next_due());
    f.peers.list[0].state = PEER_READY;
    CHECK_INT(apply(), 0);
    CHECK_INT(held("n2"), BOTH);
    stop();
}

// The start of a large fleet: everybody is asked, soon, at a bounded rate, nobody twice before the last once.
// While a fleet is paused nobody is asked, nobody is missed, and no patience runs out; afterwards it is as
// after a start.
static void test_paused(void)
{
    start();
    CHECK(all_stay());
    CHECK(n2_leaves());
    f.file.paused = true;
    CHECK_INT(apply(), 0);
    CHECK_INT(held("n2"), 0);
    CHECK(!next_due());
    now += 300 * S;
    CHECK_INT(held("n2"), 0);
    CHECK_INT(presence_stats(ps)->expired[PRESENCE_LEAVING], 0);
    size_t count[PRESENCE_STATES];
    presence_count(ps, SPEC_NETWORK_POD, count);
    CHECK_INT(count[PRESENCE_ACTIVE], 2);
    CHECK_INT(apply(), 0); // another reload changes nothing
    CHECK(!next_due());
    f.file.paused = false;
    CHECK_INT(apply(), 0);
    CHECK_INT(held("n2"), BOTH);
    CHECK(all_stay());
    stop();
}

// The two agents of a node are two: what one says is not said of the other, in whatever order they stand.
static void test_two_agents(void)
{
    for (unsigned leaver = 0; leaver < SPEC_NETWORKS; leaver++) {
        static const char *const address[] = {"198.18.0.2", "203.0.113.2"};
        struct addr pod = files_addr(address[0]), host = files_addr(address[1]);
        uint64_t id = peer_wire_agent("n2", (enum spec_network)leaver);
        size_t count[PRESENCE_STATES];
        start();
        f.file.spec.mesh.networks |= 1u << SPEC_NETWORK_NODE;
        files_host(&f, "n2", address[1], NULL, PEER_READY);
        CHECK_INT(apply(), 0);
        CHECK_INT(due(), 4);
        CHECK(!presence_answered(ps, peer_wire_agent("n2", SPEC_NETWORK_POD), &host, nonce_for(address[1]),
                                 false, now));
        CHECK(presence_answered(ps, peer_wire_agent("n2", SPEC_NETWORK_NODE), &host, nonce_for(address[1]),
                                false, now));
        CHECK(answer("n2", "198.18.0.2", nonce_for("198.18.0.2"), false));
        CHECK(answer("n2", "2001:db8::2", nonce_for("2001:db8::2"), false));
        CHECK(answer("n3", "198.18.0.3", nonce_for("198.18.0.3"), false));
        now += 10 * S;
        CHECK(presence_heard(ps, id, true, now));
        CHECK_INT(due(), leaver == SPEC_NETWORK_POD ? 2 : 1);
        CHECK(presence_answered(ps, id, leaver ? &host : &pod, nonce_for(address[leaver]), true, now));
        for (unsigned n = 0; n < SPEC_NETWORKS; n++) {
            presence_count(ps, (enum spec_network)n, count);
            CHECK_INT(count[PRESENCE_LEAVING], n == leaver);
            CHECK_INT(count[PRESENCE_ACTIVE], (n != leaver) + (n == SPEC_NETWORK_POD)); // n3
        }
        (void)presence_settle(ps, now);
        for (size_t i = 0; i < plan->n_dests; i++)
            if (strcmp(plan->dests[i].name, "n2") == 0)
                CHECK((presence_held(ps)[i] != 0) == (plan->dests[i].network == leaver));
        stop();
    }
}

static void test_many(void)
{
    start();
    files_release(&f);
    f.peers = (struct peers){0};
    for (unsigned k = 0; k < 2000; k++) {
        char node[16];
        struct err e;
        snprintf(node, sizeof(node), "p%04u", k);
        struct peer p = {.node = node, .zone = (char[]){""}};
        p.pod[0] = (struct addr){.set = 1, .bytes = {198, 18, (uint8_t)(k >> 8), (uint8_t)k}};
        CHECK_INT(peers_add(&f.peers, &p, &e), 0);
    }
    CHECK_INT(apply(), 0);
    static unsigned times[2000];
    memset(times, 0, sizeof(times));
    size_t all = 0;
    uint64_t begin = now;
    for (; all < 2000; now = presence_next(ps)) {
        CHECK(due() <= LIMIT_PEER_QUESTIONS);
        for (size_t i = 0; i < n_q; i++)
            times[q[i].to.bytes[2] * 256 + q[i].to.bytes[3]]++;
        all += n_q;
    }
    for (unsigned k = 0; k < 2000; k++)
        CHECK(times[k] <= 2); // no more than one a second
    CHECK(now - begin < 2 * S);
    CHECK(presence_memory(plan) <= (plan->n_dests + 1) * 73);
    stop();
}

static const struct check_case cases[] = {
    {"new until it answers", test_new_until_it_answers},
    {"patience", test_patience},
    {"it leaves and comes back", test_leaves_and_comes_back},
    {"a peer's question makes us ask", test_its_question_makes_us_ask},
    {"silence ends", test_silence_ends},
    {"what is not believed", test_what_is_not_believed},
    {"a replay", test_replay},
    {"a hint after the question", test_hint_after_the_question},
    {"slow answers", test_slow_answers},
    {"a flood of hints", test_flood},
    {"a reload", test_reload},
    {"paused", test_paused},
    {"two agents of a node", test_two_agents},
    {"many peers", test_many},
};
CHECK_MAIN(cases)
