// SPDX-License-Identifier: Apache-2.0
// DNS messages written by hand, field by field, from RFC 1035 4.1 (2782 for SRV, 3596 for AAAA); each of them
// cut at every byte; and pointers that lead astray.
#include "test/unit/check.h"

#include <stdlib.h>

#include "agent/dns_wire.h"
#include "lib/base.h"

#define ID "\xab\xcd"
#define COUNTS(answers) "\0\1\0" answers "\0\0\0\0" // one question
#define OK ID "\x81\x80"                            // QR, RD, RA
#define TTL "\0\0\0\x1e"
#define WWW "\3www\1a\0" // at 12; "a" at 16
#define ANSWER(type) "\xc0\x0c\0" type "\0\1" TTL

struct sample {
    const char *what;
    enum dns_type type;
    const char *name; // asked for
    const char *data;
    size_t len;
    unsigned rcode, n;
    const char *has, *has_not; // as dns_text_record reads them; NULL: not looked for
};
#define SAMPLE(what, type, name, data, ...)                   \
    {                                                         \
        what, type, name, data, sizeof(data) - 1, __VA_ARGS__ \
    }

static const struct sample samples[] = {
    SAMPLE("A", DNS_A, "www.a", OK COUNTS("\1") WWW "\0\1\0\1" ANSWER("\1") "\0\4\300\0\2\1", 0, 1,
           "192.0.2.1", "192.0.2.2"),
    SAMPLE("two of A, one with its name in full and in capitals", DNS_A, "www.a",
           OK COUNTS("\2") "\3wWw\1A\0\0\1\0\1" ANSWER("\1") "\0\4\300\0\2\1"
                                                             "\3WWW\1A\0\0\1\0\1" TTL "\0\4\300\0\2\2",
           0, 2, "192.0.2.2", "192.0.2.3"),
    SAMPLE("AAAA", DNS_AAAA, "www.a",
           OK COUNTS("\1") WWW "\0\x1c\0\1" ANSWER("\x1c") "\0\x10\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 0,
           1, "2001:db8::1", "2001:db8::2"),
    SAMPLE("A by way of two CNAMEs, and an A of another name", DNS_A, "www.a",
           OK COUNTS("\4") WWW "\0\1\0\1" ANSWER("\5") "\0\4\1x\xc0\x10"                        // x.a, at 35
                                                       "\xc0\x23\0\5\0\1" TTL "\0\4\1y\xc0\x10" // y.a, at 51
                                                       "\xc0\x33\0\1\0\1" TTL "\0\4\300\0\2\1"
                                                       "\xc0\x10\0\1\0\1" TTL "\0\4\300\0\2\2",
           0, 1, "192.0.2.1", "192.0.2.2"),
    SAMPLE("CNAME", DNS_CNAME, "www.a", OK COUNTS("\1") WWW "\0\5\0\1" ANSWER("\5") "\0\4\1x\xc0\x10", 0, 1,
           "X.a.", "y.a"),
    SAMPLE("NS", DNS_NS, "www.a", OK COUNTS("\1") WWW "\0\2\0\1" ANSWER("\2") "\0\5\2ns\xc0\x10", 0, 1,
           "ns.a", "a"),
    SAMPLE("PTR", DNS_PTR, "www.a", OK COUNTS("\1") WWW "\0\xc\0\1" ANSWER("\xc") "\0\2\xc0\x0c", 0, 1,
           "www.a", "a"),
    SAMPLE("MX", DNS_MX, "www.a", OK COUNTS("\1") WWW "\0\xf\0\1" ANSWER("\xf") "\0\4\0\x0a\xc0\x10", 0, 1,
           "10 a", "11 a"),
    SAMPLE("SRV", DNS_SRV, "www.a",
           OK COUNTS("\1") WWW "\0\x21\0\1" ANSWER("\x21") "\0\x9\0\1\0\2\1\273\1a\0", 0, 1, "1 2 443 a",
           "1 2 444 a"),
    SAMPLE("SOA", DNS_SOA, "www.a",
           OK COUNTS("\1") WWW
           "\0\6\0\1" ANSWER("\6") "\0\x1b\2ns\xc0\x10\xc0\x10\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5",
           0, 1, "ns.a", "a"),
    SAMPLE("TXT in two strings", DNS_TXT, "www.a",
           OK COUNTS("\1") WWW "\0\x10\0\1" ANSWER("\x10") "\0\7\2ab\0\2 C", 0, 1, "ab C", "ab"),
    SAMPLE("no such name", DNS_A, "www.a",
           ID "\x85\x83\0\1\0\0\0\1\0\0" WWW "\0\1\0\1"
              "\xc0\x10\0\6\0\1" TTL "\0\x18\xc0\x10\xc0\x10\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5",
           3, 0, NULL, "192.0.2.1"),
    SAMPLE("no data", DNS_A, "www.a", OK COUNTS("\0") WWW "\0\1\0\1", 0, 0, NULL, "192.0.2.1"),
    SAMPLE("another class, another type and an additional record", DNS_A, "www.a",
           ID "\x81\x80\0\1\0\2\0\0\0\1" WWW "\0\1\0\1"
              "\xc0\x0c\0\1\0\3" TTL "\0\4\300\0\2\1"
              "\xc0\x0c\0\x10\0\1" TTL "\0\0"
              "\xc0\x0c\0\1\0\1" TTL "\0\4\300\0\2\2",
           0, 0, NULL, "192.0.2.2"),
    SAMPLE("the root's servers", DNS_NS, ".", OK COUNTS("\1") "\0\0\2\0\1\0\0\2\0\1" TTL "\0\3\1a\0", 0, 1,
           "a", "b"),
    SAMPLE("a record whose name is written behind it, which is no prior occurrence", DNS_TXT, "www.a",
           OK COUNTS("\1") WWW "\0\x10\0\1\xc0\x23\0\x10\0\1" TTL "\0\7" WWW, 0, 0, NULL, "wwwa"),
    SAMPLE("an error without the question", DNS_A, "www.a", ID "\x81\x81\0\0\0\0\0\0\0\0", 1, 0, NULL,
           "192.0.2.1"),
};

