// SPDX-License-Identifier: Apache-2.0
// HTTP in the loop, against a server of a few lines in the same loop: answers whole, cut off, too long, too
// late; requests that are started and cancelled from inside callbacks.
#include "lib/fetch.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "lib/buf.h"
#include "test/unit/check.h"

#define CONNECTIONS 16

struct server {
    struct loop *loop;
    struct loop_fd listener;
    struct loop_fd connections[CONNECTIONS];
    size_t n;
    const char *answer; // NULL: none
    bool close;         // after the answer
    struct buf got;     // all that was sent to it
    unsigned port;
};

struct outcome {
    struct fetch *fetch;
    struct buf body;
    int done;
    struct fetch_result result;
    struct fetch_req *cancel; // by the next on_data or on_done
    int cancelled_done;
    bool abort, start_another;
    struct server *server;
};

static void on_connection(struct loop_fd *fd, uint32_t events UNUSED, void *arg)
{
    struct server *s = arg;
    char piece[4096];
    ssize_t n = read(fd->fd, piece, sizeof(piece));
    if (n > 0)
        buf_add(&s->got, piece, (size_t)n);
    bool asked = n > 0 && strstr(buf_text(&s->got), "\r\n\r\n");
    if (asked && s->answer)
        send(fd->fd, s->answer, strlen(s->answer), MSG_NOSIGNAL);
    if (n <= 0 || (asked && s->close)) {
        loop_fd_del(s->loop, fd);
        close(fd->fd);
        fd->fd = -1;
    }
}

static void on_accept(struct loop_fd *fd, uint32_t events UNUSED, void *arg)
{
    struct server *s = arg;
    struct err e;
    int c = accept4(fd->fd, NULL, NULL, SOCK_CLOEXEC);
    if (c >= 0 && loop_fd_add(s->loop, &s->connections[s->n++], c, EPOLLIN, on_connection, s, &e) < 0)
        close(c);
}

static int server_open(struct server *s, struct loop *l, const char *answer)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    struct err e;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *s = (struct server){.loop = l, .answer = answer};
    buf_init(&s->got, 1 << 20);
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 8) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0)
        return -1;
    s->port = ntohs(at.sin_port);
    return loop_fd_add(l, &s->listener, fd, EPOLLIN, on_accept, s, &e);
}

static void server_close(struct server *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->connections[i].active) {
            loop_fd_del(s->loop, &s->connections[i]);
            close(s->connections[i].fd);
        }
    }
    loop_fd_del(s->loop, &s->listener);
    close(s->listener.fd);
    buf_release(&s->got);
}

static struct fetch_req *start(struct outcome *o, const char *scheme, uint64_t timeout_ns, size_t max_body);

static void on_other_done(const struct fetch_result *r UNUSED, void *arg)
{
    struct outcome *o = arg;
    o->cancelled_done++;
}

static int on_data(int status, const char *data, size_t len, void *arg)
{
    struct outcome *o = arg;
    o->result.status = status;
    buf_add(&o->body, data, len);
    fetch_cancel(o->cancel);
    o->cancel = NULL;
    if (o->start_another) {
        o->start_another = false;
        o->done--; // one more to come
        start(o, "http", NS_PER_S * 10, 1000);
    }
    return o->abort ? -1 : 0;
}

static void on_done(const struct fetch_result *r, void *arg)
{
    struct outcome *o = arg;
    o->result = *r;
    o->done++;
    fetch_cancel(o->cancel);
    o->cancel = NULL;
}

static struct fetch_req *start(struct outcome *o, const char *scheme, uint64_t timeout_ns, size_t max_body)
{
    char url[64];
    struct err e;
    const char *const headers[] = {"X-Test: yes", NULL};
    snprintf(url, sizeof(url), "%s://127.0.0.1:%u/path?q=1", scheme, o->server->port);
    struct fetch_opts opts = {
        .method = "GET", .url = url, .headers = headers, .timeout_ns = timeout_ns, .max_body = max_body};
    return fetch_start(o->fetch, &opts, on_data, on_done, o, &e);
}

static void wait_done(struct loop *l, const struct outcome *o)
{
    struct err e;
    for (int i = 0; i < 10000 && o->done <= 0; i++) {
        if (loop_once(l, 100 * NS_PER_MS, &e) < 0)
            return;
    }
}

