// SPDX-License-Identifier: Apache-2.0
// The agents' message, and how many questions are answered.
#include "test/unit/check.h"

#include "agent/peer_rate.h"
#include "agent/peer_wire.h"
#include "test/unit/agent/files.h"

static const struct peer_wire query = {.kind = PEER_WIRE_QUERY,
                                       .leaving = true,
                                       .fleet = 0x1122334455667788,
                                       .agent = 42,
                                       .nonce = UINT64_MAX - 1};

static void test_both_ways(void)
{
    uint8_t bytes[PEER_WIRE_BYTES];
    for (unsigned k = 0; k < PEER_WIRE_KINDS; k++) {
        for (unsigned leaving = 0; leaving < 2; leaving++) {
            struct peer_wire m = query, back = {0};
            m.kind = (enum peer_wire_kind)k;
            m.leaving = leaving;
            peer_wire_write(bytes, &m);
            CHECK(peer_wire_read(bytes, sizeof(bytes), &back));
            CHECK_INT(back.kind, k);
            CHECK_INT(back.leaving, leaving);
            CHECK(back.fleet == m.fleet && back.agent == m.agent && back.nonce == m.nonce);
        }
    }
}

// The bytes are a promise to agents of other versions.
static void test_bytes(void)
{
    static const uint8_t want[PEER_WIRE_BYTES] = {
        'k', 'c', 'p', '1', 2, 1, 0, 0,  0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
        0,   0,   0,   0,   0, 0, 0, 42, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe};
    uint8_t bytes[PEER_WIRE_BYTES];
    peer_wire_write(bytes, &query);
    CHECK(memcmp(bytes, want, sizeof(want)) == 0);
    CHECK(peer_wire_fleet("mesh") == UINT64_C(0x578aadc6102e9427));
    CHECK(peer_wire_agent("n1", SPEC_NETWORK_POD) == UINT64_C(0x08b37b07b558d4c0));
    CHECK(peer_wire_agent("n1", SPEC_NETWORK_NODE) == UINT64_C(0x09116d3bc443002c));
}

// Every length but the right one, and every byte of the head changed, is none of ours.
static void test_refused(void)
{
    uint8_t bytes[2 * PEER_WIRE_BYTES] = {0}, copy[PEER_WIRE_BYTES];
    struct peer_wire m;
    peer_wire_write(bytes, &query);
    for (size_t len = 0; len <= sizeof(bytes); len++)
        CHECK_INT(peer_wire_read(bytes, len, &m), len == PEER_WIRE_BYTES);
    for (size_t at = 0; at < 8; at++) {
        for (unsigned v = 0; v < 256; v++) {
            memcpy(copy, bytes, sizeof(copy));
            copy[at] = (uint8_t)v;
            bool good = v == bytes[at] || (at == 4 && v >= 1 && v <= 3) || (at == 5 && v <= 1);
            CHECK_INT(peer_wire_read(copy, sizeof(copy), &m), good);
        }
    }
}

static struct peer_rate rate;

// How many of n questions, spread over so long, are answered.
static unsigned allowed(const char *from, unsigned n, uint64_t *now, uint64_t over_ns)
{
    struct addr a = files_addr(from);
    unsigned yes = 0;
    for (unsigned i = 0; i < n; i++, *now += over_ns / n)
        yes += peer_rate_allow(&rate, &a, false, *now);
    return yes;
}

static void test_rate_of_one(void)
{
    uint64_t now = 1000 * NS_PER_S;
    peer_rate_init(&rate, 1);
    CHECK_INT(allowed("192.0.2.1", 1000, &now, 0), LIMIT_PEER_ANSWERS_EACH);
    CHECK_INT(allowed("192.0.2.2", 5, &now, 0), 5); // another is not kept waiting
    now += NS_PER_S;
    CHECK_INT(allowed("192.0.2.1", 1000, &now, 0), LIMIT_PEER_ANSWERS_EACH);
    unsigned n = allowed("192.0.2.1", 100000, &now, 10 * NS_PER_S);
    CHECK(n >= 10 * LIMIT_PEER_ANSWERS_EACH - 10 && n <= 10 * LIMIT_PEER_ANSWERS_EACH + 1);
    now += NS_PER_S;
    n = allowed("192.0.2.1", 50, &now, 10 * NS_PER_S); // what a peer may ask is always answered
    CHECK_INT(n, 50);
    // One /64 is one source, where it is not known who lives there.
    CHECK_INT(allowed("2001:db8::1", 10, &now, 0) + allowed("2001:db8::2", 10, &now, 0),
              LIMIT_PEER_ANSWERS_EACH);
}

// A hundred peers whose addresses are of one /64 ask at the same time: each is answered, for itself.
static void test_rate_of_peers_in_one_network(void)
{
    uint64_t now = 1000 * NS_PER_S;
    struct addr a = files_addr("2001:db8::");
    unsigned n = 0;
    peer_rate_init(&rate, 3);
    for (a.bytes[15] = 1; a.bytes[15] <= 100; a.bytes[15]++)
        for (unsigned k = 0; k < 3; k++)
            n += peer_rate_allow(&rate, &a, true, now);
    CHECK_INT(n, 300);
    for (unsigned k = 0; k < 100; k++)
        n += peer_rate_allow(&rate, &a, true, now);
    CHECK(n <= 300 + LIMIT_PEER_ANSWERS_EACH);
}

static void test_rate_of_all(void)
{
    uint64_t now = 1000 * NS_PER_S;
    unsigned n = 0;
    peer_rate_init(&rate, 2);
    for (unsigned i = 0; i < 60000; i++) {
        struct addr a = {.set = 1, .bytes = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
        n += peer_rate_allow(&rate, &a, false, now);
    }
    CHECK_INT(n, LIMIT_PEER_ANSWERS);
}

static const struct check_case cases[] = {
    {"both ways", test_both_ways},
    {"these bytes", test_bytes},
    {"what is none of ours", test_refused},
    {"answers to one source", test_rate_of_one},
    {"answers to peers of one network", test_rate_of_peers_in_one_network},
    {"answers to all", test_rate_of_all},
};
CHECK_MAIN(cases)