static int question(const struct sample *s, struct dns_wire_question *ret)
{
    *ret = (struct dns_wire_question){.id = 0xabcd, .type = s->type};
    return dns_text_name(s->name, ret->name);
}

// From memory of its exact size, so that the sanitizer sees each byte beyond.
static enum dns_wire_kind read_cut(const struct sample *s, size_t len)
{
    struct dns_wire_question q;
    struct dns_wire_reply r;
    CLEANUP_FREE uint8_t *copy = malloc(len + !len);
    if (question(s, &q) < 0 || !copy)
        return DNS_WIRE_REPLY;
    memcpy(copy, s->data, len);
    enum dns_wire_kind kind = dns_wire_read(copy, len, &q, &r);
    if (kind == DNS_WIRE_REPLY)
        (void)dns_wire_has(&r, &q, q.name, 1);
    return kind;
}

static bool has(const struct dns_wire_reply *r, const struct dns_wire_question *q, const char *text)
{
    uint8_t record[DNS_RECORD_MAX];
    int n = dns_text_record(q->type, text, record);
    return n >= 0 && dns_wire_has(r, q, record, (size_t)n);
}

static void check_sample(const struct sample *s)
{
    struct dns_wire_question q;
    struct dns_wire_reply r;
    CHECK(question(s, &q) > 0);
    CHECK_INT(dns_wire_read((const uint8_t *)s->data, s->len, &q, &r), DNS_WIRE_REPLY);
    CHECK_INT(r.rcode, s->rcode);
    CHECK_INT(r.n, s->n);
    CHECK(!r.truncated);
    CHECK(!s->has || has(&r, &q, s->has));
    CHECK(!s->has_not || !has(&r, &q, s->has_not));
    for (size_t len = 0; len < s->len; len++)
        CHECK_INT(read_cut(s, len), len < 2 ? DNS_WIRE_FOREIGN : DNS_WIRE_BROKEN);
    CHECK_INT(read_cut(s, s->len), DNS_WIRE_REPLY);
}

static void test_samples(void)
{
    for (size_t i = 0; i < ARRAY_LEN(samples) && !check_failed; i++) {
        check_sample(&samples[i]);
        if (check_failed)
            printf("    %s\n", samples[i].what);
    }
}

