// SPDX-License-Identifier: Apache-2.0
// How long an answer protects its place, and who comes in afterwards.
#include "test/unit/lib/serve_crowd.h"

// All are being answered when two come, and the answers end: each comes in a moment after one has its answer,
// who has kept nothing but a connection.
static void check_answered(struct fixture *f)
{
    static const char some[] = "GET /some/6000000 HTTP/1.1\r\nHost: h\r\n\r\n";
    int fds[LIMIT_SERVE_CONNECTIONS], late[2];
    fill(f, fds, 1, 2, some);
    fill_apart(f, fds + 1, 31, 3, endless);
    fill_apart(f, late, 2, 80, get);
    turn(f, 10);
    CHECK_INT(f->calls, ARRAY_LEN(fds));
    CLEANUP_BUF struct buf whole, a, b;
    buf_init(&whole, 8u << 20);
    buf_init(&a, 4096);
    buf_init(&b, 4096);
    clock_ahead_s++;
    talk(f, fds[0], "", 0, "\r\n0\r\n\r\n", &whole);
    CHECK(whole.len > 6000000);
    talk(f, late[0], "", 0, "path=/x", &a);
    CHECK_CONTAINS(buf_text(&a), " 200 ");
    clock_ahead_s++;
    talk(f, late[1], "", 0, "path=/x", &b);
    CHECK_CONTAINS(buf_text(&b), " 200 ");
    CHECK(is_over(fds[0]));
    CHECK(is_over(late[0]));
    empty(f, fds, ARRAY_LEN(fds));
    empty(f, late, ARRAY_LEN(late));
}

static void answered(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_answered(&f);
    tear_down(&f);
}

// Until nobody can be sent more: then nothing but a timer wakes the server.
static void until_stuck(struct fixture *f)
{
    int reads;
    do {
        reads = f->reads;
        turn(f, 100);
    } while (f->reads > reads && !check_failed);
}

// An answer protects its place for LIMIT_SERVE_IDLE_S. Then the first one gives way to who waits, though
// nothing else happens; and nobody to nobody.
static void check_slow(struct fixture *f)
{
    int fds[LIMIT_SERVE_CONNECTIONS], late[2];
    fill_apart(f, fds, ARRAY_LEN(fds), 2, endless);
    fill(f, late, 1, 80, get);
    sip(f, fds, ARRAY_LEN(fds), LIMIT_SERVE_IDLE_S - 1);
    until_stuck(f);
    CHECK_INT(f->calls, ARRAY_LEN(fds));
    clock_ahead_s += 1;
    check_comes_in(f, late[0]);
    CHECK_INT(f->streams_done, 1);
    sip(f, fds, ARRAY_LEN(fds), 2 * LIMIT_SERVE_IDLE_S);
    CHECK_INT(f->streams_done, 1);
    CHECK(is_over(fds[0]) && !is_over(late[0]));
    CHECK(send(late[0], get, strlen(get), MSG_NOSIGNAL) > 0); // then it has waited less than fds[1] has read
    check_comes_in(f, late[0]);
    fill(f, late + 1, 1, 81, get);
    check_comes_in(f, late[1]);
    CHECK_INT(f->streams_done, 2);
    empty(f, fds, ARRAY_LEN(fds));
    empty(f, late, ARRAY_LEN(late));
}

static void slow(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_slow(&f);
    tear_down(&f);
}

// The same for those of one address, when it has all its places.
static void check_slow_address(struct fixture *f)
{
    int fds[LIMIT_SERVE_PER_IP], late;
    fill(f, fds, ARRAY_LEN(fds), 2, endless);
    sip(f, fds, ARRAY_LEN(fds), LIMIT_SERVE_IDLE_S);
    CHECK_INT(f->streams_done, 0);
    fill(f, &late, 1, 2, get);
    check_comes_in(f, late);
    CHECK_INT(f->streams_done, 1);
    close(late);
    empty(f, fds, ARRAY_LEN(fds));
}

static void slow_address(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_slow_address(&f);
    tear_down(&f);
}

