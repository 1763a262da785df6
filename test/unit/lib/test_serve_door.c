// SPDX-License-Identifier: Apache-2.0
// Who the HTTP server lets in, and who gives way.
#include "test/unit/lib/serve_crowd.h"

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
    static const char plain[] = "GET /x HTTP/1.0\r\n\r\n";
    int fds[LIMIT_SERVE_CONNECTIONS];
    CLEANUP_BUF struct buf a = {0};
    buf_init(&a, 4096);
    fill_apart(f, fds, ARRAY_LEN(fds), 2, endless);
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

// Two addresses that have all places, and are being answered within their time: others come in at once.
static void check_two_hold_all(struct fixture *f)
{
    int fds[LIMIT_SERVE_CONNECTIONS];
    fill(f, fds, 16, 2, endless);
    fill(f, fds + 16, 16, 3, endless);
    for (unsigned i = 0; i < 4; i++) {
        CLEANUP_BUF struct buf a = {0};
        buf_init(&a, 4096);
        CLEANUP_FD int late = dial_from(f, 80 + i);
        talk(f, late, get, strlen(get), "path=/x", &a);
        CHECK_CONTAINS(buf_text(&a), "path=/x");
        shutdown(late, SHUT_RDWR);
        turn(f, 10);
    }
    CHECK_INT(f->streams_done, 1); // the place that the first got served the others, one after another
    empty(f, fds, ARRAY_LEN(fds));
}

static void two_hold_all(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_two_hold_all(&f);
    tear_down(&f);
}

// Some addresses have all places, and one of theirs would be next: it keeps nobody waiting who has no place.
static void check_queue(struct fixture *f, const unsigned counts[static 3], bool gone)
{
    int fds[LIMIT_SERVE_CONNECTIONS], next;
    CLEANUP_BUF struct buf a;
    unsigned n = 0;
    buf_init(&a, 4096);
    for (unsigned i = 0; i < 3; n += counts[i++])
        fill(f, fds + n, counts[i], 2 + i, endless);
    fill(f, &next, 1, 2, "");
    if (gone)
        empty(f, &next, 1);
    CLEANUP_FD int late = dial_from(f, 80);
    talk(f, late, get, strlen(get), "path=/x", &a);
    CHECK_CONTAINS(buf_text(&a), "path=/x");
    CHECK_INT(f->streams_done, 1);
    if (!gone)
        close(next);
    shutdown(late, SHUT_RDWR);
    empty(f, fds, n);
}

static void queue(void)
{
    static const unsigned counts[][3] = {{11, 11, 10}, {15, 16, 1}, {16, 15, 1}};
    for (unsigned i = 0; i < 2 * ARRAY_LEN(counts); i++) {
        struct fixture f;
        CHECK(set_up(&f));
        check_queue(&f, counts[i / 2], i % 2);
        tear_down(&f);
    }
}

// Who has just come is not pushed out by those who have many, before the request is there; nor is the only
// connection of somebody, idle between two requests.
static void check_only_one(struct fixture *f)
{
    int fds[LIMIT_SERVE_CONNECTIONS], more;
    fill(f, fds, 1, 70, "");
    fill(f, fds + 1, 16, 2, endless);
    fill(f, fds + 17, 15, 3, endless);
    clock_ahead_s++;
    fill(f, &more, 1, 3, "");
    CHECK(is_over(more) && !is_over(fds[0]));
    close(more);
    CLEANUP_FD int late = dial_from(f, 80);
    turn(f, 10);
    fill(f, &more, 1, 3, "");
    CHECK(is_over(more) && !is_over(fds[0]) && !is_over(late));
    CHECK_INT(f->streams_done, 1);
    close(more);
    empty(f, fds, ARRAY_LEN(fds));
}

static void only_one(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_only_one(&f);
    tear_down(&f);
}

// A crowd that comes in one wake-up does not make everybody's streams go on as often.
static void check_steps(struct fixture *f)
{
    int streams[4], idle[16], fds[28], quiet;
    struct err e;
    fill(f, idle, ARRAY_LEN(idle), 3, "");
    fill(f, streams, ARRAY_LEN(streams), 2, endless);
    turn(f, 2);
    quiet = f->reads;
    CHECK_INT(loop_once(f->loop, NS_PER_MS, &e), 0);
    quiet = f->reads - quiet;
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = dial_from(f, 3);
    int before = f->reads;
    CHECK_INT(loop_once(f->loop, NS_PER_MS, &e), 0);
    CHECK(f->reads - before <= 8 * MAX(quiet, (int)ARRAY_LEN(streams)));
    empty(f, fds, ARRAY_LEN(fds));
    empty(f, idle, ARRAY_LEN(idle));
    empty(f, streams, ARRAY_LEN(streams));
}

static void steps(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_steps(&f);
    tear_down(&f);
}

