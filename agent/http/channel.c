// SPDX-License-Identifier: Apache-2.0
// Results that the socket has no room for wait in a ring. Nothing is read meanwhile, so there are never more
// than were under way when the first one had to wait, and the one that was being read.
#include "agent/http/channel.h"

#include <errno.h>
#include <sys/socket.h>

#define RING (LIMIT_HTTP_IN_FLIGHT + 1)
#define BATCH 32 // probes read in one wake-up

struct channel {
    struct loop *loop;
    struct loop_fd fd;
    channel_probe_fn *on_probe;
    channel_end_fn *on_end;
    void *arg;
    size_t first, n; // of the ring
    struct http_wire_result ring[RING];
    uint8_t in[HTTP_WIRE_PROBE_MAX + 1]; // a byte more: what is longer shows
};

static bool send_now(struct channel *c, const struct http_wire_result *r)
{
    uint8_t out[HTTP_WIRE_RESULT_MAX];
    size_t len = http_wire_result_write(out, r);
    // Any other failure is the agent's end; reading will tell.
    return send(c->fd.fd, out, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
           (errno != EAGAIN && errno != ENOBUFS);
}

static void watch(struct channel *c, uint32_t events)
{
    struct err e;
    if (loop_fd_mod(c->loop, &c->fd, events, &e) < 0)
        c->on_end(&e, c->arg);
}

static void flush(struct channel *c)
{
    while (c->n > 0 && send_now(c, &c->ring[c->first])) {
        c->first = (c->first + 1) % RING;
        c->n--;
    }
    if (c->n == 0)
        watch(c, EPOLLIN);
}

void channel_send(struct channel *c, const struct http_wire_result *r)
{
    if (c->n == 0 && send_now(c, r))
        return;
    if (c->n == 0)
        watch(c, EPOLLOUT);
    if (c->n < RING)
        c->ring[(c->first + c->n++) % RING] = *r;
}

// Where there is no room for it there are results to be read, which say as much.
static void say_here(const struct channel *c)
{
    uint8_t out[HTTP_WIRE_HELLO];
    http_wire_hello_write(out, HTTP_WIRE_HERE);
    (void)!send(c->fd.fd, out, sizeof(out), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_ready(struct loop_fd *fd, uint32_t events, void *arg)
{
    struct channel *c = arg;
    struct err e;
    if (events & EPOLLOUT)
        flush(c);
    for (unsigned i = 0; i < BATCH && c->n == 0; i++) {
        struct http_wire_probe p;
        ssize_t len = recv(fd->fd, c->in, sizeof(c->in), MSG_DONTWAIT);
        if (len < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (len <= 0) { // ECONNRESET: it left results of ours unread
            c->on_end(NULL, c->arg);
            return;
        }
        if (http_wire_hello_is(c->in, (size_t)len, HTTP_WIRE_ARE_YOU_THERE)) {
            say_here(c);
            continue;
        }
        if (!http_wire_probe_read(c->in, (size_t)len, &p)) {
            err_set(&e, EPROTO, "a message of %zd bytes that is no probe", len);
            c->on_end(&e, c->arg);
            return;
        }
        c->on_probe(&p, c->arg);
    }
}

struct channel *channel_new(struct loop *l, int fd, channel_probe_fn *on_probe, channel_end_fn *on_end,
                            void *arg, struct err *e)
{
    int type = 0;
    socklen_t len = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0) {
        err_sys(e, errno, "descriptor %d", fd);
        return NULL;
    }
    if (type != SOCK_SEQPACKET) {
        err_set(e, EPROTOTYPE, "descriptor %d is another kind of socket", fd);
        return NULL;
    }
    struct channel *c = calloc(1, sizeof(*c));
    if (!c) {
        err_set(e, ENOMEM, "no memory for the agent's socket");
        return NULL;
    }
    c->loop = l;
    c->on_probe = on_probe;
    c->on_end = on_end;
    c->arg = arg;
    if (loop_fd_add(l, &c->fd, fd, EPOLLIN, on_ready, c, e) < 0) {
        free(c);
        return NULL;
    }
    return c;
}

void channel_free(struct channel *c)
{
    if (!c)
        return;
    loop_fd_del(c->loop, &c->fd);
    free(c);
}
