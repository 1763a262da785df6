// SPDX-License-Identifier: Apache-2.0
// The exposition formats' writer: headers, escaping, numbers without printf (which is slow in musl), and the
// choice by Accept.
#include "lib/metric.h"

#include <ctype.h>

// --- negotiation: RFC 9110, 12.5.1, as far as two media types need it
// ----------------------------------------------

struct span {
    const char *at;
    size_t len;
};

static struct span trim(struct span s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t')) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

// Takes what stands before the next `sep` off *rest. False when *rest is used up.
static bool next_part(struct span *rest, char sep, struct span *ret)
{
    if (!rest->at)
        return false;
    const char *end = memchr(rest->at, sep, rest->len);
    size_t len = end ? (size_t)(end - rest->at) : rest->len;
    *ret = trim((struct span){rest->at, len});
    if (end)
        *rest = (struct span){end + 1, rest->len - len - 1};
    else
        rest->at = NULL;
    return true;
}

static bool span_is(struct span s, const char *text)
{
    return strlen(text) == s.len && strncasecmp(s.at, text, s.len) == 0;
}

// A qvalue in thousandths; what is no qvalue counts as 1000, as if it were absent.
static int parse_q(struct span s)
{
    if (s.len == 0 || (s.at[0] != '0' && s.at[0] != '1'))
        return 1000;
    int q = (s.at[0] - '0') * 1000;
    if (s.len == 1)
        return q;
    if (s.at[1] != '.')
        return 1000;
    int weight = 100;
    for (size_t i = 2; i < s.len; i++, weight /= 10) {
        if (!isdigit((unsigned char)s.at[i]))
            return 1000;
        q += (s.at[i] - '0') * weight;
    }
    return MIN(q, 1000);
}

struct wish {
    struct span type;
    struct span version;
    int q;
};

static struct wish parse_wish(struct span range)
{
    struct wish w = {.q = 1000};
    struct span part;
    next_part(&range, ';', &w.type);
    while (next_part(&range, ';', &part)) {
        struct span key, value = part;
        if (!next_part(&value, '=', &key) || !value.at)
            continue;
        value = trim(value);
        if (value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"')
            value = (struct span){value.at + 1, value.len - 2};
        if (span_is(key, "q"))
            w.q = parse_q(value);
        else if (span_is(key, "version"))
            w.version = value;
    }
    return w;
}

enum metric_format metric_negotiate(const char *accept)
{
    if (!accept)
        return METRIC_TEXT_0_0_4;
    struct span rest = {accept, strlen(accept)}, part;
    int open = 0, plain = -1, any = 0;
    while (next_part(&rest, ',', &part)) {
        struct wish w = parse_wish(part);
        if (span_is(w.type, "application/openmetrics-text")) {
            if (w.version.len == 0 || span_is(w.version, "1.0.0"))
                open = MAX(open, w.q);
        } else if (span_is(w.type, "text/plain")) {
            if (w.version.len == 0 || span_is(w.version, "0.0.4"))
                plain = MAX(plain, w.q);
        } else if (span_is(w.type, "*/*") || span_is(w.type, "text/*")) {
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

// --- writing
// -------------------------------------------------------------------------------------------------------

static void add_escaped(struct buf *b, const char *text, bool quote)
{
    for (;;) {
        size_t plain = strcspn(text, quote ? "\\\n\"" : "\\\n");
        buf_add(b, text, plain);
        text += plain;
        if (*text == '\0')
            return;
        buf_char(b, '\\');
        buf_char(b, *text == '\n' ? 'n' : *text);
        text++;
    }
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
    static const char *const types[] = {"counter", "gauge", "histogram", "info"};
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

void metric_label(struct buf *labels, const char *key, const char *value)
{
    if (labels->len > 0)
        buf_char(labels, ',');
    buf_str(labels, key);
    buf_str(labels, "=\"");
    add_escaped(labels, value, true);
    buf_char(labels, '"');
}

static void add_sample(struct buf *b, const char *name, const char *suffix, const char *labels)
{
    buf_str(b, name);
    buf_str(b, suffix);
    if (labels && labels[0] != '\0') {
        buf_char(b, '{');
        buf_str(b, labels);
        buf_char(b, '}');
    }
    buf_char(b, ' ');
}

void metric_u64(struct buf *b, const char *name, const char *suffix, const char *labels, uint64_t value)
{
    add_sample(b, name, suffix, labels);
    buf_u64(b, value);
    buf_char(b, '\n');
}

void metric_i64(struct buf *b, const char *name, const char *suffix, const char *labels, int64_t value)
{
    add_sample(b, name, suffix, labels);
    if (value < 0)
        buf_char(b, '-');
    buf_u64(b, value < 0 ? -(uint64_t)value : (uint64_t)value);
    buf_char(b, '\n');
}

void metric_number_seconds(struct buf *b, uint64_t ns)
{
    char digits[9];
    uint64_t rest = ns % NS_PER_S;
    size_t used = 1;
    for (size_t i = sizeof(digits); i-- > 0; rest /= 10) {
        digits[i] = (char)('0' + rest % 10);
        if (digits[i] != '0' && used <= i)
            used = i + 1;
    }
    buf_u64(b, ns / NS_PER_S);
    buf_char(b, '.');
    buf_add(b, digits, used);
}

void metric_seconds(struct buf *b, const char *name, const char *suffix, const char *labels, uint64_t ns)
{
    add_sample(b, name, suffix, labels);
    metric_number_seconds(b, ns);
    buf_char(b, '\n');
}

void metric_bucket(struct buf *b, const char *name, const char *labels, const char *le, uint64_t value)
{
    buf_str(b, name);
    buf_str(b, "_bucket{");
    if (labels && labels[0] != '\0') {
        buf_str(b, labels);
        buf_char(b, ',');
    }
    buf_str(b, "le=\"");
    buf_str(b, le);
    buf_str(b, "\"} ");
    buf_u64(b, value);
    buf_char(b, '\n');
}

void metric_end(struct buf *b, enum metric_format f)
{
    if (f == METRIC_OPENMETRICS_1_0)
        buf_str(b, "# EOF\n");
}
