// SPDX-License-Identifier: Apache-2.0
// The exposition formats' writer: headers, escaping, numbers without printf (which is slow in musl), and the
// choice by Accept.
#include "lib/metric.h"

#include "lib/accept.h"

// --- negotiation ---------------------------------------------------------------------------------

enum metric_format metric_negotiate(const char *accept)
{
    struct accept rest = accept_begin(accept);
    struct accept_item w;
    int open = 0, plain = -1, any = 0;
    while (accept_next(&rest, &w)) {
        if (accept_is(w.value, "application/openmetrics-text")) {
            if (w.version.len == 0 || accept_is(w.version, "1.0.0"))
                open = MAX(open, w.q);
        } else if (accept_is(w.value, "text/plain")) {
            if (w.version.len == 0 || accept_is(w.version, "0.0.4"))
                plain = MAX(plain, w.q);
        } else if (accept_is(w.value, "*/*") || accept_is(w.value, "text/*")) {
            any = MAX(any, w.q);
        }
    }
    return open > 0 && open >= (plain >= 0 ? plain : any) ? METRIC_OPENMETRICS_1_0 : METRIC_TEXT_0_0_4;
}

const char *metric_content_type(enum metric_format f)
{
    return f == METRIC_OPENMETRICS_1_0 ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                       : "text/plain; version=0.0.4; charset=utf-8";
}

// --- bytes: where the next one goes, in room that was asked for before ---------------------------

#define U64_MAX_TEXT 20
#define SECONDS_MAX_TEXT 21

// memcpy for the few dozen bytes that a scrape is made of, a hundred thousand times: musl's is one `rep
// movsq`, which takes longer to begin than this takes in all.
static inline char *put(char *at, const char *text, size_t len)
{
    if (len >= 16) {
        for (size_t i = 0; i < len - 16; i += 16)
            memcpy(at + i, text + i, 16);
        memcpy(at + len - 16, text + len - 16, 16);
    } else if (len >= 8) {
        memcpy(at, text, 8);
        memcpy(at + len - 8, text + len - 8, 8);
    } else {
        for (size_t i = 0; i < len; i++)
            at[i] = text[i];
    }
    return at + len;
}

static char *put_u64(char *at, uint64_t value)
{
    char digits[U64_MAX_TEXT];
    size_t i = sizeof(digits);
    if (value < 10) { // most counters of a good network
        *at = (char)('0' + value);
        return at + 1;
    }
    do {
        digits[--i] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return put(at, digits + i, sizeof(digits) - i);
}

static char *put_seconds(char *at, uint64_t ns)
{
    uint64_t rest = ns % NS_PER_S;
    at = put_u64(at, ns / NS_PER_S);
    *at++ = '.';
    do {
        *at++ = (char)('0' + rest / (NS_PER_S / 10));
        rest = rest % (NS_PER_S / 10) * 10;
    } while (rest > 0);
    return at;
}

// At most twice as long.
static char *put_escaped(char *at, const char *text, size_t len, bool quote)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\\' || text[i] == '\n' || (quote && text[i] == '"'))
            *at++ = '\\';
        *at++ = text[i] == '\n' ? 'n' : text[i];
    }
    return at;
}

// --- writing -------------------------------------------------------------------------------------

static void add_escaped(struct buf *b, const char *text, bool quote)
{
    size_t len = strlen(text);
    char *begin = buf_room(b, 2 * len);
    if (begin)
        buf_grew(b, (size_t)(put_escaped(begin, text, len, quote) - begin));
}

static bool ends_in_unit(const char *name, const char *unit)
{
    size_t n = strlen(name), u = unit ? strlen(unit) : 0;
    return u > 0 && n > u && name[n - u - 1] == '_' && memcmp(name + n - u, unit, u) == 0;
}

static void add_header(struct buf *b, const char *word, const char *name, const char *suffix)
{
    buf_str(b, "# ");
    buf_str(b, word);
    buf_char(b, ' ');
    buf_str(b, name);
    buf_str(b, suffix);
    buf_char(b, ' ');
}

void metric_family(struct buf *b, enum metric_format f, enum metric_type t, const char *name,
                   const char *unit, const char *help)
{
    static const char *const types[] = {"counter", "gauge", "histogram", "info", "summary"};
    bool open = f == METRIC_OPENMETRICS_1_0;
    const char *suffix = open ? "" : t == METRIC_COUNTER ? "_total" : t == METRIC_INFO ? "_info" : "";
    add_header(b, "HELP", name, suffix);
    add_escaped(b, help, open);
    buf_char(b, '\n');
    add_header(b, "TYPE", name, suffix);
    buf_str(b, !open && t == METRIC_INFO ? "gauge" : types[t]);
    buf_char(b, '\n');
    if (open && ends_in_unit(name, unit)) {
        add_header(b, "UNIT", name, "");
        buf_str(b, unit);
        buf_char(b, '\n');
    }
}

