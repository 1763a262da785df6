// SPDX-License-Identifier: Apache-2.0
// How large a request may be, how many connections an address has, and how long one may be idle.
#include "test/unit/lib/serve_clock.h"
#include "test/unit/lib/serve_rig.h"

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
    {"limits", limits},
    {"idle", idle},
};
CHECK_MAIN(cases)
