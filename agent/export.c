// SPDX-License-Identifier: Apache-2.0
// One scrape as a walk over a table of families: those of the agent as a whole are written by export_agent.c,
// those of pairs here, pair after pair.
#include "agent/export.h"

#include <errno.h>

#include "agent/dns_counts.h"
#include "agent/export_agent.h"
#include "agent/export_http.h"
#include "agent/stamp_path.h"
#include "lib/limits.h"
#include "lib/series.h"

// Text that is made at once: a pair's histogram with 40 bounds and names of 253 bytes that are all quotes is
// 70 KiB; ordinary ones 5 KiB.
#define PIECE_MAX (256u << 10)
// Stop adding to the piece here: it is handed out before more is made. With the next row it about fills a
// block of the server.
#define PIECE_FULL (26u << 10)
#define PIECE_ROW (6u << 10) // an ordinary one
// A sample's labels: all names as long as they may be and all quotes are 1.6 KiB.
#define LABELS_MAX (2u << 10)

struct export_scrape {
    enum metric_format format;
    struct export_agent agent; // copied when the scrape begins
    struct snapshot pairs;     // likewise
    const struct plan *plan;   // that of pairs; NULL: there is none yet
    unsigned kinds;            // bits 1 << enum pair_needs of the families that have rows
    bool limited;              // histograms by zone
    struct metric_bound bounds[LIMIT_BUCKETS];

    size_t step;     // what comes next: 0 the agent's families, then pair_families, then the end
    size_t row;      // next of the family: a pair, or a zone
    size_t own_at;   // where the own counters of pair `row` are
    struct buf text; // made, not yet handed out
    size_t given;    // bytes of it that were
    struct buf head; // of the family's samples
    struct buf labels;
    size_t base;                      // bytes of them that are those of all pairs of ...
    const char *base_probe;           // ... this probe ...
    unsigned base_network;            // ... to this network
    struct buf source[SPEC_NETWORKS]; // labels that all pairs to one network share
    char texts[(2 + SPEC_NETWORKS) * LABELS_MAX + PIECE_MAX]; // of all these, `text` last
};

const size_t export_bytes = sizeof(struct export_scrape);

typedef void pair_fn(struct export_scrape *x, const char *name, const struct stats *s);

static void write_row(struct export_scrape *x, uint64_t value)
{
    metric_row(&x->text, &x->head, &x->labels, value);
}

// With one label more, which the next one overwrites.
static void write_row_of(struct export_scrape *x, const char *key, const char *value, uint64_t n)
{
    size_t len = x->labels.len;
    metric_label(&x->labels, key, value);
    write_row(x, n);
    x->labels.len = len;
}

static void write_sent(struct export_scrape *x, const char *name UNUSED, const struct stats *s)
{
    write_row(x, s->sent);
}

static const struct plan_probe *probe_of(const struct export_scrape *x)
{
    return &x->plan->probes[x->plan->pairs[x->row].probe];
}

// Whether probes of this kind can end so at all: what cannot be is no series.
static bool is_possible(const struct plan_probe *r, enum stats_result result)
{
    return result == STATS_UNEXPECTED   ? r->type == SPEC_DNS || r->type == SPEC_HTTP
           : result == STATS_UNRESOLVED ? r->named
                                        : true;
}

static void write_results(struct export_scrape *x, const char *name UNUSED, const struct stats *s)
{
    for (enum stats_result r = 0; r < STATS_RESULTS; r++)
        if (is_possible(probe_of(x), r))
            write_row_of(x, "result", stats_result_name(r), s->results[r]);
}

static void write_in_flight(struct export_scrape *x, const char *name UNUSED, const struct stats *s)
{
    write_row(x, s->in_flight);
}

static void write_duplicates(struct export_scrape *x, const char *name UNUSED, const struct stats *s)
{
    write_row(x, s->duplicates);
}

static void write_reordered(struct export_scrape *x, const char *name UNUSED, const struct stats *s)
{
    write_row(x, s->reordered);
}

