// SPDX-License-Identifier: Apache-2.0
// One timer for two things: to follow the store, and to ask who is due. An agent that has no /report is asked
// for /metrics in a second request of the same turn.
#include "operator/reports.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/fetch.h"
#include "lib/log.h"
#include "lib/spec_agent_file.h"
#include "operator/report_table.h"

#define FOLLOW_NS (200 * NS_PER_MS)
// Lines of log about agents that do not answer: so many a minute, the rest is counted.
#define LOG_LINES 10
#define LOG_NS (60 * NS_PER_S)

struct reports {
    struct loop *loop;
    const struct store *store;
    struct reports_opts opts;
    struct fetch *fetch;
    struct report_table *table;
    reports_changed_fn *changed;
    void *arg;
    struct loop_timer timer;
    bool asking;
    uint64_t follow_ns;  // when to follow the store; 0: no need
    uint64_t not_before; // no request before
    size_t in_flight;
    uint64_t log_since, log_lines;
    struct reports_stats stats;
};

struct ask { // one agent's turn
    struct reports *reports;
    struct report_agent *agent;
    struct fetch_req *req;
    struct buf body;                // of /report
    struct report_metrics *metrics; // NULL: it is asked for /report
};

static void arm(struct reports *r);

static void ask_free(struct ask *q)
{
    q->reports->in_flight--;
    buf_release(&q->body);
    free(q->metrics);
    free(q);
}

static void on_gone(struct report_agent *a, void *arg UNUSED)
{
    struct ask *q = a->asking;
    fetch_cancel(q->req);
    ask_free(q);
}

// --- the end of a turn ---

static void tell(struct reports *r, const struct report_fleet *f, bool worth)
{
    if (worth)
        r->changed(f->namespace, f->name, r->arg);
}

static void log_failure(struct reports *r, const struct report_agent *a, const char *why)
{
    uint64_t now = loop_now(r->loop);
    if (now - r->log_since >= LOG_NS) {
        if (r->log_lines > LOG_LINES)
            log_warn("more agents gave no report than were named",
                     LOG_INT("left_out", r->log_lines - LOG_LINES));
        r->log_since = now;
        r->log_lines = 0;
    }
    if (r->log_lines++ < LOG_LINES)
        log_warn("an agent gave no report", LOG_STR("namespace", a->fleet->namespace),
                 LOG_STR("fleet", a->fleet->name), LOG_STR("node", a->node), LOG_STR("error", why));
}

static void end_with_report(struct ask *q, const struct report *report)
{
    struct reports *r = q->reports;
    struct report_agent *a = q->agent;
    r->stats.received += !report->foreign;
    r->stats.metrics += report->foreign;
    ask_free(q);
    tell(r, a->fleet, report_table_answer(r->table, a, report, loop_now(r->loop)));
    arm(r);
}

static void end_with_failure(struct ask *q, uint64_t *counter, const char *why)
{
    struct reports *r = q->reports;
    struct report_agent *a = q->agent;
    char text[sizeof(a->trouble)];
    report_text(text, sizeof(text), why);
    ++*counter;
    if (strcmp(a->trouble, text) != 0)
        log_failure(r, a, text);
    ask_free(q);
    tell(r, a->fleet, report_table_failure(r->table, a, text, loop_now(r->loop)));
    arm(r);
}

// libcurl's own words hold times, which would make the same trouble look new each time.
static const char *trouble_of(int code)
{
    switch (code) {
    case ETIMEDOUT: return "no answer in time";
    case ECONNREFUSED: return "cannot connect";
    case EPIPE: return "the connection ended too early";
    case E2BIG: return "the answer is too long";
    case ENOMEM: return "no memory";
    default: return "no answer";
    }
}

static void end_without_answer(struct ask *q, const char *path, const struct err *e)
{
    char why[LIMIT_HTTP_PATH + 64];
    struct reports_stats *stats = &q->reports->stats;
    snprintf(why, sizeof(why), "%s: %s", path, trouble_of(e->code));
    end_with_failure(q, e->code == E2BIG ? &stats->invalid : &stats->unreachable, why);
}

static void end_with_error(struct ask *q, uint64_t *counter, const char *path, const struct err *e)
{
    char why[sizeof(*e) + LIMIT_HTTP_PATH + 8], text[sizeof(*e)];
    snprintf(why, sizeof(why), "%s: %s", path, err_text(e, text, sizeof(text)));
    end_with_failure(q, counter, why);
}

// --- one request ---

