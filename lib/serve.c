// SPDX-License-Identifier: Apache-2.0
// libmicrohttpd under our loop: its epoll descriptor is watched, its next deadline is one of our timers. It
// makes no thread and accepts no connection: at its limit it stops listening, and begins again only when
// something else wakes it, so serve_door lets them in. Requests come in as struct serve_request, answers go
// out as struct serve_response; what a path means is the handler's.
#include "lib/serve.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>

#include "lib/limits.h"
#include "lib/listen.h"
#include "lib/serve_answer.h"
#include "lib/serve_door.h"

struct serve {
    struct loop *loop;
    struct MHD_Daemon *daemon;
    struct loop_fd epoll;
    struct loop_timer timer;
    struct serve_door *door;
    serve_fn *fn;
    void *arg;
    uint16_t port;
    struct serve_answer answers[LIMIT_SERVE_CONNECTIONS]; // by serve_door_index
};

static void pump(struct serve *s);

static int fd_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

static struct serve_place *place_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static struct serve_answer *answer_of(struct serve *s, const struct serve_place *p)
{
    return p ? &s->answers[serve_door_index(s->door, p)] : NULL;
}

static void set_idle(struct MHD_Connection *c, unsigned seconds)
{
    MHD_set_connection_option(c, MHD_CONNECTION_OPTION_TIMEOUT, seconds);
}

static void on_connection(void *arg, struct MHD_Connection *c, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct serve *s = arg;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        serve_door_leave(*context);
        *context = NULL;
        return;
    }
    int fd = fd_of(c);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    *context = fd >= 0 && info ? serve_door_enter(s->door, fd, info->client_addr) : NULL;
}

static void take(int fd, const struct sockaddr *from, socklen_t len, void *arg)
{
    struct serve *s = arg;
    (void)MHD_add_connection(s->daemon, fd, from, len); // if it fails, it has closed it
}

static void move(void *arg)
{
    pump(arg);
}

static const struct serve_door_fns door_fns = {take, move};

// A body is answered without being read, so what follows on that connection is not a request.
static bool has_body(struct MHD_Connection *c)
{
    const char *length = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) ||
           (length && strspn(length, "0") != strlen(length));
}

static void refuse(struct serve_response *r, int status, const char *text)
{
    *r = (struct serve_response){.status = status, .content_type = "text/plain; charset=utf-8"};
    r->body = strdup(text);
    r->body_len = r->body ? strlen(text) : 0;
}

// Of a target in absolute form, which a server must take (RFC 9112 section 3.2.2), what comes behind the
// authority.
static const char *path_of(const char *url)
{
    if (strncasecmp(url, "http://", 7) != 0)
        return url;
    const char *path = strchr(url + 7, '/');
    return path ? path : "/";
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *upload UNUSED, size_t *upload_size UNUSED,
                                  void **context)
{
    struct serve *s = arg;
    struct serve_response r = {.status = MHD_HTTP_OK};
    struct serve_place *place = place_of(c);
    serve_door_answering(s->door, place, true);
    set_idle(c, LIMIT_SERVE_IDLE_S);
    bool is_head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    if (!is_head && strcmp(method, MHD_HTTP_METHOD_GET) != 0) {
        refuse(&r, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n");
        return serve_answer_body(c, &r, true);
    }
    if (has_body(c)) {
        refuse(&r, MHD_HTTP_CONTENT_TOO_LARGE, "a request must have no body\n");
        return serve_answer_body(c, &r, true);
    }
    // A good request is answered at the second call: an answer at the first closes the connection.
    if (!*context) {
        *context = s;
        return MHD_YES;
    }
    struct serve_answer *answer = answer_of(s, place);
    if (!answer)
        return MHD_NO; // the door lets nobody in without a place
    struct serve_request q = {
        .place = (unsigned)serve_door_index(s->door, place),
        .from = serve_door_from(place),
        .head = is_head,
        .path = path_of(url),
        .accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT),
        .accept_encoding = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING),
    };
    if (s->fn(&q, &r, s->arg) < 0)
        refuse(&r, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal error\n");
    if (is_head && !r.body) {
        if (r.read && r.done)
            r.done(r.arg);
        return serve_answer_head(c, &r);
    }
    if (r.read)
        return serve_answer_stream(answer, c, fd_of(c), &r, strcmp(version, MHD_HTTP_VERSION_1_1) == 0);
    return serve_answer_body(c, &r, false);
}

