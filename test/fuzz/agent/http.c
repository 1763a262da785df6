// SPDX-License-Identifier: Apache-2.0
// Requests of any bytes to the agent's web server, by a connection on loopback. What comes back is an HTTP
// answer or nothing, and afterwards a good request is still answered.
#include <arpa/inet.h>
#include <errno.h>

#include "agent/web.h"
#include "test/fuzz/fuzz.h"

#define IDLE 4 // steps of the loop without a byte, after which nothing more is awaited: loopback is at once

static struct loop *l;
static struct web *w;

static void start(void)
{
    struct err e;
    struct addr loopback;
    FUZZ_CHECK(addr_parse("127.0.0.1", &loopback) == 0);
    l = loop_new(&e);
    struct prober *p = prober_new(l, "n1", SPEC_NETWORK_POD, NULL, &e);
    struct web_opts o = {.addr = loopback, .node = "n1", .network = "Pod", .prober = p};
    w = web_new(l, &o, &e);
    FUZZ_CHECK(w);
}

static int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(web_port(w))};
    const struct linger reset = {.l_onoff = 1}; // no TIME_WAIT: there are many of us
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    FUZZ_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    return fd;
}

// Sends the bytes and runs the server until it closes or has nothing to say. What came back is in out.
static size_t talk(const uint8_t *data, size_t len, char *out, size_t size)
{
    struct err e;
    int fd = dial();
    size_t sent = 0, got = 0;
    for (unsigned idle = 0; idle < IDLE; idle++) {
        char rest[4096];
        ssize_t n = sent < len ? send(fd, data + sent, len - sent, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
        sent = n < 0 && errno != EAGAIN ? len : sent + (size_t)MAX(n, 0);
        FUZZ_CHECK(loop_once(l, 0, &e) == 0);
        while ((n = recv(fd, rest, sizeof(rest), MSG_DONTWAIT)) > 0) {
            size_t keep = MIN((size_t)n, size - 1 - got);
            memcpy(out + got, rest, keep);
            got += keep;
            idle = 0;
        }
        if (n == 0 || errno != EAGAIN)
            break;
    }
    close(fd);
    out[got] = '\0';
    return got;
}

static void check_answer(const char *text, size_t len)
{
    static const int known[] = {200, 400, 404, 405, 408, 411, 413, 414, 431, 500, 501, 503, 505};
    if (len == 0)
        return;
    FUZZ_CHECK(len > 12 && (strncmp(text, "HTTP/1.1 ", 9) == 0 || strncmp(text, "HTTP/1.0 ", 9) == 0));
    int status = (int)strtol(text + 9, NULL, 10);
    bool found = false;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        found = found || known[i] == status;
    if (!found)
        fuzz_fail(__FILE__, __LINE__, "a status that is known: %d", status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char good[] = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    static char text[1 << 16];
    if (!w)
        start();
    check_answer(text, talk(data, len, text, sizeof(text)));
    FUZZ_CHECK(talk((const uint8_t *)good, sizeof(good) - 1, text, sizeof(text)) > 0);
    FUZZ_CHECK(strncmp(text, "HTTP/1.1 200 ", 13) == 0);
    return 0;
}
