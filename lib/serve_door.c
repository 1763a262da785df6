// SPDX-License-Identifier: Apache-2.0
// A table of LIMIT_SERVE_CONNECTIONS places, walked: it is short.
#include "lib/serve_door.h"

#include <errno.h>

#include "lib/addr.h"
#include "lib/limits.h"

struct serve_place {
    int fd; // -1: free
    bool answering;
    bool leaving; // it gave way: shut down, and goes as soon as the server has seen that
    struct addr from;
    uint64_t since_ns; // that it waits, or is answered
};

struct serve_door {
    struct loop *loop;
    const struct serve_door_fns *fns;
    void *arg;
    int fd;
    struct loop_fd listener;
    struct loop_timer pause;
    bool full; // the listener is not watched until somebody leaves
    struct serve_place places[LIMIT_SERVE_CONNECTIONS];
};

static void on_readable(struct loop_fd *fd, uint32_t events, void *arg);

static void watch(struct serve_door *d, bool on)
{
    struct err e;
    // It cannot fail for a descriptor that is watched.
    if (loop_fd_mod(d->loop, &d->listener, on ? EPOLLIN : 0, &e) < 0)
        return;
}

static void on_pause_over(struct loop_timer *t UNUSED, void *arg)
{
    watch(arg, true);
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
    return p->fd >= 0 && !p->leaving && (!from || addr_equal(&p->from, from));
}

// Lets the one that has waited longest for a whole request give way: of all, or of those of one address.
// false: all of them are being answered.
static bool make_way(struct serve_door *d, const struct addr *from)
{
    struct serve_place *longest = NULL;
    for (size_t i = 0; i < LIMIT_SERVE_CONNECTIONS; i++) {
        struct serve_place *p = &d->places[i];
        if (is_of(p, from) && !p->answering && (!longest || p->since_ns < longest->since_ns))
            longest = p;
    }
    if (!longest)
        return false;
    longest->leaving = true;
    shutdown(longest->fd, SHUT_RDWR); // if it fails, the connection is over already
    return true;
}

static bool has_room(struct serve_door *d)
{
    if (free_place(d))
        return true;
    if (make_way(d, NULL))
        d->fns->move(d->arg);
    return free_place(d);
}

// So that one client, with all that it may open, leaves places to others.
static bool may_enter(struct serve_door *d, const struct addr *from)
{
    size_t n = 0;
    for (size_t i = 0; i < LIMIT_SERVE_CONNECTIONS; i++)
        n += is_of(&d->places[i], from);
    return n < LIMIT_SERVE_PER_IP || make_way(d, from);
}

// One listener names an IPv4 peer in one form always, mapped or not. An address that is neither family's (it
// cannot be, of a TCP socket) is one of its own.
static struct addr host_of(const struct sockaddr *sa)
{
    struct addr ret;
    uint16_t port;
    return addr_from_sockaddr(sa, &ret, &port) == 0 ? ret : (struct addr){0};
}

static void on_readable(struct loop_fd *fd, uint32_t events UNUSED, void *arg)
{
    struct serve_door *d = arg;
    struct err e;
    for (int i = 0; i < LIMIT_SERVE_CONNECTIONS; i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof(from);
        if (!has_room(d)) {
            d->full = true;
            watch(d, false);
            return;
        }
        int c = accept4(fd->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (c >= 0) {
            struct addr host = host_of((struct sockaddr *)&from);
            if (may_enter(d, &host))
                d->fns->take(c, (struct sockaddr *)&from, len, d->arg);
            else
                close(c);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            // It stays in the kernel and would wake the loop for ever: look away for a moment. The timer
            // first, so that a listener that nothing would wake is not silenced.
            if (loop_timer_set(d->loop, &d->pause, loop_now(d->loop) + LIMIT_REFLECT_PAUSE_NS, on_pause_over,
                               d, &e) == 0)
                watch(d, false);
            return;
        } // anything else is that connection's own error: the next one
    }
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
    loop_timer_cancel(d->loop, &d->pause);
    close(d->fd);
    free(d);
}

struct serve_place *serve_door_enter(struct serve_door *d, int fd, const struct sockaddr *from)
{
    struct serve_place *p = free_place(d);
    if (p)
        *p = (struct serve_place){.fd = fd, .from = host_of(from), .since_ns = loop_now(d->loop)};
    return p;
}

size_t serve_door_index(const struct serve_door *d, const struct serve_place *p)
{
    return (size_t)(p - d->places);
}

void serve_door_leave(struct serve_door *d, struct serve_place *p)
{
    if (!p)
        return;
    p->fd = -1;
    if (d->full) {
        d->full = false;
        watch(d, true);
    }
}

void serve_door_answering(struct serve_door *d, struct serve_place *p, bool answering)
{
    if (!p)
        return;
    p->answering = answering;
    p->since_ns = loop_now(d->loop);
}