static void on_completed(void *arg, struct MHD_Connection *c, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct serve *s = arg;
    struct serve_place *place = place_of(c);
    serve_answer_end(answer_of(s, place));
    serve_door_answering(s->door, place, false);
    if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        set_idle(c, LIMIT_SERVE_KEEP_S);
    *context = NULL;
}

static void on_epoll(struct loop_fd *fd UNUSED, uint32_t events UNUSED, void *arg)
{
    pump(arg);
}

static void on_timer(struct loop_timer *t UNUSED, void *arg)
{
    pump(arg);
}

// One step for each connection that can move, then the timer for the next deadline (0: more to do right now,
// when the other timers that are due have had their turn, so that a large answer does not hold up the loop).
static void pump(struct serve *s)
{
    MHD_run(s->daemon);
    serve_door_moved(s->door);
    MHD_UNSIGNED_LONG_LONG wait_ms;
    struct err e;
    if (MHD_get_timeout(s->daemon, &wait_ms) == MHD_YES) {
        // Without memory for a timer the next event of a descriptor pumps again.
        if (loop_timer_set(s->loop, &s->timer, loop_now(s->loop) + wait_ms * NS_PER_MS, on_timer, s, &e) < 0)
            return;
    } else {
        loop_timer_cancel(s->loop, &s->timer);
    }
}

struct serve *serve_new(struct loop *l, const struct addr *addr, uint16_t port, serve_fn *fn, void *arg,
                        struct err *e)
{
    uint16_t bound = 0;
    CLEANUP_FD int fd = listen_tcp(addr, port, LIMIT_SERVE_CONNECTIONS, "HTTP", &bound, e);
    if (fd < 0)
        return NULL;
    struct serve *s = calloc(1, sizeof(*s));
    if (!s) {
        err_set(e, ENOMEM, "no memory for the HTTP server");
        return NULL;
    }
    *s = (struct serve){.loop = l, .fn = fn, .arg = arg, .port = bound};
    errno = 0;
    s->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, s,
                                 MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)LIMIT_SERVE_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
                                 (unsigned)LIMIT_SERVE_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                 (size_t)LIMIT_SERVE_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1,
                                 MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_END);
    int failed = errno;
    const union MHD_DaemonInfo *info =
        s->daemon ? MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info) {
        err_sys(e, failed ? failed : ENOMEM, "the HTTP server did not start");
        serve_free(s);
        return NULL;
    }
    if (loop_fd_add(l, &s->epoll, info->epoll_fd, EPOLLIN, on_epoll, s, e) < 0) {
        serve_free(s);
        return NULL;
    }
    s->door = serve_door_new(l, fd, &door_fns, s, e);
    if (!s->door) {
        serve_free(s);
        return NULL;
    }
    (void)TAKE_FD(fd);
    return s;
}

uint16_t serve_port(const struct serve *s)
{
    return s->port;
}

void serve_free(struct serve *s)
{
    if (!s)
        return;
    loop_fd_del(s->loop, &s->epoll);
    loop_timer_cancel(s->loop, &s->timer);
    if (s->daemon)
        MHD_stop_daemon(s->daemon); // ends what is under way: on_completed, on_connection
    for (size_t i = 0; i < ARRAY_LEN(s->answers); i++)
        serve_answer_release(&s->answers[i]);
    serve_door_free(s->door);
    free(s);
}
