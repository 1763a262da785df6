// SPDX-License-Identifier: Apache-2.0
// A list of names with a timer each, and c-ares' sockets and time-outs on the loop.
#include "agent/resolve.h"

#include <ares.h>
#include <errno.h>
#include <string.h>

#include "lib/log.h"

// Of one server, before the next is tried; so often each. (The C library waits 5 s, twice.)
#define TIMEOUT_MS 2000
#define TRIES 2

struct name {
    struct name *next;
    struct resolve *owner;
    struct loop_timer timer; // until it is asked for again
    bool wanted;
    bool asking; // c-ares has our address
    enum resolve_state state;
    unsigned failures; // one after another
    size_t n;
    struct addr list[LIMIT_HOST_ADDRESSES];
    char text[];
};

struct socket_watch { // one of c-ares' sockets
    struct socket_watch *next;
    struct loop_fd fd;
    struct resolve *owner;
};

struct resolve {
    struct loop *loop;
    struct resolve_opts opts;
    resolve_changed_fn *fn;
    void *arg;
    struct name *names;
    struct socket_watch *sockets;
    bool set_up; // the channel is there
    ares_channel channel;
    struct loop_timer timer; // c-ares' own
    struct loop_timer news;  // fn is called from here, when c-ares has returned
    bool unsaid;             // something has changed, and there was no memory for the timer
    bool freeing;
};

// --- c-ares on the loop --------------------------------------------------------------------------

static void rearm(struct resolve *r);

static void on_timer(struct loop_timer *t UNUSED, void *arg)
{
    struct resolve *r = arg;
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    rearm(r);
}

// After everything that c-ares did: its next time-out is our timer.
static void rearm(struct resolve *r)
{
    struct timeval tv;
    struct err e;
    loop_timer_cancel(r->loop, &r->timer);
    if (!r->set_up || !ares_timeout(r->channel, NULL, &tv))
        return;
    uint64_t in = (uint64_t)tv.tv_sec * NS_PER_S + (uint64_t)tv.tv_usec * NS_PER_US;
    // The slot was there for the first one; should it fail all the same, the sockets' events arm it again.
    (void)!loop_timer_set(r->loop, &r->timer, loop_now(r->loop) + in, on_timer, r, &e);
}

static void on_socket(struct loop_fd *h, uint32_t events, void *arg)
{
    struct resolve *r = arg;
    int fd = h->fd; // h may go while c-ares works
    ares_process_fd(r->channel, events & ~(uint32_t)EPOLLOUT ? fd : ARES_SOCKET_BAD,
                    events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
    rearm(r);
}

// c-ares wants to know when a socket is readable or writable; neither: it closes it.
static void on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct resolve *r = arg;
    struct socket_watch **at = &r->sockets, *w;
    struct err e;
    uint32_t events = (readable ? (uint32_t)EPOLLIN : 0) | (writable ? (uint32_t)EPOLLOUT : 0);
    while (*at && (*at)->fd.fd != fd)
        at = &(*at)->next;
    w = *at;
    if (w && events) {
        (void)!loop_fd_mod(r->loop, &w->fd, events, &e);
    } else if (w) {
        *at = w->next;
        loop_fd_del(r->loop, &w->fd);
        if (r->freeing)
            free(w);
        else
            loop_defer(r->loop, free, w);
    } else if (events && (w = calloc(1, sizeof(*w)))) { // without memory the query times out
        w->next = r->sockets;
        r->sockets = w;
        w->fd.fd = fd;
        (void)!loop_fd_add(r->loop, &w->fd, fd, events, on_socket, r, &e);
    }
}

static int set_up(struct resolve *r, struct err *e)
{
    union { // c-ares takes a char *
        const char *in;
        char *out;
    } path = {.in = r->opts.resolvconf};
    struct ares_options o = {.timeout = r->opts.timeout_ms,
                             .tries = TRIES,
                             .sock_state_cb = on_state,
                             .sock_state_cb_data = r,
                             .resolvconf_path = path.out};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    if (r->set_up)
        return 0;
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status == ARES_SUCCESS)
        status = ares_init_options(&r->channel, &o, mask | (o.resolvconf_path ? ARES_OPT_RESOLVCONF : 0));
    if (status != ARES_SUCCESS)
        return err_set(e, status == ARES_ENOMEM ? ENOMEM : EINVAL, "names cannot be resolved: %s",
                       ares_strerror(status));
    r->set_up = true;
    return 0;
}

