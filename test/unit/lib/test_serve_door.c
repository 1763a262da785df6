// SPDX-License-Identifier: Apache-2.0
// Who the HTTP server lets in, and who gives way.
#include "test/unit/lib/serve_clock.h"
#include "test/unit/lib/serve_rig.h"

static const char get[] = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n",
                  endless[] = "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n";

// So many connections of that address; what they ask may be "".
static void fill(struct fixture *f, int *fds, unsigned n, unsigned last, const char *request)
{
    for (unsigned i = 0; i < n; i++) {
        fds[i] = dial_from(f, last);
        CHECK(fds[i] >= 0);
        if (*request)
            CHECK(send(fds[i], request, strlen(request), MSG_NOSIGNAL) > 0);
        turn(f, 4);
    }
}

// Of as many addresses, the first of which is that one.
static void fill_apart(struct fixture *f, int *fds, unsigned n, unsigned last, const char *request)
{
    for (unsigned i = 0; i < n; i++)
        fill(f, fds + i, 1, last + i, request);
}

static unsigned over(const int *fds, unsigned n)
{
    unsigned ret = 0;
    for (unsigned i = 0; i < n; i++)
        ret += is_over(fds[i]);
    return ret;
}

// They leave.
static void empty(struct fixture *f, const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        close(fds[i]);
    turn(f, 10);
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
    int streams[4], idle[16], fds[28], quiet = f->reads;
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
    talk(f, fds[0], "", 0, "\r\n0\r\n\r\n", &whole);
    CHECK(whole.len > 6000000);
    CHECK(!is_over(fds[0]));
    clock_ahead_s++;
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

// Time goes on while clients read as little as keeps them from being idle.
static void sip(struct fixture *f, const int *fds, unsigned n, int seconds)
{
    static char rest[1 << 20];
    for (int left = seconds; left > 0; left -= 5) {
        clock_ahead_s += MIN(left, 5);
        for (unsigned i = 0; i < n; i++)
            while (recv(fds[i], rest, sizeof(rest), 0) > 0) {
            }
        turn(f, 20);
    }
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

static void check_comes_in(struct fixture *f, int fd)
{
    CLEANUP_BUF struct buf a;
    buf_init(&a, 4096);
    talk(f, fd, "", 0, "path=/x", &a);
    CHECK_CONTAINS(buf_text(&a), "path=/x");
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

static const struct check_case cases[] = {
    {"crowds", crowds},
    {"busy", busy},
    {"two addresses hold all", two_hold_all},
    {"one of theirs is next", queue},
    {"somebody's only one", only_one},
    {"few steps for a crowd", steps},
    {"busy address", busy_address},
    {"nobody", nobody},
    {"refused", refused},
    {"answered", answered},
    {"slow", slow},
    {"slow address", slow_address},
    {"pipelined", pipelined},
    {"pause", pause_between},
    {"just answered", just_answered},
    {"waiting", waiting},
};
CHECK_MAIN(cases)
