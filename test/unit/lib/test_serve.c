// SPDX-License-Identifier: Apache-2.0
// The HTTP server's answers: bodies, streams, refusals, clients that go, and requests that are none.
#include "test/unit/lib/serve_rig.h"

static void check_answers(struct fixture *f)
{
    CLEANUP_BUF struct buf a = {0}, b = {0}, c = {0}, d = {0};
    ask(f, "GET /x?a=1&b=%20 HTTP/1.1\r\nHost: h\r\nAccept: q/r;q=0.5\r\nConnection: close\r\n\r\n", &a);
    CHECK_CONTAINS(buf_text(&a), "HTTP/1.1 200 ");
    CHECK_CONTAINS(buf_text(&a), "path=/x accept=q/r;q=0.5");
    CHECK_CONTAINS(buf_text(&a), "\r\nVary: Accept\r\n");
    ask(f, "HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", &b);
    CHECK_CONTAINS(buf_text(&b), "HTTP/1.1 200 ");
    CHECK(!strstr(buf_text(&b), "path="));
    CHECK(f->last.head);
    CLEANUP_BUF struct buf absolute = {0};
    ask(f, "GET http://h:9961/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", &absolute);
    CHECK_CONTAINS(buf_text(&absolute), "path=/x ");
    ask(f, "GET /none HTTP/1.0\r\n\r\n", &c);
    CHECK_CONTAINS(buf_text(&c), " 404 ");
    CHECK(!strstr(buf_text(&c), "Vary"));
    CHECK(!f->last.head);
    ask(f, "GET /broken HTTP/1.0\r\n\r\n", &d);
    CHECK_CONTAINS(buf_text(&d), " 500 ");
}

static void answers(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_answers(&f);
    tear_down(&f);
}

// The head of a stream costs no stream; of one that the handler did not even begin it is the same. It has no
// length, and what follows on that connection is no answer.
static void check_head(struct fixture *f)
{
    static const char *const paths[] = {"/stream", "/unread", "/x"};
    for (size_t i = 0; i < 2 * ARRAY_LEN(paths); i++) {
        CLEANUP_BUF struct buf a = {0};
        char request[256];
        const char *path = paths[i / 2];
        bool known = strcmp(path, "/x") == 0;
        snprintf(request, sizeof(request), "HEAD %s HTTP/1.%zu\r\nHost: h\r\n%s\r\n", path, i % 2,
                 known ? "Connection: close\r\n" : "");
        ask(f, request, &a);
        CHECK_CONTAINS(buf_text(&a), " 200 ");
        CHECK_CONTAINS(buf_text(&a), "\r\nContent-Type: text/plain\r\n");
        CHECK_CONTAINS(buf_text(&a), "\r\nConnection: close\r\n");
        CHECK_INT(strstr(buf_text(&a), "\r\nContent-Length: ") != NULL, known);
        CHECK(!strstr(buf_text(&a), "Transfer-Encoding"));
        const char *end = strstr(buf_text(&a), "\r\n\r\n");
        CHECK(end && end[4] == '\0');
        CHECK_INT(f->calls, i + 1);
        CHECK_INT(f->streams_done, MIN(i + 1, 2));
    }
    CHECK_INT(f->stream_left, STREAM_BYTES);
}

static void head(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_head(&f);
    tear_down(&f);
}

// Those that are there at the same time have a place each, the same for all that one of them asks.
static void check_places(struct fixture *f)
{
    static const char get[] = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
    CLEANUP_FD int one = dial(f), other = dial(f);
    unsigned places[2];
    for (int round = 0; round < 2; round++) {
        CLEANUP_BUF struct buf a, b;
        buf_init(&a, 4096);
        buf_init(&b, 4096);
        talk(f, one, get, strlen(get), "path=/x", &a);
        CHECK_INT(f->calls, 2 * round + 1);
        places[0] = round ? places[0] : f->last.place;
        CHECK_INT(f->last.place, places[0]);
        talk(f, other, get, strlen(get), "path=/x", &b);
        places[1] = round ? places[1] : f->last.place;
        CHECK_INT(f->last.place, places[1]);
    }
    CHECK(places[0] != places[1] && MAX(places[0], places[1]) < LIMIT_SERVE_CONNECTIONS);
}

static void places(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_places(&f);
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
    {"answers", answers},         {"head", head}, {"places", places},   {"refusals", refusals},
    {"streams", streams},         {"gone", gone}, {"garbage", garbage}, {"keep alive", keep_alive},
    {"bad address", bad_address},
};
CHECK_MAIN(cases)
