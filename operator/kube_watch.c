// SPDX-License-Identifier: Apache-2.0
// The reflector: LIST -> WATCH -> (WATCH | LIST), with one timer for whatever comes next.
#include "operator/kube_watch.h"

#include <errno.h>
#include <string.h>

#include "lib/log.h"
#include "operator/jsonread.h"
#include "operator/kube_lines.h"
#include "operator/kube_path.h"
#include "operator/project.h"

#define SHORT_NS (1 * NS_PER_S)
#define REOPEN_NS (100 * NS_PER_MS) // between watches that end at once although they bring something

enum verdict { // why we ended the stream ourselves
    VERDICT_NONE,
    VERDICT_STATUS, // an ERROR event: in `error`
    VERDICT_GARBAGE // in `problem`
};

struct kube_watch {
    struct kube_scope scope;
    char namespace[LIMIT_NAMESPACE + 1];
    struct kube_http_req *req;
    struct loop_timer timer; // what comes next
    struct loop_timer silence;
    struct kube_list list;
    bool listed; // at least once
    // watch
    struct kube_lines lines;
    char version[LIMIT_RESOURCE_VERSION + 1];
    uint64_t opened_ns, heard_ns, events;
    unsigned bookmarks, expired;
    enum verdict verdict;
    struct kube_http_result error;
    struct err problem;
    // back-off
    unsigned step;
    uint64_t backed_off_ns;
    bool complaining;
    int said_status, said_code;
};

static void begin_list(struct kube_watch *w);
static void begin_watch(struct kube_watch *w);

static const struct store_kind_info *info_of(const struct kube_watch *w)
{
    return &store_kinds[w->scope.kind];
}

// Whether this was not said before. Not the text counts, which may hold times and addresses.
static bool is_news(struct kube_watch *w, int status, int code)
{
    if (w->complaining && w->said_status == status && w->said_code == code)
        return false;
    w->complaining = true;
    w->said_status = status;
    w->said_code = code;
    return true;
}

static void complain(struct kube_watch *w, const char *what, int status, const struct err *e)
{
    if (is_news(w, status, e->code))
        log_warn(what, LOG_STR("kind", info_of(w)->kind), LOG_STR("namespace", w->namespace),
                 LOG_INT("status", status), LOG_ERR(e));
}

static void content(struct kube_watch *w)
{
    if (w->complaining)
        log_info("list and watch work again", LOG_STR("kind", info_of(w)->kind),
                 LOG_STR("namespace", w->namespace));
    w->complaining = false;
}

static void on_list_timer(struct loop_timer *t UNUSED, void *arg)
{
    begin_list(arg);
}

static void on_watch_timer(struct loop_timer *t UNUSED, void *arg)
{
    begin_watch(arg);
}

static void later(struct kube_watch *w, uint64_t delay_ns, loop_timer_fn *fn)
{
    struct err e;
    if (loop_timer_set(w->scope.loop, &w->timer, loop_now(w->scope.loop) + delay_ns, fn, w, &e) < 0)
        abort(); // eight bytes: the process is beyond saving
}

static uint64_t spread(uint64_t ns)
{
    return ns * arc4random_uniform(1000) / 1000;
}

static uint64_t back_off(struct kube_watch *w, int retry_after_s)
{
    uint64_t now = loop_now(w->scope.loop);
    if (now - w->backed_off_ns >= KUBE_WATCH_BACKOFF_RESET_NS)
        w->step = 0;
    uint64_t delay = MIN(KUBE_WATCH_BACKOFF_FIRST_NS << w->step, KUBE_WATCH_BACKOFF_LAST_NS);
    w->step = MIN(w->step + 1, 16U);
    w->backed_off_ns = now;
    delay += spread(delay);
    uint64_t asked =
        retry_after_s > 0 ? MIN((uint64_t)retry_after_s * NS_PER_S, 10 * KUBE_WATCH_BACKOFF_LAST_NS) : 0;
    return MAX(delay, asked);
}

static void add_number(struct buf *path, bool *first, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    kube_path_query(path, first, key, text);
}

static void absent(struct kube_watch *w, const struct kube_http_result *r)
{
    store_set_absent(w->scope.store, w->scope.kind, true);
    if (is_news(w, r->status, r->err.code))
        log_info(r->status == 403 ? "no right to an optional API: going on without it"
                                  : "an optional API is absent: going on without it",
                 LOG_STR("kind", info_of(w)->kind), LOG_STR("error", r->err.msg));
    later(w, KUBE_WATCH_ABSENT_NS * 8 / 10 + spread(KUBE_WATCH_ABSENT_NS * 4 / 10), on_list_timer);
}