static void tear_down(struct resolve *r)
{
    if (!r->set_up)
        return;
    ares_destroy(r->channel); // every query's callback is called, every socket is closed
    ares_library_cleanup();
    r->set_up = false;
    loop_timer_cancel(r->loop, &r->timer);
}

// --- names ---------------------------------------------------------------------------------------

static void ask(struct name *x);

static void on_due(struct loop_timer *t UNUSED, void *arg)
{
    ask(arg);
}

// Up to a tenth later, so that the agents of a fleet do not ask at once for ever.
static uint64_t with_jitter(struct resolve *r, uint64_t ns)
{
    r->opts.random = r->opts.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ns + ns / 10 * (r->opts.random >> 56) / 255;
}

static void ask_in(struct name *x, uint64_t ns)
{
    struct resolve *r = x->owner;
    struct err e;
    uint64_t at = loop_now(r->loop) + with_jitter(r, ns);
    if (loop_timer_set(r->loop, &x->timer, at, on_due, x, &e) < 0)
        x->state = RESOLVE_FAILED; // its slot was just given back: this cannot be for want of memory
}

static void forget(struct name *x)
{
    loop_timer_cancel(x->owner->loop, &x->timer);
    if (!x->asking)
        free(x);
}

static bool has(const struct addr *list, size_t n, const struct addr *a)
{
    for (size_t i = 0; i < n; i++)
        if (addr_equal(&list[i], a))
            return true;
    return false;
}

// The addresses of an answer, each once. *ret_ttl: the shortest, in seconds.
static size_t collect(const struct ares_addrinfo *info, struct addr list[static LIMIT_HOST_ADDRESSES],
                      uint64_t *ret_ttl)
{
    size_t n = 0;
    uint64_t ttl = UINT64_MAX;
    for (const struct ares_addrinfo_node *i = info->nodes; i && n < LIMIT_HOST_ADDRESSES; i = i->ai_next) {
        uint16_t port;
        if (i->ai_ttl >= 0)
            ttl = MIN(ttl, (uint64_t)i->ai_ttl);
        if (addr_from_sockaddr(i->ai_addr, &list[n], &port) == 0 && !addr_not_a_host(&list[n]) &&
            !has(list, n, &list[n]))
            n++;
    }
    for (const struct ares_addrinfo_cname *c = info->cnames; c; c = c->next)
        if (c->ttl >= 0)
            ttl = MIN(ttl, (uint64_t)c->ttl);
    *ret_ttl = ttl;
    return n;
}

static void swap(struct addr *a, struct addr *b)
{
    struct addr t = *a;
    *a = *b;
    *b = t;
}

// Takes what was found; whether it differs from what was known.
static bool take(struct name *x, const struct addr *list, size_t n)
{
    struct addr fresh[LIMIT_HOST_ADDRESSES];
    bool same = x->state == RESOLVE_DONE && n == x->n;
    memcpy(fresh, list, n * sizeof(*list));
    for (size_t i = 1; i < n && x->n > 0; i++)
        if (addr_equal(&fresh[i], &x->list[0]))
            swap(&fresh[0], &fresh[i]);
    for (size_t i = 0; i < n; i++)
        same = same && has(x->list, x->n, &fresh[i]);
    same = same && addr_equal(&fresh[0], &x->list[0]);
    memcpy(x->list, fresh, n * sizeof(*fresh));
    x->n = n;
    x->state = RESOLVE_DONE;
    return !same;
}

// A line when it stops to resolve, one when it does again; what comes between is silent.
static void tell(const struct name *x, enum resolve_state before, int status)
{
    if (x->state == RESOLVE_FAILED && before != RESOLVE_FAILED)
        log_warn("a target's name does not resolve", LOG_STR("name", x->text),
                 LOG_STR("reason", status == ARES_SUCCESS ? "no address of a host" : ares_strerror(status)));
    if (x->state == RESOLVE_DONE && before == RESOLVE_FAILED)
        log_info("a target's name resolves again", LOG_STR("name", x->text),
                 LOG_INT("failures", x->failures));
}

static void on_news(struct loop_timer *t UNUSED, void *arg)
{
    struct resolve *r = arg;
    r->fn(r->arg);
}

