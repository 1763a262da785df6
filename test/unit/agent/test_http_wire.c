// SPDX-License-Identifier: Apache-2.0
// What the agent and kubecanary-http say to each other; what is refused.
#include "test/unit/check.h"

#include "agent/http_wire.h"

static const struct http_wire_probe probe = {.id = 0x1122334455667788,
                                             .timeout_ns = 3 * NS_PER_S,
                                             .family = HTTP_WIRE_IPV6,
                                             .head = true,
                                             .insecure = true,
                                             .url = "https://a.example/",
                                             .url_len = 18,
                                             .ca = "PEM",
                                             .ca_len = 3};
static const struct http_wire_result result = {.id = UINT64_MAX - 1,
                                               .outcome = HTTP_WIRE_CERTIFICATE,
                                               .status = 503,
                                               .code = 60,
                                               .phase_ns = {1, 2, 3, 4, 10 * NS_PER_S},
                                               .leaf_end_s = 1700000000,
                                               .chain_end_s = -5,
                                               .text = "expired"};

static size_t write_probe(uint8_t out[HTTP_WIRE_PROBE_MAX], const struct http_wire_probe *p)
{
    http_wire_probe_head(out, p);
    memcpy(out + HTTP_WIRE_PROBE_HEAD, p->url, p->url_len);
    memcpy(out + HTTP_WIRE_PROBE_HEAD + p->url_len, p->ca, p->ca_len);
    return HTTP_WIRE_PROBE_HEAD + p->url_len + p->ca_len;
}

static void test_probe_both_ways(void)
{
    static uint8_t bytes[HTTP_WIRE_PROBE_MAX];
    static const enum http_wire_family families[] = {HTTP_WIRE_ANY, HTTP_WIRE_IPV4, HTTP_WIRE_IPV6};
    for (unsigned k = 0; k < 24; k++) {
        struct http_wire_probe p = probe, back;
        p.head = k & 1;
        p.follow = k & 2;
        p.insecure = k & 4;
        p.family = families[k / 8];
        CHECK(http_wire_probe_read(bytes, write_probe(bytes, &p), &back));
        CHECK(back.id == p.id && back.timeout_ns == p.timeout_ns && back.family == p.family);
        CHECK(back.head == p.head && back.follow == p.follow && back.insecure == p.insecure);
        CHECK(back.url_len == p.url_len && memcmp(back.url, p.url, p.url_len) == 0);
        CHECK(back.ca_len == p.ca_len && memcmp(back.ca, p.ca, p.ca_len) == 0);
    }
}

// The largest that there is: both texts at their limits; a byte more of either is refused.
static void test_probe_limits(void)
{
    static uint8_t bytes[HTTP_WIRE_PROBE_MAX + 1];
    static char text[LIMIT_HTTP_CA + 1];
    struct http_wire_probe p = probe, back;
    memset(text, 'x', sizeof(text));
    p.url = p.ca = text;
    p.url_len = LIMIT_HTTP_URL;
    p.ca_len = LIMIT_HTTP_CA;
    CHECK(http_wire_probe_read(bytes, write_probe(bytes, &p), &back));
    p.url_len++;
    p.ca_len--;
    CHECK(!http_wire_probe_read(bytes, write_probe(bytes, &p), &back));
    p.url_len -= 2;
    p.ca_len += 2;
    CHECK(!http_wire_probe_read(bytes, write_probe(bytes, &p), &back));
    p = probe;
    p.ca_len = 0;
    CHECK(http_wire_probe_read(bytes, write_probe(bytes, &p), &back));
    p.url_len = 0;
    CHECK(!http_wire_probe_read(bytes, write_probe(bytes, &p), &back));
    p = probe;
    p.timeout_ns = 0;
    CHECK(!http_wire_probe_read(bytes, write_probe(bytes, &p), &back));
    p.timeout_ns = LIMIT_HTTP_NS + 1;
    CHECK(!http_wire_probe_read(bytes, write_probe(bytes, &p), &back));
    p.timeout_ns = LIMIT_HTTP_NS;
    p.url = "http://a\0b.example";
    CHECK(!http_wire_probe_read(bytes, write_probe(bytes, &p), &back));
}

