// SPDX-License-Identifier: Apache-2.0
// A table of the probes under way, by the cookie that the helper gives back; liveness.h says whether it is
// there.
#include "agent/probe_http.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/liveness.h"
#include "agent/sock.h"
#include "lib/log.h"

// A result that is so much later than the moment when nobody waits any more is not waited for either.
#define FORGET_NS (1 * NS_PER_S)
// A target that changes its mind is told of so often, and without a failure for so long the helper is well.
#define TELL_AGAIN_NS (10 * NS_PER_S)

struct under_way {
    struct engine_token token;
    struct plan *plan; // held, so that a reload leaves the probe as it was asked
    uint32_t pair;     // of that plan
    uint64_t give_up_ns;
    bool unsent; // the socket had no room
};

struct probe_http {
    struct loop *loop;
    struct engine *en;
    struct helper *helper; // NULL until it is needed for the first time
    bool condemned;        // it talked nonsense: not listened to any more
    struct liveness life;
    uint64_t unmade_ns; // when a probe ended last because of the helper; 0: never
    bool told;          // the log was told so, and not that it is over
    size_t n;
    struct under_way list[LIMIT_HTTP_IN_FLIGHT];
};

static struct http_own *own_of(const struct engine *en, size_t i)
{
    const struct plan *plan = engine_plan(en);
    return plan->probes[plan->pairs[i].probe].type == SPEC_HTTP ? engine_own(en, i).bytes : NULL;
}

const struct http_counts *probe_http_counts(const struct engine *en, size_t i)
{
    const struct http_own *own = own_of(en, i);
    return own ? &own->counts : NULL;
}

struct helper_stats probe_http_helper(const struct probe_http *p)
{
    return p->helper ? helper_stats(p->helper) : (struct helper_stats){0};
}

static const struct plan_http *http_of(const struct under_way *u)
{
    return u->plan->probes[u->plan->pairs[u->pair].probe].http;
}

// --- what became of it ---------------------------------------------------------------------------

static bool is_expected(const struct plan_http *h, const struct http_wire_result *r)
{
    if (r->outcome != HTTP_WIRE_ANSWERED)
        return false;
    for (unsigned i = 0; i < h->n_statuses; i++)
        if (h->statuses[i] == r->status)
            return true;
    return h->n_statuses == 0 && r->status >= 200 && r->status <= 299;
}

// One line for each change of a target, so that the reason can be read somewhere.
static void tell(struct http_own *o, const struct under_way *u, const struct http_wire_result *r,
                 uint64_t now_ns)
{
    const struct plan_dest *target = &u->plan->dests[u->plan->pairs[u->pair].dest];
    uint64_t error = is_expected(http_of(u), r) ? 0 : 1 + (uint64_t)r->outcome;
    if (o->told == error || (o->told_ns && now_ns - o->told_ns < TELL_AGAIN_NS))
        return;
    if (error)
        log_warn("HTTP target fails", LOG_STR("target", target->name),
                 LOG_STR("class", http_counts_error((unsigned)(error - 1))), LOG_INT("status", r->status),
                 LOG_STR("reason", r->text));
    else
        log_info("HTTP target answers as expected", LOG_STR("target", target->name),
                 LOG_INT("status", r->status));
    o->told = error;
    o->told_ns = now_ns;
}

static void count_answer(struct http_counts *c, const struct http_wire_result *r)
{
    unsigned class = r->status / 100u - 1;
    c->answers[MIN(class, HTTP_COUNTS_CLASSES - 1u)]++;
    for (unsigned i = 0; i < HTTP_WIRE_PHASES; i++)
        c->phase_ns[i] += r->phase_ns[i];
}

// Whether that ended the probe: one that was lost meanwhile is remembered, and has ended.
static bool refused(struct engine *en, const struct engine_token *t, enum reason reason)
{
    uint64_t sent_ns, until_ns;
    return engine_waits(en, t, &sent_ns, &until_ns) && engine_unreachable(en, t, reason);
}

