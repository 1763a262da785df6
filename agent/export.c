// SPDX-License-Identifier: Apache-2.0
// One scrape as a walk over a table of families: those of the agent as a whole are written by export_agent.c,
// those of pairs here, pair after pair.
#include "agent/export.h"

#include <errno.h>

#include "agent/export_agent.h"
#include "agent/export_http.h"
#include "agent/probe_dns.h"
#include "agent/probe_http.h"
#include "agent/probe_stamp.h"
#include "lib/limits.h"
#include "lib/series.h"

// Text that is made at once: a pair's histogram with 40 bounds and names of 253 bytes that are all quotes is
// 70 KiB; ordinary ones 5 KiB.
#define PIECE_MAX (256u << 10)
// Stop adding to the piece here: it is handed out before more is made. With the next row it about fills a
// block of the server.
#define PIECE_FULL (26u << 10)

struct export_scrape {
    enum metric_format format;
    struct export_agent agent; // copied when the scrape begins
    struct plan *plan;         // held; NULL: no pairs
    uint8_t *counters; // plan->n_pairs blocks of `stride` bytes: stats, then uint64_t of the probe's type
    size_t stride;
    size_t n_flows;        // of the STAMP pair that has most; 0: there is none
    bool dns;              // there is a DNS target
    bool http;             // there is an HTTP target
    bool limited;          // histograms by zone
    struct zone_rtt zones; // of the plan, if limited
    struct failures failures;
    struct metric_bound bounds[LIMIT_BUCKETS];

    size_t step;     // what comes next: 0 the agent's families, then pair_families, then the end
    size_t row;      // next of the family: a pair, or a zone
    struct buf text; // made, not yet handed out
    size_t given;    // bytes of it that were
    struct buf labels;
    struct buf source[SPEC_NETWORKS]; // labels that all pairs to one network share
};

typedef void pair_fn(struct export_scrape *x, const char *name, const struct stats *s);