static void write_rtt(struct export_scrape *x, const char *name, const struct stats *s)
{
    uint64_t buckets[LIMIT_BUCKETS + 1];
    for (size_t i = 0; i <= x->plan->n_bounds; i++)
        buckets[i] = s->buckets[i];
    metric_histogram(&x->text, name, &x->labels, x->bounds, buckets, x->plan->n_bounds, s->rtt_sum_ns);
}

static const uint64_t *own_of(const struct export_scrape *x)
{
    return x->pairs.own + x->own_at;
}

static void write_ways(struct export_scrape *x, const char *name UNUSED, const struct stats *s UNUSED)
{
    for (enum stamp_path_way w = 0; w < STAMP_PATH_WAYS; w++)
        write_row_of(x, "direction", stamp_path_way_name(w), own_of(x)[w]);
}

static void write_flows(struct export_scrape *x, const char *name UNUSED, const struct stats *s UNUSED)
{
    for (unsigned f = 0; f < probe_of(x)->flows; f++) {
        char number[12];
        snprintf(number, sizeof(number), "%u", f);
        write_row_of(x, "flow", number, own_of(x)[STAMP_PATH_WAYS + f]);
    }
}

static const struct dns_counts *dns_of(const struct export_scrape *x)
{
    return (const struct dns_counts *)(const void *)own_of(x);
}

static void write_replies(struct export_scrape *x, const char *name UNUSED, const struct stats *s UNUSED)
{
    for (unsigned i = 0; i < ARRAY_LEN(dns_of(x)->replies); i++)
        write_row_of(x, "rcode", dns_text_rcode(i), dns_of(x)->replies[i]);
}

static void write_mismatches(struct export_scrape *x, const char *name UNUSED, const struct stats *s UNUSED)
{
    write_row(x, dns_of(x)->mismatches);
}

static void write_truncated(struct export_scrape *x, const char *name UNUSED, const struct stats *s UNUSED)
{
    write_row(x, dns_of(x)->truncated);
}

static const struct http_counts *http_of(const struct export_scrape *x)
{
    return (const struct http_counts *)(const void *)own_of(x);
}

static void write_phases(struct export_scrape *x, const char *name, const struct stats *s UNUSED)
{
    export_http_phases(&x->text, &x->labels, name, http_of(x));
}

static void write_answers(struct export_scrape *x, const char *name, const struct stats *s UNUSED)
{
    export_http_answers(&x->text, &x->labels, name, http_of(x));
}

static void write_errors(struct export_scrape *x, const char *name, const struct stats *s UNUSED)
{
    export_http_errors(&x->text, &x->labels, name, http_of(x));
}

static void write_expiry(struct export_scrape *x, const char *name, const struct stats *s UNUSED)
{
    export_http_expiry(&x->text, &x->labels, name, http_of(x));
}

enum pair_needs {
    ALWAYS,
    HISTOGRAM,
    STAMP,
    FLOWS,
    DNS,
    HTTP,
    UNREACHABLE,
    SEND_ERROR
}; // when a family is there, and what its rows are

