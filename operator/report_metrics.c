// SPDX-License-Identifier: Apache-2.0
// Cuts the stream into lines, takes the first sample of each name that is looked for, and compares.
#include "operator/report_metrics.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void want(struct report_metrics_wanted *w, const char *name, size_t name_len, const char *value,
                 size_t value_len)
{
    char key[REPORT_TEXT];
    size_t i = 0;
    snprintf(key, sizeof(key), "%.*s", (int)name_len, name);
    while (i < w->n && strcmp(w->list[i].name, key) != 0)
        i++;
    if (i == REPORT_METRICS_WANTED)
        return;
    w->n += i == w->n;
    memcpy(w->list[i].name, key, sizeof(key));
    snprintf(w->list[i].value, sizeof(w->list[i].value), "%.*s", (int)value_len, value);
}

void report_metrics_want(struct report_metrics_wanted *w, const char *options, char link, char next)
{
    const char ends[] = {link, next, '\0'}, *ends_value = ends + 1;
    while (*options) {
        size_t len = strcspn(options, ends_value), name = strcspn(options, ends);
        if (name > 0 && name < REPORT_TEXT && name < len)
            want(w, options, name, options + name + 1, len - name - 1);
        options += len + (options[len] == next);
    }
}

// --- one line ---

struct sample {
    const char *name, *labels; // labels: what is between the braces, "" if there are none
    double value;
};

// The end of a block of labels, past quoted text; NULL if it has none.
static char *end_of_labels(char *at)
{
    for (bool quoted = false; *at; at++) {
        if (quoted && *at == '\\' && at[1])
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (*at == '}' && !quoted)
            return at;
    }
    return NULL;
}

static bool parse_sample(char *line, struct sample *ret)
{
    static const char of_names[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:";
    char *end = line + strspn(line, of_names), *value, *rest;
    ret->name = line;
    ret->labels = "";
    if (end == line || (*end != '{' && *end != ' ' && *end != '\t'))
        return false;
    value = end + 1;
    if (*end == '{') {
        char *close = end_of_labels(value);
        if (!close)
            return false;
        ret->labels = value;
        *close = '\0';
        value = close + 1;
    }
    *end = '\0';
    ret->value = strtod(value, &rest);
    return rest != value && (!*rest || *rest == ' ' || *rest == '\t') && isfinite(ret->value);
}

// The text of a label without escapes; "" if there is none of that name.
static void label_of(const struct sample *s, const char *key, char *out, size_t size)
{
    char begin[32], text[REPORT_TEXT];
    snprintf(begin, sizeof(begin), "%s=\"", key);
    const char *at = strstr(s->labels, begin);
    out[0] = '\0';
    if (!at || (at != s->labels && at[-1] != ',' && at[-1] != ' '))
        return;
    at += strlen(begin);
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(at, "\"\\"), at);
    report_text(out, size, text);
}

static uint64_t whole(double value, uint64_t max)
{
    return value >= 1 && value <= (double)max ? (uint64_t)value : 0;
}

static bool skip(const char **text, const char *prefix)
{
    size_t len = strlen(prefix);
    bool is = strncmp(*text, prefix, len) == 0;
    *text += is ? len : 0;
    return is;
}

// The words after the last "jemalloc_" of a name; NULL if it has none.
static const char *after_jemalloc(const char *name)
{
    static const char word[] = "jemalloc_";
    const char *found = NULL;
    for (const char *at = name; (at = strstr(at, word)); at++)
        found = at + sizeof(word) - 1;
    return found;
}

// Which of the wanted settings the sample tells of; exact: opt.*.
static size_t setting_of(const struct report_metrics *m, const char *name, bool *exact)
{
    const char *words = after_jemalloc(name);
    size_t i = 0;
    *exact = true;
    if (!words)
        words = strcmp(name, "go_sched_gomaxprocs_threads") == 0 ? "GOMAXPROCS" : "";
    else if (!skip(&words, "opt_"))
        *exact = !skip(&words, "arenas_") && strcmp(words, "narenas") != 0 && strcmp(words, "arenas") != 0;
    if (strcmp(words, "arenas") == 0)
        words = "narenas";
    while (i < m->wanted->n && strcmp(m->wanted->list[i].name, words) != 0)
        i++;
    return i;
}

