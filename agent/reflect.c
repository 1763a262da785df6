// SPDX-License-Identifier: Apache-2.0
// Accepts a bounded number of connections a wake-up and closes each at once with a FIN (a reset could
// overtake the prober's look at its socket). The prober resets, so no TIME_WAIT is left on either side.
#include "agent/reflect.h"

#include <errno.h>

#include "lib/limits.h"
#include "lib/listen.h"

struct reflect {
    struct loop *loop;
    struct loop_fd listener;
    struct loop_timer pause;
    int fd;
    uint16_t port;
    uint64_t accepted;
    uint64_t failed;
};

static void pause_listener(struct reflect *r);

static void resume(struct loop_timer *t UNUSED, void *arg)
{
    struct reflect *r = arg;
    struct err e;
    if (loop_fd_mod(r->loop, &r->listener, EPOLLIN, &e) < 0)
        pause_listener(r);
}

static void pause_listener(struct reflect *r)
{
    struct err e;
    uint64_t until = loop_now(r->loop) + LIMIT_REFLECT_PAUSE_NS;
    // The timer first: a listener that nothing would wake again must not be silenced.
    if (loop_timer_set(r->loop, &r->pause, until, resume, r, &e) < 0 ||
        loop_fd_mod(r->loop, &r->listener, 0, &e) < 0)
        return;
}

static void on_connection(struct loop_fd *fd, uint32_t events UNUSED, void *arg)
{
    struct reflect *r = arg;
    for (int i = 0; i < LIMIT_REFLECT_BATCH; i++) {
        int c = accept4(fd->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (c >= 0) {
            r->accepted++;
            close(c);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            r->failed++; // the connection stays in the backlog and would wake the loop for ever: look away
                         // for a moment
            pause_listener(r);
            return;
        } // anything else is that connection's own error: the next one
    }
}

struct reflect *reflect_new(struct loop *l, const struct addr *addr, uint16_t port, struct err *e)
{
    uint16_t bound = 0;
    CLEANUP_FD int fd = listen_tcp(addr, port, LIMIT_REFLECT_BACKLOG, "TCP probes'", &bound, e);
    if (fd < 0)
        return NULL;
    CLEANUP_FREE struct reflect *r = calloc(1, sizeof(*r));
    if (!r) {
        err_set(e, ENOMEM, "no memory for the TCP listener");
        return NULL;
    }
    r->loop = l;
    r->port = bound;
    if (loop_fd_add(l, &r->listener, fd, EPOLLIN, on_connection, r, e) < 0)
        return NULL;
    r->fd = TAKE_FD(fd);
    return TAKE_PTR(r);
}

void reflect_free(struct reflect *r)
{
    if (!r)
        return;
    loop_fd_del(r->loop, &r->listener);
    loop_timer_cancel(r->loop, &r->pause);
    close(r->fd);
    free(r);
}

uint16_t reflect_port(const struct reflect *r)
{
    return r->port;
}

uint64_t reflect_accepted(const struct reflect *r)
{
    return r->accepted;
}

uint64_t reflect_failed(const struct reflect *r)
{
    return r->failed;
}
