// SPDX-License-Identifier: Apache-2.0
// A connection, a request of one piece, and the first bytes of the answer, which hold the status.
#include "operator/local_ready.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct local_ready {
    struct loop *loop;
    struct loop_fd fd;
    struct loop_timer deadline;
    int sock;
    char request[256];
    size_t request_len; // 0: sent
    char answer[16];    // "HTTP/1.1 200"
    size_t answer_len;
    local_ready_fn *fn;
    void *arg;
};

#define STATUS_AT 9 // offset of the status in "HTTP/1.1 200"

void local_ready_cancel(struct local_ready *r)
{
    if (!r)
        return;
    loop_fd_del(r->loop, &r->fd);
    loop_timer_cancel(r->loop, &r->deadline);
    base_cleanup_fd(&r->sock);
    loop_defer(r->loop, free, r);
}

static void finish(struct local_ready *r, bool ready)
{
    local_ready_fn *fn = r->fn;
    void *arg = r->arg;
    local_ready_cancel(r);
    fn(ready, arg);
}

static void on_deadline(struct loop_timer *t UNUSED, void *arg)
{
    finish(arg, false);
}

static bool is_ready(const struct local_ready *r)
{
    return strncmp(r->answer, "HTTP/1.", 7) == 0 &&
           (r->answer[STATUS_AT] == '2' || r->answer[STATUS_AT] == '3');
}

static void receive(struct local_ready *r)
{
    ssize_t n = recv(r->sock, r->answer + r->answer_len, sizeof(r->answer) - 1 - r->answer_len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    r->answer_len += n > 0 ? (size_t)n : 0;
    if (n <= 0 || r->answer_len > STATUS_AT)
        finish(r, n > 0 && is_ready(r));
}

static void on_event(struct loop_fd *fd UNUSED, uint32_t events UNUSED, void *arg)
{
    struct local_ready *r = arg;
    struct err e;
    if (r->request_len == 0) {
        receive(r);
        return;
    }
    ssize_t n = send(r->sock, r->request, r->request_len, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n != (ssize_t)r->request_len || loop_fd_mod(r->loop, &r->fd, EPOLLIN, &e) < 0) {
        finish(r, false);
        return;
    }
    r->request_len = 0;
}

struct local_ready *local_ready_start(struct loop *l, const struct addr *addr, uint16_t port,
                                      const char *path, local_ready_fn *fn, void *arg, struct err *e)
{
    struct local_ready *r = calloc(1, sizeof(*r));
    if (!r) {
        err_set(e, ENOMEM, "no memory for a readiness check");
        return NULL;
    }
    *r = (struct local_ready){.loop = l, .fn = fn, .arg = arg};
    int n = snprintf(r->request, sizeof(r->request),
                     "GET %s HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n", path);
    r->request_len = (size_t)n;
    struct sockaddr_storage sa;
    socklen_t len = addr_sockaddr(addr, port, &sa);
    r->sock = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int failed =
        r->sock < 0 || (connect(r->sock, (const struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS);
    if (failed)
        err_sys(e, errno, "readiness check");
    else
        failed = n >= (int)sizeof(r->request) ? err_set(e, EINVAL, "readiness path too long")
                                              : loop_fd_add(l, &r->fd, r->sock, EPOLLOUT, on_event, r, e);
    if (!failed)
        failed = loop_timer_set(l, &r->deadline, loop_now(l) + LOCAL_READY_TIMEOUT_NS, on_deadline, r, e);
    if (!failed)
        return r;
    local_ready_cancel(r);
    return NULL;
}