// Of a crowd that one address sends at once, each with its request, everybody is answered: who is there
// already moves before somebody is asked to give way.
static void check_burst(struct fixture *f, unsigned n)
{
    int fds[2 * LIMIT_SERVE_PER_IP];
    for (size_t i = 0; i < n; i++) {
        fds[i] = dial_from(f, 2);
        CHECK(send(fds[i], get, strlen(get), MSG_NOSIGNAL) > 0);
    }
    turn(f, 20);
    for (size_t i = 0; i < n; i++) {
        char answer[1024] = {0};
        CHECK(recv(fds[i], answer, sizeof(answer) - 1, MSG_DONTWAIT) > 0);
        CHECK_CONTAINS(answer, " 200 ");
    }
    empty(f, fds, n);
}

static void burst(void)
{
    static const unsigned sizes[] = {LIMIT_SERVE_PER_IP, LIMIT_SERVE_PER_IP + 1, 2 * LIMIT_SERVE_PER_IP};
    struct fixture f;
    CHECK(set_up(&f));
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        check_burst(&f, sizes[i]);
    tear_down(&f);
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

// Nobody gives way before there is somebody to give way to.
static void check_nobody(struct fixture *f)
{
    int fds[LIMIT_SERVE_CONNECTIONS + 1];
    fill(f, fds, LIMIT_SERVE_CONNECTIONS / 2, 2, "");
    fill(f, fds + LIMIT_SERVE_CONNECTIONS / 2, LIMIT_SERVE_CONNECTIONS / 2, 3, "");
    turn(f, 10);
    CHECK_INT(over(fds, LIMIT_SERVE_CONNECTIONS), 0);
    fill(f, &fds[LIMIT_SERVE_CONNECTIONS], 1, 4, "");
    CHECK_INT(over(fds, ARRAY_LEN(fds)), 1);
    CHECK(is_over(fds[0]));
    empty(f, fds, ARRAY_LEN(fds));
}

static void nobody(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_nobody(&f);
    tear_down(&f);
}

// Who comes from an address that has all its places costs no other a place: one of its own gives way, or it
// is refused.
static void check_refused(struct fixture *f, const char *request)
{
    int own[LIMIT_SERVE_PER_IP], others[LIMIT_SERVE_CONNECTIONS - LIMIT_SERVE_PER_IP], more;
    bool refused = *request;
    fill(f, others, ARRAY_LEN(others), 2, "");
    fill(f, own, ARRAY_LEN(own), 3, request);
    fill(f, &more, 1, 3, "");
    turn(f, 10);
    CHECK_INT(over(others, ARRAY_LEN(others)), 0);
    CHECK_INT(is_over(more), refused);
    for (unsigned i = 0; i < ARRAY_LEN(own) && !refused; i++)
        CHECK_INT(is_over(own[i]), i == 0);
    close(more);
    empty(f, own, ARRAY_LEN(own));
    empty(f, others, ARRAY_LEN(others));
}

static void refused(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_refused(&f, "");
    check_refused(&f, endless);
    tear_down(&f);
}

// Who has gone before there was a place needs nobody's.
static void check_gone(struct fixture *f)
{
    int fds[LIMIT_SERVE_CONNECTIONS];
    fill(f, fds, 16, 2, endless);
    fill(f, fds + 16, 16, 3, endless);
    close(dial_from(f, 80));
    turn(f, 10);
    CHECK_INT(f->streams_done, 0);
    empty(f, fds, ARRAY_LEN(fds));
}

static void gone(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_gone(&f);
    tear_down(&f);
}

// Small requests, one after the other, of as many addresses as there are places: they keep nobody out.
static void check_ping(struct fixture *f)
{
    static char rest[4096];
    int fds[LIMIT_SERVE_CONNECTIONS], late;
    fill_apart(f, fds, ARRAY_LEN(fds), 2, get);
    clock_ahead_s++;
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
        while (recv(fds[i], rest, sizeof(rest), 0) > 0) {
        }
        CHECK(send(fds[i], get, strlen(get), MSG_NOSIGNAL) > 0);
        turn(f, 2);
    }
    fill(f, &late, 1, 80, get);
    check_comes_in(f, late);
    close(late);
    empty(f, fds, ARRAY_LEN(fds));
}

static void ping(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_ping(&f);
    tear_down(&f);
}

static const struct check_case cases[] = {
    {"crowds", crowds},
    {"busy", busy},
    {"two addresses hold all", two_hold_all},
    {"one of theirs is next", queue},
    {"somebody's only one", only_one},
    {"few steps for a crowd", steps},
    {"all of a burst are answered", burst},
    {"who has gone", gone},
    {"small requests keep nobody out", ping},
    {"busy address", busy_address},
    {"nobody", nobody},
    {"refused", refused},
};
CHECK_MAIN(cases)
