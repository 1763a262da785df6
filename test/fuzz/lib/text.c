// SPDX-License-Identifier: Apache-2.0
// The small parsers of one word: addresses, durations, numbers, label keys and values, the schema's patterns
// (held against the C library's regular expressions), the headers Accept and Accept-Encoding.
#include <regex.h>

#include "lib/accept.h"
#include "lib/addr.h"
#include "lib/duration.h"
#include "lib/label.h"
#include "lib/limits.h"
#include "lib/metric.h"
#include "lib/pattern.h"
#include "lib/spec_table.h"
#include "test/fuzz/fuzz.h"

static bool regex_match(regex_t *compiled, bool *ready, const char *pattern, const char *text)
{
    if (!*ready)
        FUZZ_CHECK(regcomp(compiled, pattern, REG_EXTENDED | REG_NOSUB) == 0);
    *ready = true;
    return regexec(compiled, text, 0, NULL, 0) == 0;
}

static void check_address(const char *text)
{
    struct addr a, b;
    struct sockaddr_storage sa;
    char written[ADDR_TEXT_MAX];
    uint16_t port;
    if (addr_parse(text, &a) == 0) {
        FUZZ_CHECK(a.set && a.family < FAMILIES);
        FUZZ_CHECK(addr_parse(addr_text(&a, written), &b) == 0 && addr_equal(&a, &b));
        FUZZ_CHECK(addr_sockaddr(&a, 7, &sa) > 0);
        FUZZ_CHECK(addr_from_sockaddr((struct sockaddr *)&sa, &b, &port) == 0 && addr_equal(&a, &b) &&
                   port == 7);
    }
    if (addr_parse_listen(text, &a, &port) == 0 && a.set) {
        char listen[ADDR_TEXT_MAX + 16];
        uint16_t again;
        snprintf(listen, sizeof(listen), a.family == FAMILY_IPV6 ? "[%s]:%u" : "%s:%u",
                 addr_text(&a, written), port);
        FUZZ_CHECK(addr_parse_listen(listen, &b, &again) == 0 && addr_equal(&a, &b) && again == port);
    }
}

static void check_duration(const char *text)
{
    char written[DURATION_TEXT_MAX];
    uint64_t ns, again;
    if (duration_parse(text, &ns) < 0)
        return;
    FUZZ_CHECK(ns % NS_PER_MS == 0);
    // More hours than can be written again: 99999h and some minutes. No field takes so many.
    if (ns / NS_PER_S / 3600 <= 99999)
        FUZZ_CHECK(duration_parse(duration_text(ns, written), &again) == 0 && again == ns);
}

static void check_number(const char *text)
{
    char written[32];
    uint64_t value;
    if (base_parse_u64(text, 0, UINT64_MAX, &value) < 0)
        return;
    snprintf(written, sizeof(written), "%llu", (unsigned long long)value);
    FUZZ_CHECK(strcmp(text + strspn(text, "0") - (value == 0), written) == 0);
}

static void check_label(const char *text)
{
    // apimachinery's expressions.
    static regex_t word, prefix;
    static bool word_ready, prefix_ready;
    char head[LIMIT_NAME + 1];
    const char *slash = strchr(text, '/'), *name = slash ? slash + 1 : text;
    bool is_word = strlen(name) <= LIMIT_LABEL &&
                   regex_match(&word, &word_ready, "^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$", name);
    bool is_key = is_word && (!slash || (size_t)(slash - text) <= LIMIT_NAME);
    if (is_key && slash) {
        snprintf(head, sizeof(head), "%.*s", (int)(slash - text), text);
        is_key = regex_match(&prefix, &prefix_ready,
                             "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", head);
    }
    FUZZ_CHECK(label_key_valid(text) == is_key);
    if (!slash)
        FUZZ_CHECK(label_value_valid(text) == (is_word || text[0] == '\0'));
}

static void check_pattern(unsigned which, const char *text)
{
    static regex_t compiled[256];
    static bool ready[256];
    const struct spec_field *f = &spec_fields[which % spec_fields_count];
    if (!f->pattern || strlen(text) > PATTERN_TEXT_MAX)
        return;
    size_t i = which % spec_fields_count;
    FUZZ_CHECK(i < ARRAY_LEN(ready));
    FUZZ_CHECK(pattern_match(f->pattern, text) == regex_match(&compiled[i], &ready[i], f->pattern, text));
}

static void check_label_block(const char *text)
{
    struct buf out;
    buf_init(&out, LIMIT_DOC_BYTES);
    metric_label(&out, "a", text);
    const char *p = buf_text(&out), *t = text;
    FUZZ_CHECK(strncmp(p, "a=\"", 3) == 0);
    for (p += 3; *t; t++, p++) {
        bool escaped = *t == '\n' || *t == '"' || *t == '\\';
        FUZZ_CHECK(!escaped || *p++ == '\\');
        FUZZ_CHECK(*p == (*t == '\n' ? 'n' : *t));
    }
    FUZZ_CHECK(strcmp(p, "\"") == 0);
    buf_release(&out);
}

// What a span points to lies within the header.
static void check_span(const char *header, struct accept_span s)
{
    FUZZ_CHECK(s.len == 0 || (s.at >= header && s.at + s.len <= header + strlen(header)));
    FUZZ_CHECK(s.len == 0 || (s.at[0] != ' ' && s.at[s.len - 1] != '\t'));
    FUZZ_CHECK(s.len == 0 || !memchr(s.at, ',', s.len));
}

// One item for each comma and one more. Gzip is taken where it is worth something, at least as much as what
// is not compressed.
static void check_accept(const char *text)
{
    struct accept a = accept_begin(text);
    struct accept_item item;
    size_t items = 0, commas = 0;
    int gzip = -1, identity = -1, any = -1;
    for (const char *at = text; *at; at++)
        commas += *at == ',';
    while (accept_next(&a, &item)) {
        FUZZ_CHECK(item.q >= 0 && item.q <= 1000);
        check_span(text, item.value);
        check_span(text, item.version);
        gzip = accept_is(item.value, "gzip") || accept_is(item.value, "x-gzip") ? MAX(gzip, item.q) : gzip;
        identity = accept_is(item.value, "identity") ? MAX(identity, item.q) : identity;
        any = accept_is(item.value, "*") ? MAX(any, item.q) : any;
        items++;
    }
    FUZZ_CHECK(items == commas + 1 && !accept_next(&a, &item));
    const bool taken = accept_gzip(text);
    FUZZ_CHECK(!taken || gzip > 0 || (gzip < 0 && any > 0));
    FUZZ_CHECK(taken || gzip <= 0 || identity > gzip);
    if (metric_negotiate(text) == METRIC_OPENMETRICS_1_0)
        FUZZ_CHECK(strcasestr(text, "application/openmetrics-text"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_input in = {data, len};
    unsigned which = (unsigned)fuzz_take(&in, 1);
    char *text = fuzz_text(in.data, in.len);
    check_address(text);
    check_duration(text);
    check_number(text);
    check_label(text);
    check_pattern(which, text);
    check_label_block(text);
    check_accept(text);
    free(text);
    return 0;
}