// Tells the engine; whether it took that for the end of the probe.
static bool end_probe(struct engine *en, const struct engine_token *t, const struct http_wire_result *r,
                      bool expected, uint64_t now_ns)
{
    struct engine_reply reply = {
        .now_ns = now_ns, .rtt_ns = MAX(r->phase_ns[HTTP_WIRE_PHASE_TOTAL], UINT64_C(1)), .user_rtt = true};
    switch (r->outcome) {
    case HTTP_WIRE_TIMEOUT: return true; // it will see for itself
    case HTTP_WIRE_LOCAL: return engine_send_failed(en, t, r->err);
    case HTTP_WIRE_LOOKUP: return refused(en, t, REASON_LOOKUP);
    case HTTP_WIRE_CONNECT: return refused(en, t, REASON_CONNECT);
    case HTTP_WIRE_CLOSED: return refused(en, t, REASON_CLOSED);
    case HTTP_WIRE_PROTOCOL: reply.corrupt = true; break;
    case HTTP_WIRE_TLS:
    case HTTP_WIRE_CERTIFICATE:
    case HTTP_WIRE_REDIRECT: reply.unexpected = true; break;
    case HTTP_WIRE_ANSWERED: reply.unexpected = !expected; break;
    }
    return engine_reply(en, t, &reply);
}

// What its pair keeps; NULL: that ended nothing, or the pair has left the plan.
static struct http_own *finish(struct probe_http *p, const struct under_way *u,
                               const struct http_wire_result *r, uint64_t now_ns)
{
    size_t i;
    bool expected = is_expected(http_of(u), r);
    if (!engine_find(p->en, &u->token, &i) || !end_probe(p->en, &u->token, r, expected, now_ns))
        return NULL;
    struct http_own *own = own_of(p->en, i);
    struct http_counts *c = &own->counts;
    if (r->outcome == HTTP_WIRE_ANSWERED)
        count_answer(c, r);
    if (!expected)
        c->errors[r->outcome]++;
    if (r->leaf_end_s) {
        c->leaf_end_s = r->leaf_end_s;
        c->chain_end_s = r->chain_end_s;
    }
    return own;
}

// It ends because of the helper, which is no target's fault: the log has one line for all of them. err: the
// errno that says nearly the same; 0: there is none. why: NULL: the helper's end was told already (helper.h).
static void finish_unmade(struct probe_http *p, const struct under_way *u, uint16_t err, const char *why,
                          uint64_t now_ns)
{
    const struct http_wire_result r = {.outcome = HTTP_WIRE_LOCAL, .err = err};
    if (!finish(p, u, &r, now_ns))
        return;
    p->unmade_ns = now_ns;
    if (!why || p->told)
        return;
    log_warn("HTTP probes are not made", LOG_STR("reason", why));
    p->told = true;
}

// The helper gave a result.
static void tell_made(struct probe_http *p, uint64_t now_ns)
{
    if (!p->told || now_ns - p->unmade_ns < TELL_AGAIN_NS)
        return;
    log_info("HTTP probes are made again");
    p->told = false;
}

static void drop(struct probe_http *p, size_t i)
{
    plan_free(p->list[i].plan);
    p->list[i] = p->list[--p->n];
}

// --- out -----------------------------------------------------------------------------------------