// One request to a server that answers so, up to its end.
struct scene {
    struct loop *loop;
    struct server server;
    struct outcome out;
};

static void scene_open(struct scene *s, const char *answer)
{
    struct err e;
    *s = (struct scene){.loop = loop_new(&e)};
    server_open(&s->server, s->loop, answer);
    s->out.server = &s->server;
    s->out.fetch = fetch_new(s->loop, NULL, "test/1", &e);
    buf_init(&s->out.body, 1 << 20);
}

static void scene_close(struct scene *s)
{
    fetch_free(s->out.fetch);
    server_close(&s->server);
    buf_release(&s->out.body);
    loop_free(s->loop);
}
#define SCENE(name, answer)                 \
    CLEANUP(scene_close) struct scene name; \
    scene_open(&name, answer)

static void whole_answer(void)
{
    SCENE(s, "HTTP/1.1 429 Too Many\r\nRetry-After:  17\r\nContent-Length: 5\r\n\r\nhello");
    CHECK(start(&s.out, "http", 10 * NS_PER_S, 5) != NULL);
    CHECK_INT(s.out.done, 0); // never from inside
    wait_done(s.loop, &s.out);
    CHECK_INT(s.out.done, 1);
    CHECK_INT(s.out.result.status, 429);
    CHECK_INT(s.out.result.err.code, 0);
    CHECK_INT(s.out.result.retry_after_s, 17);
    CHECK_STR(buf_text(&s.out.body), "hello");
    CHECK_CONTAINS(buf_text(&s.server.got), "GET /path?q=1 HTTP/1.1\r\n");
    CHECK_CONTAINS(buf_text(&s.server.got), "\r\nX-Test: yes\r\n");
    CHECK_CONTAINS(buf_text(&s.server.got), "\r\nUser-Agent: test/1\r\n");
}

static void retry_after_that_is_no_number(void)
{
    SCENE(s, "HTTP/1.1 503 Busy\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n");
    start(&s.out, "http", 10 * NS_PER_S, 5);
    wait_done(s.loop, &s.out);
    CHECK_INT(s.out.result.status, 503);
    CHECK_INT(s.out.result.retry_after_s, -1);
}

static void body_is_sent(void)
{
    struct err e;
    char url[64];
    const char *const headers[] = {"Content-Type: a/b", NULL};
    SCENE(s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", s.server.port);
    struct fetch_opts o = {.method = "PATCH",
                           .url = url,
                           .headers = headers,
                           .body = "a\0b",
                           .body_len = 3,
                           .timeout_ns = 10 * NS_PER_S,
                           .max_body = 10};
    CHECK(fetch_start(s.out.fetch, &o, NULL, on_done, &s.out, &e) != NULL);
    wait_done(s.loop, &s.out);
    CHECK_INT(s.out.result.status, 200);
    CHECK_CONTAINS(buf_text(&s.server.got), "PATCH / HTTP/1.1\r\n");
    CHECK_CONTAINS(buf_text(&s.server.got), "Content-Type: a/b\r\n");
    CHECK_INT(memcmp(s.server.got.data + s.server.got.len - 3, "a\0b", 3), 0);
}

static void failures(void)
{
    static const struct {
        const char *answer;
        bool close, abort;
        const char *scheme;
        uint64_t timeout_ns;
        int status, code;
    } table[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello!", false, false, "http", 10 * NS_PER_S, 200,
         E2BIG},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, true, "http", 10 * NS_PER_S, 200,
         ECANCELED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell", true, false, "http", 10 * NS_PER_S, 200, EPIPE},
        {NULL, true, false, "http", 10 * NS_PER_S, 0, EPIPE},
        {NULL, false, false, "http", 50 * NS_PER_MS, 0, ETIMEDOUT},
        {"HTTP/1.1 200 OK\r\n\r\nhel", false, false, "http", 50 * NS_PER_MS, 200, ETIMEDOUT},
        {"this is no HTTP\r\n", true, false, "http", 10 * NS_PER_S, 0, EIO},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        SCENE(s, table[i].answer);
        s.server.close = table[i].close;
        s.out.abort = table[i].abort;
        CHECK(start(&s.out, table[i].scheme, table[i].timeout_ns, 5) != NULL);
        wait_done(s.loop, &s.out);
        CHECK_INT(s.out.done, 1);
        CHECK_INT(s.out.result.status, table[i].status);
        CHECK_INT(s.out.result.err.code, table[i].code);
        CHECK(s.out.result.err.msg[0] != '\0' && !s.out.result.tls_failed);
    }
}

