// SPDX-License-Identifier: Apache-2.0
// The messages, written and read.
#include "agent/http_wire.h"

#include <string.h>

#include "lib/bytes.h"

#define KIND_PROBE 1
#define KIND_RESULT 2
#define FLAG_FOLLOW 1
#define FLAG_INSECURE 2
// 9999-12-31T23:59:59Z, the latest that a certificate can say (RFC 5280 4.1.2.5), and the year 1.
#define DATE_MAX INT64_C(253402300799)
#define DATE_MIN INT64_C(-62135596800)

static const uint8_t magic[4] = {'k', 'c', 'h', '2'};

const char *http_wire_outcome_name(enum http_wire_outcome o)
{
    static const char *const names[HTTP_WIRE_OUTCOMES] = {"answered",    "lookup",  "connect", "tls",
                                                          "certificate", "timeout", "closed",  "protocol",
                                                          "redirect",    "local"};
    return names[o];
}

const char *http_wire_phase_name(enum http_wire_phase p)
{
    static const char *const names[HTTP_WIRE_PHASES] = {"dns", "connect", "tls", "first_byte", "total"};
    return names[p];
}

static bool is_kind(const uint8_t *data, size_t len, size_t head, uint8_t kind)
{
    return len >= head && memcmp(data, magic, sizeof(magic)) == 0 && data[4] == kind;
}

// --- probe ---------------------------------------------------------------------------------------

void http_wire_probe_head(uint8_t out[static HTTP_WIRE_PROBE_HEAD], const struct http_wire_probe *p)
{
    memcpy(out, magic, sizeof(magic));
    out[4] = KIND_PROBE;
    out[5] = p->head;
    out[6] = (uint8_t)((p->follow ? FLAG_FOLLOW : 0) | (p->insecure ? FLAG_INSECURE : 0));
    out[7] = (uint8_t)p->family;
    bytes_put(out + 8, p->id, 8);
    bytes_put(out + 16, p->timeout_ns, 8);
    bytes_put(out + 24, p->url_len, 4);
    bytes_put(out + 28, p->ca_len, 4);
}

bool http_wire_probe_read(const uint8_t *data, size_t len, struct http_wire_probe *ret)
{
    if (!is_kind(data, len, HTTP_WIRE_PROBE_HEAD, KIND_PROBE))
        return false;
    const struct http_wire_probe p = {
        .id = bytes_get(data + 8, 8),
        .timeout_ns = bytes_get(data + 16, 8),
        .family = (enum http_wire_family)data[7],
        .head = data[5],
        .follow = data[6] & FLAG_FOLLOW,
        .insecure = data[6] & FLAG_INSECURE,
        .url = (const char *)data + HTTP_WIRE_PROBE_HEAD,
        .url_len = bytes_get(data + 24, 4),
        .ca = (const char *)data + HTTP_WIRE_PROBE_HEAD + bytes_get(data + 24, 4),
        .ca_len = bytes_get(data + 28, 4),
    };
    if (data[5] > 1 || data[6] > (FLAG_FOLLOW | FLAG_INSECURE) || (data[7] && data[7] != 4 && data[7] != 6))
        return false;
    if (p.url_len == 0 || p.url_len > LIMIT_HTTP_URL || p.ca_len > LIMIT_HTTP_CA ||
        len != HTTP_WIRE_PROBE_HEAD + p.url_len + p.ca_len)
        return false;
    if (p.timeout_ns == 0 || p.timeout_ns > LIMIT_HTTP_NS || memchr(p.url, 0, p.url_len + p.ca_len))
        return false;
    *ret = p;
    return true;
}

// --- result --------------------------------------------------------------------------------------

static uint8_t printable(char c)
{
    return c >= ' ' && c <= '~' ? (uint8_t)c : '?';
}

