// SPDX-License-Identifier: Apache-2.0
// One cursor over a message, and names expanded where they are compared.
#include "agent/dns_wire.h"

#include <errno.h>
#include <string.h>

#define CLASS_IN 1
#define RECORD_HEAD 10 // type, class, TTL, length
#define QR 0x8000
#define OPCODE 0x7800
#define TC 0x0200
#define RD 0x0100
#define RCODE 0x000f
#define POINTERS_MAX 127 // a name has no more labels than that
#define CNAMES_MAX 16    // a chain that is longer leads nowhere

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static size_t name_len(const uint8_t *name)
{
    size_t n = 0;
    while (name[n])
        n += 1u + name[n];
    return n + 1;
}

static bool same_name(const uint8_t *a, const uint8_t *b)
{
    size_t len = name_len(a);
    return len == name_len(b) && memcmp(a, b, len) == 0;
}

size_t dns_wire_query(uint8_t out[static DNS_WIRE_QUERY_MAX], const struct dns_wire_question *q)
{
    size_t n = name_len(q->name);
    memset(out, 0, DNS_WIRE_HEADER);
    put16(out, q->id);
    put16(out + 2, RD);
    put16(out + 4, 1);
    memcpy(out + DNS_WIRE_HEADER, q->name, n);
    put16(out + DNS_WIRE_HEADER + n, dns_text_number(q->type));
    put16(out + DNS_WIRE_HEADER + n + 2, CLASS_IN);
    return DNS_WIRE_HEADER + n + 4;
}

// --- names ---------------------------------------------------------------------------------------

static void put_label(uint8_t *out, const uint8_t *label, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(label[i] >= 'A' && label[i] <= 'Z' ? label[i] - 'A' + 'a' : label[i]);
}

// Expands the name at *at in lower case and moves *at behind it. A pointer leads to before the labels that it
// ends (RFC 1035 4.1.4: "a prior occurrence"), so that none can lead in a circle.
static int get_name(const uint8_t *data, size_t len, size_t *at, uint8_t out[static DNS_NAME_MAX])
{
    size_t p = *at, before = *at, end = 0, n = 0;
    unsigned pointers = 0;
    for (;;) {
        if (p >= len)
            return -EINVAL;
        uint8_t size = data[p];
        if ((size & 0xc0) == 0xc0) {
            if (len - p < 2 || ++pointers > POINTERS_MAX)
                return -EINVAL;
            size_t to = get16(data + p) & 0x3fff;
            end = end ? end : p + 2;
            if (to >= before)
                return -EINVAL;
            p = before = to;
            continue;
        }
        if (size > DNS_LABEL_MAX || len - p <= size || n + 1 + size > DNS_NAME_MAX)
            return -EINVAL;
        out[n++] = size;
        p++;
        if (size == 0)
            break;
        put_label(out + n, data + p, size);
        n += size;
        p += size;
        if (n >= DNS_NAME_MAX)
            return -EINVAL;
    }
    *at = end ? end : p;
    return 0;
}

static int skip_name(const uint8_t *data, size_t len, size_t *at)
{
    for (size_t p = *at; p < len;) {
        uint8_t size = data[p];
        if (size == 0 || (size & 0xc0) == 0xc0) {
            p += size ? 2 : 1;
            if (p > len)
                return -EINVAL;
            *at = p;
            return 0;
        }
        if (size > DNS_LABEL_MAX)
            return -EINVAL;
        p += 1u + size;
    }
    return -EINVAL;
}

// --- records -------------------------------------------------------------------------------------

struct record {
    size_t name; // where it begins
    uint16_t type, class;
    size_t data, len; // its data
};

static int get_record(const uint8_t *data, size_t len, size_t *at, struct record *ret)
{
    size_t p = *at;
    ret->name = p;
    if (skip_name(data, len, &p) < 0 || len - p < RECORD_HEAD)
        return -EINVAL;
    ret->type = get16(data + p);
    ret->class = get16(data + p + 2);
    ret->len = get16(data + p + 8);
    ret->data = p + RECORD_HEAD;
    if (len - ret->data < ret->len)
        return -EINVAL;
    *at = ret->data + ret->len;
    return 0;
}

// TXT: strings of a length byte and so many bytes. What is longer than any text that is looked for is cut, at
// a length that none has.
static int get_strings(const uint8_t *data, size_t len, uint8_t out[static DNS_RECORD_MAX])
{
    size_t n = 0;
    for (size_t p = 0; p < len;) {
        size_t size = data[p++];
        if (len - p < size)
            return -EINVAL;
        size_t fits = MIN(size, DNS_RECORD_MAX - n);
        memcpy(out + n, data + p, fits);
        n += fits;
        p += size;
    }
    return len ? (int)n : -EINVAL;
}

// `fixed` bytes, then a name, then `rest` bytes that do not count.
static int get_with_name(const struct dns_wire_reply *r, const struct record *d, size_t fixed, size_t rest,
                         uint8_t out[static DNS_RECORD_MAX])
{
    size_t at = d->data + fixed, end = d->data + d->len;
    uint8_t other[DNS_NAME_MAX];
    if (d->len < fixed)
        return -EINVAL;
    memcpy(out, r->data + d->data, fixed);
    if (get_name(r->data, end, &at, out + fixed) < 0 || (rest && get_name(r->data, end, &at, other) < 0))
        return -EINVAL;
    return end - at == rest ? (int)(fixed + name_len(out + fixed)) : -EINVAL;
}