// No right to an optional API. Of all namespaces: as good as absent. Of one of several: that one has none of
// its objects. But who had the right a moment ago is not told that everything is gone: it may come back.
static bool forbidden(struct kube_watch *w, const struct kube_http_result *failure)
{
    if (w->version[0])
        return false;
    if (!w->scope.namespace[0]) {
        absent(w, failure);
        return true;
    }
    if (store_relist_begin(w->scope.store, w->scope.kind, w->scope.namespace) == 0)
        store_relist_end(w->scope.store, w->scope.kind, w->scope.namespace);
    return false;
}

static void on_listed(const struct kube_http_result *failure, const char *version, void *arg)
{
    struct kube_watch *w = arg;
    if (!failure) {
        content(w);
        snprintf(w->version, sizeof(w->version), "%s", version);
        begin_watch(w);
        return;
    }
    if (info_of(w)->optional && failure->status == 404) {
        absent(w, failure);
        return;
    }
    if (info_of(w)->optional && failure->status == 403 && forbidden(w, failure))
        return;
    bool no_crd = w->scope.kind == STORE_FLEET && failure->status == 404;
    complain(w, no_crd ? "cannot list ProbeFleets: is the CRD installed?" : "cannot list", failure->status,
             &failure->err);
    later(w, back_off(w, failure->retry_after_s), on_list_timer);
}

static void begin_list(struct kube_watch *w)
{
    if (w->listed)
        w->scope.stats->relists++;
    w->listed = true;
    kube_list_start(&w->list);
}

static int garbage(struct kube_watch *w, const char *what)
{
    w->scope.stats->bad_lines++;
    w->verdict = VERDICT_GARBAGE;
    err_set(&w->problem, EPROTO, "%s", what);
    return -1;
}

// Carries one object into the store. -ENOMEM is the only failure: what the store refuses is left out.
static int carry(struct kube_watch *w, bool deleted, const json_t *object)
{
    struct err e;
    struct store_meta key = {0};
    int r = deleted ? project_key(w->scope.kind, object, &key, &e)
                    : store_put(w->scope.store, w->scope.kind, object, &e);
    if (r == 0 && deleted)
        store_delete(w->scope.store, w->scope.kind, key.namespace, key.name);
    if (r < 0 && r != -ENOMEM) {
        w->scope.stats->bad_objects++;
        log_warn("an object of a watch is left out", LOG_STR("kind", info_of(w)->kind), LOG_ERR(&e));
        r = 0;
    }
    return r;
}

static void on_silence(struct loop_timer *t, void *arg)
{
    struct kube_watch *w = arg;
    struct err e;
    uint64_t at = w->heard_ns + KUBE_WATCH_SILENCE_NS;
    if (loop_now(w->scope.loop) < at) {
        if (loop_timer_set(w->scope.loop, t, at, on_silence, w, &e) < 0)
            abort();
        return;
    }
    log_info("a watch has gone silent: opening another", LOG_STR("kind", info_of(w)->kind),
             LOG_STR("namespace", w->namespace));
    kube_http_cancel(w->req);
    w->req = NULL;
    begin_watch(w);
}

static void bookmark(struct kube_watch *w)
{
    if (++w->bookmarks == 2)
        on_silence(&w->silence, w); // arms it: something was heard just now
}

static int on_event(struct kube_watch *w, const char *type, const json_t *object)
{
    bool put = strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0;
    bool deleted = strcmp(type, "DELETED") == 0;
    if (strcmp(type, "ERROR") == 0) {
        w->error = (struct kube_http_result){.status = 500, .retry_after_s = -1};
        if (!kube_http_read_status(object, &w->error))
            return garbage(w, "an ERROR event without a Status");
        w->verdict = VERDICT_STATUS;
        return -1;
    }
    if ((put || deleted) && carry(w, deleted, object) < 0)
        return garbage(w, "no memory for an object");
    if (strcmp(type, "BOOKMARK") == 0)
        bookmark(w);
    else if (!put && !deleted)
        log_info("an unknown type of watch event", LOG_STR("type", type));
    const char *version =
        json_string_value(json_object_get(json_object_get(object, "metadata"), "resourceVersion"));
    if (!version || !version[0] || base_copy(w->version, sizeof(w->version), version) < 0)
        return garbage(w, "a watch event without a resourceVersion");
    w->events++;
    w->scope.stats->events++;
    return 0;
}

static int on_line(const char *line, size_t len, void *arg)
{
    struct kube_watch *w = arg;
    json_t *event = jsonread_text(line, len, NULL);
    const char *type = json_string_value(json_object_get(event, "type"));
    const json_t *object = json_object_get(event, "object");
    int r = type && json_is_object(object) ? on_event(w, type, object)
                                           : garbage(w, "a line of a watch is no event");
    json_decref(event);
    return r;
}

static int on_watch_data(int status UNUSED, const char *data, size_t len, void *arg)
{
    struct kube_watch *w = arg;
    w->heard_ns = loop_now(w->scope.loop);
    int r = kube_lines_feed(&w->lines, data, len, on_line, w);
    if (r == -E2BIG)
        garbage(w, "a line of a watch is too long");
    return r == 0 ? 0 : -1;
}