size_t http_wire_result_write(uint8_t out[static HTTP_WIRE_RESULT_MAX], const struct http_wire_result *r)
{
    size_t len = strnlen(r->text, LIMIT_HTTP_TEXT);
    memset(out, 0, HTTP_WIRE_RESULT_HEAD);
    memcpy(out, magic, sizeof(magic));
    out[4] = KIND_RESULT;
    out[5] = (uint8_t)r->outcome;
    bytes_put(out + 6, r->status, 2);
    bytes_put(out + 8, r->id, 8);
    bytes_put(out + 16, r->code, 2);
    bytes_put(out + 20, r->err, 2);
    out[18] = (uint8_t)len;
    for (unsigned i = 0; i < HTTP_WIRE_PHASES; i++)
        bytes_put(out + 24 + 8 * i, r->phase_ns[i], 8);
    bytes_put(out + 64, (uint64_t)r->leaf_end_s, 8);
    bytes_put(out + 72, (uint64_t)r->chain_end_s, 8);
    for (size_t i = 0; i < len; i++)
        out[HTTP_WIRE_RESULT_HEAD + i] = printable(r->text[i]);
    return HTTP_WIRE_RESULT_HEAD + len;
}

static bool date_can_be(int64_t s)
{
    return s >= DATE_MIN && s <= DATE_MAX;
}

static bool result_can_be(const struct http_wire_result *r)
{
    uint64_t total = r->phase_ns[HTTP_WIRE_PHASE_TOTAL];
    if (total > LIMIT_HTTP_NS || (r->status && (r->status < 100 || r->status > 999)))
        return false;
    for (unsigned i = 0; i < HTTP_WIRE_PHASES; i++)
        if (r->phase_ns[i] > total)
            return false;
    if (r->outcome == HTTP_WIRE_ANSWERED && !r->status)
        return false;
    if (r->err > (r->outcome == HTTP_WIRE_LOCAL ? HTTP_WIRE_ERRNO_MAX : 0))
        return false;
    return date_can_be(r->leaf_end_s) && date_can_be(r->chain_end_s);
}

bool http_wire_result_read(const uint8_t *data, size_t len, struct http_wire_result *ret)
{
    if (!is_kind(data, len, HTTP_WIRE_RESULT_HEAD, KIND_RESULT) || data[19] || data[22] || data[23])
        return false;
    if (data[5] >= HTTP_WIRE_OUTCOMES || data[18] > LIMIT_HTTP_TEXT ||
        len != HTTP_WIRE_RESULT_HEAD + (size_t)data[18])
        return false;
    struct http_wire_result r = {
        .id = bytes_get(data + 8, 8),
        .outcome = (enum http_wire_outcome)data[5],
        .status = (uint16_t)bytes_get(data + 6, 2),
        .code = (uint16_t)bytes_get(data + 16, 2),
        .err = (uint16_t)bytes_get(data + 20, 2),
        .leaf_end_s = (int64_t)bytes_get(data + 64, 8),
        .chain_end_s = (int64_t)bytes_get(data + 72, 8),
    };
    for (unsigned i = 0; i < HTTP_WIRE_PHASES; i++)
        r.phase_ns[i] = bytes_get(data + 24 + 8 * i, 8);
    for (size_t i = 0; i < data[18]; i++)
        r.text[i] = (char)printable((char)data[HTTP_WIRE_RESULT_HEAD + i]);
    if (!result_can_be(&r))
        return false;
    *ret = r;
    return true;
}

// --- whether it is there -------------------------------------------------------------------------

void http_wire_hello_write(uint8_t out[static HTTP_WIRE_HELLO], enum http_wire_hello h)
{
    memset(out, 0, HTTP_WIRE_HELLO);
    memcpy(out, magic, sizeof(magic));
    out[4] = (uint8_t)h;
}

bool http_wire_hello_is(const uint8_t *data, size_t len, enum http_wire_hello h)
{
    uint8_t want[HTTP_WIRE_HELLO];
    http_wire_hello_write(want, h);
    return len == sizeof(want) && memcmp(data, want, sizeof(want)) == 0;
}
