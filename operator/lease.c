// SPDX-License-Identifier: Apache-2.0
// tryAcquireOrRenew as a small state machine over GET, POST and PUT of one Lease.
#include "operator/lease.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/log.h"
#include "operator/jsonread.h"
#include "operator/kube_path.h"
#include "operator/tree.h"

// How much longer than RETRY a candidate may wait between attempts, so that candidates spread (client-go: up
// to 2.2 times).
#define JITTER_NS (LEASE_RETRY_NS * 12 / 10)

struct lease {
    struct loop *loop;
    struct kube_http *http;
    struct kube_stats stats;
    char namespace[LIMIT_NAMESPACE + 1], name[LIMIT_NAME + 1], identity[LIMIT_NAME + 1];
    void (*on_change)(bool leading, void *arg);
    void *arg;
    struct loop_timer tick, deadline;
    struct kube_http_req *req;
    json_t *seen;                // the Lease as last seen; NULL: never
    uint64_t seen_hash, seen_ns; // of its spec, and when that last changed: on our clock
    uint64_t sent_ns;            // when the present write went out
    uint64_t renewed_ns;
    bool leading;
    bool ended; // lost, or being released: nothing is tried any more
    bool complaining;
    void (*released)(void *arg);
    void *released_arg;
};

static uint64_t clock_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void begin(struct lease *l);

static void on_tick(struct loop_timer *t UNUSED, void *arg)
{
    begin(arg);
}

static void arm(struct lease *l, struct loop_timer *t, uint64_t delay_ns, loop_timer_fn *fn)
{
    struct err e;
    if (loop_timer_set(l->loop, t, loop_now(l->loop) + delay_ns, fn, l, &e) < 0)
        abort(); // eight bytes: the process is beyond saving
}

static void again(struct lease *l)
{
    if (!l->ended)
        arm(l, &l->tick, LEASE_RETRY_NS + (l->leading ? 0 : arc4random_uniform(1000) * (JITTER_NS / 1000)),
            on_tick);
}

static void stop(struct lease *l)
{
    l->ended = true;
    loop_timer_cancel(l->loop, &l->tick);
    loop_timer_cancel(l->loop, &l->deadline);
    kube_http_cancel(l->req);
    l->req = NULL;
}

static void lost(struct lease *l, const char *why)
{
    l->leading = false;
    stop(l);
    log_end(LOG_ERROR, "leadership is lost", LOG_STR("lease", l->name), LOG_STR("identity", l->identity),
            LOG_STR("error", why));
    l->on_change(false, l->arg);
}

static void on_deadline(struct loop_timer *t UNUSED, void *arg)
{
    lost(arg, "the lease could not be renewed in time");
}

static void won(struct lease *l)
{
    l->renewed_ns = l->sent_ns;
    uint64_t left = l->renewed_ns + LEASE_RENEW_DEADLINE_NS;
    uint64_t now = clock_now();
    arm(l, &l->deadline, left > now ? left - now : 0, on_deadline);
    l->complaining = false;
    if (l->leading)
        return;
    l->leading = true;
    l->on_change(true, l->arg);
}

static void complain(struct lease *l, const char *what, const struct kube_http_result *r)
{
    if (!l->complaining)
        log_warn(what, LOG_STR("lease", l->name), LOG_INT("status", r->status), LOG_ERR(&r->err));
    l->complaining = true;
}

// Remembers the Lease, and when its record last changed.
static bool see(struct lease *l, const struct kube_http_result *r)
{
    json_t *object = jsonread_text(r->body, r->len, NULL);
    if (!json_is_object(object) || !json_is_object(json_object_get(object, "metadata"))) {
        json_decref(object);
        return false;
    }
    uint64_t hash = tree_hash(json_object_get(object, "spec"));
    if (!l->seen || hash != l->seen_hash)
        l->seen_ns = clock_now();
    json_decref(l->seen);
    l->seen = object;
    l->seen_hash = hash;
    return true;
}