static bool is_expired(const struct kube_http_result *r)
{
    return r->status == 410 || strcmp(r->reason, "Expired") == 0 || strcmp(r->reason, "Gone") == 0;
}

// The server said no, by a status or by an ERROR event, or did not answer.
static void refused(struct kube_watch *w, const struct kube_http_result *r)
{
    if (is_expired(r)) {
        w->scope.stats->expired++;
        log_info("a watch has expired: listing again", LOG_STR("kind", info_of(w)->kind),
                 LOG_STR("namespace", w->namespace));
        if (w->expired++ == 0)
            begin_list(w);
        else // listing did not help
            later(w, back_off(w, r->retry_after_s), on_list_timer);
        return;
    }
    complain(w, "a watch was refused", r->status, &r->err);
    bool keep = r->status == 0 || r->status == 429 || r->status == 401;
    later(w, back_off(w, r->retry_after_s), keep ? on_watch_timer : on_list_timer);
}

static void on_watch_done(const struct kube_http_result *r, void *arg)
{
    struct kube_watch *w = arg;
    uint64_t lived = loop_now(w->scope.loop) - w->opened_ns;
    enum verdict verdict = w->verdict;
    w->req = NULL;
    loop_timer_cancel(w->scope.loop, &w->silence);
    kube_lines_release(&w->lines);
    bool fruitful = w->events > 0 || (r->status == 200 && lived >= SHORT_NS);
    if (fruitful)
        w->expired = 0;
    if (verdict == VERDICT_STATUS) {
        refused(w, &w->error);
    } else if (verdict == VERDICT_GARBAGE) {
        complain(w, "a watch brought nonsense: listing again", r->status, &w->problem);
        later(w, back_off(w, -1), on_list_timer);
    } else if (r->status != 200) {
        refused(w, r);
    } else if (fruitful) {
        content(w);
        later(w, lived < SHORT_NS ? REOPEN_NS : 0, on_watch_timer);
    } else {
        struct err e;
        err_set(&e, EPROTO, "a watch ended at once, and brought nothing");
        complain(w, "a watch ended at once: listing again", r->status, &e);
        later(w, back_off(w, -1), on_list_timer);
    }
}

static void begin_watch(struct kube_watch *w)
{
    CLEANUP_BUF struct buf path;
    bool first = true;
    uint64_t seconds =
        KUBE_WATCH_SECONDS_MIN + arc4random_uniform(KUBE_WATCH_SECONDS_MAX - KUBE_WATCH_SECONDS_MIN);
    kube_lines_release(&w->lines);
    w->events = 0;
    w->bookmarks = 0;
    w->verdict = VERDICT_NONE;
    w->opened_ns = w->heard_ns = loop_now(w->scope.loop);
    w->scope.stats->watches++;
    buf_init(&path, LIMIT_API_PATH);
    kube_path_collection(&path, w->scope.kind, w->namespace);
    kube_path_query(&path, &first, "watch", "1");
    kube_path_query(&path, &first, "allowWatchBookmarks", "true");
    kube_path_query(&path, &first, "resourceVersion", w->version);
    add_number(&path, &first, "timeoutSeconds", seconds);
    if (info_of(w)->selector)
        kube_path_query(&path, &first, "labelSelector", info_of(w)->selector);
    struct err e;
    struct kube_http_opts o = {
        .method = "GET", .path = buf_text(&path), .timeout_ns = seconds * NS_PER_S + KUBE_WATCH_GRACE_NS};
    if (path.failed)
        err_set(&e, ENOMEM, "no memory for a request");
    else
        w->req = kube_http_start(w->scope.http, &o, on_watch_data, on_watch_done, w, &e);
    if (!w->req) // as any failure, only without an answer
        on_watch_done(&(struct kube_http_result){.retry_after_s = -1, .err = e}, w);
}

struct kube_watch *kube_watch_new(const struct kube_scope *scope, struct err *e)
{
    struct kube_watch *w = calloc(1, sizeof(*w));
    if (!w || base_copy(w->namespace, sizeof(w->namespace), scope->namespace) < 0) {
        free(w);
        err_set(e, ENOMEM, "no memory for a watch, or a namespace that is too long");
        return NULL;
    }
    w->scope = *scope;
    w->scope.namespace = w->namespace;
    kube_lines_init(&w->lines);
    kube_list_init(&w->list, &w->scope, on_listed, w);
    later(w, 0, on_list_timer);
    return w;
}

void kube_watch_free(struct kube_watch *w)
{
    if (!w)
        return;
    loop_timer_cancel(w->scope.loop, &w->timer);
    loop_timer_cancel(w->scope.loop, &w->silence);
    kube_http_cancel(w->req);
    kube_list_release(&w->list);
    kube_lines_release(&w->lines);
    free(w);
}
