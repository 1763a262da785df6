// SPDX-License-Identifier: Apache-2.0
// Streams over connections that are kept, which leave something to the next one
// at their place: allocations are counted, our own, and with V=musl
// (tools/deps/check), where libmicrohttpd is linked statically, that library's
// too.
#include "test/unit/lib/serve_rig.h"

static size_t allocations;

// By the linker (--wrap, see the Makefile).
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    allocations++;
    return __real_calloc(n, size);
}

// The body of a chunked answer is so many x, and after it comes nothing.
static void check_some(struct fixture *f, int fd, unsigned n, const char *headers)
{
    char get[256];
    CLEANUP_BUF struct buf a;
    buf_init(&a, 8u << 20);
    snprintf(get, sizeof(get), "GET /some/%u HTTP/1.1\r\nHost: h\r\n%s\r\n", n, headers);
    talk(f, fd, get, strlen(get), "\r\n0\r\n\r\n", &a);
    CHECK(strncmp(buf_text(&a), "HTTP/1.1 200 ", 13) == 0);
    CHECK_CONTAINS(buf_text(&a), "\r\nTransfer-Encoding: chunked\r\n");
    CHECK(!strstr(buf_text(&a), "Content-Length"));
    CHECK_INT(strstr(buf_text(&a), "text/other") != NULL, strstr(headers, "Accept:") != NULL);
    CHECK_INT(strstr(buf_text(&a), "\r\nContent-Encoding: gzip") != NULL, strstr(headers, "gzip") != NULL);
    const char *at = strstr(buf_text(&a), "\r\n\r\n");
    size_t total = 0;
    for (at = at ? at + 4 : ""; *at; at += 2) {
        char *end;
        size_t chunk = strtoul(at, &end, 16);
        CHECK(strncmp(end, "\r\n", 2) == 0);
        CHECK(strspn(end + 2, "x") == chunk);
        total += chunk;
        at = end + 2 + chunk;
        CHECK(strncmp(at, "\r\n", 2) == 0);
    }
    CHECK_INT(total, n);
}

// What must leave no trace at a place: an answer to HTTP/1.0, one that its
// reader breaks off, and one whose client goes away.
static void check_between(struct fixture *f, int *streams)
{
    static const char get[] = "GET /some/9000000 HTTP/1.1\r\nHost: h\r\n\r\n";
    CLEANUP_BUF struct buf old = {0}, cut = {0};
    ask(f, "GET /some/5000 HTTP/1.0\r\n\r\n", &old);
    const char *body = strstr(buf_text(&old), "\r\n\r\n");
    CHECK(body);
    CHECK_INT(strspn(body + 4, "x"), 5000);
    CHECK_INT(strlen(body + 4), 5000);
    f->stream_fails = true;
    ask(f, "GET /some/5000 HTTP/1.1\r\nHost: h\r\n\r\n", &cut);
    CHECK(!strstr(buf_text(&cut), "\r\n0\r\n"));
    f->stream_fails = false;
    *streams += 2;
    CHECK_INT(f->streams_done, *streams);
    int fd = dial(f), calls = f->calls;
    CHECK(fd >= 0 && send(fd, get, strlen(get), MSG_NOSIGNAL) > 0);
    for (int i = 0; i < 500 && f->calls == calls; i++)
        turn(f, 1);
    CHECK(f->stream_left > 0);
    close(fd);
    for (int i = 0; i < 500 && f->streams_done == *streams; i++)
        turn(f, 1);
    CHECK_INT(f->streams_done, ++*streams);
}

// Answers of every length over one connection, with heads that change: each is
// whole, and one like that before it costs no allocation.
static void check_again(struct fixture *f)
{
    static const char *const headers[] = {"",
                                          "",
                                          "Accept: other\r\n",
                                          "Accept: other\r\n",
                                          "",
                                          "Accept-Encoding: gzip\r\n",
                                          "Accept-Encoding: gzip\r\n"};
    static const unsigned lengths[] = {1000, 0, 200000, 7, 70000};
    int streams = 0;
    for (int connection = 0; connection < 3; connection++) {
        check_between(f, &streams);
        CLEANUP_FD int fd = dial(f);
        CHECK(fd >= 0);
        const char *last = "";
        for (size_t i = 0; i < 70 && !check_failed; i++) {
            const char *now = headers[i % ARRAY_LEN(headers)];
            allocations = 0;
            check_some(f, fd, lengths[i % ARRAY_LEN(lengths)], now);
            CHECK_INT(f->streams_done, ++streams);
            if (i > 0 && strcmp(now, last) == 0)
                CHECK_INT(allocations, 0);
            last = now;
        }
    }
}

static void again(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_again(&f);
    tear_down(&f);
}

static const struct check_case cases[] = {
    {"again", again},
};
CHECK_MAIN(cases)
