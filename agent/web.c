// SPDX-License-Identifier: Apache-2.0
// Paths to answers. A scrape holds a copy of all counters while it streams, so only a few run at the same
// time; a client that reads slowly must not keep the others out, so one gives way.
#include "agent/web.h"

#include <assert.h>
#include <errno.h>

#include "agent/gzip.h"
#include "agent/report.h"
#include "lib/accept.h"
#include "lib/give_way.h"
#include "lib/limits.h"

struct scrape { // of a connection
    struct web *web;
    void *
        place; // NULL: none is under way, or it made room; then its connection is broken off at the next read
    struct export_scrape *export;
    struct gzip *gzip; // around it; NULL: as it is
    uint64_t begun_ns;
    struct addr from;
};

struct web {
    struct loop *loop;
    struct web_opts opts;
    struct serve *serve;
    struct export_sources from;
    struct runtime_machine machine;
    struct scratch *places; // LIMIT_SCRAPES of them: the text's maker, and behind it what compresses
    struct scrape scrapes[LIMIT_SERVE_CONNECTIONS]; // by serve_request.place
    bool leaving;
};

static const char text_plain[] = "text/plain; charset=utf-8";

static int answer_text(struct serve_response *r, int status, const char *text)
{
    r->status = status;
    r->content_type = text_plain;
    r->body = strdup(text);
    r->body_len = r->body ? strlen(text) : 0;
    return r->body ? 0 : -1;
}

static ssize_t read_scrape(void *arg, char *out, size_t max)
{
    struct scrape *s = arg;
    return !s->place ? -1 : s->gzip ? gzip_read(s->gzip, out, max) : export_read(s->export, out, max);
}

static size_t gzip_at(void)
{
    return (export_bytes + 15) / 16 * 16;
}

// The copy of the counters goes.
static void stop_scrape(void *arg)
{
    struct scrape *s = arg;
    if (!s->place)
        return;
    export_end(s->export);
    scratch_give(s->web->places, s->place);
    s->place = NULL;
}

// False: as many are under way as may be, and none gives way to one from there (lib/give_way).
static bool make_room(struct web *w, const struct addr *from)
{
    struct give_way_place taken[LIMIT_SCRAPES];
    struct scrape *of[LIMIT_SCRAPES];
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(w->scrapes); i++) {
        struct scrape *s = &w->scrapes[i];
        if (!s->place)
            continue;
        of[n] = s;
        taken[n++] =
            (struct give_way_place){.from = s->from,
                                    .since_ns = s->begun_ns,
                                    .over = loop_now(w->loop) - s->begun_ns >= LIMIT_SCRAPE_ALONE_NS};
    }
    if (n < LIMIT_SCRAPES)
        return true;
    size_t i = give_way(taken, n, from);
    if (i < n)
        stop_scrape(of[i]);
    return i < n;
}

// There is room for it. With its copy of the counters, and what compresses it.
static void begin_scrape(struct web *w, const struct serve_request *q, enum metric_format format, bool gzip)
{
    struct scrape *s = &w->scrapes[q->place];
    char *place = scratch_take(w->places, gzip_at() + GZIP_BYTES);
    assert(place);
    runtime_machine(&w->machine, loop_now(w->loop));
    *s = (struct scrape){.web = w, .place = place, .begun_ns = loop_now(w->loop), .from = *q->from};
    s->export = export_new(place, &w->from, format);
    s->gzip = gzip ? gzip_new(place + gzip_at(), export_read, s->export) : NULL;
    assert(s->export && (s->gzip || !gzip));
}

static int answer_metrics(struct web *w, const struct serve_request *q, struct serve_response *r)
{
    const struct plan *plan = w->from.prober ? prober_plan(w->from.prober) : NULL;
    enum metric_format format = metric_negotiate(q->accept);
    bool gzip = plan && plan->gzip && accept_gzip(q->accept_encoding);
    if (!q->head && !make_room(w, q->from))
        return answer_text(r, 503, "too many scrapes at the same time\n");
    r->content_type = metric_content_type(format);
    r->vary = "Accept, Accept-Encoding"; // the second when the fleet compresses, which may change at any time
    r->gzip = gzip;
    if (q->head)
        return 0;
    begin_scrape(w, q, format, gzip);
    r->read = read_scrape;
    r->done = stop_scrape;
    r->arg = &w->scrapes[q->place];
    return 0;
}