static const struct {
    enum metric_type type;
    const char *name;
    const char *unit;
    const char *help;
    pair_fn *write;
    enum pair_needs needs;
} pair_families[] = {
    {METRIC_COUNTER, "kubecanary_probe_sent", NULL,
     "Probes begun. Each ends in exactly one result: sent = sum of results + in flight, in every scrape.",
     write_sent, ALWAYS},
    {METRIC_COUNTER, "kubecanary_probe_results", NULL,
     "Probes ended: received (within the timeout), late (after it), lost, corrupt (wrong bytes), unreachable (refused "
     "by network or destination), send_error (never left this host), "
     "unexpected (answered with something else), unresolved (the target's name has no address).",
     write_results, ALWAYS},
    {METRIC_COUNTER, "kubecanary_probe_unreachable", NULL,
     "Probes that ended as unreachable, by what ICMP or TCP said: of all pairs of a probe, network and family, "
     "and of targets whose type is the probe's name.",
     NULL, UNREACHABLE},
    {METRIC_COUNTER, "kubecanary_probe_send_errors", NULL,
     "Probes that ended as send_error, by what the kernel said: of all pairs of a probe, network and family, "
     "and of targets whose type is the probe's name.",
     NULL, SEND_ERROR},
    {METRIC_GAUGE, "kubecanary_probes_in_flight", NULL,
     "Probes that have neither been answered nor given up.", write_in_flight, ALWAYS},
    {METRIC_COUNTER, "kubecanary_probe_duplicates", NULL, "Answers beyond the first to a probe.",
     write_duplicates, ALWAYS},
    {METRIC_COUNTER, "kubecanary_probe_reordered", NULL,
     "Answers that came after the answer to a later probe of the same pair and flow.", write_reordered,
     ALWAYS},
    {METRIC_COUNTER, "kubecanary_probe_path_lost", NULL,
     "STAMP probes lost, by the way they were lost on, as far as the reflector's numbers tell: forward (they did not "
     "reach it), backward (its answers were lost).",
     write_ways, STAMP},
    {METRIC_COUNTER, "kubecanary_probe_flow_lost", NULL,
     "STAMP probes lost, by flow (source port); each flow of a pair has the same share of its probes.",
     write_flows, FLOWS},
    {METRIC_COUNTER, "kubecanary_dns_replies", NULL,
     "Whole answers of DNS servers to our questions by response code, in time or late.", write_replies, DNS},
    {METRIC_COUNTER, "kubecanary_dns_mismatches", NULL,
     "Answers of DNS servers with code NoError that lacked a record that was expected.", write_mismatches,
     DNS},
    {METRIC_COUNTER, "kubecanary_dns_truncated", NULL,
     "Answers of DNS servers over UDP that were cut, and asked for again over TCP.", write_truncated, DNS},
    {METRIC_SUMMARY, "kubecanary_http_phase_seconds", "seconds",
     "Time of the HTTP probes answered, by phase: dns, connect, tls, first_byte (from the request on), total.",
     write_phases, HTTP},
    {METRIC_COUNTER, "kubecanary_http_status", NULL,
     "HTTP probes answered, in time or late, by class of the status, expected or not.", write_answers, HTTP},
    {METRIC_COUNTER, "kubecanary_http_errors", NULL,
     "HTTP probes that did not get a status that was expected, by what went wrong.", write_errors, HTTP},
    {METRIC_GAUGE, "kubecanary_http_certificate_expiry_timestamp_seconds", "seconds",
     "When the certificate of the last TLS handshake ends, the server's (leaf) and the first of its chain (chain).",
     write_expiry, HTTP},
    {METRIC_HISTOGRAM, "kubecanary_probe_rtt_seconds", "seconds",
     "Round-trip time of the probes received, from the kernel's timestamps of sending and receipt where it gives them.",
     write_rtt, HISTOGRAM},
};
_Static_assert(SERIES_WAYS == STAMP_PATH_WAYS, "lib/series.h");
_Static_assert(SERIES_DNS == DNS_COUNTS_WORDS, "lib/series.h");
_Static_assert(SERIES_HTTP == EXPORT_HTTP_SERIES, "lib/series.h");
_Static_assert(SERIES_ERRNOS == REASON_ERRORS, "lib/series.h");

static uint64_t series_of(const struct plan *p, const struct failures *f, bool detail, bool gone_too)
{
    const uint64_t histogram = series_histogram(p->n_bounds);
    uint64_t n = failures_series(f) + (detail ? 0 : p->n_zones * histogram);
    for (size_t i = 0; i < p->n_pairs; i++) {
        const struct plan_probe *r = &p->probes[p->pairs[i].probe];
        if (p->pairs[i].gone && !gone_too)
            continue;
        n += series_counters(r->type, r->named) + (detail ? histogram + series_flows(r->flows) : 0);
    }
    return n;
}

uint64_t export_series(const struct plan *p, const struct failures *f, bool detail)
{
    return series_of(p, f, detail, true);
}

// By what is probed: nodes that are replaced must not make histograms come and go.
bool export_limited(const struct plan *p, const struct failures *f)
{
    return SERIES_FIXED + series_of(p, f, true, false) > p->series_limit;
}