static void test_result_both_ways(void)
{
    uint8_t bytes[HTTP_WIRE_RESULT_MAX];
    for (unsigned o = 0; o < HTTP_WIRE_OUTCOMES; o++) {
        struct http_wire_result r = result, back;
        r.outcome = (enum http_wire_outcome)o;
        CHECK(http_wire_result_read(bytes, http_wire_result_write(bytes, &r), &back));
        CHECK(back.id == r.id);
        CHECK_INT(back.outcome, o);
        CHECK_INT(back.status, 503);
        CHECK_INT(back.code, 60);
        CHECK(memcmp(back.phase_ns, r.phase_ns, sizeof(r.phase_ns)) == 0);
        CHECK_INT(back.leaf_end_s, 1700000000);
        CHECK_INT(back.chain_end_s, -5);
        CHECK_STR(back.text, "expired");
        CHECK(http_wire_outcome_name(r.outcome)[0]);
    }
}

static void test_bytes(void)
{
    static const uint8_t want[HTTP_WIRE_PROBE_HEAD] = {
        'k', 'c', 'h', '2', 1,    1,    2,    6, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
        0,   0,   0,   0,   0xb2, 0xd0, 0x5e, 0, 0,    0,    0,    18,   0,    0,    0,    3};
    static const uint8_t want_result[20] = {'k', 'c', 'h', '2', 2,   4,   1, 247, 255, 255,
                                            255, 255, 255, 255, 255, 254, 0, 60,  7,   0};
    uint8_t bytes[HTTP_WIRE_RESULT_MAX];
    http_wire_probe_head(bytes, &probe);
    CHECK(memcmp(bytes, want, sizeof(want)) == 0);
    CHECK_INT(http_wire_result_write(bytes, &result), HTTP_WIRE_RESULT_HEAD + 7);
    CHECK(memcmp(bytes, want_result, sizeof(want_result)) == 0);
}

// A helper that was taken over can only say what could be: everything else ends it.
static void test_result_refused(void)
{
    uint8_t bytes[HTTP_WIRE_RESULT_MAX + 8] = {0};
    struct http_wire_result back, r = result;
    size_t len = http_wire_result_write(bytes, &result);
    for (size_t n = 0; n <= sizeof(bytes); n++)
        CHECK_INT(http_wire_result_read(bytes, n, &back), n == len);
    for (size_t at = 0; at < 6; at++) {
        uint8_t was = bytes[at];
        for (unsigned v = 0; v < 256; v++) {
            bytes[at] = (uint8_t)v;
            bool good = v == was || (at == 5 && v < HTTP_WIRE_OUTCOMES);
            CHECK_INT(http_wire_result_read(bytes, len, &back), good);
        }
        bytes[at] = was;
    }
    for (unsigned i = 0; i < HTTP_WIRE_PHASES; i++) {
        r = result;
        r.phase_ns[i] =
            i == HTTP_WIRE_PHASE_TOTAL ? LIMIT_HTTP_NS + 1 : result.phase_ns[HTTP_WIRE_PHASE_TOTAL] + 1;
        CHECK(!http_wire_result_read(bytes, http_wire_result_write(bytes, &r), &back));
    }
    static const uint16_t statuses[] = {1, 99, 1000, 65535};
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        r = result;
        r.status = statuses[i];
        CHECK(!http_wire_result_read(bytes, http_wire_result_write(bytes, &r), &back));
    }
    r = result;
    r.outcome = HTTP_WIRE_ANSWERED;
    r.status = 0;
    CHECK(!http_wire_result_read(bytes, http_wire_result_write(bytes, &r), &back));
    static const int64_t dates[] = {INT64_MIN, INT64_MAX, INT64_C(253402300800)};
    for (size_t i = 0; i < ARRAY_LEN(dates); i++) {
        r = result;
        r.leaf_end_s = dates[i];
        CHECK(!http_wire_result_read(bytes, http_wire_result_write(bytes, &r), &back));
        r = result;
        r.chain_end_s = dates[i];
        CHECK(!http_wire_result_read(bytes, http_wire_result_write(bytes, &r), &back));
    }
}