static int send_request(struct ask *q, const char *path, fetch_data_fn *on_data, fetch_done_fn *on_done,
                        size_t max_body, struct err *e)
{
    // An agent's places are few: no connection stays open.
    static const char *const headers[] = {"Connection: close", NULL};
    const struct reports *r = q->reports;
    const struct report_agent *a = q->agent;
    const struct addr *to = report_table_address(a);
    char ip[ADDR_TEXT_MAX], url[ADDR_TEXT_MAX + LIMIT_HTTP_PATH + 32];
    snprintf(url, sizeof(url), to->family == FAMILY_IPV6 ? "http://[%s]:%u%s" : "http://%s:%u%s",
             addr_text(to, ip), a->fleet->port ? a->fleet->port : r->opts.port, path);
    const struct fetch_opts o = {.method = "GET",
                                 .url = url,
                                 .headers = headers,
                                 .timeout_ns = r->opts.timeout_ns,
                                 .max_body = max_body};
    q->req = fetch_start(r->fetch, &o, on_data, on_done, q, e);
    return q->req ? 0 : -e->code;
}

static int on_metrics_data(int status, const char *data, size_t len, void *arg)
{
    struct ask *q = arg;
    if (status == 200)
        report_metrics_feed(q->metrics, data, len);
    return 0;
}

static const char *no_metrics(const struct ask *q)
{
    return q->agent->fleet->exporter ? q->agent->fleet->metrics_path : "there is no /report, and /metrics";
}

// What came before the bound counts.
static void on_metrics_done(const struct fetch_result *f, void *arg)
{
    struct ask *q = arg;
    struct reports *r = q->reports;
    struct report report;
    struct err e;
    if (f->err.code && f->err.code != E2BIG) {
        end_without_answer(q, q->agent->fleet->metrics_path, &f->err);
    } else if (f->status != 200) {
        err_set(&e, EPROTO, "answered with status %d", f->status);
        end_with_error(q, &r->stats.invalid, no_metrics(q), &e);
    } else if (report_metrics_end(q->metrics, &report, &e) < 0) {
        end_with_error(q, &r->stats.invalid, no_metrics(q), &e);
    } else {
        end_with_report(q, &report);
    }
}

static void ask_for_metrics(struct ask *q)
{
    static const struct report_metrics_wanted nothing;
    const struct report_told *told = report_table_told(q->agent);
    struct err e;
    q->metrics = malloc(sizeof(*q->metrics));
    int r = q->metrics ? 0 : err_set(&e, ENOMEM, "no memory for a page of metrics");
    if (r == 0) {
        report_metrics_begin(q->metrics, told ? &told->wanted : &nothing);
        r = send_request(q, q->agent->fleet->metrics_path, on_metrics_data, on_metrics_done,
                         LIMIT_REPORT_METRICS, &e);
    }
    if (r < 0)
        end_without_answer(q, q->agent->fleet->metrics_path, &e);
}

static int on_report_data(int status, const char *data, size_t len, void *arg)
{
    struct ask *q = arg;
    if (status == 200)
        buf_add(&q->body, data, len);
    return 0;
}

static void read_report(struct ask *q)
{
    const struct report_agent *a = q->agent;
    const struct report_who who = {
        .fleet = a->fleet->name, .node = a->node, .network = spec_network_name(a->set.network)};
    struct report report;
    struct err e;
    int r = q->body.failed ? err_set(&e, ENOMEM, "no memory for a report")
                           : report_parse(buf_text(&q->body), q->body.len, &who, &report, &e);
    if (r == 0)
        end_with_report(q, &report);
    else if (r == -EPROTO && a->fleet->own_image)
        ask_for_metrics(q);
    else
        end_with_error(q, &q->reports->stats.invalid, "/report", &e);
}

// Only an image of somebody's own may lack /report; the operator's own that does is an error.
static void on_report_done(const struct fetch_result *f, void *arg)
{
    struct ask *q = arg;
    struct reports *r = q->reports;
    struct err e;
    bool answered = !f->err.code || f->err.code == E2BIG;
    if (answered && q->agent->fleet->own_image && (f->status != 200 || f->err.code)) {
        ask_for_metrics(q);
    } else if (f->err.code) {
        end_without_answer(q, "/report", &f->err);
    } else if (f->status != 200) {
        err_set(&e, EPROTO, "answered with status %d", f->status);
        end_with_error(q, &r->stats.invalid, "/report", &e);
    } else {
        read_report(q);
    }
}

// --- whose turn it is ---