// Who has the next request there before an answer is over has not paused between the two.
static void check_pipelined(struct fixture *f)
{
    static const char some[] = "GET /some/50000 HTTP/1.1\r\nHost: h\r\n\r\n";
    static char many[256 * sizeof(some)];
    int fds[LIMIT_SERVE_CONNECTIONS], late;
    size_t len = 0;
    for (; len + strlen(some) < sizeof(many); len += strlen(some))
        memcpy(many + len, some, strlen(some));
    fill_apart(f, fds, ARRAY_LEN(fds), 2, "");
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
        int calls;
        do { // until its answers are stuck
            calls = f->calls;
            CHECK(send(fds[i], many, len, MSG_NOSIGNAL) > 0 || errno == EAGAIN);
            turn(f, 8);
        } while (f->calls > calls && !check_failed);
    }
    for (int round = 0; round < 4; round++) {
        int calls = f->calls;
        sip(f, fds, ARRAY_LEN(fds), 5);
        CHECK(f->calls > calls);
    }
    CHECK_INT(over(fds, ARRAY_LEN(fds)), 0);
    fill(f, &late, 1, 80, get);
    check_comes_in(f, late);
    empty(f, fds, ARRAY_LEN(fds));
    close(late);
}

static void pipelined(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_pipelined(&f);
    tear_down(&f);
}

// The time counts from when the connection last had nothing to do, and who has nothing to do gives way before
// those within it.
static void check_pause(struct fixture *f)
{
    int fds[LIMIT_SERVE_CONNECTIONS], late[2];
    fill(f, fds, 1, 2, get);
    clock_ahead_s += LIMIT_SERVE_IDLE_S;
    fill_apart(f, fds + 1, 30, 3, endless);
    CHECK(send(fds[0], endless, strlen(endless), MSG_NOSIGNAL) > 0);
    fill(f, fds + 31, 1, 40, get);
    fill(f, late, 1, 80, get);
    clock_ahead_s++;
    check_comes_in(f, late[0]);
    CHECK_INT(f->streams_done, 0);
    CHECK(send(late[0], endless, strlen(endless), MSG_NOSIGNAL) > 0);
    turn(f, 10);
    fill(f, late + 1, 1, 81, get);
    turn(f, 10);
    CHECK_INT(f->streams_done, 0);
    empty(f, late + 1, 1);
    empty(f, fds, ARRAY_LEN(fds));
    empty(f, late, 1);
}

static void pause_between(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_pause(&f);
    tear_down(&f);
}

// Who has just been answered has not waited since the request.
static void check_just_answered(struct fixture *f)
{
    static const char some[] = "GET /some/6000000 HTTP/1.1\r\nHost: h\r\n\r\n";
    int fds[LIMIT_SERVE_CONNECTIONS], late;
    CLEANUP_BUF struct buf whole;
    buf_init(&whole, 8u << 20);
    fill(f, fds, 1, 2, some);
    clock_ahead_s += 1;
    fill(f, fds + 1, 15, 2, "");
    fill(f, fds + 16, 16, 3, "");
    clock_ahead_s += 1;
    talk(f, fds[0], "", 0, "\r\n0\r\n\r\n", &whole);
    fill(f, &late, 1, 4, get);
    check_comes_in(f, late);
    CHECK(!is_over(fds[0]) && is_over(fds[1]));
    empty(f, fds, ARRAY_LEN(fds));
    close(late);
}

static void just_answered(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_just_answered(&f);
    tear_down(&f);
}

// Who still waits when the server ends is told.
static void waiting(void)
{
    struct fixture f;
    int fds[LIMIT_SERVE_CONNECTIONS], late;
    CHECK(set_up(&f));
    fill(&f, fds, 16, 2, endless);
    fill(&f, fds + 16, 16, 3, endless);
    fill(&f, &late, 1, 4, "");
    CHECK(!is_over(late));
    tear_down(&f);
    CHECK(is_over(late));
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    close(late);
}

// Those over their time, a place each, give way to the second connection of somebody with one.
static void check_sippers(struct fixture *f)
{
    int fds[LIMIT_SERVE_CONNECTIONS - 1], own[2];
    fill_apart(f, fds, ARRAY_LEN(fds), 2, endless);
    sip(f, fds, ARRAY_LEN(fds), 2 * LIMIT_SERVE_IDLE_S);
    fill(f, own, 1, 80, endless);
    fill(f, own + 1, 1, 80, get);
    check_comes_in(f, own[1]);
    CHECK_INT(f->streams_done, 1);
    empty(f, fds, ARRAY_LEN(fds));
    empty(f, own, ARRAY_LEN(own));
}

static void sippers(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_sippers(&f);
    tear_down(&f);
}

static const struct check_case cases[] = {
    {"answered", answered},           {"slow", slow},           {"slow address", slow_address},
    {"pipelined", pipelined},         {"pause", pause_between}, {"sippers", sippers},
    {"just answered", just_answered}, {"waiting", waiting},
};
CHECK_MAIN(cases)