// An errno is of what was of our own making, and one that there may be.
static void test_errno(void)
{
    uint8_t bytes[HTTP_WIRE_RESULT_MAX];
    struct http_wire_result back, r = result;
    for (unsigned o = 0; o < HTTP_WIRE_OUTCOMES; o++) {
        static const uint16_t errors[] = {0, 1, HTTP_WIRE_ERRNO_MAX, HTTP_WIRE_ERRNO_MAX + 1, UINT16_MAX};
        for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
            r.outcome = (enum http_wire_outcome)o;
            r.err = errors[i];
            bool good = r.err == 0 || (o == HTTP_WIRE_LOCAL && r.err <= HTTP_WIRE_ERRNO_MAX);
            CHECK_INT(http_wire_result_read(bytes, http_wire_result_write(bytes, &r), &back), good);
            if (good)
                CHECK_INT(back.err, r.err);
        }
    }
    r.err = 0;
    size_t len = http_wire_result_write(bytes, &r);
    static const size_t zeros[] = {19, 22, 23};
    for (size_t i = 0; i < ARRAY_LEN(zeros); i++) {
        bytes[zeros[i]] = 1;
        CHECK(!http_wire_result_read(bytes, len, &back));
        bytes[zeros[i]] = 0;
    }
    CHECK(http_wire_result_read(bytes, len, &back));
}

static void test_hello(void)
{
    static const uint8_t want[HTTP_WIRE_HELLO + 1] = {'k', 'c', 'h', '2', 3};
    uint8_t bytes[HTTP_WIRE_HELLO + 1] = {0};
    struct http_wire_probe p;
    struct http_wire_result r;
    http_wire_hello_write(bytes, HTTP_WIRE_ARE_YOU_THERE);
    CHECK(memcmp(bytes, want, sizeof(want)) == 0);
    for (size_t n = 0; n <= sizeof(bytes); n++)
        CHECK_INT(http_wire_hello_is(bytes, n, HTTP_WIRE_ARE_YOU_THERE), n == HTTP_WIRE_HELLO);
    CHECK(!http_wire_hello_is(bytes, HTTP_WIRE_HELLO, HTTP_WIRE_HERE));
    http_wire_hello_write(bytes, HTTP_WIRE_HERE);
    CHECK(http_wire_hello_is(bytes, HTTP_WIRE_HELLO, HTTP_WIRE_HERE));
    CHECK(!http_wire_probe_read(bytes, HTTP_WIRE_HELLO, &p));
    CHECK(!http_wire_result_read(bytes, HTTP_WIRE_HELLO, &r));
    for (size_t at = 0; at < HTTP_WIRE_HELLO; at++) {
        bytes[at] ^= 0x40;
        CHECK(!http_wire_hello_is(bytes, HTTP_WIRE_HELLO, HTTP_WIRE_HERE));
        bytes[at] ^= 0x40;
    }
}

static void test_text(void)
{
    uint8_t bytes[HTTP_WIRE_RESULT_MAX];
    struct http_wire_result back, r = result;
    memset(r.text, '\n', sizeof(r.text) - 1);
    r.text[LIMIT_HTTP_TEXT] = '\0';
    CHECK_INT(http_wire_result_write(bytes, &r), HTTP_WIRE_RESULT_MAX);
    memset(bytes + HTTP_WIRE_RESULT_HEAD, 0x1b, 3); // whatever wrote it
    CHECK(http_wire_result_read(bytes, sizeof(bytes), &back));
    CHECK_INT(strlen(back.text), LIMIT_HTTP_TEXT);
    for (size_t i = 0; i < LIMIT_HTTP_TEXT; i++)
        CHECK_INT(back.text[i], '?');
}

static const struct check_case cases[] = {
    {"a probe both ways", test_probe_both_ways},
    {"a probe at its limits", test_probe_limits},
    {"a result both ways", test_result_both_ways},
    {"these bytes", test_bytes},
    {"results that cannot be", test_result_refused},
    {"text is printable", test_text},
    {"errno", test_errno},
    {"whether it is there", test_hello},
};
CHECK_MAIN(cases)
