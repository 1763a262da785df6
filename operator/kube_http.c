// SPDX-License-Identifier: Apache-2.0
// One fetch and one set of credentials for an API server.
#include "operator/kube_http.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/log.h"
#include "lib/utf8.h"
#include "operator/jsonread.h"

#define ERROR_TEXT_MAX 200

struct kube_http {
    struct loop *loop;
    struct fetch *fetch;
    struct credentials *credentials;
    const struct kubeconfig *config;
    struct kube_stats *stats;
};

struct kube_http_req {
    struct kube_http *http;
    struct fetch_req *req;
    char *method, *path, *content_type, *sent_body; // kept for a replay
    size_t sent_len;
    uint64_t timeout_ns, sent_ns;
    size_t max_body;
    bool replayed;
    struct buf body; // of an error, or without on_data
    fetch_data_fn *on_data;
    kube_http_done_fn *done;
    void *arg;
};

static void req_free(struct kube_http_req *r)
{
    free(r->method);
    free(r->path);
    free(r->content_type);
    free(r->sent_body);
    buf_release(&r->body);
    free(r);
}

struct kube_http *kube_http_new(struct loop *l, const struct kubeconfig *config, const char *user_agent,
                                struct kube_stats *stats, struct err *e)
{
    struct kube_http *h = calloc(1, sizeof(*h));
    if (!h) {
        err_set(e, ENOMEM, "no memory for the API client");
        return NULL;
    }
    h->loop = l;
    h->config = config;
    h->stats = stats;
    h->credentials = credentials_new(config, loop_now(l), e);
    if (h->credentials) {
        struct fetch_tls tls = credentials_tls(h->credentials);
        h->fetch = fetch_new(l, &tls, user_agent, e);
    }
    if (!h->fetch) {
        kube_http_free(h);
        return NULL;
    }
    return h;
}

// Requests under way must have been cancelled by those who started them: fetch knows only its own halves.
void kube_http_free(struct kube_http *h)
{
    if (!h)
        return;
    fetch_free(h->fetch);
    credentials_free(h->credentials);
    free(h);
}

static void refresh_tls(struct kube_http *h, bool failed)
{
    struct err e;
    if (credentials_refresh(h->credentials, failed, loop_now(h->loop), &e)) {
        struct fetch_tls tls = credentials_tls(h->credentials);
        if (fetch_set_tls(h->fetch, &tls, &e) == 0)
            log_info("certificates were read again and have changed");
    }
    if (e.code != 0)
        log_warn("cannot read certificates again: the old ones stay", LOG_ERR(&e));
}

static int on_data(int status, const char *data, size_t len, void *arg)
{
    struct kube_http_req *r = arg;
    bool ok = status >= 200 && status < 300;
    if (ok && r->on_data)
        return r->on_data(status, data, len, r->arg);
    size_t room = ok ? len : LIMIT_API_ERROR - MIN(LIMIT_API_ERROR, r->body.len);
    buf_add(&r->body, data, MIN(len, room));
    return r->body.failed || room < len ? -1 : 0;
}

static void on_done(const struct fetch_result *f, void *arg);

static int send_request(struct kube_http_req *r, struct err *e)
{
    struct kube_http *h = r->http;
    CLEANUP_FREE char *url = NULL;
    CLEANUP_FREE char *type = NULL;
    const char *headers[4] = {"Accept: application/json"};
    size_t n = 1;
    uint64_t now = loop_now(h->loop);
    refresh_tls(h, false);
    const char *authorization = credentials_header(h->credentials, now);
    if (asprintf(&url, "%s%s", h->config->server, r->path) < 0) {
        url = NULL;
        return err_set(e, ENOMEM, "no memory for a request");
    }
    if (r->content_type && asprintf(&type, "Content-Type: %s", r->content_type) < 0) {
        type = NULL;
        return err_set(e, ENOMEM, "no memory for a request");
    }
    if (type)
        headers[n++] = type;
    if (authorization)
        headers[n++] = authorization;
    struct fetch_opts o = {.method = r->method,
                           .url = url,
                           .headers = headers,
                           .body = r->sent_body,
                           .body_len = r->sent_len,
                           .timeout_ns = r->timeout_ns,
                           .max_body = r->max_body};
    r->sent_ns = now;
    r->req = fetch_start(h->fetch, &o, on_data, on_done, r, e);
    return r->req ? 0 : -e->code;
}

// What fits of a word of the server's, as a line.
static void copy_word(char *dst, size_t size, const char *src)
{
    if (snprintf(dst, size, "%s", src ? src : "") >= (int)size)
        utf8_cut(dst);
    utf8_line(dst);
}