// Whether it is with the helper now. False: there is no room, try again. A helper that is going takes what
// is sent to it along: on_gone tells.
static bool hand_over(struct probe_http *p, const struct under_way *u, uint64_t now_ns)
{
    size_t i;
    uint8_t head[HTTP_WIRE_PROBE_HEAD];
    if (!engine_find(p->en, &u->token, &i))
        return true;
    const struct plan_http *h = http_of(u);
    const struct http_wire_probe probe = {
        .id = u->token.cookie,
        .timeout_ns = u->give_up_ns > now_ns ? u->give_up_ns - now_ns : 1,
        .family = h->any_family                                   ? HTTP_WIRE_ANY
                  : u->plan->pairs[u->pair].family == FAMILY_IPV6 ? HTTP_WIRE_IPV6
                                                                  : HTTP_WIRE_IPV4,
        .head = h->head,
        .follow = h->follow,
        .insecure = h->insecure,
        .url_len = strlen(h->url),
        .ca_len = h->ca_len,
    };
    http_wire_probe_head(head, &probe);
    struct iovec parts[] = {{head, sizeof(head)},
                            {(void *)(uintptr_t)h->url, probe.url_len},
                            {(void *)(uintptr_t)h->ca, probe.ca_len}};
    const struct msghdr m = {.msg_iov = parts, .msg_iovlen = ARRAY_LEN(parts)};
    return sendmsg(helper_fd(p->helper), &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
           (errno != EAGAIN && errno != ENOBUFS);
}

static void send_one(struct probe_http *p, const struct engine_send *s, uint64_t now_ns)
{
    struct under_way u = {.token = s->token,
                          .plan = engine_plan(p->en),
                          .pair = (uint32_t)s->pair,
                          .give_up_ns = s->give_up_ns};
    engine_sent(p->en, &s->token, now_ns);
    if (!p->helper || helper_fd(p->helper) < 0) {
        finish_unmade(p, &u, 0, NULL, now_ns);
    } else if (p->n == LIMIT_HTTP_IN_FLIGHT) {
        finish_unmade(p, &u, EMFILE, "too many HTTP probes at once", now_ns);
    } else {
        u.unsent = !hand_over(p, &u, now_ns);
        plan_hold(u.plan);
        p->list[p->n++] = u;
    }
}

// --- whether it is there -------------------------------------------------------------------------

static bool chance_of(const struct probe_http *p, const struct under_way *u, struct liveness_chance *ret)
{
    uint64_t sent_ns, until_ns;
    if (!engine_waits(p->en, &u->token, &sent_ns, &until_ns))
        return false;
    *ret = liveness_chance(sent_ns, until_ns, engine_tick_ns(p->en));
    return true;
}

// Asks it whether it is there, if a probe hangs on that. Where there is no room now, the next tick tries
// again.
static void ask_if_needed(struct probe_http *p, uint64_t now_ns)
{
    uint8_t out[HTTP_WIRE_HELLO];
    struct liveness_chance c;
    for (size_t i = 0; i < p->n; i++)
        if (chance_of(p, &p->list[i], &c))
            liveness_needed(&p->life, &c, now_ns);
    if (!liveness_asks(&p->life))
        return;
    http_wire_hello_write(out, HTTP_WIRE_ARE_YOU_THERE);
    if (send(helper_fd(p->helper), out, sizeof(out), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        liveness_asked(&p->life, now_ns);
}

void probe_http_send(struct probe_http *p, const struct engine_send *s, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (s[i].type != SPEC_HTTP)
            continue;
        send_one(p, &s[i], sock_now());
        any = true;
    }
    if (any && p->n > 0)
        ask_if_needed(p, sock_now());
}

// --- in ------------------------------------------------------------------------------------------

static void take(struct probe_http *p, const struct http_wire_result *r, uint64_t now_ns)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->list[i].token.cookie != r->id)
            continue;
        struct http_own *own = finish(p, &p->list[i], r, now_ns);
        if (own)
            tell(own, &p->list[i], r, now_ns);
        tell_made(p, now_ns);
        drop(p, i);
        return;
    }
    engine_agent(p->en)->unmatched++;
}

