// SPDX-License-Identifier: Apache-2.0
// Whom an agent tells that it leaves, and when.
#include "test/unit/check.h"

#include "agent/hints.h"
#include "test/unit/agent/files.h"

static struct files f;
static struct hints h;
static struct addr out[LIMIT_PEER_HINTS];

static bool has(size_t n, const char *address)
{
    struct addr a = files_addr(address);
    for (size_t i = 0; i < n; i++)
        if (addr_equal(&out[i], &a))
            return true;
    return false;
}

static int set(void)
{
    struct err e;
    return hints_set(&h, &f.file, &f.peers, "n1", SPEC_NETWORK_POD, &e);
}

static void start(void)
{
    hints_release(&h);
    files_init(&f);
    files_peer(&f, "n1", "a", "198.18.0.1", "2001:db8::1", PEER_READY);
    files_peer(&f, "n2", "a", "198.18.0.2", "2001:db8::2", PEER_READY);
    files_peer(&f, "n3", "a", "198.18.0.3", NULL, PEER_PENDING);
}

static void stop(void)
{
    hints_release(&h);
    files_release(&f);
}

static void test_whom(void)
{
    start();
    CHECK_INT(set(), 0);
    struct addr known = files_addr("198.18.0.2"), newcomer = files_addr("2001:db8::9");
    hints_asked(&h, &known);
    hints_asked(&h, &newcomer);
    hints_asked(&h, &newcomer);
    CHECK_INT(hints_due(&h, 100, out), 0); // it does not leave
    CHECK_INT(hints_next(&h), UINT64_MAX);
    CHECK(hints_knows(&h, &known) && !hints_knows(&h, &newcomer));
    hints_start(&h, 100);
    CHECK_INT(hints_due(&h, 100, out), 4);
    CHECK(has(4, "198.18.0.2") && has(4, "2001:db8::2") && has(4, "198.18.0.3") && has(4, "2001:db8::9"));
    stop();

    start(); // only families that are probed, and nobody without a mesh
    f.file.spec.mesh.families = FAMILY_BIT(FAMILY_IPV6);
    CHECK_INT(set(), 0);
    hints_start(&h, 100);
    CHECK_INT(hints_due(&h, 100, out), 1);
    f.file.spec.mesh.present = false;
    CHECK_INT(set(), 0);
    hints_start(&h, 100);
    CHECK_INT(hints_due(&h, 100, out), 0);
    stop();
}

// In a fleet of both networks both agents of a peer probe us, in both families.
static void test_both_networks(void)
{
    start();
    files_host(&f, "n1", "203.0.113.1", NULL, PEER_READY);
    files_host(&f, "n2", "203.0.113.2", "2001:db8:1::2", PEER_LEAVING);
    CHECK_INT(set(), 0);
    hints_start(&h, 100);
    CHECK_INT(hints_due(&h, 100, out), 3); // one network: no other addresses
    f.file.spec.mesh.networks |= 1u << SPEC_NETWORK_NODE;
    CHECK_INT(set(), 0);
    hints_start(&h, 100);
    CHECK_INT(hints_due(&h, 100, out), 5);
    CHECK(has(5, "198.18.0.2") && has(5, "198.18.0.3") && has(5, "203.0.113.2") && has(5, "2001:db8:1::2"));
    stop();
}

// The last of those who asked are remembered, whoever asks.
static void test_askers_are_bounded(void)
{
    start();
    files_release(&f);
    CHECK_INT(set(), 0);
    for (unsigned i = 0; i < 10000; i++) {
        struct addr a = {.set = 1, .bytes = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};
        hints_asked(&h, &a);
    }
    hints_start(&h, 0);
    CHECK_INT(hints_due(&h, 0, out), LIMIT_PEER_ASKERS);
    CHECK(has(LIMIT_PEER_ASKERS, "10.0.39.15"));
    stop();
}

static void test_when(void)
{
    static const uint64_t at_ms[] = {0, 250, 500, 1000, 2000, 3000, 4000};
    start();
    CHECK_INT(set(), 0);
    hints_start(&h, 7);
    for (size_t i = 0; i < ARRAY_LEN(at_ms); i++) {
        CHECK_INT(hints_next(&h), 7 + at_ms[i] * NS_PER_MS);
        CHECK_INT(hints_due(&h, hints_next(&h) - 1, out), 0);
        CHECK_INT(hints_due(&h, hints_next(&h), out), 3);
    }
    stop();
}

// Many are told in steps, each once a round, and a round that takes long does not overtake itself.
static void test_steps(void)
{
    start();
    files_release(&f);
    for (unsigned i = 0; i < 2000; i++) {
        char node[16];
        struct err e;
        snprintf(node, sizeof(node), "p%04u", i);
        struct peer p = {.node = node, .zone = (char[]){""}};
        p.pod[0] = (struct addr){.set = 1, .bytes = {198, 18, (uint8_t)(i >> 8), (uint8_t)i}};
        CHECK_INT(peers_add(&f.peers, &p, &e), 0);
    }
    CHECK_INT(set(), 0);
    hints_start(&h, 0);
    uint64_t told = 0, now = 0;
    for (; told < 3 * 2000; now = hints_next(&h)) {
        size_t n = hints_due(&h, now, out);
        CHECK(n > 0 && n <= LIMIT_PEER_HINTS && hints_next(&h) >= now + LIMIT_PEER_HINTS_STEP_NS);
        told += n;
    }
    CHECK_INT(told, 3 * 2000);
    CHECK(now < 2 * NS_PER_S);
    stop();
}

static const struct check_case cases[] = {
    {"whom", test_whom},
    {"whom, in both networks", test_both_networks},
    {"those who asked are bounded", test_askers_are_bounded},
    {"when", test_when},
    {"many, in steps", test_steps},
};
CHECK_MAIN(cases)
