// SPDX-License-Identifier: Apache-2.0
// Clocks; the sockets themselves are driven by test_prober and test_probe_icmp.
#include "test/unit/check.h"

#include <time.h>

#include "agent/sock.h"

#define REAL (UINT64_C(1700000000) * NS_PER_S)

static void test_steady(void)
{
    struct sock_clock c = {0};
    CHECK_INT(sock_clock_convert(&c, REAL), 0); // nothing is known yet
    CHECK(!sock_clock_update(&c, 5 * NS_PER_S, REAL, 0));
    CHECK_INT(sock_clock_convert(&c, REAL + 7), 5 * NS_PER_S + 7);
    CHECK_INT(sock_clock_convert(&c, 0), 0);
    for (unsigned i = 1; i < 1000; i++) // slewed by 500 ppm for a while
        CHECK(!sock_clock_update(&c, 5 * NS_PER_S + i * 50 * NS_PER_MS,
                                 REAL + i * (50 * NS_PER_MS + 25 * NS_PER_US), 0));
}

static void test_steps(void)
{
    static const int64_t steps[] = {200000, -200000, 1000000000, -3600000000000};
    struct sock_clock c = {0};
    uint64_t mono = NS_PER_S, real = REAL;
    CHECK(!sock_clock_update(&c, mono, real, 0));
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        mono += 50 * NS_PER_MS;
        real += 50 * NS_PER_MS + (uint64_t)steps[i];
        CHECK(sock_clock_update(&c, mono, real, 0));
        CHECK_INT(sock_clock_convert(&c, real), 0); // from before or after the step? nobody knows
        mono += 50 * NS_PER_MS;
        real += 50 * NS_PER_MS;
        CHECK(!sock_clock_update(&c, mono, real, 0));
        CHECK_INT(sock_clock_convert(&c, real), mono);
    }
}

// A reading that was interrupted is no step.
static void test_doubt(void)
{
    struct sock_clock c = {0};
    CHECK(!sock_clock_update(&c, NS_PER_S, REAL, 0));
    CHECK(!sock_clock_update(&c, 2 * NS_PER_S, REAL + NS_PER_S + 3 * NS_PER_MS, 3 * NS_PER_MS));
}

static void test_real(void)
{
    struct sock_clock c = {0};
    for (int i = 0; i < 100; i++)
        (void)sock_clock_sample(&c);
    CHECK(c.valid);
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    uint64_t mono = sock_clock_convert(&c, (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec);
    uint64_t now = sock_now();
    // c.stepped only if this very machine was stepped just now
    CHECK(c.stepped || (mono <= now + NS_PER_MS && mono + 60 * NS_PER_S > now));
}

static const struct check_case cases[] = {
    {"a steady and a slewed clock", test_steady},
    {"steps", test_steps},
    {"an interrupted reading", test_doubt},
    {"this machine's clocks", test_real},
};
CHECK_MAIN(cases)