void metric_label_add(struct buf *labels, const char *key, size_t key_len, const char *value,
                      size_t value_len)
{
    char *begin = buf_room(labels, key_len + 2 * value_len + 4), *at = begin;
    if (!begin)
        return;
    if (labels->len > 0)
        *at++ = ',';
    at = put(at, key, key_len);
    *at++ = '=';
    *at++ = '"';
    at = put_escaped(at, value, value_len, true);
    *at++ = '"';
    buf_grew(labels, (size_t)(at - begin));
}

static void end_sample(struct buf *b, char *at)
{
    *at++ = '\n';
    buf_grew(b, (size_t)(at - b->data) - b->len);
}

void metric_head(struct buf *head, const char *name, const char *suffix)
{
    buf_reset(head);
    buf_str(head, name);
    buf_str(head, suffix);
    buf_char(head, '{');
}

// Room for n bytes of samples with these labels. NULL if there is none, or if labels could not be made: a
// sample without some of them would be another series.
static char *room_for(struct buf *b, const struct buf *labels, size_t n)
{
    b->failed = b->failed || (labels && labels->failed);
    return buf_room(b, n);
}

void metric_row(struct buf *b, const struct buf *head, const struct buf *labels, uint64_t value)
{
    b->failed = b->failed || head->failed;
    char *at = room_for(b, labels, head->len + labels->len + 2 + U64_MAX_TEXT + 1);
    if (!at)
        return;
    at = put(put(at, head->data, head->len), labels->data, labels->len);
    *at++ = '}';
    *at++ = ' ';
    end_sample(b, put_u64(at, value));
}

// A sample up to its value, and where that goes: room for it and the line's end. NULL without room.
static char *begin_sample(struct buf *b, const char *name, const char *suffix, const struct buf *labels)
{
    size_t n = strlen(name), s = strlen(suffix), l = labels ? labels->len : 0;
    char *at = room_for(b, labels, n + s + l + 4 + SECONDS_MAX_TEXT);
    if (!at)
        return NULL;
    at = put(put(at, name, n), suffix, s);
    if (l > 0) {
        *at++ = '{';
        at = put(at, labels->data, l);
        *at++ = '}';
    }
    *at++ = ' ';
    return at;
}

void metric_u64(struct buf *b, const char *name, const char *suffix, const struct buf *labels, uint64_t value)
{
    char *at = begin_sample(b, name, suffix, labels);
    if (at)
        end_sample(b, put_u64(at, value));
}

void metric_i64(struct buf *b, const char *name, const char *suffix, const struct buf *labels, int64_t value)
{
    char *at = begin_sample(b, name, suffix, labels);
    if (!at)
        return;
    if (value < 0)
        *at++ = '-';
    end_sample(b, put_u64(at, value < 0 ? -(uint64_t)value : (uint64_t)value));
}

void metric_seconds(struct buf *b, const char *name, const char *suffix, const struct buf *labels,
                    uint64_t ns)
{
    char *at = begin_sample(b, name, suffix, labels);
    if (at)
        end_sample(b, put_seconds(at, ns));
}

// --- histograms ----------------------------------------------------------------------------------

void metric_bounds(struct metric_bound *ret, const uint64_t *bounds_ns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ret[i].len = (uint8_t)(put_seconds(ret[i].text, bounds_ns[i]) - ret[i].text);
}

// `name_bucket{labels,le="`: what all buckets of a histogram begin with.
static char *put_bucket(char *at, const char *name, size_t name_len, const struct buf *labels)
{
    at = put(put(at, name, name_len), "_bucket{", 8);
    if (labels && labels->len > 0) {
        at = put(at, labels->data, labels->len);
        *at++ = ',';
    }
    return put(at, "le=\"", 4);
}

void metric_histogram(struct buf *b, const char *name, const struct buf *labels,
                      const struct metric_bound *bounds, const uint64_t *buckets, size_t n, uint64_t sum_ns)
{
    static const struct metric_bound inf = {4, "+Inf"};
    const size_t name_len = strlen(name);
    const size_t start_max = name_len + 8 + (labels ? labels->len : 0) + 1 + 4;
    char *begin = room_for(b, labels, (n + 1) * (start_max + SECONDS_MAX_TEXT + 3 + U64_MAX_TEXT + 1)),
         *at = begin;
    uint64_t sum = 0;
    size_t start = 0;
    if (!begin)
        return;
    for (size_t i = 0; i <= n; i++) {
        const struct metric_bound *le = i < n ? &bounds[i] : &inf;
        sum += buckets[i];
        if (i == 0) {
            at = put_bucket(begin, name, name_len, labels);
            start = (size_t)(at - begin);
        } else {
            at = put(at, begin, start);
        }
        at = put(put(at, le->text, le->len), "\"} ", 3);
        at = put_u64(at, sum);
        *at++ = '\n';
    }
    buf_grew(b, (size_t)(at - begin));
    metric_seconds(b, name, "_sum", labels, sum_ns);
    metric_u64(b, name, "_count", labels, sum);
}

void metric_end(struct buf *b, enum metric_format f)
{
    if (f == METRIC_OPENMETRICS_1_0)
        buf_str(b, "# EOF\n");
}
