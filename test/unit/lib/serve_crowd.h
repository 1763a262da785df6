// SPDX-License-Identifier: Apache-2.0
// Crowds at the HTTP server's door, by address, and what they do.
#ifndef KUBECANARY_TEST_SERVE_CROWD_H
#define KUBECANARY_TEST_SERVE_CROWD_H

#include "test/unit/lib/serve_clock.h"
#include "test/unit/lib/serve_rig.h"

static const char get[] = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n",
                  endless[] = "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n";

// So many connections of that address; what they ask may be "".
static inline void fill(struct fixture *f, int *fds, unsigned n, unsigned last, const char *request)
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
static inline void fill_apart(struct fixture *f, int *fds, unsigned n, unsigned last, const char *request)
{
    for (unsigned i = 0; i < n; i++)
        fill(f, fds + i, 1, last + i, request);
}

static inline unsigned over(const int *fds, unsigned n)
{
    unsigned ret = 0;
    for (unsigned i = 0; i < n; i++)
        ret += is_over(fds[i]);
    return ret;
}

// They leave.
static inline void empty(struct fixture *f, const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        close(fds[i]);
    turn(f, 10);
}

// Time goes on while clients read as little as keeps them from being idle.
static inline void sip(struct fixture *f, const int *fds, unsigned n, int seconds)
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

static inline void check_comes_in(struct fixture *f, int fd)
{
    CLEANUP_BUF struct buf a;
    buf_init(&a, 4096);
    talk(f, fd, "", 0, "path=/x", &a);
    CHECK_CONTAINS(buf_text(&a), "path=/x");
}

#endif
