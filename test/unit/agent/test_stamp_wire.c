// SPDX-License-Identifier: Apache-2.0
// STAMP's two formats against packets that were written by hand, field by field, from RFC 8762 4.2.1
// and 4.3.1.
#include "test/unit/check.h"

#include "agent/stamp_wire.h"

// 2023-11-14 22:13:20 UTC is 1700000000; + 2208988800 = 3908988800 = 0xe8fe6f80. A quarter of a second is
// 0x40000000.
static const uint8_t query_bytes[STAMP_WIRE_BYTES] = {
    0x00, 0x00, 0x00, 0x01,                         // sequence number
    0xe8, 0xfe, 0x6f, 0x80, 0x40, 0x00, 0x00, 0x00, // timestamp
    0x90, 0x01,                                     // S, scale 16, multiplier 1: 2^-16 s
    0xab, 0xcd,                                     // SSID
    0,                                              // 28 of zeros
};

static const uint8_t answer_bytes[STAMP_WIRE_BYTES] = {
    0x00, 0x00, 0x10, 0x00,                         // sequence number
    0xe8, 0xfe, 0x6f, 0x80, 0x80, 0x00, 0x00, 0x00, // timestamp
    0x11, 0x05,                                     // not synchronized, scale 17, multiplier 5
    0xab, 0xcd,                                     // SSID
    0xe8, 0xfe, 0x6f, 0x80, 0x60, 0x00, 0x00, 0x00, // receive timestamp
    0x00, 0x00, 0x00, 0x01,                         // the sender's sequence number
    0xe8, 0xfe, 0x6f, 0x80, 0x40, 0x00, 0x00, 0x00, // its timestamp
    0x90, 0x01,                                     // its error estimate
    0x00, 0x00,                                     // zeros
    0x3f,                                           // TTL 63
    0x00, 0x00, 0x00,                               // zeros
};

static const struct stamp_wire_query query = {
    .seq = 1, .time = UINT64_C(0xe8fe6f8040000000), .error = 0x9001, .ssid = 0xabcd};
static const struct stamp_wire_answer answer = {
    .seq = 0x1000,
    .time = UINT64_C(0xe8fe6f8080000000),
    .error = 0x1105,
    .ssid = 0xabcd,
    .received = UINT64_C(0xe8fe6f8060000000),
    .sender = {.seq = 1, .time = UINT64_C(0xe8fe6f8040000000), .error = 0x9001},
    .ttl = 63,
};

static void test_query(void)
{
    uint8_t out[STAMP_WIRE_BYTES];
    memset(out, 0xff, sizeof(out));
    stamp_wire_put_query(out, &query);
    for (unsigned i = 0; i < sizeof(out); i++)
        CHECK_INT(out[i], query_bytes[i]);
    struct stamp_wire_query q = {0};
    CHECK_INT(stamp_wire_get_query(query_bytes, sizeof(query_bytes), &q), 0);
    CHECK(q.seq == query.seq && q.time == query.time && q.error == query.error && q.ssid == query.ssid);
    CHECK(stamp_wire_is_query(query_bytes));
    for (size_t len = 0; len < STAMP_WIRE_BYTES; len++)
        CHECK(stamp_wire_get_query(query_bytes, len, &q) < 0);
    uint8_t longer[STAMP_WIRE_BYTES + 4] = {0};
    memcpy(longer, query_bytes, sizeof(query_bytes));
    CHECK_INT(stamp_wire_get_query(longer, sizeof(longer), &q), 0);
}

static void test_answer(void)
{
    uint8_t out[STAMP_WIRE_BYTES];
    memset(out, 0xff, sizeof(out));
    stamp_wire_put_answer(out, &answer);
    for (unsigned i = 0; i < sizeof(out); i++)
        CHECK_INT(out[i], answer_bytes[i]);
    struct stamp_wire_answer a = {0};
    CHECK_INT(stamp_wire_get_answer(answer_bytes, sizeof(answer_bytes), &a), 0);
    CHECK_INT(a.seq, answer.seq);
    CHECK(a.time == answer.time && a.received == answer.received && a.sender.time == query.time);
    CHECK(a.error == answer.error && a.ssid == answer.ssid && a.ttl == 63);
    CHECK(a.sender.seq == 1 && a.sender.error == 0x9001);
    for (size_t len = 0; len < STAMP_WIRE_BYTES; len++)
        CHECK(stamp_wire_get_answer(answer_bytes, len, &a) < 0);
}

