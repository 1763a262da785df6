// SPDX-License-Identifier: Apache-2.0
// From actions to requests, from answers to results.
#include "operator/kube_act.h"

#include <errno.h>
#include <string.h>

#include "operator/kube_path.h"

#define MANAGER "kubecanary"
#define STATUS_MANAGER "kubecanary-status"

#define TYPE_APPLY "application/apply-patch+yaml"
#define TYPE_MERGE "application/merge-patch+json"
#define TYPE_JSON "application/json"

struct kube_act {
    LIST_ENTRY(kube_act) link;
    enum action_verb verb;
    struct kube_http_req *req;
    action_done_fn *done;
    void *arg;
};

struct request {
    const char *method, *type;
    struct buf path;
    char *body;
};

static void request_release(struct request *r)
{
    buf_release(&r->path);
    free(r->body);
}

void kube_act_init(struct kube_act_set *s, struct kube_http *http)
{
    s->http = http;
    LIST_INIT(&s->list);
}

void kube_act_cancel_all(struct kube_act_set *s)
{
    while (!LIST_EMPTY(&s->list)) {
        struct kube_act *a = LIST_FIRST(&s->list);
        LIST_REMOVE(a, link);
        kube_http_cancel(a->req);
        free(a);
    }
}

static void apply_request(const struct action *a, struct request *r)
{
    bool first = true;
    r->method = "PATCH";
    r->type = TYPE_APPLY;
    kube_path_object(&r->path, a->kind, a->namespace, a->name);
    if (a->verb == ACTION_STATUS)
        buf_str(&r->path, "/status");
    kube_path_query(&r->path, &first, "fieldManager", a->verb == ACTION_STATUS ? STATUS_MANAGER : MANAGER);
    kube_path_query(&r->path, &first, "force", "true");
    r->body = json_dumps(a->body, JSON_COMPACT);
}

static void delete_request(const struct action *a, struct request *r)
{
    r->method = "DELETE";
    r->type = TYPE_JSON;
    kube_path_object(&r->path, a->kind, a->namespace, a->name);
    json_t *body = json_pack("{s:s, s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "DeleteOptions",
                             "propagationPolicy", "Background", "preconditions", "uid", a->uid);
    r->body = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
}

// The uid in the patch makes the server refuse a Pod of the same name that was made since.
static void poke_request(const struct action *a, struct request *r)
{
    bool first = true;
    r->method = "PATCH";
    r->type = TYPE_MERGE;
    kube_path_object(&r->path, a->kind, a->namespace, a->name);
    kube_path_query(&r->path, &first, "fieldManager", MANAGER);
    json_t *body = json_pack("{s:{s:s, s:{s:s}}}", "metadata", "uid", a->uid, "annotations",
                             "kubecanary.io/published", a->value);
    r->body = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
}

static void event_request(const struct action *a, struct request *r)
{
    r->method = "POST";
    r->type = TYPE_JSON;
    buf_str(&r->path, "/apis/events.k8s.io/v1/namespaces/");
    kube_path_escape(&r->path, a->namespace);
    buf_str(&r->path, "/events");
    r->body = json_dumps(a->body, JSON_COMPACT);
}

static int make_request(const struct action *a, struct request *r, struct err *e)
{
    bool needs_uid = a->verb == ACTION_DELETE || a->verb == ACTION_POKE;
    if (!a->name[0] || (store_kinds[a->kind].namespaced && !a->namespace[0]) || (needs_uid && !a->uid[0]))
        return err_set(e, EINVAL, "an action without a name, a namespace or a uid");
    buf_init(&r->path, LIMIT_API_PATH);
    switch (a->verb) {
    case ACTION_APPLY:
    case ACTION_STATUS: apply_request(a, r); break;
    case ACTION_DELETE: delete_request(a, r); break;
    case ACTION_POKE: poke_request(a, r); break;
    case ACTION_EVENT: event_request(a, r); break;
    }
    if (!r->body || r->path.failed)
        return err_set(e, ENOMEM, "no memory for a request");
    if (strlen(r->body) > LIMIT_API_BODY)
        return err_set(e, E2BIG, "%s %s has more than %zu bytes", store_kinds[a->kind].kind, a->name,
                       LIMIT_API_BODY);
    return 0;
}

// A patch with another uid than the object's is invalid (422 at metadata.uid); older servers say 409.
static bool is_success(enum action_verb verb, const struct kube_http_result *r)
{
    if (verb == ACTION_EVENT)
        return r->status == 409;
    bool other = r->status == 422 && strcmp(r->err.path, "metadata.uid") == 0;
    return (verb == ACTION_DELETE && (r->status == 404 || r->status == 409)) ||
           (verb == ACTION_POKE && (r->status == 404 || r->status == 409 || other));
}

static void on_done(const struct kube_http_result *r, void *arg)
{
    struct kube_act *a = arg;
    struct action_result result = {.status = r->status, .err = r->err, .retry_after_s = r->retry_after_s};
    json_t *object = NULL;
    memcpy(result.reason, r->reason, sizeof(result.reason));
    if (r->err.code != 0 && is_success(a->verb, r)) {
        result.err = (struct err){0};
    } else if (r->err.code == 0 && (a->verb == ACTION_APPLY || a->verb == ACTION_STATUS)) {
        object = json_loadb(r->body, r->len, JSON_ALLOW_NUL, NULL);
        result.object = object;
        if (!json_is_object(object))
            err_set(&result.err, EPROTO, "the answer to an apply is no object");
    }
    LIST_REMOVE(a, link);
    a->done(&result, a->arg);
    json_decref(object);
    free(a);
}

int kube_act_start(struct kube_act_set *s, const struct action *action, action_done_fn *done, void *arg,
                   struct err *e)
{
    CLEANUP(request_release) struct request r = {0};
    int result = make_request(action, &r, e);
    if (result < 0)
        return result;
    struct kube_act *a = calloc(1, sizeof(*a));
    if (!a)
        return err_set(e, ENOMEM, "no memory for an action");
    *a = (struct kube_act){.verb = action->verb, .done = done, .arg = arg};
    struct kube_http_opts o = {.method = r.method,
                               .path = buf_text(&r.path),
                               .content_type = r.type,
                               .body = r.body,
                               .body_len = strlen(r.body),
                               .timeout_ns = KUBE_ACT_TIMEOUT_NS,
                               .max_body = LIMIT_API_OBJECT};
    a->req = kube_http_start(s->http, &o, NULL, on_done, a, e);
    if (!a->req) {
        free(a);
        return -e->code;
    }
    LIST_INSERT_HEAD(&s->list, a, link);
    return 0;
}
