// SPDX-License-Identifier: Apache-2.0
// The reflector's memory: numbers by session, places that run out, rates.
#include "test/unit/check.h"

#include "agent/stamp_session.h"
#include "lib/limits.h"

#define S NS_PER_S

static struct stamp_session *t;
static uint32_t number;

static void start(size_t sessions, size_t sources)
{
    struct err e;
    stamp_session_free(t);
    t = stamp_session_new(sessions, sources, 42, &e);
}

static struct addr address(unsigned i)
{
    return (struct addr){.set = 1, .bytes = {198, 18, (uint8_t)(i >> 8), (uint8_t)i}};
}

static bool ask(unsigned from, uint16_t port, uint16_t ssid, uint64_t now)
{
    struct addr a = address(from);
    return stamp_session_number(t, &a, port, ssid, now, &number);
}

static void test_numbers(void)
{
    start(10, 10);
    CHECK(t != NULL);
    for (unsigned i = 0; i < 5; i++) {
        CHECK(ask(1, 40000, 7, 100 * S) && number == i);
        CHECK(ask(1, 40001, 7, 100 * S) && number == i);
        CHECK(ask(1, 40000, 0, 100 * S) && number == i);
        CHECK(ask(2, 40000, 7, 100 * S) && number == i);
        struct addr v6 = address(1);
        v6.family = FAMILY_IPV6;
        CHECK(stamp_session_number(t, &v6, 40000, 7, 100 * S, &number) && number == i);
    }
    CHECK_INT(stamp_session_count(t), 5);
}

// All that a fleet has find room; strangers get what is left, and nobody who is busy loses a place to them.
static void test_room(void)
{
    enum { OURS = 2000 };
    start(OURS, 10);
    for (unsigned i = 0; i < OURS; i++)
        CHECK(ask(i / 8, (uint16_t)(40000 + i % 8), 1, 100 * S) && number == 0);
    unsigned refused = 0;
    for (unsigned i = 0; i < 20000; i++)
        refused += !ask(5000 + i, 50000, 0, 101 * S);
    CHECK(refused > 10000);
    CHECK(stamp_session_count(t) <= 4096);
    for (unsigned i = 0; i < OURS; i++)
        CHECK(ask(i / 8, (uint16_t)(40000 + i % 8), 1, 102 * S) && number == 1);
    // A while later the strangers' places are anybody's.
    for (unsigned i = 0; i < OURS; i++)
        CHECK(ask(i / 8, (uint16_t)(40000 + i % 8), 1, 101 * S + LIMIT_STAMP_IDLE_NS) && number == 2);
    CHECK(ask(9000, 50000, 0, 102 * S + LIMIT_STAMP_IDLE_NS) && number == 0);
}

static void test_copy(void)
{
    start(200, 10);
    for (unsigned i = 0; i < 200; i++)
        CHECK(ask(i, 40000, 1, 100 * S) && ask(i, 40000, 1, 100 * S));
    struct err e;
    struct stamp_session *old = t;
    t = stamp_session_new(1000, 1000, 43, &e);
    CHECK(t != NULL);
    stamp_session_copy(t, old);
    stamp_session_free(old);
    CHECK_INT(stamp_session_count(t), 200);
    for (unsigned i = 0; i < 200; i++)
        CHECK(ask(i, 40000, 1, 101 * S) && number == 2);
}

static enum stamp_session_verdict admit(unsigned from, uint64_t now)
{
    struct addr a = address(from);
    return stamp_session_admit(t, &a, now);
}

static void test_rate_of_a_source(void)
{
    start(10, 10);
    uint64_t now = 100 * S;
    for (unsigned i = 0; i < LIMIT_STAMP_SOURCE_RATE; i++)
        CHECK_INT(admit(1, now), STAMP_SESSION_ADMITTED);
    CHECK_INT(admit(1, now), STAMP_SESSION_SOURCE_RATE);
    CHECK_INT(admit(2, now), STAMP_SESSION_ADMITTED); // another one is not concerned
    unsigned admitted = 0;
    for (unsigned i = 0; i < 10000; i++)
        admitted += admit(1, now += S / 1000) == STAMP_SESSION_ADMITTED;
    CHECK(admitted >= 10 * LIMIT_STAMP_SOURCE_RATE - 1 && admitted <= 10 * LIMIT_STAMP_SOURCE_RATE + 1);
    now += S;
    for (unsigned i = 0; i < LIMIT_STAMP_SOURCE_RATE; i++)
        CHECK_INT(admit(1, now), STAMP_SESSION_ADMITTED);
    CHECK_INT(admit(1, now), STAMP_SESSION_SOURCE_RATE);
}

static void test_rate_of_all(void)
{
    start(10, 10000);
    uint64_t now = 100 * S;
    unsigned admitted = 0, refused = 0;
    for (unsigned i = 0; i < 2 * LIMIT_STAMP_RATE; i++) {
        enum stamp_session_verdict v = admit(i, now);
        admitted += v == STAMP_SESSION_ADMITTED;
        refused += v == STAMP_SESSION_RATE;
    }
    CHECK_INT(admitted, LIMIT_STAMP_RATE);
    CHECK_INT(refused, LIMIT_STAMP_RATE);
    CHECK_INT(admit(1, now + S / 1000), STAMP_SESSION_ADMITTED);
}

static void test_bounds(void)
{
    CHECK_INT(stamp_session_bytes(0, 0), stamp_session_bytes(32, 16));
    CHECK(stamp_session_bytes(0, 0) < 3000);
    CHECK_INT(stamp_session_bytes(SIZE_MAX / 8, SIZE_MAX / 8),
              stamp_session_bytes(0, 0) + (LIMIT_STAMP_SESSIONS - 64) * 32 + (LIMIT_STAMP_SOURCES - 64) * 8);
    stamp_session_free(t);
    t = NULL;
}

static const struct check_case cases[] = {
    {"numbers by session", test_numbers},  {"room that runs out", test_room},
    {"a larger table", test_copy},         {"the rate of a source", test_rate_of_a_source},
    {"the rate of all", test_rate_of_all}, {"bounds", test_bounds},
};
CHECK_MAIN(cases)