// An answer is never taken for a question: two reflectors would answer each other for ever.
static void test_told_apart(void)
{
    CHECK(!stamp_wire_is_query(answer_bytes));
    for (unsigned i = 16; i < STAMP_WIRE_BYTES; i++) {
        uint8_t changed[STAMP_WIRE_BYTES];
        memcpy(changed, query_bytes, sizeof(changed));
        changed[i] = 1;
        CHECK(!stamp_wire_is_query(changed));
    }
}

static void test_times(void)
{
    static const struct {
        uint64_t ns, ntp;
    } at[] = {
        {0, UINT64_C(0x83aa7e8000000000)},
        {UINT64_C(1700000000) * NS_PER_S + NS_PER_S / 4, UINT64_C(0xe8fe6f8040000000)},
        {999999999, UINT64_C(0x83aa7e80fffffffb)},
        {UINT64_C(2085978495) * NS_PER_S, UINT64_C(0xffffffff00000000)}, // the last second of the first era
        {UINT64_C(2085978496) * NS_PER_S, 0},                            // 2036-02-07
    };
    for (size_t i = 0; i < ARRAY_LEN(at); i++)
        CHECK_INT(stamp_wire_ntp(at[i].ns), at[i].ntp);
}

static void test_error(void)
{
    static const struct {
        bool sync;
        uint64_t ns;
        uint16_t want;
    } at[] = {
        {false, 0, 0x0001},            // never 0
        {false, 1, 0x0005},            // 1 ns is 4.3 * 2^-32 s
        {true, 59, 0x80fe},            // 253.4, up
        {true, 60, 0x8181},            // 257.7 * 2^-32: 129 * 2^-31
        {true, 15258, 0x8900 | 0x80},  // 2^-16 s is 15258.8 ns: 128 * 2^-23
        {false, NS_PER_S / 2, 0x1880}, // 128 * 2^-8
        {false, NS_PER_S, 0x1980},     // 128 * 2^-7
        {true, 16 * NS_PER_S, 0x9d80}, // 128 * 2^-3
        {true, UINT64_MAX, 0x9ef0},    // a minute at most: 240 * 2^-2
    };
    for (size_t i = 0; i < ARRAY_LEN(at); i++)
        CHECK_INT(stamp_wire_error(at[i].sync, at[i].ns), at[i].want);
}

static void test_held(void)
{
    static const struct {
        uint64_t received, time;
        uint16_t error;
        uint64_t want;
    } at[] = {
        {UINT64_C(0xe8fe6f8060000000), UINT64_C(0xe8fe6f8080000000), 0x1105, NS_PER_S / 8},
        {UINT64_C(0xe8fe6f8080000000), UINT64_C(0xe8fe6f8080000000), 0x1105, 0},
        {UINT64_C(0xe8fe6f8080000001), UINT64_C(0xe8fe6f8080000000), 0x1105, 0}, // its clock was stepped
        {0, UINT64_C(0xe8fe6f8080000000), 0x1105, 0},
        {UINT64_C(0xffffffff80000000), UINT64_C(0x0000000080000000), 0x1105, NS_PER_S}, // the era's end
        {UINT64_C(0xe8fe6f8080000000), UINT64_C(0xe8fe6fbc80000000), 0x1105, 60 * NS_PER_S},
        {UINT64_C(0xe8fe6f8080000000), UINT64_C(0xe8fe6fbc80000010), 0x1105, 0},
        // Z: 1700000000 s and 999999999 ns -> 1700000001 s and 1 ns
        {UINT64_C(0x6553f1003b9ac9ff), UINT64_C(0x6553f10100000001), 0x5105, 2},
        {UINT64_C(0x6553f10100000001), UINT64_C(0x6553f1003b9ac9ff), 0x5105, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        struct stamp_wire_answer a = {.received = at[i].received, .time = at[i].time, .error = at[i].error};
        CHECK_INT(stamp_wire_held(&a), at[i].want);
    }
}

static const struct check_case cases[] = {
    {"a sender's packet", test_query}, {"a reflector's packet", test_answer},
    {"told apart", test_told_apart},   {"NTP timestamps", test_times},
    {"error estimates", test_error},   {"what a reflector held", test_held},
};
CHECK_MAIN(cases)