// Pairs of one probe mostly stand together, so their labels' common part stays from one to the next.
static void begin_labels(struct export_scrape *x, const char *probe, unsigned network)
{
    if (x->base_probe == probe && x->base_network == network) {
        x->labels.len = x->base;
        return;
    }
    buf_reset(&x->labels);
    metric_label(&x->labels, "probe", probe);
    buf_char(&x->labels, ',');
    buf_str(&x->labels, buf_text(&x->source[network]));
    x->base = x->labels.len;
    x->base_probe = probe;
    x->base_network = network;
}

static void label_pair(struct export_scrape *x, size_t i)
{
    const struct plan *p = x->plan;
    const struct plan_pair *pair = &p->pairs[i];
    const struct plan_dest *dest = &p->dests[pair->dest];
    const struct plan_http *http = p->probes[pair->probe].http;
    begin_labels(x, p->probes[pair->probe].name, dest->network);
    if (dest->target) {
        metric_label(&x->labels, "target", dest->name);
        if (dest->address[0])
            metric_label(&x->labels, "address", dest->address);
    } else {
        metric_label(&x->labels, "destination_node", dest->name);
        metric_label(&x->labels, "destination_zone", dest->zone);
    }
    metric_label(&x->labels, "family",
                 http && http->any_family ? "" : addr_family_name((enum family)pair->family));
}

static void write_zone(struct export_scrape *x, const char *name, size_t i)
{
    const struct plan_zone *zone = &x->plan->zones[i];
    const uint64_t *row = zone_rtt_row(&x->pairs.zones, i);
    begin_labels(x, zone->probe, zone->network);
    metric_label(&x->labels, "destination_zone", zone->zone);
    metric_label(&x->labels, "family", addr_family_name((enum family)zone->family));
    metric_histogram(&x->text, name, &x->labels, x->bounds, row, x->plan->n_bounds,
                     row[x->plan->n_bounds + 1]);
}

// All pairs' of one probe, network and family.
static void write_failures(struct export_scrape *x, enum pair_needs needs)
{
    const struct failures_row *row = &x->pairs.failures.rows[x->row];
    bool any = row->family == FAILURES_ANY_FAMILY;
    begin_labels(x, row->probe, row->network);
    metric_label(&x->labels, "family", any ? "" : addr_family_name((enum family)row->family));
    for (unsigned i = 0; needs == UNREACHABLE && i < REASONS; i++)
        if (row->reasons >> i & 1)
            write_row_of(x, "reason", reason_name((enum reason)i), row->unreachable[i]);
    for (unsigned i = 0; needs == SEND_ERROR && i < REASON_ERRORS; i++)
        write_row_of(x, "errno", reason_error_name(i), row->errors[i]);
}

static bool fits(const struct plan_probe *r, enum pair_needs needs)
{
    switch (needs) {
    case STAMP: return r->type == SPEC_STAMP;
    case FLOWS: return r->flows > 1;
    case DNS: return r->type == SPEC_DNS;
    case HTTP: return r->type == SPEC_HTTP;
    case ALWAYS:
    case HISTOGRAM:
    case UNREACHABLE:
    case SEND_ERROR: return true;
    }
    return false;
}

// How many rows a family has in this scrape, those of pairs that it does not fit included.
static size_t rows_of(const struct export_scrape *x, enum pair_needs needs)
{
    if (!(x->kinds >> needs & 1) || (needs == FLOWS && x->limited))
        return 0;
    if (needs >= UNREACHABLE)
        return x->pairs.failures.n;
    return needs == HISTOGRAM && x->limited ? x->plan->n_zones : x->plan->n_pairs;
}

static void begin_family(struct export_scrape *x, size_t f)
{
    metric_family(&x->text, x->format, pair_families[f].type, pair_families[f].name, pair_families[f].unit,
                  pair_families[f].help);
    metric_head(&x->head, pair_families[f].name, pair_families[f].type == METRIC_COUNTER ? "_total" : "");
    x->own_at = 0;
}