// Any byte another: whatever is made of it, nothing beyond the message is read.
static void test_broken_bytes(void)
{
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct sample s = samples[i];
        CLEANUP_FREE char *data = malloc(s.len);
        for (size_t k = 0; k < s.len; k++) {
            for (int to = 0; to < 256; to += to == 3 ? 57 : 1) {
                memcpy(data, samples[i].data, s.len);
                data[k] = (char)to;
                s.data = data;
                (void)read_cut(&s, s.len);
            }
        }
    }
}

static void test_query(void)
{
    static const char want[] = ID "\1\0\0\1\0\0\0\0\0\0" WWW "\0\x1c\0\1";
    uint8_t out[DNS_WIRE_QUERY_MAX];
    struct dns_wire_question q = {.id = 0xabcd, .type = DNS_AAAA};
    CHECK(dns_text_name("WWW.a", q.name) > 0);
    CHECK_INT(dns_wire_query(out, &q), sizeof(want) - 1);
    CHECK(memcmp(out, want, sizeof(want) - 1) == 0);
    struct dns_wire_reply r;
    CHECK_INT(dns_wire_read(out, sizeof(want) - 1, &q, &r), DNS_WIRE_FOREIGN); // a query is no reply
}

static const struct sample refused[] = {
    SAMPLE("another id", DNS_A, "www.a", "\xab\xce\x81\x80" COUNTS("\0") WWW "\0\1\0\1", DNS_WIRE_FOREIGN, 0,
           NULL, NULL),
    SAMPLE("another name", DNS_A, "www.b", OK COUNTS("\0") WWW "\0\1\0\1", DNS_WIRE_BROKEN, 0, NULL, NULL),
    SAMPLE("another type", DNS_MX, "www.a", OK COUNTS("\0") WWW "\0\1\0\1", DNS_WIRE_BROKEN, 0, NULL, NULL),
    SAMPLE("another class", DNS_A, "www.a", OK COUNTS("\0") WWW "\0\1\0\3", DNS_WIRE_BROKEN, 0, NULL, NULL),
    SAMPLE("another opcode", DNS_A, "www.a", ID "\xa1\x80" COUNTS("\0") WWW "\0\1\0\1", DNS_WIRE_BROKEN, 0,
           NULL, NULL),
    SAMPLE("no question", DNS_A, "www.a", OK "\0\0\0\0\0\0\0\0", DNS_WIRE_BROKEN, 0, NULL, NULL),
    SAMPLE("no such name, without a question", DNS_A, "www.a", ID "\x81\x83\0\0\0\0\0\0\0\0", DNS_WIRE_BROKEN,
           0, NULL, NULL),
    SAMPLE("two questions", DNS_A, "www.a", ID "\x81\x80\0\2\0\0\0\0\0\0" WWW "\0\1\0\1" WWW "\0\1\0\1",
           DNS_WIRE_BROKEN, 0, NULL, NULL),
    SAMPLE("the question points to itself", DNS_A, "www.a", OK COUNTS("\0") "\xc0\x0c\0\1\0\1",
           DNS_WIRE_BROKEN, 0, NULL, NULL),
    SAMPLE("a record of its own name points to itself", DNS_A, "www.a",
           OK COUNTS("\1") WWW "\0\1\0\1\1a\xc0\x17\0\1\0\1" TTL "\0\4\0\0\0\0", DNS_WIRE_REPLY, 0, NULL,
           NULL), // nobody's name: nothing that was asked for
    SAMPLE("a CNAME that points to itself", DNS_A, "www.a",
           OK COUNTS("\1") WWW "\0\1\0\1" ANSWER("\5") "\0\2\xc0\x23", DNS_WIRE_BROKEN, 0, NULL, NULL),
    SAMPLE("a CNAME that points ahead", DNS_A, "www.a",
           OK COUNTS("\1") WWW "\0\1\0\1" ANSWER("\5") "\0\4\xc0\x25\1a", DNS_WIRE_BROKEN, 0, NULL, NULL),
    SAMPLE("a CNAME to its own name", DNS_A, "www.a",
           OK COUNTS("\1") WWW "\0\1\0\1" ANSWER("\5") "\0\2\xc0\x0c", DNS_WIRE_BROKEN, 0, NULL, NULL),
    SAMPLE("a name of a reserved kind", DNS_A, "www.a", OK COUNTS("\0") "\x43www\1a\0\0\1\0\1",
           DNS_WIRE_BROKEN, 0, NULL, NULL),
    SAMPLE("A of five bytes", DNS_A, "www.a", OK COUNTS("\1") WWW "\0\1\0\1" ANSWER("\1") "\0\5\300\0\2\1\1",
           DNS_WIRE_BROKEN, 0, NULL, NULL),
    SAMPLE("MX longer than its name", DNS_MX, "www.a",
           OK COUNTS("\1") WWW "\0\xf\0\1" ANSWER("\xf") "\0\5\0\x0a\xc0\x10\0", DNS_WIRE_BROKEN, 0, NULL,
           NULL),
    SAMPLE("TXT beyond its record", DNS_TXT, "www.a",
           OK COUNTS("\1") WWW "\0\x10\0\1" ANSWER("\x10") "\0\2\2ab", DNS_WIRE_BROKEN, 0, NULL, NULL),
    SAMPLE("TXT of no string", DNS_TXT, "www.a", OK COUNTS("\1") WWW "\0\x10\0\1" ANSWER("\x10") "\0\0",
           DNS_WIRE_BROKEN, 0, NULL, NULL),
};

