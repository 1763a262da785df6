// SPDX-License-Identifier: Apache-2.0
// Paged lists.
#include "operator/kube_list.h"

#include <errno.h>
#include <string.h>

#include "lib/log.h"
#include "operator/kube_path.h"

#define PAGE "500"
#define PAGE_NODES "200" // a Node is 20 KB
#define TIMEOUT_NS (60 * NS_PER_S)
#define RESTARTS 3 // of a paged list whose pages expire, before it is asked for whole

static void request_page(struct kube_list *l);

void kube_list_init(struct kube_list *l, const struct kube_scope *scope, kube_list_fn *done, void *arg)
{
    *l = (struct kube_list){.scope = scope, .done = done, .arg = arg};
    kube_items_init(&l->items, NULL, NULL);
}

static void forget(struct kube_list *l)
{
    kube_items_release(&l->items);
    free(l->page);
    l->page = NULL;
    l->restarts = 0;
}

void kube_list_release(struct kube_list *l)
{
    kube_http_cancel(l->req);
    l->req = NULL;
    forget(l);
}

static int on_item(const json_t *item, void *arg)
{
    struct kube_list *l = arg;
    const struct kube_scope *s = l->scope;
    struct err e;
    int r = store_put(s->store, s->kind, item, &e);
    if (r == -ENOMEM) {
        l->problem = e;
        return r;
    }
    if (r < 0) {
        s->stats->bad_objects++;
        log_warn("an object of a list is left out", LOG_STR("kind", store_kinds[s->kind].kind), LOG_ERR(&e));
    }
    return 0;
}

static int on_data(int status UNUSED, const char *data, size_t len, void *arg)
{
    struct kube_list *l = arg;
    return kube_items_feed(&l->items, data, len, &l->problem) == 0 ? 0 : -1;
}

static void failed(struct kube_list *l, const struct kube_http_result *r)
{
    const struct kube_scope *s = l->scope;
    store_relist_abort(s->store, s->kind, s->namespace);
    if (r->status == 410 && l->page && l->restarts < RESTARTS) { // the pages' snapshot was compacted away
        s->stats->expired++;
        l->restarts++;
        free(l->page);
        l->page = NULL;
        if (store_relist_begin(s->store, s->kind, s->namespace) == 0) {
            request_page(l);
            return;
        }
    }
    struct kube_http_result failure = *r;
    if (l->problem.code)
        failure.err = l->problem;
    forget(l);
    l->done(&failure, "", l->arg);
}

// Reads what is left of a page. 0: it was the last, 1: there is another.
static int finish_page(struct kube_list *l, struct err *e)
{
    json_t *list = NULL;
    int r = kube_items_finish(&l->items, &list, e);
    if (r < 0)
        return r;
    const json_t *meta = json_object_get(list, "metadata");
    const char *kind = json_string_value(json_object_get(list, "kind"));
    const char *version = json_string_value(json_object_get(meta, "resourceVersion"));
    const char *next = json_string_value(json_object_get(meta, "continue"));
    size_t len = kind ? strlen(kind) : 0;
    bool first = !l->page;
    free(l->page);
    l->page = NULL;
    if (len < 4 || strcmp(kind + len - 4, "List") != 0)
        r = err_set(e, EPROTO, "the answer is a %s, not a list", kind ? kind : "thing without a kind");
    else if (first && (!version || !version[0] || base_copy(l->version, sizeof(l->version), version) < 0))
        r = err_set(e, EPROTO, "a list without a resourceVersion");
    else if (next && strlen(next) > LIMIT_API_CONTINUE)
        r = err_set(e, EPROTO, "a continue token of more than %d bytes", LIMIT_API_CONTINUE);
    else if (next && next[0])
        r = (l->page = strdup(next)) ? 1 : err_set(e, ENOMEM, "no memory for a continue token");
    json_decref(list);
    return r;
}

static void on_page_done(const struct kube_http_result *result, void *arg)
{
    struct kube_list *l = arg;
    const struct kube_scope *s = l->scope;
    l->req = NULL;
    int r = result->err.code ? -result->err.code : finish_page(l, &l->problem);
    if (r < 0) {
        failed(l, result);
    } else if (r == 1) {
        request_page(l);
    } else {
        forget(l);
        store_set_absent(s->store, s->kind, false);
        store_relist_end(s->store, s->kind, s->namespace);
        l->done(NULL, l->version, l->arg);
    }
}

static void request_page(struct kube_list *l)
{
    const struct kube_scope *s = l->scope;
    bool first = true, whole = l->restarts == RESTARTS;
    struct err e;
    CLEANUP_BUF struct buf path;
    kube_items_release(&l->items);
    kube_items_init(&l->items, on_item, l);
    l->problem = (struct err){0};
    buf_init(&path, LIMIT_API_PATH);
    kube_path_collection(&path, s->kind, s->namespace);
    if (!whole)
        kube_path_query(&path, &first, "limit", s->kind == STORE_NODE ? PAGE_NODES : PAGE);
    if (store_kinds[s->kind].selector)
        kube_path_query(&path, &first, "labelSelector", store_kinds[s->kind].selector);
    if (l->page)
        kube_path_query(&path, &first, "continue", l->page);
    struct kube_http_opts o = {.method = "GET",
                               .path = buf_text(&path),
                               .timeout_ns = TIMEOUT_NS,
                               .max_body = whole ? LIMIT_API_LIST : LIMIT_API_PAGE};
    if (path.failed)
        err_set(&e, ENOMEM, "no memory for a request");
    else
        l->req = kube_http_start(s->http, &o, on_data, on_page_done, l, &e);
    if (!l->req)
        failed(l, &(struct kube_http_result){.retry_after_s = -1, .err = e});
}

void kube_list_start(struct kube_list *l)
{
    const struct kube_scope *s = l->scope;
    if (store_relist_begin(s->store, s->kind, s->namespace) == 0) {
        request_page(l);
        return;
    }
    struct kube_http_result failure = {.retry_after_s = -1};
    err_set(&failure.err, ENOMEM, "no memory for a list");
    l->done(&failure, "", l->arg);
}