static void begin(struct reports *r, struct report_agent *a)
{
    struct err e;
    struct ask *q = calloc(1, sizeof(*q));
    r->not_before = loop_now(r->loop) + LIMIT_REPORT_GAP_NS;
    if (!q) {
        (void)report_table_failure(r->table, a, "no memory", loop_now(r->loop));
        return;
    }
    q->reports = r;
    q->agent = a;
    buf_init(&q->body, LIMIT_REPORT);
    r->in_flight++;
    report_table_ask(r->table, a, q);
    if (a->fleet->exporter)
        ask_for_metrics(q);
    else if (send_request(q, "/report", on_report_data, on_report_done, LIMIT_REPORT, &e) < 0)
        end_without_answer(q, "/report", &e);
}

static void follow(struct reports *r)
{
    uint64_t now = loop_now(r->loop);
    r->follow_ns = 0;
    if (report_table_sync(r->table, r->store, now) < 0) {
        log_error("no memory for the agents: tried again");
        r->follow_ns = now + FOLLOW_NS;
    }
}

static void on_timer(struct loop_timer *t UNUSED, void *arg)
{
    struct reports *r = arg;
    uint64_t now = loop_now(r->loop);
    if (r->follow_ns && now >= r->follow_ns)
        follow(r);
    struct report_agent *a = report_table_next(r->table);
    if (a && r->in_flight < LIMIT_REPORT_IN_FLIGHT && now >= MAX(a->due_ns, r->not_before))
        begin(r, a);
    arm(r);
}

static void arm(struct reports *r)
{
    struct err e;
    const struct report_agent *a = report_table_next(r->table);
    uint64_t at = r->follow_ns ? r->follow_ns : UINT64_MAX;
    if (a && r->in_flight < LIMIT_REPORT_IN_FLIGHT)
        at = MIN(at, MAX(a->due_ns, r->not_before));
    if (!r->asking || at == UINT64_MAX)
        loop_timer_cancel(r->loop, &r->timer);
    else if (loop_timer_set(r->loop, &r->timer, at, on_timer, r, &e) < 0)
        abort(); // eight bytes: the process is beyond saving
}

// --- for others ---

struct reports *reports_new(struct loop *l, const struct store *store, const struct reports_opts *o,
                            reports_changed_fn *changed, void *arg, struct err *e)
{
    struct reports *r = calloc(1, sizeof(*r));
    if (!r) {
        err_set(e, ENOMEM, "no memory for the reports");
        return NULL;
    }
    *r = (struct reports){.loop = l, .store = store, .opts = *o, .changed = changed, .arg = arg};
    r->opts.port = o->port ? o->port : SPEC_PORT_HTTP;
    r->opts.timeout_ns = o->timeout_ns ? o->timeout_ns : LIMIT_REPORT_TIMEOUT_NS;
    r->table = report_table_new(on_gone, r);
    r->fetch = r->table ? fetch_new(l, NULL, o->user_agent, e) : NULL;
    if (r->fetch)
        return r;
    if (!r->table)
        err_set(e, ENOMEM, "no memory for the reports");
    reports_free(r);
    return NULL;
}

void reports_free(struct reports *r)
{
    if (!r)
        return;
    loop_timer_cancel(r->loop, &r->timer);
    report_table_free(r->table);
    fetch_free(r->fetch);
    free(r);
}

void reports_set_asking(struct reports *r, bool asking)
{
    r->asking = asking;
    if (!asking)
        report_table_clear(r->table);
    r->follow_ns = asking ? loop_now(r->loop) : 0;
    arm(r);
}

void reports_touch(struct reports *r)
{
    if (!r->asking || r->follow_ns)
        return;
    r->follow_ns = loop_now(r->loop) + FOLLOW_NS;
    arm(r);
}

void reports_configure(struct reports *r, const char *namespace, const char *fleet, const struct spec *spec)
{
    if (report_table_configure(r->table, namespace, fleet, spec) < 0)
        log_error("no memory for the reports of a fleet: the next round will do", LOG_STR("fleet", fleet));
}

int reports_sum(const struct reports *r, const char *namespace, const char *fleet, struct report_sum *ret,
                struct err *e)
{
    return report_table_sum(r->table, namespace, fleet, loop_now(r->loop), ret, e);
}

int reports_split(const struct reports *r, const char *namespace, const char *fleet, const char *override,
                  const char *settings, struct report_split *ret, struct err *e)
{
    return report_table_split(r->table, namespace, fleet, override, settings, ret, e);
}

struct reports_stats reports_stats(const struct reports *r)
{
    struct reports_stats s = r->stats;
    s.agents = report_table_count(r->table, &s.reporting);
    return s;
}