static void on_answer(void *arg, int status, int timeouts UNUSED, struct ares_addrinfo *info)
{
    struct name *x = arg;
    struct resolve *r = x->owner;
    struct addr list[LIMIT_HOST_ADDRESSES];
    uint64_t ttl = 0;
    x->asking = false;
    size_t n = info ? collect(info, list, &ttl) : 0;
    if (info)
        ares_freeaddrinfo(info);
    if (!x->wanted || r->freeing) {
        if (!x->wanted)
            free(x);
        return;
    }
    bool changed;
    enum resolve_state before = x->state;
    if (status == ARES_SUCCESS && n > 0) {
        changed = take(x, list, n);
        tell(x, before, status);
        x->failures = 0;
        uint64_t seconds = MIN(ttl, LIMIT_HOST_TTL_MAX_NS / NS_PER_S);
        ask_in(x, MAX(seconds * NS_PER_S, r->opts.ttl_min_ns));
    } else {
        changed = x->state != RESOLVE_FAILED;
        x->state = RESOLVE_FAILED;
        tell(x, before, status);
        ask_in(x, MIN(r->opts.ttl_min_ns << MIN(x->failures, 8u), LIMIT_HOST_RETRY_NS));
        x->failures++;
    }
    struct err e;
    r->unsaid = r->unsaid || changed;
    if (r->unsaid && loop_timer_set(r->loop, &r->news, loop_now(r->loop), on_news, r, &e) == 0)
        r->unsaid = false; // otherwise, without memory, with the next answer
}

static void ask(struct name *x)
{
    struct resolve *r = x->owner;
    const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
    x->asking = true;
    ares_getaddrinfo(r->channel, x->text, NULL, &hints, on_answer, x);
    rearm(r);
}

static struct name *find(const struct resolve *r, const char *text)
{
    struct name *x = r->names;
    while (x && strcmp(x->text, text) != 0)
        x = x->next;
    return x;
}

// It is asked for from the loop, at once.
static int add(struct resolve *r, const char *text, struct err *e)
{
    size_t len = strlen(text) + 1;
    struct name *x = calloc(1, sizeof(*x) + len);
    if (!x)
        return err_set(e, ENOMEM, "no memory for a name");
    x->owner = r;
    x->wanted = true;
    memcpy(x->text, text, len);
    int s = loop_timer_set(r->loop, &x->timer, loop_now(r->loop), on_due, x, e);
    if (s < 0) {
        free(x);
        return s;
    }
    x->next = r->names;
    r->names = x;
    return 0;
}

int resolve_want(struct resolve *r, const char *const *names, size_t n, struct err *e)
{
    int s = n > 0 ? set_up(r, e) : 0;
    for (size_t i = 0; i < n && s == 0; i++)
        if (!find(r, names[i]))
            s = add(r, names[i], e);
    if (s < 0)
        return s;
    for (struct name *x = r->names; x; x = x->next)
        x->wanted = false;
    for (size_t i = 0; i < n; i++) {
        struct name *x = find(r, names[i]);
        if (x) // it is: see above
            x->wanted = true;
    }
    for (struct name **at = &r->names; *at;) {
        struct name *x = *at;
        if (x->wanted) {
            at = &x->next;
            continue;
        }
        *at = x->next;
        forget(x);
    }
    if (n == 0)
        tear_down(r);
    return 0;
}

enum resolve_state resolve_get(const struct resolve *r, const char *name, const struct addr **ret,
                               size_t *ret_n)
{
    const struct name *x = find(r, name);
    *ret = x ? x->list : NULL;
    *ret_n = x && x->state == RESOLVE_DONE ? x->n : 0;
    return x ? x->state : RESOLVE_PENDING;
}

// --- life ----------------------------------------------------------------------------------------

struct resolve *resolve_new(struct loop *l, const struct resolve_opts *o, resolve_changed_fn *fn, void *arg,
                            struct err *e)
{
    struct resolve *r = calloc(1, sizeof(*r));
    if (!r) {
        err_set(e, ENOMEM, "no memory for names");
        return NULL;
    }
    r->loop = l;
    r->opts = o ? *o : (struct resolve_opts){0};
    r->opts.ttl_min_ns = r->opts.ttl_min_ns ? r->opts.ttl_min_ns : LIMIT_HOST_TTL_MIN_NS;
    r->opts.timeout_ms = r->opts.timeout_ms ? r->opts.timeout_ms : TIMEOUT_MS;
    r->fn = fn;
    r->arg = arg;
    return r;
}

void resolve_free(struct resolve *r)
{
    if (!r)
        return;
    r->freeing = true;
    tear_down(r);
    while (r->names) {
        struct name *x = r->names;
        r->names = x->next;
        forget(x);
    }
    loop_timer_cancel(r->loop, &r->news);
    free(r);
}