static void write_sent(struct export_scrape *x, const char *name, const struct stats *s)
{
    metric_u64(&x->text, name, "_total", buf_text(&x->labels), s->sent);
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

static void write_results(struct export_scrape *x, const char *name, const struct stats *s)
{
    size_t len = x->labels.len;
    for (enum stats_result r = 0; r < STATS_RESULTS; r++) {
        if (!is_possible(probe_of(x), r))
            continue;
        metric_label(&x->labels, "result", stats_result_name(r));
        metric_u64(&x->text, name, "_total", buf_text(&x->labels), s->results[r]);
        x->labels.len = len; // the next one overwrites it
    }
}

static void write_in_flight(struct export_scrape *x, const char *name, const struct stats *s)
{
    metric_u64(&x->text, name, "", buf_text(&x->labels), s->in_flight);
}

static void write_duplicates(struct export_scrape *x, const char *name, const struct stats *s)
{
    metric_u64(&x->text, name, "_total", buf_text(&x->labels), s->duplicates);
}

static void write_reordered(struct export_scrape *x, const char *name, const struct stats *s)
{
    metric_u64(&x->text, name, "_total", buf_text(&x->labels), s->reordered);
}

static void write_rtt(struct export_scrape *x, const char *name, const struct stats *s)
{
    uint64_t buckets[LIMIT_BUCKETS + 1];
    for (size_t i = 0; i <= x->plan->n_bounds; i++)
        buckets[i] = s->buckets[i];
    metric_histogram(&x->text, name, buf_text(&x->labels), x->bounds, buckets, x->plan->n_bounds,
                     s->rtt_sum_ns);
}

// The type's own counters of a pair: STAMP's ways and flows, or struct dns_counts.
static const uint64_t *own_of(const struct export_scrape *x, const struct stats *s)
{
    return (const uint64_t *)(const void *)((const uint8_t *)s + ALIGN8(stats_size(x->plan->n_bounds)));
}

static void write_ways(struct export_scrape *x, const char *name, const struct stats *s)
{
    size_t len = x->labels.len;
    for (enum stamp_path_way w = 0; w < STAMP_PATH_WAYS && probe_of(x)->type == SPEC_STAMP; w++) {
        metric_label(&x->labels, "direction", stamp_path_way_name(w));
        metric_u64(&x->text, name, "_total", buf_text(&x->labels), own_of(x, s)[w]);
        x->labels.len = len;
    }
}

static void write_flows(struct export_scrape *x, const char *name, const struct stats *s)
{
    size_t len = x->labels.len;
    unsigned flows = probe_of(x)->flows > 1 ? probe_of(x)->flows : 0;
    for (unsigned f = 0; f < flows; f++) {
        char number[12];
        snprintf(number, sizeof(number), "%u", f);
        metric_label(&x->labels, "flow", number);
        metric_u64(&x->text, name, "_total", buf_text(&x->labels), own_of(x, s)[STAMP_PATH_WAYS + f]);
        x->labels.len = len;
    }
}

static const struct dns_counts *dns_of(const struct export_scrape *x, const struct stats *s)
{
    return probe_of(x)->type == SPEC_DNS ? (const struct dns_counts *)(const void *)own_of(x, s) : NULL;
}

static void write_replies(struct export_scrape *x, const char *name, const struct stats *s)
{
    const struct dns_counts *c = dns_of(x, s);
    size_t len = x->labels.len;
    for (unsigned i = 0; c && i < ARRAY_LEN(c->replies); i++) {
        metric_label(&x->labels, "rcode", dns_text_rcode(i));
        metric_u64(&x->text, name, "_total", buf_text(&x->labels), c->replies[i]);
        x->labels.len = len;
    }
}

static void write_mismatches(struct export_scrape *x, const char *name, const struct stats *s)
{
    const struct dns_counts *c = dns_of(x, s);
    if (c)
        metric_u64(&x->text, name, "_total", buf_text(&x->labels), c->mismatches);
}

static void write_truncated(struct export_scrape *x, const char *name, const struct stats *s)
{
    const struct dns_counts *c = dns_of(x, s);
    if (c)
        metric_u64(&x->text, name, "_total", buf_text(&x->labels), c->truncated);
}

static void write_http(struct export_scrape *x, const char *name, const struct stats *s,
                       void (*write)(struct buf *, struct buf *, const char *, const struct http_counts *))
{
    if (probe_of(x)->type == SPEC_HTTP)
        write(&x->text, &x->labels, name, (const struct http_counts *)(const void *)own_of(x, s));
}

static void write_phases(struct export_scrape *x, const char *name, const struct stats *s)
{
    write_http(x, name, s, export_http_phases);
}

static void write_answers(struct export_scrape *x, const char *name, const struct stats *s)
{
    write_http(x, name, s, export_http_answers);
}

static void write_errors(struct export_scrape *x, const char *name, const struct stats *s)
{
    write_http(x, name, s, export_http_errors);
}

static void write_expiry(struct export_scrape *x, const char *name, const struct stats *s)
{
    write_http(x, name, s, export_http_expiry);
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

static void begin_labels(struct export_scrape *x, const char *probe, unsigned network)
{
    buf_reset(&x->labels);
    metric_label(&x->labels, "probe", probe);
    buf_char(&x->labels, ',');
    buf_str(&x->labels, buf_text(&x->source[network]));
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
    const uint64_t *row = zone_rtt_row(&x->zones, i);
    begin_labels(x, zone->probe, zone->network);
    metric_label(&x->labels, "destination_zone", zone->zone);
    metric_label(&x->labels, "family", addr_family_name((enum family)zone->family));
    metric_histogram(&x->text, name, buf_text(&x->labels), x->bounds, row, x->plan->n_bounds,
                     row[x->plan->n_bounds + 1]);
}

// All pairs' of one probe, network and family.
static void write_failures(struct export_scrape *x, const char *name, enum pair_needs needs)
{
    const struct failures_row *row = &x->failures.rows[x->row];
    bool any = row->family == FAILURES_ANY_FAMILY;
    begin_labels(x, row->probe, row->network);
    metric_label(&x->labels, "family", any ? "" : addr_family_name((enum family)row->family));
    size_t len = x->labels.len;
    for (unsigned i = 0; i < (needs == UNREACHABLE ? REASONS : REASON_ERRORS); i++) {
        if (needs == UNREACHABLE && !(row->reasons >> i & 1))
            continue;
        metric_label(&x->labels, needs == UNREACHABLE ? "reason" : "errno",
                     needs == UNREACHABLE ? reason_name((enum reason)i) : reason_error_name(i));
        metric_u64(&x->text, name, "_total", buf_text(&x->labels),
                   needs == UNREACHABLE ? row->unreachable[i] : row->errors[i]);
        x->labels.len = len;
    }
}

// How many rows a family has in this scrape.
static size_t rows_of(const struct export_scrape *x, enum pair_needs needs)
{
    if (!x->plan)
        return 0;
    switch (needs) {
    case ALWAYS: return x->plan->n_pairs;
    case HISTOGRAM: return x->limited ? x->plan->n_zones : x->plan->n_pairs;
    case STAMP: return x->n_flows > 0 ? x->plan->n_pairs : 0;
    case FLOWS: return x->n_flows > 1 && !x->limited ? x->plan->n_pairs : 0;
    case DNS: return x->dns ? x->plan->n_pairs : 0;
    case HTTP: return x->http ? x->plan->n_pairs : 0;
    case UNREACHABLE:
    case SEND_ERROR: return x->failures.n;
    }
    return 0;
}

// Adds the next piece: one row of the present family, with the family's header before the first.
static void make_row(struct export_scrape *x)
{
    const size_t f = x->step - 1;
    if (x->row == rows_of(x, pair_families[f].needs)) {
        x->row = 0;
        x->step++;
        return;
    }
    if (x->row == 0)
        metric_family(&x->text, x->format, pair_families[f].type, pair_families[f].name,
                      pair_families[f].unit, pair_families[f].help);
    if (pair_families[f].needs >= UNREACHABLE) {
        write_failures(x, pair_families[f].name, pair_families[f].needs);
    } else if (x->limited && pair_families[f].needs == HISTOGRAM) {
        write_zone(x, pair_families[f].name, x->row);
    } else {
        label_pair(x, x->row);
        pair_families[f].write(x, pair_families[f].name,
                               (const struct stats *)(x->counters + x->row * x->stride));
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
    if (x->text.failed || x->labels.failed || x->source[0].failed || x->source[1].failed)
        return -1;
    size_t n = MIN(max, x->text.len - x->given);
    memcpy(out, buf_text(&x->text) + x->given, n);
    x->given += n;
    return (ssize_t)n;
}

static void copy_stamp(const struct engine *en, size_t i, size_t n_flows, uint64_t *to)
{
    const struct stamp_path *path = probe_stamp_path(en, i);
    for (unsigned k = 0; k < STAMP_PATH_WAYS; k++)
        to[k] = path ? path->lost[k] : 0;
    for (unsigned k = 0; k < n_flows; k++)
        to[STAMP_PATH_WAYS + k] = path ? stamp_path_flow_lost(path, k) : 0;
}

static int sum_zones(struct export_scrape *x, const struct engine *en)
{
    if (zone_rtt_init(&x->zones, x->plan) < 0)
        return -ENOMEM;
    zone_rtt_carry(&x->zones, x->plan, engine_gone(en), x->plan);
    for (size_t i = 0; i < x->plan->n_pairs; i++)
        zone_rtt_add(&x->zones, x->plan, x->plan, i, engine_stats(en, i));
    return 0;
}

static void label_source(struct export_scrape *x, const struct plan *p)
{
    for (unsigned i = 0; i < SPEC_NETWORKS; i++) {
        metric_label(&x->source[i], "source_node", p->node);
        metric_label(&x->source[i], "source_zone", p->zone);
        metric_label(&x->source[i], "network", plan_network(p, (enum spec_network)i));
    }
}

static int copy_counters(struct export_scrape *x, const struct prober *p)
{
    struct plan *plan = p ? prober_plan(p) : NULL;
    if (!plan)
        return 0;
    for (size_t i = 0; i < plan->n_probes; i++) {
        x->n_flows = MAX(x->n_flows, (size_t)plan->probes[i].flows);
        x->dns = x->dns || plan->probes[i].type == SPEC_DNS;
        x->http = x->http || plan->probes[i].type == SPEC_HTTP;
    }
    size_t exact = stats_size(plan->n_bounds), size = ALIGN8(exact);
    size_t words = MAX(x->n_flows ? STAMP_PATH_WAYS + x->n_flows : 0, x->dns ? DNS_COUNTS_WORDS : 0);
    words = MAX(words, x->http ? HTTP_COUNTS_WORDS : 0);
    x->stride = size + words * sizeof(uint64_t);
    x->counters = malloc(plan->n_pairs * x->stride + 1);
    if (!x->counters)
        return -ENOMEM;
    for (size_t i = 0; i < plan->n_pairs; i++) {
        uint8_t *to = x->counters + i * x->stride;
        memcpy(to, engine_stats(prober_engine(p), i), exact);
        if (x->n_flows)
            copy_stamp(prober_engine(p), i, x->n_flows, (uint64_t *)(void *)(to + size));
        const struct dns_counts *dns = probe_dns_counts(prober_engine(p), i);
        if (dns)
            memcpy(to + size, dns, sizeof(*dns));
        const struct http_counts *http = probe_http_counts(prober_engine(p), i);
        if (http)
            memcpy(to + size, http, sizeof(*http));
    }
    x->plan = plan_hold(plan);
    x->limited = export_limited(plan, engine_failures(prober_engine(p)));
    if (x->limited && sum_zones(x, prober_engine(p)) < 0)
        return -ENOMEM;
    metric_bounds(x->bounds, plan->bounds_ns, plan->n_bounds);
    label_source(x, plan);
    return 0;
}

struct export_scrape *export_new(const struct export_sources *from, enum metric_format format)
{
    struct export_scrape *x = calloc(1, sizeof(*x));
    if (!x)
        return NULL;
    x->format = format;
    buf_init(&x->text, PIECE_MAX);
    buf_init(&x->labels, PIECE_MAX);
    for (unsigned i = 0; i < SPEC_NETWORKS; i++)
        buf_init(&x->source[i], PIECE_MAX);
    if (copy_counters(x, from->prober) < 0 ||
        (x->plan && failures_copy(&x->failures, engine_failures(prober_engine(from->prober))) < 0)) {
        export_free(x);
        return NULL;
    }
    export_agent_read(from, &x->agent);
    return x;
}

void export_free(void *scrape)
{
    struct export_scrape *x = scrape;
    if (!x)
        return;
    zone_rtt_release(&x->zones);
    failures_release(&x->failures);
    plan_free(x->plan);
    free(x->counters);
    buf_release(&x->text);
    buf_release(&x->labels);
    for (unsigned i = 0; i < SPEC_NETWORKS; i++)
        buf_release(&x->source[i]);
    free(x);
}
