// SPDX-License-Identifier: Apache-2.0
// Paths to answers. A scrape holds a copy of all counters while it streams, so only a few run at the same
// time; a client that reads slowly must not keep the others out, so the oldest makes room.
#include "agent/web.h"

#include <errno.h>

#include "agent/gzip.h"
#include "agent/report.h"
#include "lib/accept.h"
#include "lib/limits.h"

struct scrape { // of a connection
    struct web *web;
    void *room; // NULL: it had to make room; its connection is broken off at the next read
    struct export_scrape *export;
    struct gzip *gzip; // around it; NULL: as it is
    uint64_t begun_ns;
    bool streaming; // its connection is not done with it
};

struct web {
    struct loop *loop;
    struct web_opts opts;
    struct serve *serve;
    struct export_sources from;
    struct runtime_machine machine;
    struct scratch *rooms; // of scrapes
    size_t n_scrapes;
    struct scrape *scrapes[LIMIT_SCRAPES]; // that hold a room now, the oldest first
    struct scrape all[LIMIT_SERVE_CONNECTIONS];
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
    return !s->room ? -1 : s->gzip ? gzip_read(s->gzip, out, max) : export_read(s->export, out, max);
}

// In a room: the text's maker, and behind it what compresses.
static size_t gzip_at(void)
{
    return (export_room + 15) / 16 * 16;
}

// Gives the room back, and the copy of the counters; the scrape itself stays until its connection ends.
static void stop_scrape(struct scrape *s)
{
    struct web *w = s->web;
    for (size_t i = 0; i < w->n_scrapes; i++) {
        if (w->scrapes[i] == s) {
            memmove(&w->scrapes[i], &w->scrapes[i + 1], (w->n_scrapes - i - 1) * sizeof(w->scrapes[0]));
            w->n_scrapes--;
            break;
        }
    }
    if (!s->room)
        return;
    export_end(s->export);
    scratch_give(w->rooms, s->room);
    s->room = NULL;
}

static void end_scrape(void *arg)
{
    struct scrape *s = arg;
    stop_scrape(s);
    s->streaming = false;
}

static bool make_room(struct web *w)
{
    if (w->n_scrapes < LIMIT_SCRAPES)
        return true;
    if (loop_now(w->loop) - w->scrapes[0]->begun_ns < LIMIT_SCRAPE_ALONE_NS)
        return false;
    stop_scrape(w->scrapes[0]);
    return true;
}

// One that no connection has: each has one at most.
static struct scrape *idle_scrape(struct web *w)
{
    for (size_t i = 0; i < ARRAY_LEN(w->all); i++)
        if (!w->all[i].streaming)
            return &w->all[i];
    return NULL;
}

// With its copy of the counters, and what compresses it. NULL: there is no room for it.
static struct scrape *begin_scrape(struct web *w, enum metric_format format, bool gzip)
{
    struct scrape *s = idle_scrape(w);
    void *room = s ? scratch_take(w->rooms) : NULL;
    if (!room)
        return NULL;
    runtime_machine(&w->machine, loop_now(w->loop));
    *s = (struct scrape){.web = w, .room = room, .begun_ns = loop_now(w->loop), .streaming = true};
    s->export = export_new(room, &w->from, format);
    if (s->export && gzip)
        s->gzip = gzip_new((char *)room + gzip_at(), export_read, s->export);
    if (s->export && (s->gzip || !gzip))
        return s;
    end_scrape(s);
    return NULL;
}

static int answer_metrics(struct web *w, const struct serve_request *q, struct serve_response *r)
{
    const struct plan *plan = w->from.prober ? prober_plan(w->from.prober) : NULL;
    enum metric_format format = metric_negotiate(q->accept);
    bool gzip = plan && plan->gzip && accept_gzip(q->accept_encoding);
    if (!make_room(w))
        return answer_text(r, 503, "too many scrapes at the same time\n");
    struct scrape *s = begin_scrape(w, format, gzip);
    if (!s)
        return answer_text(r, 503, "no room for a scrape\n");
    w->scrapes[w->n_scrapes++] = s;
    r->content_type = metric_content_type(format);
    r->vary = "Accept, Accept-Encoding"; // the second when the fleet compresses, which may change at any time
    r->gzip = gzip;
    r->read = read_scrape;
    r->done = end_scrape;
    r->arg = s;
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
    w->rooms = scratch_new(LIMIT_SCRAPES, gzip_at() + GZIP_BYTES, e);
    w->serve = w->rooms ? serve_new(l, &o->addr, o->port, handle, w, e) : NULL;
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
    scratch_free(w->rooms);
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
