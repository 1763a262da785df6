// SPDX-License-Identifier: Apache-2.0
// The HTTP server over real sockets on loopback, client and server in one thread: answers, streams, limits,
// and requests that are none. The clock of server and loop can be put forward.
#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/limits.h"
#include "lib/serve.h"
#include "test/unit/check.h"

#define STREAM_BYTES (3u << 20)

static int64_t clock_ahead_s;

// In the C library's place, for libmicrohttpd too.
int clock_gettime(clockid_t id, struct timespec *ts)
{
    long ret = syscall(SYS_clock_gettime, id, ts);
    ts->tv_sec += clock_ahead_s;
    return (int)ret;
}

struct fixture {
    struct loop *loop;
    struct serve *serve;
    size_t stream_left;
    int streams_done;
    int calls;
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

static ssize_t read_endless(void *arg UNUSED, char *out, size_t max)
{
    memset(out, 'x', max);
    return (ssize_t)max;
}

static void done_stream(void *arg)
{
    struct fixture *f = arg;
    f->streams_done++;
}

static int handle(const struct serve_request *q, struct serve_response *r, void *arg)
{
    struct fixture *f = arg;
    f->calls++;
    r->content_type = "text/plain";
    if (strcmp(q->path, "/stream") == 0) {
        f->stream_left = STREAM_BYTES;
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

static bool set_up(struct fixture *f)
{
    struct err e;
    struct addr any = {0};
    *f = (struct fixture){0};
    f->loop = loop_new(&e);
    f->serve = f->loop ? serve_new(f->loop, &any, 0, handle, f, &e) : NULL;
    return f->serve;
}

static void tear_down(struct fixture *f)
{
    serve_free(f->serve);
    loop_free(f->loop);
}

// From 127.0.0.`last`.
static int dial_from(const struct fixture *f, unsigned last)
{
    struct addr a, self;
    struct sockaddr_storage sa;
    char text[16];
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

static int dial(const struct fixture *f)
{
    return dial_from(f, 1);
}

// Sends text and turns the loop until the server closes the connection, the answer holds `until`, or nothing
// more happens for a while.
static void talk(struct fixture *f, int fd, const char *text, size_t len, const char *until, struct buf *ret)
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

static void ask(struct fixture *f, const char *request, struct buf *ret)
{
    CLEANUP_FD int fd = dial(f);
    buf_init(ret, 8u << 20);
    if (fd >= 0)
        talk(f, fd, request, strlen(request), NULL, ret);
}

static void check_answers(struct fixture *f)
{
    CLEANUP_BUF struct buf a = {0}, b = {0}, c = {0}, d = {0}, h = {0};
    ask(f, "GET /x?a=1&b=%20 HTTP/1.1\r\nHost: h\r\nAccept: q/r;q=0.5\r\nConnection: close\r\n\r\n", &a);
    CHECK_CONTAINS(buf_text(&a), "HTTP/1.1 200 ");
    CHECK_CONTAINS(buf_text(&a), "path=/x accept=q/r;q=0.5");
    CHECK_CONTAINS(buf_text(&a), "\r\nVary: Accept\r\n");
    ask(f, "HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", &b);
    CHECK_CONTAINS(buf_text(&b), "HTTP/1.1 200 ");
    CHECK(!strstr(buf_text(&b), "path="));
    ask(f, "GET /none HTTP/1.0\r\n\r\n", &c);
    CHECK_CONTAINS(buf_text(&c), " 404 ");
    CHECK(!strstr(buf_text(&c), "Vary"));
    ask(f, "GET /broken HTTP/1.0\r\n\r\n", &d);
    CHECK_CONTAINS(buf_text(&d), " 500 ");
    ask(f, "HEAD /stream HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", &h);
    CHECK_CONTAINS(buf_text(&h), " 200 ");
    CHECK_INT(f->streams_done, 1);
    CHECK_INT(f->stream_left, STREAM_BYTES);
}

static void answers(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_answers(&f);
    tear_down(&f);
}

static void check_refusals(struct fixture *f)
{
    static const char *const rows[][2] = {
        {"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", " 405 "},
        {"DELETE /x HTTP/1.1\r\nHost: h\r\n\r\n", " 405 "},
        {"GET /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", " 413 "},
        {"GET /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", " 413 "},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_BUF struct buf a = {0};
        f->calls = 0;
        ask(f, rows[i][0], &a);
        CHECK_CONTAINS(buf_text(&a), rows[i][1]);
        CHECK_INT(f->calls, 0);
    }
}

static void refusals(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_refusals(&f);
    tear_down(&f);
}

static void check_streams(struct fixture *f)
{
    CLEANUP_BUF struct buf whole = {0}, cut = {0};
    ask(f, "GET /stream HTTP/1.0\r\n\r\n", &whole);
    CHECK(whole.len > STREAM_BYTES);
    const char *body = strstr(buf_text(&whole), "\r\n\r\n");
    CHECK(body);
    CHECK_INT(strspn(body + 4, "x"), STREAM_BYTES);
    CHECK_INT(f->streams_done, 1);
    f->stream_fails = true;
    ask(f, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n", &cut);
    CHECK(cut.len < STREAM_BYTES);
    CHECK(!strstr(buf_text(&cut), "\r\n0\r\n")); // the client must see that it was cut
    CHECK_INT(f->streams_done, 2);
}

static void streams(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_streams(&f);
    tear_down(&f);
}

// A client that goes away in the middle ends its stream; the next one is served.
static void check_gone(struct fixture *f)
{
    struct err e;
    CLEANUP_BUF struct buf a = {0};
    int fd = dial(f);
    CHECK(fd >= 0);
    static const char get[] = "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n";
    CHECK_INT(send(fd, get, strlen(get), 0), strlen(get));
    for (int i = 0; i < 500 && f->calls == 0; i++)
        CHECK_INT(loop_once(f->loop, NS_PER_MS, &e), 0);
    CHECK_INT(f->calls, 1);
    close(fd);
    for (int i = 0; i < 500 && f->streams_done == 0; i++)
        CHECK_INT(loop_once(f->loop, NS_PER_MS, &e), 0);
    CHECK_INT(f->streams_done, 1);
    ask(f, "GET /x HTTP/1.0\r\n\r\n", &a);
    CHECK_CONTAINS(buf_text(&a), " 200 ");
}

static void gone(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_gone(&f);
    tear_down(&f);
}

static void check_garbage(struct fixture *f, uint64_t seed)
{
    static const char *const seeds[] = {
        "GET /x HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "\r\n\r\n\r\n",
        "GET /%zz%00%ff?%=&&= HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /x HTTP/9.9\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        "GET /x HTTP/1.1\nHost h\n: empty\n\n",
        "HEAD /stream HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
    };
    uint64_t x = seed;
    for (int round = 0; round < 160; round++) {
        CLEANUP_FD int fd = dial(f);
        CHECK(fd >= 0);
        char text[256];
        size_t len = strlen(seeds[(size_t)round % ARRAY_LEN(seeds)]);
        memcpy(text, seeds[(size_t)round % ARRAY_LEN(seeds)], len);
        for (int change = 0; change < round / 16; change++) {
            x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
            text[(x >> 33) % len] = (char)(x >> 56);
        }
        CLEANUP_BUF struct buf a;
        buf_init(&a, 8u << 20);
        CHECK(send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len);
        talk(f, fd, NULL, 0, NULL, &a);
    }
    struct err e;
    for (int i = 0; i < 20; i++)
        CHECK_INT(loop_once(f->loop, NS_PER_MS, &e), 0);
    CLEANUP_BUF struct buf a = {0};
    ask(f, "GET /x HTTP/1.0\r\n\r\n", &a);
    CHECK_CONTAINS(buf_text(&a), " 200 ");
}

static void garbage(void)
{
    struct fixture f;
    const char *text = getenv("SEED");
    uint64_t seed = 20260101;
    if (text && base_parse_u64(text, 0, UINT64_MAX, &seed) < 0)
        printf("    SEED is no number\n");
    CHECK(set_up(&f));
    check_garbage(&f, seed);
    if (check_failed)
        printf("    SEED=%" PRIu64 "\n", seed);
    tear_down(&f);
}

static bool is_over(int fd)
{
    char c;
    return recv(fd, &c, 1, MSG_PEEK) == 0 || errno != EAGAIN;
}

static void check_limits(struct fixture *f)
{
    CLEANUP_BUF struct buf big = {0}, a = {0}, late = {0};
    buf_init(&big, 1u << 20);
    buf_str(&big, "GET /x HTTP/1.1\r\nHost: h\r\nX-Long: ");
    for (unsigned i = 0; i < 2 * LIMIT_SERVE_MEMORY; i++)
        buf_char(&big, 'y');
    buf_str(&big, "\r\n\r\n");
    f->calls = 0;
    ask(f, buf_text(&big), &a);
    CHECK_INT(f->calls, 0);
    CHECK(!strstr(buf_text(&a), " 200 "));

    // One address cannot take every place: of its own, who has waited longest gives way.
    int fds[LIMIT_SERVE_CONNECTIONS + 8];
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = dial(f);
        CHECK(fds[i] >= 0);
        CHECK_INT(loop_once(f->loop, 20 * NS_PER_MS, &e), 0);
    }
    for (int i = 0; i < 20; i++)
        CHECK_INT(loop_once(f->loop, NS_PER_MS, &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        CHECK_INT(is_over(fds[i]), i < ARRAY_LEN(fds) - LIMIT_SERVE_PER_IP);
    ask(f, "GET /x HTTP/1.0\r\n\r\n", &late);
    CHECK_CONTAINS(buf_text(&late), " 200 ");
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    for (int i = 0; i < 20; i++)
        CHECK_INT(loop_once(f->loop, NS_PER_MS, &e), 0);
}

static void limits(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_limits(&f);
    tear_down(&f);
}

static void turn(struct fixture *f, int times)
{
    struct err e;
    for (int i = 0; i < times; i++)
        CHECK_INT(loop_once(f->loop, NS_PER_MS, &e), 0);
}

// So many connections from several addresses, which ask or do not, and are closed together or stay.
static void check_crowd(struct fixture *f, unsigned n, bool ask_too, bool stay)
{
    static const char request[] = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
    int fds[2 * LIMIT_SERVE_CONNECTIONS];
    for (unsigned i = 0; i < n; i++) {
        fds[i] = dial_from(f, 2 + i / 8);
        CHECK(fds[i] >= 0);
        if (ask_too)
            CHECK(send(fds[i], request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request));
        turn(f, 2);
    }
    turn(f, 10);
    for (unsigned i = 0; i < n && !stay; i++)
        close(fds[i]);
    for (int again = 0; again < 3; again++) {
        CLEANUP_BUF struct buf a = {0};
        ask(f, "GET /x HTTP/1.0\r\n\r\n", &a);
        CHECK_CONTAINS(buf_text(&a), " 200 ");
    }
    for (unsigned i = 0; i < n && stay; i++)
        close(fds[i]);
    turn(f, 10);
}

// Whoever comes after a crowd that filled the server is answered, whether the crowd has gone or sits there.
static void crowds(void)
{
    for (unsigned n = LIMIT_SERVE_CONNECTIONS - 1; n <= 2 * LIMIT_SERVE_CONNECTIONS;
         n += n < LIMIT_SERVE_CONNECTIONS + 1 ? 1 : 31) {
        struct fixture f;
        CHECK(set_up(&f));
        for (int kind = 0; kind < 4; kind++)
            check_crowd(&f, n, kind & 1, kind & 2);
        tear_down(&f);
    }
}

// Who is being answered keeps the place: then the next one waits, and comes in when somebody has left.
static void check_busy(struct fixture *f)
{
    static const char request[] = "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n",
                      plain[] = "GET /x HTTP/1.0\r\n\r\n";
    int fds[LIMIT_SERVE_CONNECTIONS];
    CLEANUP_BUF struct buf a = {0};
    buf_init(&a, 4096);
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = dial_from(f, 2 + i / 8);
        CHECK(fds[i] >= 0 && send(fds[i], request, strlen(request), MSG_NOSIGNAL) > 0);
        turn(f, 4);
    }
    CLEANUP_FD int late = dial(f);
    CHECK(late >= 0);
    talk(f, late, plain, strlen(plain), NULL, &a);
    CHECK_STR(buf_text(&a), "");
    close(fds[0]);
    talk(f, late, "", 0, " 200 ", &a);
    CHECK_CONTAINS(buf_text(&a), " 200 ");
    for (unsigned i = 1; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    turn(f, 10);
}

static void busy(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_busy(&f);
    tear_down(&f);
}

// An address whose connections are all being answered gets no more of them; another does.
static void check_busy_address(struct fixture *f)
{
    static const char request[] = "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n";
    int fds[LIMIT_SERVE_PER_IP];
    CLEANUP_BUF struct buf a = {0}, b = {0};
    buf_init(&b, 4096);
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = dial(f);
        CHECK(fds[i] >= 0 && send(fds[i], request, strlen(request), MSG_NOSIGNAL) > 0);
        turn(f, 4);
    }
    ask(f, "GET /x HTTP/1.0\r\n\r\n", &a);
    CHECK_STR(buf_text(&a), "");
    CLEANUP_FD int other = dial_from(f, 2);
    CHECK(other >= 0);
    talk(f, other, "GET /x HTTP/1.0\r\n\r\n", 19, " 200 ", &b);
    CHECK_CONTAINS(buf_text(&b), " 200 ");
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    turn(f, 10);
    CHECK_INT(f->streams_done, LIMIT_SERVE_PER_IP);
}

static void busy_address(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_busy_address(&f);
    tear_down(&f);
}

// Who begins or reads has LIMIT_SERVE_IDLE_S for each step; between two requests it is LIMIT_SERVE_KEEP_S.
static void check_idle(struct fixture *f)
{
    static const char get[] = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n",
                      endless[] = "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n";
    CLEANUP_FD int kept = dial(f);
    for (int round = 0; round < 3; round++) {
        CLEANUP_BUF struct buf a;
        buf_init(&a, 65536);
        talk(f, kept, get, strlen(get), "path=/x", &a);
        CHECK_CONTAINS(buf_text(&a), "path=/x");
        clock_ahead_s += LIMIT_SERVE_KEEP_S - 1;
        turn(f, 10);
        CHECK(!is_over(kept));
    }
    CLEANUP_FD int silent = dial(f), half = dial(f), stalled = dial(f);
    CHECK(send(half, get, 20, MSG_NOSIGNAL) == 20);
    CHECK(send(stalled, endless, strlen(endless), MSG_NOSIGNAL) > 0);
    CHECK(send(kept, endless, strlen(endless), MSG_NOSIGNAL) > 0);
    for (int i = 0; i < 500 && f->calls < 5; i++) // until both answers are stuck
        turn(f, 1);
    turn(f, 200);
    clock_ahead_s += LIMIT_SERVE_IDLE_S - 1;
    turn(f, 10);
    CHECK(!is_over(silent) && !is_over(half));
    CHECK_INT(f->streams_done, 0);
    clock_ahead_s += 2;
    turn(f, 20);
    CHECK(is_over(silent) && is_over(half));
    CHECK_INT(f->streams_done, 2);
    CLEANUP_FD int other = dial(f);
    CLEANUP_BUF struct buf a;
    buf_init(&a, 65536);
    talk(f, other, get, strlen(get), "path=/x", &a);
    clock_ahead_s += LIMIT_SERVE_KEEP_S + 1;
    turn(f, 10);
    CHECK(is_over(other));
}

static void idle(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_idle(&f);
    tear_down(&f);
    clock_ahead_s = 0;
}

static void check_pipeline(struct fixture *f)
{
    CLEANUP_FD int fd = dial(f);
    CHECK(fd >= 0);
    for (int i = 0; i < 5; i++) {
        CLEANUP_BUF struct buf a;
        buf_init(&a, 65536);
        static const char get[] = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
        talk(f, fd, get, strlen(get), "path=/x", &a);
        CHECK_CONTAINS(buf_text(&a), "path=/x");
    }
    CHECK_INT(f->calls, 5);
}

static void keep_alive(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_pipeline(&f);
    tear_down(&f);
}

static void bad_address(void)
{
    struct err e = {0};
    struct loop *l = loop_new(&e);
    CHECK(l);
    struct addr elsewhere;
    CHECK_INT(addr_parse("192.0.2.1", &elsewhere), 0); // nobody's
    struct serve *s = serve_new(l, &elsewhere, 0, handle, NULL, &e);
    CHECK(!s);
    CHECK_CONTAINS(e.msg, "bind");
    serve_free(NULL);
    loop_free(l);
}

static const struct check_case cases[] = {
    {"answers", answers},
    {"refusals", refusals},
    {"streams", streams},
    {"gone", gone},
    {"garbage", garbage},
    {"limits", limits},
    {"crowds", crowds},
    {"busy", busy},
    {"keep alive", keep_alive},
    {"bad address", bad_address},
    {"busy address", busy_address},
    {"idle", idle},
};
CHECK_MAIN(cases)
