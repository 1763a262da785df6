// SPDX-License-Identifier: Apache-2.0
// Who the HTTP server lets in, who gives way, and how long a connection may be idle. The clock of server and
// loop can be put forward.
#include <sys/syscall.h>
#include <time.h>

#include "test/unit/lib/serve_rig.h"

static int64_t clock_ahead_s;

// In the C library's place, for libmicrohttpd too.
int clock_gettime(clockid_t id, struct timespec *ts)
{
    long ret = syscall(SYS_clock_gettime, id, ts);
    ts->tv_sec += clock_ahead_s;
    return (int)ret;
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

static const struct check_case cases[] = {
    {"limits", limits}, {"crowds", crowds}, {"busy", busy}, {"busy address", busy_address}, {"idle", idle},
};
CHECK_MAIN(cases)