// Whether peers and Prometheus can rely on this agent; the reason if not.
static bool is_ready(const struct web *w, char *reason, size_t size)
{
    const struct err *why = NULL;
    char text[sizeof(*why)];
    const struct inputs_state *inputs = w->from.inputs;
    reason[0] = '\0';
    if (w->leaving)
        snprintf(reason, size, "leaving");
    else if (!inputs)
        snprintf(reason, size, "starting");
    else if (!inputs->loaded)
        snprintf(reason, size, "no configuration: %s", err_text(&inputs->err, text, sizeof(text)));
    else if (!prober_ready(w->opts.prober, &why))
        snprintf(reason, size, "%s", why ? err_text(why, text, sizeof(text)) : "a socket is not open");
    return reason[0] == '\0';
}

static int answer_ready(const struct web *w, struct serve_response *r)
{
    char reason[sizeof(struct err) + 32], body[sizeof(reason) + 2];
    if (is_ready(w, reason, sizeof(reason)))
        return answer_text(r, 200, "ok\n");
    snprintf(body, sizeof(body), "%s\n", reason);
    return answer_text(r, 503, body);
}

static int answer_report(struct web *w, struct serve_response *r)
{
    CLEANUP_BUF struct buf out;
    char reason[sizeof(struct err) + 32];
    struct report_health h = {.node = w->opts.node, .network = w->opts.network, .reason = reason};
    h.ready = is_ready(w, reason, sizeof(reason));
    buf_init(&out, REPORT_MAX);
    runtime_machine(&w->machine, loop_now(w->loop));
    report_write(&w->from, &h, &out);
    if (out.failed)
        return -1;
    r->content_type = "application/json";
    r->body_len = out.len;
    r->body = buf_take(&out);
    return r->body ? 0 : -1;
}

static int handle(const struct serve_request *q, struct serve_response *r, void *arg)
{
    struct web *w = arg;
    if (strcmp(q->path, "/metrics") == 0)
        return answer_metrics(w, q, r);
    if (strcmp(q->path, "/healthz") == 0)
        return answer_text(r, 200, "ok\n"); // that this is answered is the proof
    if (strcmp(q->path, "/readyz") == 0)
        return answer_ready(w, r);
    if (strcmp(q->path, "/report") == 0)
        return answer_report(w, r);
    return answer_text(r, 404, "there is /metrics, /healthz, /readyz and /report\n");
}

struct web *web_new(struct loop *l, const struct web_opts *o, struct err *e)
{
    struct web *w = calloc(1, sizeof(*w));
    if (!w) {
        err_set(e, ENOMEM, "no memory for the HTTP answers");
        return NULL;
    }
    w->loop = l;
    w->opts = *o;
    w->from.prober = o->prober;
    w->from.link = o->link;
    w->from.machine = &w->machine;
    w->places = scratch_new(LIMIT_SCRAPES, gzip_at() + GZIP_BYTES, e);
    w->serve = w->places ? serve_new(l, &o->addr, o->port, handle, w, e) : NULL;
    if (!w->serve) {
        web_free(w);
        return NULL;
    }
    return w;
}

void web_free(struct web *w)
{
    if (!w)
        return;
    serve_free(w->serve);
    scratch_free(w->places);
    free(w);
}

uint16_t web_port(const struct web *w)
{
    return serve_port(w->serve);
}

void web_set_inputs(struct web *w, const struct inputs_state *s)
{
    w->from.inputs = s;
}

void web_set_reflect(struct web *w, const struct reflect *tcp, const struct reflect_stamp *stamp)
{
    w->from.reflect = tcp;
    w->from.stamp = stamp;
}

void web_set_leaving(struct web *w)
{
    w->leaving = true;
}
