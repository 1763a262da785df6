// SPDX-License-Identifier: Apache-2.0
// A table of LIMIT_SERVE_CONNECTIONS places, walked: it is short.
#include "lib/serve_door.h"

#include <errno.h>

#include "lib/give_way.h"
#include "lib/limits.h"

struct serve_place {
    int fd;         // -1: free
    bool answering; // at this moment
    bool busy;      // it is answered, one request after the other, since since_ns; otherwise it waits
    uint64_t since_ns;
    uint64_t entered_ns;
    struct addr from;
};

// When so many steps of all connections were made for those who come, the rest of them waits for the loop's
// next wake-up: a crowd is not to hold it up. Who comes needs one, to be let in, and one for each who gives
// way.
#define STEPS_AT_ONCE 4

struct guest { // accepted, and not yet let in
    int fd;    // -1: there is none
    struct sockaddr_storage from;
    socklen_t len;
};

struct serve_door {
    struct loop *loop;
    const struct serve_door_fns *fns;
    void *arg;
    int fd;
    struct loop_fd listener;
    struct loop_timer again;
    bool watched;   // the listener: not while a guest waits, or nothing can be accepted
    bool opening;   // let_in is under way
    unsigned steps; // that were made in it
    struct guest next;
    struct serve_place places[LIMIT_SERVE_CONNECTIONS];
};

static void watch(struct serve_door *d, bool on)
{
    struct err e;
    // It cannot fail for a descriptor that is watched.
    if (on != d->watched && loop_fd_mod(d->loop, &d->listener, on ? EPOLLIN : 0, &e) == 0)
        d->watched = on;
}

static struct serve_place *free_place(struct serve_door *d)
{
    for (size_t i = 0; i < LIMIT_SERVE_CONNECTIONS; i++)
        if (d->places[i].fd < 0)
            return &d->places[i];
    return NULL;
}

static bool is_of(const struct serve_place *p, const struct addr *from)
{
    return p->fd >= 0 && (!from || addr_equal(&p->from, from));
}

// When neither an answer nor that it has just come protects the place any more.
static uint64_t protected_until(const struct serve_place *p)
{
    return p->busy ? p->since_ns + LIMIT_SERVE_IDLE_S * NS_PER_S : p->entered_ns + LIMIT_SERVE_FRESH_NS;
}

// One step of all: who has gone leaves, and who came before is answered, before anybody is asked to give way.
static void step(struct serve_door *d)
{
    d->steps++;
    d->fns->move(d->arg);
}

// Lets one of the places give way (give_way) to who comes from `from`: one of that address' own, or one of
// all; if anybody does.
static void make_way(struct serve_door *d, const struct addr *from, bool own)
{
    struct give_way_place taken[LIMIT_SERVE_CONNECTIONS];
    struct serve_place *of[LIMIT_SERVE_CONNECTIONS];
    size_t n = 0;
    for (size_t i = 0; i < LIMIT_SERVE_CONNECTIONS; i++) {
        struct serve_place *p = &d->places[i];
        if (!is_of(p, own ? from : NULL))
            continue;
        of[n] = p;
        bool unprotected = loop_now(d->loop) >= protected_until(p);
        taken[n++] = (struct give_way_place){.from = p->from,
                                             .since_ns = p->since_ns,
                                             .idle = !p->busy && (own || unprotected),
                                             .over = p->busy && unprotected};
    }
    size_t i = give_way(taken, n, from);
    if (i == n)
        return;
    shutdown(of[i]->fd, SHUT_RDWR); // if it fails, the connection is over already
    step(d);
}

// When the next of them may give way.
static uint64_t next_chance(const struct serve_door *d)
{
    uint64_t ret = UINT64_MAX;
    for (size_t i = 0; i < LIMIT_SERVE_CONNECTIONS; i++)
        if (d->places[i].fd >= 0)
            ret = MIN(ret, protected_until(&d->places[i]));
    return MAX(ret, loop_now(d->loop) + LIMIT_REFLECT_PAUSE_NS);
}

static bool has_room(struct serve_door *d, const struct addr *from)
{
    if (!free_place(d))
        make_way(d, from, false);
    return free_place(d);
}

static size_t places_of(const struct serve_door *d, const struct addr *from)
{
    size_t n = 0;
    for (size_t i = 0; i < LIMIT_SERVE_CONNECTIONS; i++)
        n += is_of(&d->places[i], from);
    return n;
}

// So that one client, with all that it may open, leaves places to others.
static bool may_enter(struct serve_door *d, const struct addr *from)
{
    if (places_of(d, from) >= LIMIT_SERVE_PER_IP)
        make_way(d, from, true);
    return places_of(d, from) < LIMIT_SERVE_PER_IP;
}

// Whoever has gone already needs no place, nor anybody's way.
static bool is_there(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 || (n < 0 && errno == EAGAIN);
}

// One listener names an IPv4 peer in one form always, mapped or not. An address that is neither family's (it
// cannot be, of a TCP socket) is one of its own.
static struct addr host_of(const struct sockaddr *sa)
{
    struct addr ret;
    uint16_t port;
    return addr_from_sockaddr(sa, &ret, &port) == 0 ? ret : (struct addr){0};
}

