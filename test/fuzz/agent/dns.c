// SPDX-License-Identifier: Apache-2.0
// Replies of DNS servers to a question of the input's choice. Nothing is read that is not there, what is
// behind a whole message changes nothing, the question's case neither, and an answer is found only if there
// is one.
#include <ctype.h>

#include "agent/dns_wire.h"
#include "test/fuzz/fuzz.h"

#define BEHIND 16

static const char *const names[] = {"a.example", "www.a.example", "x.invalid", "."};

static void take_question(struct fuzz_input *in, struct dns_wire_question *q)
{
    memset(q, 0, sizeof(*q));
    q->id = (uint16_t)fuzz_take(in, 2);
    q->type = (enum dns_type)(DNS_A + fuzz_take(in, 1) % (unsigned)DNS_TXT);
    FUZZ_CHECK(dns_text_name(names[fuzz_take(in, 1) % ARRAY_LEN(names)], q->name) > 0);
}

// A query is no reply, to itself least of all; turned into one it answers the question with nothing.
static void check_query(const struct dns_wire_question *q)
{
    uint8_t query[DNS_WIRE_QUERY_MAX];
    struct dns_wire_reply r;
    size_t len = dns_wire_query(query, q);
    FUZZ_CHECK(len > DNS_WIRE_HEADER && len <= sizeof(query));
    FUZZ_CHECK(dns_wire_read(query, len, q, &r) == DNS_WIRE_FOREIGN);
    query[2] |= 0x80;
    FUZZ_CHECK(dns_wire_read(query, len, q, &r) == DNS_WIRE_REPLY && r.n == 0 && r.rcode == 0);
    for (size_t i = DNS_WIRE_HEADER; i < len; i++)
        query[i] = (uint8_t)toupper(query[i]);
    FUZZ_CHECK(dns_wire_read(query, len, q, &r) == DNS_WIRE_REPLY);
}

static void check_records(struct fuzz_input *in, const struct dns_wire_question *q,
                          const struct dns_wire_reply *r)
{
    uint8_t record[DNS_RECORD_MAX] = {0};
    size_t len = fuzz_take(in, 1);
    for (size_t i = 0; i < len; i++)
        record[i] = (uint8_t)fuzz_take(in, 1);
    if (dns_wire_has(r, q, record, len))
        FUZZ_CHECK(r->n > 0);
    static const uint8_t address[] = {192, 0, 2, 1};
    if (dns_wire_has(r, q, address, sizeof(address)))
        FUZZ_CHECK(r->n > 0 && memmem(r->data, r->len, address, sizeof(address)));
}

static void check_reply(const uint8_t *data, size_t len, const struct dns_wire_question *q,
                        enum dns_wire_kind kind, const struct dns_wire_reply *r)
{
    // Of a few bytes the identifier is enough to know that it was meant for us.
    bool ours = len >= 2 && (data[0] << 8 | data[1]) == q->id && (len < 3 || data[2] & 0x80);
    FUZZ_CHECK(ours || kind == DNS_WIRE_FOREIGN);
    if (kind != DNS_WIRE_REPLY)
        return;
    FUZZ_CHECK(r->rcode == (data[3] & 0x0fu) && r->truncated == (data[2] >> 1 & 1));
    FUZZ_CHECK(r->n <= (unsigned)(data[6] << 8 | data[7]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_input in = {data, len};
    struct dns_wire_question q;
    struct dns_wire_reply r, again;
    take_question(&in, &q);
    check_query(&q);
    uint8_t *copy = calloc(in.len + BEHIND, 1), *exact = malloc(in.len ? in.len : 1);
    size_t n = in.len;
    if (n > 0) {
        memcpy(copy, in.data, n);
        memcpy(exact, in.data, n);
    }
    enum dns_wire_kind kind = dns_wire_read(exact, n, &q, &r);
    check_reply(exact, n, &q, kind, &r);
    if (kind == DNS_WIRE_REPLY) {
        FUZZ_CHECK(dns_wire_read(copy, n + BEHIND, &q, &again) == DNS_WIRE_REPLY);
        FUZZ_CHECK(again.n == r.n && again.rcode == r.rcode && again.truncated == r.truncated);
        if (!r.truncated)
            check_records(&in, &q, &r);
    }
    free(exact);
    free(copy);
    return 0;
}