static void nobody_listens(void)
{
    SCENE(s, NULL);
    loop_fd_del(s.loop, &s.server.listener);
    close(s.server.listener.fd);
    s.server.listener.fd = -1;
    start(&s.out, "http", 10 * NS_PER_S, 5);
    wait_done(s.loop, &s.out);
    CHECK_INT(s.out.result.status, 0);
    CHECK_INT(s.out.result.err.code, ECONNREFUSED);
}

static void plain_server_for_tls(void)
{
    SCENE(s, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    s.server.answer = "HTTP/1.1 400 Bad Request\r\n\r\n\r\n";
    buf_str(&s.server.got, "\r\n\r\n"); // answers whatever comes
    s.server.close = true;
    start(&s.out, "https", 10 * NS_PER_S, 5);
    wait_done(s.loop, &s.out);
    CHECK_INT(s.out.result.status, 0);
    CHECK_INT(s.out.result.err.code, EKEYREJECTED);
    CHECK(s.out.result.tls_failed);
}

static void other_schemes_are_refused(void)
{
    struct err e = {0};
    SCENE(s, NULL);
    struct fetch_opts o = {
        .method = "GET", .url = "file:///etc/passwd", .timeout_ns = NS_PER_S, .max_body = 10};
    if (fetch_start(s.out.fetch, &o, on_data, on_done, &s.out, &e))
        wait_done(s.loop, &s.out);
    CHECK_INT(s.out.result.status, 0);
    CHECK_INT(s.out.body.len, 0);
    CHECK(s.out.result.err.code != 0 || e.code != 0);
}

static void cancelled_from_inside(void)
{
    for (int where = 0; where < 2; where++) { // in on_data, in on_done
        struct err e;
        char url[64];
        SCENE(s, where == 0 ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" : "HTTP/1.1 204 OK\r\n\r\n");
        SCENE(silent, NULL);
        snprintf(url, sizeof(url), "http://127.0.0.1:%u/", silent.server.port);
        struct fetch_opts o = {.method = "GET", .url = url, .timeout_ns = 10 * NS_PER_S, .max_body = 10};
        s.out.cancel = fetch_start(s.out.fetch, &o, NULL, on_other_done, &s.out, &e);
        start(&s.out, "http", 10 * NS_PER_S, 5);
        wait_done(s.loop, &s.out);
        CHECK_INT(s.out.done, 1);
        CHECK_INT(loop_once(s.loop, 20 * NS_PER_MS, &e), 0);
        CHECK(s.out.cancel == NULL);
        CHECK_INT(s.out.cancelled_done, 0);
    }
}

static void started_from_inside(void)
{
    SCENE(s, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    s.out.start_another = true;
    start(&s.out, "http", 10 * NS_PER_S, 5);
    wait_done(s.loop, &s.out);
    CHECK_INT(s.out.done, 1); // the second of two: the first was counted back
    CHECK_STR(buf_text(&s.out.body), "okok");
}

static void freed_under_way(void)
{
    SCENE(s, NULL);
    struct err e;
    start(&s.out, "http", 10 * NS_PER_S, 5);
    for (int i = 0; i < 5; i++)
        CHECK_INT(loop_once(s.loop, 5 * NS_PER_MS, &e), 0);
    CHECK_INT(s.out.done, 0); // scene_close frees the fetch now; the sanitizers look on
}

static const struct check_case cases[] = {
    {"whole_answer", whole_answer},
    {"retry_after_that_is_no_number", retry_after_that_is_no_number},
    {"body_is_sent", body_is_sent},
    {"failures", failures},
    {"nobody_listens", nobody_listens},
    {"plain_server_for_tls", plain_server_for_tls},
    {"other_schemes_are_refused", other_schemes_are_refused},
    {"cancelled_from_inside", cancelled_from_inside},
    {"started_from_inside", started_from_inside},
    {"freed_under_way", freed_under_way},
};
CHECK_MAIN(cases)