static void test_refused(void)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (read_cut(&refused[i], refused[i].len) != (enum dns_wire_kind)refused[i].rcode)
            printf("    %s\n", refused[i].what);
        CHECK_INT(read_cut(&refused[i], refused[i].len), refused[i].rcode);
    }
}

// Cut by the server: what follows the question is not looked at.
static void test_truncated(void)
{
    static const char data[] = ID "\x83\x80\0\1\0\7\0\0\0\0" WWW "\0\1\0\1\xc0";
    struct dns_wire_question q = {.id = 0xabcd, .type = DNS_A};
    struct dns_wire_reply r;
    CHECK(dns_text_name("www.a", q.name) > 0);
    CHECK_INT(dns_wire_read((const uint8_t *)data, sizeof(data) - 1, &q, &r), DNS_WIRE_REPLY);
    CHECK(r.truncated);
}

// The worst that a message of full length can ask for: pointers that lead to pointers, CNAMEs one after
// another.
static void test_longest(void)
{
    static uint8_t data[DNS_WIRE_MESSAGE_MAX];
    struct dns_wire_question q = {.id = 0xabcd, .type = DNS_A};
    struct dns_wire_reply r;
    static const char head[] = OK "\0\1\xff\xff\0\0\0\0" WWW "\0\1\0\1";
    size_t n = sizeof(head) - 1;
    CHECK(dns_text_name("www.a", q.name) > 0);
    memcpy(data, head, n);
    unsigned records = 0;
    for (size_t before = 12; sizeof(data) - n >= 14; records++) { // each a CNAME of the one before
        const uint8_t record[14] = {
            0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 2, (uint8_t)(0xc0 | before >> 8), (uint8_t)before};
        memcpy(data + n, record, sizeof(record));
        before = n + 12 < 0x4000 ? n + 12 : before;
        n += sizeof(record);
    }
    data[6] = (uint8_t)(records >> 8);
    data[7] = (uint8_t)records;
    CHECK_INT(dns_wire_read(data, n, &q, &r), DNS_WIRE_BROKEN); // A of two bytes
    for (size_t at = sizeof(head) - 1; at + 14 <= n; at += 14)
        data[at + 3] = 5;
    CHECK_INT(dns_wire_read(data, n, &q, &r), DNS_WIRE_BROKEN); // CNAMEs to itself
    for (size_t at = sizeof(head) - 1; at + 14 <= n; at += 14)
        data[at + 3] = 16;
    CHECK_INT(dns_wire_read(data, n, &q, &r), DNS_WIRE_REPLY);
    CHECK_INT(r.n, 0);
}

static const struct check_case cases[] = {
    {"query", test_query},
    {"replies, whole and cut at every byte", test_samples},
    {"replies with a byte changed", test_broken_bytes},
    {"what is no reply to it", test_refused},
    {"cut by the server", test_truncated},
    {"the longest message", test_longest},
};
CHECK_MAIN(cases)