static void take(struct report_metrics *m, const struct sample *s)
{
    struct report *r = &m->report;
    bool exact;
    size_t i = setting_of(m, s->name, &exact);
    if (i < m->wanted->n && (!m->found[i].known || (exact && !m->found[i].exact))) {
        m->found[i].known = true;
        m->found[i].exact = exact;
        m->found[i].value = s->value;
    }
    if (after_jemalloc(s->name)) {
        report_text(r->allocator.name, sizeof(r->allocator.name), "jemalloc");
        r->allocator.version[0] = '\0';
    } else if (strcmp(s->name, "process_resident_memory_bytes") == 0 && !r->resident_bytes) {
        r->resident_bytes = whole(s->value, REPORT_MAX_BYTES);
    } else if ((strcmp(s->name, "go_threads") == 0 || strcmp(s->name, "process_threads") == 0) &&
               !r->threads) {
        r->threads = whole(s->value, REPORT_MAX_COUNT);
    } else if (strcmp(s->name, "go_info") == 0 && !r->allocator.name[0]) {
        report_text(r->allocator.name, sizeof(r->allocator.name), "go");
        label_of(s, "version", r->allocator.version, sizeof(r->allocator.version));
    }
}

static void end_line(struct report_metrics *m)
{
    struct sample s;
    m->line[m->len] = '\0';
    if (m->len > 0 && m->line[m->len - 1] == '\r')
        m->line[m->len - 1] = '\0';
    if (!m->too_long && parse_sample(m->line, &s)) {
        m->samples++;
        take(m, &s);
    }
    m->len = 0;
    m->too_long = false;
}

// --- the whole ---

void report_metrics_begin(struct report_metrics *m, const struct report_metrics_wanted *wanted)
{
    *m = (struct report_metrics){.wanted = wanted, .report.foreign = true};
}

void report_metrics_feed(struct report_metrics *m, const char *data, size_t len)
{
    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t)(end - data) : len;
        if (n >= sizeof(m->line) - m->len)
            m->too_long = true;
        else if (!m->too_long)
            memcpy(m->line + m->len, data, n);
        m->len += m->too_long ? 0 : n;
        if (end)
            end_line(m);
        data += n + (end != NULL);
        len -= n + (end != NULL);
    }
}

// Whether a wanted text is that number: "1", "true", "-1". With narenas jemalloc may have made one arena more
// than it was told, for oversized requests.
static bool is_wanted(const struct report_metrics *m, size_t i)
{
    const char *text = m->wanted->list[i].value;
    char *rest;
    double want_value = strcmp(text, "true") == 0 ? 1 : strcmp(text, "false") == 0 ? 0 : strtod(text, &rest);
    double have = m->found[i].value;
    bool more = strcmp(m->wanted->list[i].name, "narenas") == 0 && !m->found[i].exact;
    return have == want_value || (more && have == want_value + 1);
}

// A word ("percpu_arena:phycpu") stands in no sample's value.
static bool is_number(const char *text)
{
    char *rest;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return true;
    strtod(text, &rest);
    return rest != text && !*rest;
}

static void judge(const struct report_metrics *m, size_t i, struct report_allocator *a)
{
    bool known = m->found[i].known && is_number(m->wanted->list[i].value);
    if ((known && is_wanted(m, i)) || a->verdict == REPORT_NOT_EFFECTIVE || (!known && a->setting[0]))
        return;
    a->verdict = known ? REPORT_NOT_EFFECTIVE : REPORT_UNKNOWN;
    report_text(a->setting, sizeof(a->setting), m->wanted->list[i].name);
    report_text(a->wanted, sizeof(a->wanted), m->wanted->list[i].value);
    a->actual[0] = '\0';
    if (known)
        snprintf(a->actual, sizeof(a->actual), "%.15g", m->found[i].value);
}

int report_metrics_end(struct report_metrics *m, struct report *ret, struct err *e)
{
    struct report_allocator *a = &m->report.allocator;
    end_line(m);
    if (m->samples == 0)
        return err_set(e, EPROTO, "is not in Prometheus' format");
    a->settings = (unsigned)m->wanted->n;
    a->verdict = REPORT_EFFECTIVE;
    for (size_t i = 0; i < m->wanted->n; i++)
        judge(m, i, a);
    *ret = m->report;
    return 0;
}