// Adds the next piece: one row of the present family, with the family's header before the first.
static void make_row(struct export_scrape *x)
{
    const size_t f = x->step - 1;
    const enum pair_needs needs = pair_families[f].needs;
    if (x->row == rows_of(x, needs)) {
        x->row = 0;
        x->step++;
        return;
    }
    if (x->row == 0)
        begin_family(x, f);
    if (needs >= UNREACHABLE) {
        write_failures(x, needs);
    } else if (x->limited && needs == HISTOGRAM) {
        write_zone(x, pair_families[f].name, x->row);
    } else {
        if (fits(probe_of(x), needs)) {
            label_pair(x, x->row);
            pair_families[f].write(x, pair_families[f].name, snapshot_stats(&x->pairs, x->row));
        }
        x->own_at += snapshot_own_words(probe_of(x));
    }
    x->row++;
}

static void make_piece(struct export_scrape *x)
{
    const size_t last = ARRAY_LEN(pair_families) + 1;
    buf_reset(&x->text);
    x->given = 0;
    while (x->text.len < PIECE_FULL && x->step <= last) {
        if (x->step == 0) {
            export_agent_write(&x->agent, x->format, &x->text);
            x->step++;
        } else if (x->step == last) {
            metric_end(&x->text, x->format);
            x->step++;
        } else {
            make_row(x);
        }
    }
}

ssize_t export_read(void *scrape, char *out, size_t max)
{
    struct export_scrape *x = scrape;
    if (x->given == x->text.len)
        make_piece(x);
    if (x->text.failed || x->labels.failed || x->head.failed || x->source[0].failed || x->source[1].failed)
        return -1;
    size_t n = MIN(max, x->text.len - x->given);
    memcpy(out, buf_text(&x->text) + x->given, n);
    x->given += n;
    return (ssize_t)n;
}

static void label_source(struct export_scrape *x, const struct plan *p)
{
    for (unsigned i = 0; i < SPEC_NETWORKS; i++) {
        metric_label(&x->source[i], "source_node", p->node);
        metric_label(&x->source[i], "source_zone", p->zone);
        metric_label(&x->source[i], "network", plan_network(p, (enum spec_network)i));
    }
}

size_t export_memory(const struct plan *p, bool limited)
{
    return sizeof(struct export_scrape) - PIECE_MAX + snapshot_bytes(p, failures_count(p), limited) +
           PIECE_FULL + PIECE_ROW;
}

static int read_pairs(struct export_scrape *x, const struct prober *p)
{
    const struct plan *plan = p ? prober_plan(p) : NULL;
    if (!plan)
        return 0;
    x->limited = export_limited(plan, engine_failures(prober_engine(p)));
    int r = prober_snapshot(p, x->limited, &x->pairs);
    if (r < 0)
        return r;
    x->plan = plan;
    x->kinds = 1u << ALWAYS | 1u << HISTOGRAM | 1u << UNREACHABLE | 1u << SEND_ERROR;
    for (size_t i = 0; i < plan->n_probes; i++)
        for (enum pair_needs needs = STAMP; needs <= HTTP; needs++)
            x->kinds |= (unsigned)fits(&plan->probes[i], needs) << needs;
    metric_bounds(x->bounds, plan->bounds_ns, plan->n_bounds);
    label_source(x, plan);
    return 0;
}

static char *init_text(struct buf *b, char *at, size_t size)
{
    buf_fixed(b, at, size);
    return at + size;
}

struct export_scrape *export_new(void *memory, const struct export_sources *from, enum metric_format format)
{
    struct export_scrape *x = memory;
    x->format = format;
    char *at = init_text(&x->labels, x->texts, LABELS_MAX);
    at = init_text(&x->head, at, LABELS_MAX);
    for (unsigned i = 0; i < SPEC_NETWORKS; i++)
        at = init_text(&x->source[i], at, LABELS_MAX);
    init_text(&x->text, at, PIECE_MAX);
    if (read_pairs(x, from->prober) < 0)
        return NULL;
    export_agent_read(from, &x->agent);
    return x;
}

void export_end(struct export_scrape *x)
{
    if (x)
        snapshot_give(&x->pairs);
}