static const char *holder(const struct lease *l)
{
    const char *text = json_string_value(json_object_get(json_object_get(l->seen, "spec"), "holderIdentity"));
    return text ? text : "";
}

static bool is_taken(const struct lease *l)
{
    const json_t *spec = json_object_get(l->seen, "spec");
    json_int_t seconds = json_integer_value(json_object_get(spec, "leaseDurationSeconds"));
    uint64_t duration = (uint64_t)MAX(MIN(seconds, (json_int_t)3600), (json_int_t)0) * NS_PER_S;
    return holder(l)[0] && strcmp(holder(l), l->identity) != 0 && clock_now() < l->seen_ns + duration;
}

static void now_text(char out[static 40])
{
    struct timespec ts;
    struct tm tm;
    char seconds[24];
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, 40, "%s.%06uZ", seconds, (unsigned)(ts.tv_nsec / 1000) % 1000000U);
}

static void request(struct lease *l, const char *method, const char *body, kube_http_done_fn *done)
{
    CLEANUP_BUF struct buf path;
    struct err e;
    buf_init(&path, LIMIT_API_PATH);
    buf_str(&path, "/apis/coordination.k8s.io/v1/namespaces/");
    kube_path_escape(&path, l->namespace);
    buf_str(&path, "/leases");
    if (strcmp(method, "POST") != 0) {
        buf_char(&path, '/');
        kube_path_escape(&path, l->name);
    }
    struct kube_http_opts o = {.method = method,
                               .path = buf_text(&path),
                               .content_type = body ? "application/json" : NULL,
                               .body = body,
                               .body_len = body ? strlen(body) : 0,
                               .timeout_ns = LEASE_REQUEST_NS,
                               .max_body = LIMIT_API_OBJECT};
    l->sent_ns = clock_now();
    l->req = kube_http_start(l->http, &o, NULL, done, l, &e);
    if (!l->req)
        done(&(struct kube_http_result){.retry_after_s = -1, .err = e}, l);
}

