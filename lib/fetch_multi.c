// SPDX-License-Identifier: Apache-2.0
// libcurl must not be entered from its own callbacks: what they ask for is put off until it has returned.
#include "lib/fetch_multi.h"

#include <errno.h>

struct watched { // a socket of libcurl's
    struct loop_fd fd;
    struct fetch_multi *multi;
};

static void settle(struct fetch_multi *m)
{
    CURLMsg *msg;
    int left;
    if (m->on_settle)
        m->on_settle(m->arg);
    while ((msg = curl_multi_info_read(m->curl, &left))) {
        if (msg->msg != CURLMSG_DONE)
            continue;
        m->on_done(msg->easy_handle, msg->data.result, m->arg);
        if (m->on_settle)
            m->on_settle(m->arg);
    }
}

static void enter(struct fetch_multi *m, curl_socket_t fd, int what)
{
    int running;
    m->inside = true;
    curl_multi_socket_action(m->curl, fd, what, &running);
    m->inside = false;
    settle(m);
}

static void on_socket_ready(struct loop_fd *fd, uint32_t events, void *arg)
{
    struct watched *w = arg;
    int what = 0;
    if (events & EPOLLIN)
        what |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        what |= CURL_CSELECT_OUT;
    if (events & (EPOLLERR | EPOLLHUP))
        what |= CURL_CSELECT_ERR;
    enter(w->multi, fd->fd, what);
}

static void on_timer(struct loop_timer *t UNUSED, void *arg)
{
    enter(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_socket(CURL *easy UNUSED, curl_socket_t fd, int what, void *arg, void *slot)
{
    struct fetch_multi *m = arg;
    struct watched *w = slot;
    struct err e;
    if (what == CURL_POLL_REMOVE) {
        if (w) {
            loop_fd_del(m->loop, &w->fd);
            curl_multi_assign(m->curl, fd, NULL);
            loop_defer(m->loop, free, w);
        }
        return 0;
    }
    uint32_t events = ((what & CURL_POLL_IN) ? EPOLLIN : 0U) | ((what & CURL_POLL_OUT) ? EPOLLOUT : 0U);
    if (w)
        return loop_fd_mod(m->loop, &w->fd, events, &e);
    w = calloc(1, sizeof(*w));
    if (!w)
        return -1;
    w->multi = m;
    if (loop_fd_add(m->loop, &w->fd, fd, events, on_socket_ready, w, &e) < 0) {
        free(w);
        return -1;
    }
    curl_multi_assign(m->curl, fd, w);
    return 0;
}

static int on_curl_timer(CURLM *multi UNUSED, long timeout_ms, void *arg)
{
    struct fetch_multi *m = arg;
    struct err e;
    if (timeout_ms < 0) {
        loop_timer_cancel(m->loop, &m->timer);
        return 0;
    }
    uint64_t at = loop_now(m->loop) + (uint64_t)timeout_ms * NS_PER_MS;
    return loop_timer_set(m->loop, &m->timer, at, on_timer, m, &e);
}

int fetch_multi_init(struct fetch_multi *m, struct loop *l, fetch_multi_done_fn *on_done,
                     fetch_multi_settle_fn *on_settle, void *arg, struct err *e)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(e, ENOMEM, "cannot initialise libcurl");
    CURLM *curl = curl_multi_init();
    if (!curl)
        return err_set(e, ENOMEM, "no memory for HTTP");
    *m =
        (struct fetch_multi){.curl = curl, .loop = l, .on_done = on_done, .on_settle = on_settle, .arg = arg};
    curl_multi_setopt(curl, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(curl, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(curl, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(curl, CURLMOPT_TIMERDATA, m);
    curl_multi_setopt(curl, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    return 0;
}

void fetch_multi_release(struct fetch_multi *m)
{
    if (!m->curl)
        return;
    curl_multi_cleanup(m->curl);
    loop_timer_cancel(m->loop, &m->timer);
    m->curl = NULL;
}