// The data of a record in the form of dns_text_record: its length, or -EINVAL.
static int get_data(const struct dns_wire_reply *r, const struct record *d,
                    uint8_t out[static DNS_RECORD_MAX])
{
    enum dns_type type = dns_text_by_number(d->type);
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        if (d->len != (type == DNS_A ? 4 : 16))
            return -EINVAL;
        memcpy(out, r->data + d->data, d->len);
        return (int)d->len;
    case DNS_CNAME:
    case DNS_NS:
    case DNS_PTR: return get_with_name(r, d, 0, 0, out);
    case DNS_MX: return get_with_name(r, d, 2, 0, out);
    case DNS_SRV: return get_with_name(r, d, 6, 0, out);
    case DNS_SOA: return get_with_name(r, d, 0, 20, out); // two names, then five numbers
    case DNS_TXT: return get_strings(r->data + d->data, d->len, out);
    case DNS_TYPE_UNSET: break;
    }
    return -EINVAL;
}

// The next record of class IN, that type and the reply's owner, from *at on, of *left records; false: none.
static bool next_of(const struct dns_wire_reply *r, uint16_t type, size_t *at, unsigned *left,
                    struct record *ret)
{
    uint8_t name[DNS_NAME_MAX];
    while (*left > 0) {
        --*left;
        if (get_record(r->data, r->len, at, ret) < 0)
            return false;
        size_t from = ret->name;
        if (ret->type == type && ret->class == CLASS_IN && get_name(r->data, r->len, &from, name) == 0 &&
            same_name(name, r->owner))
            return true;
    }
    return false;
}

// --- replies -------------------------------------------------------------------------------------

// From the name asked for to what its aliases lead to.
static int follow(struct dns_wire_reply *r, const struct dns_wire_question *q)
{
    uint8_t data[DNS_RECORD_MAX];
    for (unsigned i = 0; q->type != DNS_CNAME; i++) {
        struct record d;
        size_t at = r->answers;
        unsigned left = r->n_records;
        if (!next_of(r, dns_text_number(DNS_CNAME), &at, &left, &d))
            return 0;
        if (i == CNAMES_MAX || get_data(r, &d, data) < 0)
            return -EINVAL;
        memcpy(r->owner, data, name_len(data));
    }
    return 0;
}

static int count(struct dns_wire_reply *r, const struct dns_wire_question *q)
{
    struct record d;
    uint8_t data[DNS_RECORD_MAX];
    size_t at = r->answers;
    unsigned left = r->n_records;
    while (next_of(r, dns_text_number(q->type), &at, &left, &d)) {
        if (get_data(r, &d, data) < 0)
            return -EINVAL;
        r->n++;
    }
    return 0;
}

static int read_question(const uint8_t *data, size_t len, const struct dns_wire_question *q, size_t *at)
{
    uint8_t name[DNS_NAME_MAX];
    if (get_name(data, len, at, name) < 0 || len - *at < 4)
        return -EINVAL;
    if (!same_name(name, q->name) || get16(data + *at) != dns_text_number(q->type) ||
        get16(data + *at + 2) != CLASS_IN)
        return -EINVAL;
    *at += 4;
    return 0;
}

// The sections after the question: n records, to the last byte that they announce.
static int walk(const uint8_t *data, size_t len, size_t at, unsigned n)
{
    struct record d;
    for (unsigned i = 0; i < n; i++)
        if (get_record(data, len, &at, &d) < 0)
            return -EINVAL;
    return 0;
}

enum dns_wire_kind dns_wire_read(const uint8_t *data, size_t len, const struct dns_wire_question *q,
                                 struct dns_wire_reply *ret)
{
    if (len < 2 || get16(data) != q->id || (len > 2 && !(data[2] & (QR >> 8))))
        return DNS_WIRE_FOREIGN;
    if (len < DNS_WIRE_HEADER)
        return DNS_WIRE_BROKEN;
    unsigned flags = get16(data + 2), questions = get16(data + 4), rcode = flags & RCODE;
    *ret = (struct dns_wire_reply){
        .rcode = rcode, .truncated = flags & TC, .data = data, .len = len, .n_records = get16(data + 6)};
    memcpy(ret->owner, q->name, name_len(q->name));
    size_t at = DNS_WIRE_HEADER;
    bool bare = questions == 0 && rcode != DNS_NOERROR && rcode != DNS_NXDOMAIN;
    if ((flags & OPCODE) || (!bare && (questions != 1 || read_question(data, len, q, &at) < 0)))
        return DNS_WIRE_BROKEN;
    if (ret->truncated)
        return DNS_WIRE_REPLY;
    ret->answers = at;
    unsigned records = ret->n_records + get16(data + 8) + get16(data + 10);
    if (walk(data, len, at, records) < 0)
        return DNS_WIRE_BROKEN;
    return follow(ret, q) < 0 || count(ret, q) < 0 ? DNS_WIRE_BROKEN : DNS_WIRE_REPLY;
}

bool dns_wire_has(const struct dns_wire_reply *r, const struct dns_wire_question *q, const uint8_t *record,
                  size_t len)
{
    struct record d;
    uint8_t data[DNS_RECORD_MAX];
    size_t at = r->answers;
    unsigned left = r->n_records;
    while (next_of(r, dns_text_number(q->type), &at, &left, &d)) {
        int n = get_data(r, &d, data);
        if (n >= 0 && (size_t)n == len && memcmp(data, record, len) == 0)
            return true;
    }
    return false;
}