// The whole object as it was seen, so that nothing that others put there is lost, with our record in it.
// NULL: no memory.
static char *written(const struct lease *l, const char *identity, int seconds)
{
    char now[40];
    json_t *object = l->seen
                         ? json_deep_copy(l->seen)
                         : json_pack("{s:s, s:s, s:{s:s, s:s}}", "apiVersion", "coordination.k8s.io/v1",
                                     "kind", "Lease", "metadata", "namespace", l->namespace, "name", l->name);
    bool ours = strcmp(holder(l), l->identity) == 0;
    json_t *spec = json_object_get(object, "spec");
    json_int_t transitions = json_integer_value(json_object_get(spec, "leaseTransitions"));
    if (!json_is_object(spec)) {
        spec = json_object();
        if (json_object_set_new(object, "spec", spec) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    now_text(now);
    if (!ours || !identity[0])
        json_object_set_new(spec, "acquireTime", json_string(now));
    json_object_set_new(spec, "renewTime", json_string(now));
    json_object_set_new(spec, "holderIdentity", json_string(identity));
    json_object_set_new(spec, "leaseDurationSeconds", json_integer(seconds));
    json_object_set_new(spec, "leaseTransitions",
                        json_integer(l->seen && !ours ? transitions + 1 : transitions));
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}

static void on_written(const struct kube_http_result *r, void *arg);

static void write_record(struct lease *l)
{
    CLEANUP_FREE char *body = written(l, l->identity, LEASE_DURATION_S);
    if (body)
        request(l, l->seen ? "PUT" : "POST", body, on_written);
    else
        again(l);
}

static void on_read(const struct kube_http_result *r, void *arg)
{
    struct lease *l = arg;
    l->req = NULL;
    if (r->status == 404) {
        json_decref(l->seen);
        l->seen = NULL;
        write_record(l);
    } else if (r->err.code || !see(l, r)) {
        complain(l, "cannot read the lease", r);
        again(l);
    } else if (l->leading && strcmp(holder(l), l->identity) != 0) {
        lost(l, "another has taken the lease");
    } else if (is_taken(l)) {
        l->complaining = false;
        again(l);
    } else {
        write_record(l);
    }
}

static void read_record(struct lease *l)
{
    request(l, "GET", NULL, on_read);
}

static void on_renewed(const struct kube_http_result *r, void *arg)
{
    struct lease *l = arg;
    l->req = NULL;
    if (r->err.code == 0 && see(l, r)) {
        won(l);
        again(l);
    } else {
        read_record(l); // perhaps only our copy is old
    }
}

static void on_written(const struct kube_http_result *r, void *arg)
{
    struct lease *l = arg;
    l->req = NULL;
    if (r->err.code == 0 && see(l, r))
        won(l);
    else if (r->status != 409) // 409: another was quicker
        complain(l, "cannot write the lease", r);
    again(l);
}

static void begin(struct lease *l)
{
    CLEANUP_FREE char *body = l->leading ? written(l, l->identity, LEASE_DURATION_S) : NULL;
    if (body)
        request(l, "PUT", body, on_renewed);
    else
        read_record(l);
}

void lease_identity(char *out, size_t size)
{
    char host[65] = "";
    gethostname(host, sizeof(host) - 1);
    snprintf(out, size, "%s_%08x%08x", host, arc4random(), arc4random());
}

struct lease *lease_new(struct loop *loop, const struct kubeconfig *config, const struct lease_opts *o,
                        struct err *e)
{
    struct lease *l = calloc(1, sizeof(*l));
    if (!l || base_copy(l->namespace, sizeof(l->namespace), o->namespace) < 0 ||
        base_copy(l->name, sizeof(l->name), o->name) < 0 ||
        base_copy(l->identity, sizeof(l->identity), o->identity) < 0) {
        free(l);
        err_set(e, EINVAL, "no memory for the lease, or its names are too long");
        return NULL;
    }
    l->loop = loop;
    l->on_change = o->on_change;
    l->arg = o->arg;
    l->http = kube_http_new(loop, config, o->user_agent, &l->stats, e);
    if (!l->http) {
        free(l);
        return NULL;
    }
    arm(l, &l->tick, 0, on_tick);
    return l;
}

bool lease_leading(const struct lease *l)
{
    return l->leading;
}

bool lease_may_write(const struct lease *l)
{
    return l->leading && clock_now() < l->renewed_ns + LEASE_RENEW_DEADLINE_NS;
}

static void end_release(struct lease *l)
{
    void (*done)(void *arg) = l->released;
    l->released = NULL;
    if (done)
        done(l->released_arg);
}

static void on_given_up(const struct kube_http_result *r, void *arg)
{
    struct lease *l = arg;
    l->req = NULL;
    if (r->err.code)
        complain(l, "cannot give the lease up", r);
    end_release(l);
}

static void on_read_last(const struct kube_http_result *r, void *arg)
{
    struct lease *l = arg;
    l->req = NULL;
    CLEANUP_FREE char *body = NULL;
    if (r->err.code == 0 && see(l, r) && strcmp(holder(l), l->identity) == 0)
        body = written(l, "", 1);
    if (body)
        request(l, "PUT", body, on_given_up);
    else
        end_release(l);
}

void lease_release(struct lease *l, void (*done)(void *arg), void *arg)
{
    bool had = l->leading;
    l->leading = false;
    stop(l);
    l->released = done;
    l->released_arg = arg;
    if (had)
        request(l, "GET", NULL, on_read_last);
    else
        end_release(l);
}

void lease_free(struct lease *l)
{
    if (!l)
        return;
    stop(l);
    kube_http_free(l->http);
    json_decref(l->seen);
    free(l);
}

const struct kube_stats *lease_stats(const struct lease *l)
{
    return &l->stats;
}