// The next guest: the one that waits, or from the kernel. 0 or a negative errno.
static int next_guest(struct serve_door *d)
{
    struct guest *g = &d->next;
    if (g->fd >= 0)
        return 0;
    g->len = sizeof(g->from);
    g->fd = accept4(d->fd, (struct sockaddr *)&g->from, &g->len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return g->fd < 0 ? -errno : 0;
}

// false: it must wait. Only who has no place yet does: it keeps those behind it waiting, too.
static bool receive(struct serve_door *d)
{
    struct guest *g = &d->next;
    struct addr host = host_of((struct sockaddr *)&g->from);
    bool enters = is_there(g->fd) && may_enter(d, &host);
    if (enters && !has_room(d, &host)) {
        if (places_of(d, &host) == 0)
            return false;
        enters = false;
    }
    int fd = g->fd;
    g->fd = -1;
    if (enters) {
        d->fns->take(fd, (struct sockaddr *)&g->from, g->len, d->arg);
        step(d);
    } else {
        close(fd);
    }
    return true;
}

static void on_again(struct loop_timer *t UNUSED, void *arg);

// false: without memory for a timer.
static bool try_again_at(struct serve_door *d, uint64_t at_ns)
{
    struct err e;
    return loop_timer_set(d->loop, &d->again, at_ns, on_again, d, &e) == 0;
}

// Lets in all that can come in now.
static void let_in(struct serve_door *d)
{
    bool look = true;
    d->opening = true;
    d->steps = 0;
    loop_timer_cancel(d->loop, &d->again);
    // The listener says again that there are more.
    for (int i = 0; i < LIMIT_SERVE_CONNECTIONS && d->steps < STEPS_AT_ONCE; i++) {
        int failed = next_guest(d);
        if (failed == -EAGAIN)
            break;
        if (failed == -EMFILE || failed == -ENFILE || failed == -ENOBUFS || failed == -ENOMEM) {
            // It stays in the kernel and would wake the loop for ever: look away for a moment. Not without a
            // timer, as nothing else would wake the listener.
            look = !try_again_at(d, loop_now(d->loop) + LIMIT_REFLECT_PAUSE_NS);
            break;
        }
        // Anything else is that connection's own error: the next one.
        if (failed == 0 && !receive(d))
            break;
    }
    d->opening = false;
    // Who waits is not watched: that it has gone is seen when somebody moves, or then. Without a timer the
    // listener is, and wakes the door when others come.
    if (d->next.fd >= 0)
        look = !try_again_at(d, next_chance(d));
    watch(d, look);
}

static void on_again(struct loop_timer *t UNUSED, void *arg)
{
    let_in(arg);
}

static void on_readable(struct loop_fd *fd UNUSED, uint32_t events UNUSED, void *arg)
{
    let_in(arg);
}

struct serve_door *serve_door_new(struct loop *l, int listener, const struct serve_door_fns *fns, void *arg,
                                  struct err *e)
{
    struct serve_door *d = calloc(1, sizeof(*d));
    if (!d) {
        err_set(e, ENOMEM, "no memory for the HTTP server");
        return NULL;
    }
    *d = (struct serve_door){.loop = l, .fns = fns, .arg = arg, .fd = listener};
    d->watched = true;
    d->next.fd = -1;
    for (size_t i = 0; i < LIMIT_SERVE_CONNECTIONS; i++)
        d->places[i].fd = -1;
    if (loop_fd_add(l, &d->listener, listener, EPOLLIN, on_readable, d, e) < 0) {
        free(d);
        return NULL;
    }
    return d;
}

void serve_door_free(struct serve_door *d)
{
    if (!d)
        return;
    loop_fd_del(d->loop, &d->listener);
    loop_timer_cancel(d->loop, &d->again);
    close(d->fd);
    if (d->next.fd >= 0)
        close(d->next.fd);
    free(d);
}

struct serve_place *serve_door_enter(struct serve_door *d, int fd, const struct sockaddr *from)
{
    struct serve_place *p = free_place(d);
    if (p)
        *p = (struct serve_place){
            .fd = fd, .from = host_of(from), .since_ns = loop_now(d->loop), .entered_ns = loop_now(d->loop)};
    return p;
}

size_t serve_door_index(const struct serve_door *d, const struct serve_place *p)
{
    return (size_t)(p - d->places);
}

const struct addr *serve_door_from(const struct serve_place *p)
{
    return &p->from;
}

void serve_door_leave(struct serve_place *p)
{
    if (p)
        *p = (struct serve_place){.fd = -1};
}

void serve_door_answering(struct serve_door *d, struct serve_place *p, bool answering)
{
    if (!p)
        return;
    p->answering = answering;
    if (answering && !p->busy) {
        p->busy = true;
        p->since_ns = loop_now(d->loop);
    }
}

void serve_door_moved(struct serve_door *d)
{
    for (size_t i = 0; i < LIMIT_SERVE_CONNECTIONS; i++) {
        struct serve_place *p = &d->places[i];
        if (p->busy && !p->answering) {
            p->busy = false;
            p->since_ns = loop_now(d->loop);
        }
    }
    if (d->next.fd >= 0 && !d->opening)
        let_in(d);
}
