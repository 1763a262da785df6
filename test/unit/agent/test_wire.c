// SPDX-License-Identifier: Apache-2.0
#include "test/unit/check.h"

#include "agent/wire.h"

static const struct engine_token token = {0x01020304, 0xfffefdfc, UINT64_C(0x1122334455667788)};

static bool same(const struct engine_token *a, const struct engine_token *b)
{
    return a->id == b->id && a->seq == b->seq && a->cookie == b->cookie;
}

static void test_round_trip(void)
{
    uint8_t data[WIRE_PAYLOAD];
    struct engine_token t[2];
    bool intact;
    wire_write(data, &token, WIRE_PAYLOAD);
    CHECK_INT(wire_read(data, sizeof(data), t, &intact), 1);
    CHECK(intact);
    CHECK(same(&t[0], &token));
}

// One broken byte, wherever it is: never intact, and the token is still among the candidates.
static void test_broken(void)
{
    for (size_t i = 0; i < WIRE_PAYLOAD; i++) {
        uint8_t data[WIRE_PAYLOAD];
        struct engine_token t[2];
        bool intact;
        wire_write(data, &token, WIRE_PAYLOAD);
        data[i] ^= 0x10;
        unsigned n = wire_read(data, sizeof(data), t, &intact);
        CHECK(!intact);
        CHECK(n >= 1);
        CHECK(same(&t[0], &token) || (n == 2 && same(&t[1], &token)));
    }
}

static void test_length(void)
{
    uint8_t data[2 * WIRE_PAYLOAD] = {0};
    struct engine_token t[2];
    bool intact;
    wire_write(data, &token, WIRE_PAYLOAD);
    for (size_t len = 0; len < WIRE_PAYLOAD; len++) {
        CHECK_INT(wire_read(data, len, t, &intact), len >= 20);
        CHECK(!intact);
    }
    CHECK_INT(wire_read(data, WIRE_PAYLOAD + 1, t, &intact), 1);
    CHECK(!intact);
    memset(data, 0, sizeof(data));
    CHECK_INT(wire_read(data, sizeof(data), t, &intact), 0);
    CHECK(!intact);
}

// A longer payload's length is part of the pattern; what follows is not looked at, nor read.
static void test_payload(void)
{
    static const size_t lengths[] = {WIRE_PAYLOAD, WIRE_PAYLOAD + 1, 100, 1472, 1473, LIMIT_PROBE_PAYLOAD};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        uint8_t data[WIRE_PAYLOAD];
        struct engine_token t[2];
        bool intact;
        wire_write(data, &token, lengths[i]);
        for (size_t k = 0; k < ARRAY_LEN(lengths); k++) {
            CHECK_INT(wire_read(data, lengths[k], t, &intact), 1);
            CHECK_INT(intact, i == k);
            CHECK(same(&t[0], &token));
        }
    }
}

static const struct check_case cases[] = {
    {"what is written is read", test_round_trip},
    {"one broken byte", test_broken},
    {"short, long and foreign", test_length},
    {"longer payloads", test_payload},
};
CHECK_MAIN(cases)
