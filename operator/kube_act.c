// SPDX-License-Identifier: Apache-2.0
// From actions to requests, from answers to results. An apply of an object that should not be there yet looks
// first whether there is one, so that nobody else's object of that name is taken over.
#include "operator/kube_act.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "operator/jsonread.h"
#include "operator/kube_path.h"

#define MANAGER "kubecanary"
#define STATUS_MANAGER "kubecanary-status"

#define TYPE_APPLY "application/apply-patch+yaml"
#define TYPE_MERGE "application/merge-patch+json"
#define TYPE_JSON "application/json"

struct kube_act {
    LIST_ENTRY(kube_act) link;
    enum action_verb verb;
    struct kube_act_set *set;
    struct kube_http_req *req;
    struct action apply; // while looking: what is to be applied then
    action_done_fn *done;
    void *arg;
};

static void act_free(struct kube_act *a)
{
    LIST_REMOVE(a, link);
    action_release(&a->apply);
    free(a);
}

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
        kube_http_cancel(a->req);
        act_free(a);
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
        object = jsonread_text(r->body, r->len, NULL);
        result.object = object;
        if (!json_is_object(object))
            err_set(&result.err, EPROTO, "the answer to an apply is no object");
    }
    a->done(&result, a->arg);
    json_decref(object);
    act_free(a);
}

static int begin(struct kube_act *a, const struct action *action, struct err *e)
{
    CLEANUP(request_release) struct request r = {0};
    int result = make_request(action, &r, e);
    if (result < 0)
        return result;
    struct kube_http_opts o = {.method = r.method,
                               .path = buf_text(&r.path),
                               .content_type = r.type,
                               .body = r.body,
                               .body_len = strlen(r.body),
                               .timeout_ns = KUBE_ACT_TIMEOUT_NS,
                               .max_body = LIMIT_API_OBJECT};
    a->req = kube_http_start(a->set->http, &o, NULL, on_done, a, e);
    return a->req ? 0 : -e->code;
}

static void fail(struct kube_act *a, int status, int retry_after_s, const char *reason, const struct err *e)
{
    struct action_result result = {.status = status, .err = *e, .retry_after_s = retry_after_s};
    snprintf(result.reason, sizeof(result.reason), "%s", reason);
    a->done(&result, a->arg);
    act_free(a);
}

// An object that carries our label of this fleet is ours, with or without an owner: somebody may have deleted
// the fleet and kept its children.
static bool is_ours(const char *body, size_t len, const json_t *wanted)
{
    static const char label[] = "kubecanary.io/fleet";
    json_t *object = jsonread_text(body, len, NULL);
    const json_t *have =
        json_object_get(json_object_get(json_object_get(object, "metadata"), "labels"), label);
    const json_t *want =
        json_object_get(json_object_get(json_object_get(wanted, "metadata"), "labels"), label);
    bool ours = have && want && json_equal(have, want);
    json_decref(object);
    return ours;
}

static void on_looked(const struct kube_http_result *r, void *arg)
{
    struct kube_act *a = arg;
    struct err e = r->err;
    if (r->err.code == 0 && !is_ours(r->body, r->len, a->apply.body)) {
        err_set(&e, EEXIST, "there is one of that name which is not this fleet's");
        fail(a, 409, -1, "AlreadyExists", &e);
    } else if (r->err.code != 0 && r->status != 404) {
        fail(a, r->status, r->retry_after_s, r->reason, &e);
    } else if (begin(a, &a->apply, &e) < 0) {
        fail(a, 0, -1, "", &e);
    }
}

static int look(struct kube_act *a, const struct action *action, struct err *e)
{
    CLEANUP_BUF struct buf path;
    buf_init(&path, LIMIT_API_PATH);
    kube_path_object(&path, action->kind, action->namespace, action->name);
    a->apply = *action;
    json_incref(a->apply.body);
    struct kube_http_opts o = {.method = "GET",
                               .path = buf_text(&path),
                               .timeout_ns = KUBE_ACT_TIMEOUT_NS,
                               .max_body = LIMIT_API_OBJECT};
    if (path.failed)
        return err_set(e, ENOMEM, "no memory for a request");
    a->req = kube_http_start(a->set->http, &o, NULL, on_looked, a, e);
    return a->req ? 0 : -e->code;
}

int kube_act_start(struct kube_act_set *s, const struct action *action, action_done_fn *done, void *arg,
                   struct err *e)
{
    struct kube_act *a = calloc(1, sizeof(*a));
    if (!a)
        return err_set(e, ENOMEM, "no memory for an action");
    *a = (struct kube_act){.verb = action->verb, .set = s, .done = done, .arg = arg};
    LIST_INSERT_HEAD(&s->list, a, link);
    int r = action->verb == ACTION_APPLY && action->fresh ? look(a, action, e) : begin(a, action, e);
    if (r < 0)
        act_free(a);
    return r;
}