bool kube_http_read_status(const json_t *status, struct kube_http_result *ret)
{
    const char *kind = json_string_value(json_object_get(status, "kind"));
    if (!kind || strcmp(kind, "Status") != 0)
        return false;
    const json_t *details = json_object_get(status, "details");
    const json_t *cause = json_array_get(json_object_get(details, "causes"), 0);
    const char *message = json_string_value(json_object_get(status, "message"));
    const char *reason = json_string_value(json_object_get(status, "reason"));
    const char *field = json_string_value(json_object_get(cause, "field"));
    const char *cause_reason = json_string_value(json_object_get(cause, "reason"));
    json_int_t code = json_integer_value(json_object_get(status, "code"));
    json_int_t retry = json_integer_value(json_object_get(details, "retryAfterSeconds"));
    if (code >= 100 && code < 600)
        ret->status = (int)code;
    if (retry > 0 && ret->retry_after_s < 0)
        ret->retry_after_s = (int)MIN(retry, (json_int_t)86400);
    err_set(&ret->err, EPROTO, "%s", message && message[0] ? message : "the API server gave no message");
    copy_word(ret->reason, sizeof(ret->reason), reason);
    copy_word(ret->cause, sizeof(ret->cause), cause_reason);
    if (field)
        err_at(&ret->err, "%s", field);
    return true;
}

// An answer that is no Status, from a proxy on the way: its first words, on one line.
static void read_foreign_error(const char *body, struct kube_http_result *ret)
{
    char text[ERROR_TEXT_MAX + 1];
    size_t len = 0;
    for (const unsigned char *p = (const unsigned char *)body; *p && len < ERROR_TEXT_MAX; p++)
        text[len++] = (char)(isprint(*p) ? *p : ' ');
    text[len] = '\0';
    err_set(&ret->err, EPROTO, "HTTP status %d%s%s", ret->status, len ? ": " : "", text);
}

static void read_error(const struct kube_http_req *r, struct kube_http_result *ret)
{
    int http_status = ret->status;
    json_t *body = jsonread_text(buf_text(&r->body), r->body.len, NULL);
    if (!kube_http_read_status(body, ret))
        read_foreign_error(buf_text(&r->body), ret);
    ret->status = http_status;
    json_decref(body);
}

static bool replay(struct kube_http_req *r, const struct fetch_result *f)
{
    struct kube_http *h = r->http;
    struct err e;
    if (f->status != 401 || r->replayed ||
        !credentials_refused(h->credentials, r->sent_ns, loop_now(h->loop)))
        return false;
    r->replayed = true;
    buf_reset(&r->body);
    h->stats->replays++;
    return send_request(r, &e) == 0;
}

static void on_done(const struct fetch_result *f, void *arg)
{
    struct kube_http_req *r = arg;
    struct kube_http *h = r->http;
    struct kube_http_result result = {.status = f->status, .retry_after_s = f->retry_after_s, .err = f->err};
    r->req = NULL;
    h->stats->by_code[f->status >= 0 && f->status < 600 ? f->status : 0]++;
    if (f->tls_failed)
        refresh_tls(h, true);
    if (replay(r, f))
        return;
    bool ok = f->status >= 200 && f->status < 300;
    if (f->status != 0 && !ok)
        read_error(r, &result);
    else if (ok && r->body.failed)
        err_set(&result.err, E2BIG, "the answer is too long");
    if (ok) {
        result.body = buf_text(&r->body);
        result.len = r->body.len;
    }
    r->done(&result, r->arg);
    req_free(r);
}

static bool copy(char **dst, const char *src)
{
    *dst = src ? strdup(src) : NULL;
    return !src || *dst;
}

struct kube_http_req *kube_http_start(struct kube_http *h, const struct kube_http_opts *o,
                                      fetch_data_fn *data, kube_http_done_fn *done, void *arg, struct err *e)
{
    struct kube_http_req *r = calloc(1, sizeof(*r));
    if (!r) {
        err_set(e, ENOMEM, "no memory for a request");
        return NULL;
    }
    *r = (struct kube_http_req){.http = h,
                                .sent_len = o->body_len,
                                .timeout_ns = o->timeout_ns,
                                .max_body = o->max_body,
                                .on_data = data,
                                .done = done,
                                .arg = arg};
    buf_init(&r->body, MAX(o->max_body, LIMIT_API_ERROR));
    bool ok = copy(&r->method, o->method) && copy(&r->path, o->path) && copy(&r->sent_body, o->body) &&
              copy(&r->content_type, o->content_type);
    if (!ok)
        err_set(e, ENOMEM, "no memory for a request");
    if (!ok || send_request(r, e) < 0) {
        req_free(r);
        return NULL;
    }
    return r;
}

void kube_http_cancel(struct kube_http_req *r)
{
    if (!r)
        return;
    fetch_cancel(r->req);
    req_free(r);
}