// What the helper has said, at most as much as it can have to say. False: nonsense.
static bool read_results(struct probe_http *p, uint64_t now_ns)
{
    uint8_t in[HTTP_WIRE_RESULT_MAX + 1]; // what is longer shows
    for (unsigned i = 0; i < 2 * LIMIT_HTTP_IN_FLIGHT; i++) {
        struct http_wire_result r;
        ssize_t len = recv(helper_fd(p->helper), in, sizeof(in), MSG_DONTWAIT);
        if (len <= 0)
            return true; // nothing, or its end, which SIGCHLD tells
        bool here = http_wire_hello_is(in, (size_t)len, HTTP_WIRE_HERE);
        if (!here && !http_wire_result_read(in, (size_t)len, &r))
            return false;
        liveness_heard(&p->life, now_ns);
        if (!here)
            take(p, &r, now_ns);
    }
    return true;
}

static void on_gone(void *arg)
{
    struct probe_http *p = arg;
    uint64_t now = sock_now();
    if (!p->condemned)
        p->condemned = !read_results(p, now);
    while (p->n > 0) {
        finish_unmade(p, &p->list[p->n - 1], 0, NULL, now);
        drop(p, p->n - 1);
    }
    p->condemned = false; // the next one is another
    p->life = (struct liveness){0};
}

// What was not handed over yet gets another chance. True: there is nothing more to wait for.
static bool is_done(struct probe_http *p, struct under_way *u, uint64_t now_ns)
{
    struct liveness_chance c;
    bool flies = chance_of(p, u, &c);
    if (u->unsent && flies && now_ns < c.until_ns)
        u->unsent = !hand_over(p, u, now_ns);
    if (!flies || now_ns < c.until_ns)
        return u->give_up_ns + FORGET_NS <= now_ns;
    if (u->unsent)
        finish_unmade(p, u, EAGAIN, "the helper does not listen", now_ns);
    else if (!liveness_shown(&p->life, &c))
        finish_unmade(p, u, EAGAIN, "the helper does not answer", now_ns);
    else
        return false; // lost; its result may still come
    return true;
}

void probe_http_drain(struct probe_http *p, uint64_t now_ns)
{
    struct err e;
    if (!p->helper || helper_fd(p->helper) < 0)
        return;
    if (!read_results(p, now_ns)) {
        err_set(&e, EPROTO, "a message that is no result");
        p->condemned = true;
        helper_condemn(p->helper, &e);
        return;
    }
    ask_if_needed(p, now_ns); // before probes that wait for room take it
    for (size_t i = 0; i < p->n;) {
        if (is_done(p, &p->list[i], now_ns))
            drop(p, i);
        else
            i++;
    }
    if (liveness_hangs(&p->life, now_ns)) {
        err_set(&e, ETIMEDOUT, "%s for %u s",
                liveness_asks(&p->life) ? "no room for a question" : "no answer",
                (unsigned)(LIVENESS_HUNG_NS / NS_PER_S));
        helper_condemn(p->helper, &e);
    }
}

// --- life ----------------------------------------------------------------------------------------

static bool needs_helper(const struct plan *plan)
{
    for (size_t i = 0; i < plan->n_pairs; i++)
        if (!plan->pairs[i].gone && plan->probes[plan->pairs[i].probe].type == SPEC_HTTP)
            return true;
    return false;
}

int probe_http_reserve(struct probe_http *p, const struct plan *plan, struct err *e)
{
    if (!p->helper && needs_helper(plan))
        p->helper = helper_new(p->loop, "kubecanary-http", on_gone, p, e);
    return p->helper || !needs_helper(plan) ? 0 : -e->code;
}

void probe_http_apply(struct probe_http *p)
{
    if (p->helper)
        helper_want(p->helper, needs_helper(engine_plan(p->en)));
}

struct probe_http *probe_http_new(struct loop *l, struct engine *en, struct err *e)
{
    struct probe_http *p = calloc(1, sizeof(*p));
    if (!p) {
        err_set(e, ENOMEM, "no memory for the HTTP probe");
        return NULL;
    }
    p->loop = l;
    p->en = en;
    return p;
}

void probe_http_free(struct probe_http *p)
{
    if (!p)
        return;
    helper_free(p->helper);
    while (p->n > 0)
        drop(p, p->n - 1);
    free(p);
}
