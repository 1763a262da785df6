// SPDX-License-Identifier: Apache-2.0
// The formats of packets alone: ICMP payload, STAMP's two, the agents' messages, those to and from the helper
// for HTTP. What is read and written again is what was there.
#include "agent/wire.h"
#include "agent/http_wire.h"
#include "agent/peer_wire.h"
#include "agent/stamp_wire.h"
#include "test/fuzz/fuzz.h"

static void check_icmp(const uint8_t *data, size_t len)
{
    struct engine_token t[2];
    uint8_t again[WIRE_PAYLOAD];
    bool intact = true;
    unsigned n = wire_read(data, len, t, &intact);
    FUZZ_CHECK(n <= 2);
    FUZZ_CHECK(!intact || n == 1);
    for (unsigned i = 0; i < n; i++) {
        bool read_intact = false;
        struct engine_token back[2];
        size_t payload = MAX(len, (size_t)WIRE_PAYLOAD);
        wire_write(again, &t[i], payload);
        FUZZ_CHECK((intact && i == 0) == (len >= WIRE_PAYLOAD && memcmp(again, data, WIRE_PAYLOAD) == 0));
        FUZZ_CHECK(wire_read(again, payload, back, &read_intact) == 1 && read_intact);
        FUZZ_CHECK(back[0].id == t[i].id && back[0].seq == t[i].seq && back[0].cookie == t[i].cookie);
    }
}

static void check_stamp(const uint8_t *data, size_t len)
{
    struct stamp_wire_query q;
    struct stamp_wire_answer a;
    uint8_t again[STAMP_WIRE_BYTES];
    int r = stamp_wire_get_query(data, len, &q);
    FUZZ_CHECK((r == 0) == (len >= STAMP_WIRE_BYTES));
    FUZZ_CHECK(stamp_wire_get_answer(data, len, &a) == r);
    if (r < 0)
        return;
    if (stamp_wire_is_query(data)) {
        stamp_wire_put_query(again, &q);
        FUZZ_CHECK(memcmp(again, data, sizeof(again)) == 0);
    }
    stamp_wire_put_answer(again, &a);
    FUZZ_CHECK(memcmp(again, data, 38) == 0 && again[40] == data[40]); // what is left are zeros
    FUZZ_CHECK(stamp_wire_held(&a) <= 60 * NS_PER_S);
    uint16_t error = stamp_wire_error(q.seq & 1, q.time);
    FUZZ_CHECK((error & 0xff) != 0 && (error >> 15) == (q.seq & 1) && !(error & 0x4000));
}

static void check_message(const uint8_t *data, size_t len)
{
    struct peer_wire m;
    uint8_t again[PEER_WIRE_BYTES];
    if (!peer_wire_read(data, len, &m))
        return;
    peer_wire_write(again, &m);
    FUZZ_CHECK(len == PEER_WIRE_BYTES && memcmp(again, data, len) == 0);
}

static void check_probe(const uint8_t *data, size_t len)
{
    struct http_wire_probe p;
    uint8_t again[HTTP_WIRE_PROBE_HEAD];
    if (!http_wire_probe_read(data, len, &p))
        return;
    http_wire_probe_head(again, &p);
    FUZZ_CHECK(memcmp(again, data, sizeof(again)) == 0);
    FUZZ_CHECK((const uint8_t *)p.url == data + sizeof(again) && p.ca == p.url + p.url_len);
    FUZZ_CHECK(sizeof(again) + p.url_len + p.ca_len == len && len <= HTTP_WIRE_PROBE_MAX);
    FUZZ_CHECK(p.url_len > 0 && p.timeout_ns > 0 && p.timeout_ns <= LIMIT_HTTP_NS);
}

static void check_result(const uint8_t *data, size_t len)
{
    struct http_wire_result r, back;
    uint8_t again[HTTP_WIRE_RESULT_MAX];
    if (!http_wire_result_read(data, len, &r))
        return;
    FUZZ_CHECK(http_wire_result_write(again, &r) == len && memcmp(again, data, HTTP_WIRE_RESULT_HEAD) == 0);
    FUZZ_CHECK(http_wire_result_read(again, len, &back) && strcmp(back.text, r.text) == 0);
    FUZZ_CHECK(strlen(r.text) == len - HTTP_WIRE_RESULT_HEAD && fuzz_is_utf8(r.text, true));
    for (unsigned i = 0; i < HTTP_WIRE_PHASES; i++)
        FUZZ_CHECK(r.phase_ns[i] <= r.phase_ns[HTTP_WIRE_PHASE_TOTAL] && r.phase_ns[i] <= LIMIT_HTTP_NS);
    FUZZ_CHECK(http_wire_outcome_name(r.outcome)[0]);
    FUZZ_CHECK(r.err <= (r.outcome == HTTP_WIRE_LOCAL ? HTTP_WIRE_ERRNO_MAX : 0));
}

static void check_hello(const uint8_t *data, size_t len)
{
    struct http_wire_probe p;
    struct http_wire_result r;
    bool ask = http_wire_hello_is(data, len, HTTP_WIRE_ARE_YOU_THERE),
         here = http_wire_hello_is(data, len, HTTP_WIRE_HERE);
    FUZZ_CHECK(!ask || !here);
    if (ask || here)
        FUZZ_CHECK(!http_wire_probe_read(data, len, &p) && !http_wire_result_read(data, len, &r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1); // exactly as long
    if (len > 0)
        memcpy(copy, data, len);
    check_icmp(copy, len);
    check_stamp(copy, len);
    check_message(copy, len);
    check_probe(copy, len);
    check_result(copy, len);
    check_hello(copy, len);
    free(copy);
    return 0;
}
