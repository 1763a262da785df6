// SPDX-License-Identifier: Apache-2.0
// What the tests of the HTTP server begin with: a server over real sockets on loopback, its client in the
// same thread, and answers of every kind.
#ifndef KUBECANARY_TEST_SERVE_RIG_H
#define KUBECANARY_TEST_SERVE_RIG_H

#include <errno.h>

#include "lib/buf.h"
#include "lib/limits.h"
#include "lib/serve.h"
#include "test/unit/check.h"

#define STREAM_BYTES (3u << 20)

struct fixture {
    struct loop *loop;
    struct serve *serve;
    size_t stream_left;
    int streams_done;
    int reads; // of endless ones
    int calls;
    struct serve_request last; // asked
    bool stream_fails;
};

static ssize_t read_stream(void *arg, char *out, size_t max)
{
    struct fixture *f = arg;
    size_t n = MIN(max, f->stream_left);
    if (f->stream_fails && f->stream_left < STREAM_BYTES / 2)
        return -1;
    memset(out, 'x', n);
    f->stream_left -= n;
    return (ssize_t)n;
}

static ssize_t read_endless(void *arg, char *out, size_t max)
{
    struct fixture *f = arg;
    f->reads++;
    memset(out, 'x', max);
    return (ssize_t)max;
}

static void done_stream(void *arg)
{
    struct fixture *f = arg;
    f->streams_done++;
}

static inline int handle(const struct serve_request *q, struct serve_response *r, void *arg)
{
    struct fixture *f = arg;
    f->calls++;
    f->last = (struct serve_request){.place = q->place, .head = q->head};
    r->content_type = "text/plain";
    if (q->head && strcmp(q->path, "/unread") == 0) // what would be a stream
        return 0;
    if (strcmp(q->path, "/stream") == 0) {
        f->stream_left = STREAM_BYTES;
        r->read = read_stream;
        r->done = done_stream;
        r->arg = f;
        return 0;
    }
    unsigned n;
    if (sscanf(q->path, "/some/%u", &n) == 1) { // so many bytes, with one of two heads
        f->stream_left = n;
        r->content_type = q->accept ? "text/other" : "text/plain";
        r->gzip = q->accept_encoding;
        r->read = read_stream;
        r->done = done_stream;
        r->arg = f;
        return 0;
    }
    if (strcmp(q->path, "/endless") == 0) {
        r->read = read_endless;
        r->done = done_stream;
        r->arg = f;
        return 0;
    }
    if (strcmp(q->path, "/broken") == 0)
        return -1;
    char text[512];
    r->body_len =
        (size_t)snprintf(text, sizeof(text), "path=%s accept=%s", q->path, q->accept ? q->accept : "-");
    r->body = strdup(text);
    r->status = strcmp(q->path, "/none") == 0 ? 404 : 200;
    r->vary = strcmp(q->path, "/x") == 0 ? "Accept" : NULL;
    return 0;
}

static inline bool set_up(struct fixture *f)
{
    struct err e;
    struct addr any = {0};
    *f = (struct fixture){0};
    f->loop = loop_new(&e);
    f->serve = f->loop ? serve_new(f->loop, &any, 0, handle, f, &e) : NULL;
    return f->serve;
}

static inline void tear_down(struct fixture *f)
{
    serve_free(f->serve);
    loop_free(f->loop);
}

// From 127.0.0.`last`.
static inline int dial_from(const struct fixture *f, unsigned last)
{
    struct addr a, self;
    struct sockaddr_storage sa;
    char text[24];
    snprintf(text, sizeof(text), "127.0.0.%u", last);
    if (addr_parse("127.0.0.1", &a) < 0 || addr_parse(text, &self) < 0)
        return -1;
    socklen_t len = addr_sockaddr(&a, serve_port(f->serve), &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_storage from;
    socklen_t from_len = addr_sockaddr(&self, 0, &from);
    // A connection that waits for its place is one, too.
    if (bind(fd, (struct sockaddr *)&from, from_len) == 0 &&
        (connect(fd, (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS))
        return fd;
    close(fd);
    return -1;
}

static inline int dial(const struct fixture *f)
{
    return dial_from(f, 1);
}

// Sends text and turns the loop until the server closes the connection, the answer holds `until`, or nothing
// more happens for a while.
static inline void talk(struct fixture *f, int fd, const char *text, size_t len, const char *until,
                        struct buf *ret)
{
    struct err e;
    size_t sent = 0;
    for (int idle = 0; idle < 25;) {
        char piece[65536];
        ssize_t n = sent < len ? send(fd, text + sent, len - sent, MSG_NOSIGNAL) : 0;
        if (n > 0)
            sent += (size_t)n;
        if (loop_once(f->loop, 2 * NS_PER_MS, &e) < 0)
            return;
        n = recv(fd, piece, sizeof(piece), 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return;
        idle = n < 0 ? idle + 1 : 0;
        if (n > 0)
            buf_add(ret, piece, (size_t)n);
        if (until && strstr(buf_text(ret), until))
            return;
    }
}

static inline void ask(struct fixture *f, const char *request, struct buf *ret)
{
    CLEANUP_FD int fd = dial(f);
    buf_init(ret, 8u << 20);
    if (fd >= 0)
        talk(f, fd, request, strlen(request), NULL, ret);
}

static inline void turn(struct fixture *f, int times)
{
    struct err e;
    for (int i = 0; i < times; i++)
        CHECK_INT(loop_once(f->loop, NS_PER_MS, &e), 0);
}

static inline bool is_over(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, MSG_PEEK);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

#endif
