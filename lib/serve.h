// SPDX-License-Identifier: Apache-2.0
// An HTTP server in our loop: libmicrohttpd with MHD_USE_EPOLL and no thread of its own; its epoll descriptor
// nests in the loop's. GET and HEAD only; connections, request size and idle time are bounded
// (LIMIT_SERVE_*). Handlers run in the loop and must not block. In the released agent a stream over a
// connection that is kept, with the status and headers of the last stream there, costs no allocation here.
#ifndef KUBECANARY_LIB_SERVE_H
#define KUBECANARY_LIB_SERVE_H

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/loop.h"

struct serve;

struct serve_request {
    // Of the connection, < LIMIT_SERVE_CONNECTIONS: no other has it until done() of a stream, and one answer
    // at a time is under way there.
    unsigned place;
    const struct addr *from; // who asks, without the port
    // HEAD: of the answer, status and headers are sent only. An answer with neither body nor stream stands
    // for one whose length is not known: it is sent without Content-Length (RFC 9110 section 8.6), and ends
    // the connection. So does a stream, which is done at once, and is not read.
    bool head;
    const char *path;            // without query, e.g. "/metrics"
    const char *accept;          // the Accept header, NULL if none
    const char *accept_encoding; // likewise
};

struct serve_response {
    int status;               // 200, 404 ...
    const char *content_type; // static storage
    const char *vary;         // likewise: the request's headers that the answer depends on; NULL: none
    bool gzip;                // the body is compressed: Content-Encoding
    // The body: either `body` (heap, ownership passes to the server) ...
    char *body;
    size_t body_len;
    // ... or, if `read` is set, a stream: read fills at most max bytes, returns how many, 0 at the end, -1 to
    // abort the connection. done(arg) is called exactly once when the stream ends for whatever reason.
    ssize_t (*read)(void *arg, char *out, size_t max);
    void (*done)(void *arg);
    void *arg;
};

// Fills *r. Return 0, or -1 for an internal error (500).
typedef int serve_fn(const struct serve_request *q, struct serve_response *r, void *arg);

// Listens on addr (set = 0: all addresses, dual stack) and port (0: any, see serve_port). NULL on failure.
struct serve *serve_new(struct loop *l, const struct addr *addr, uint16_t port, serve_fn *fn, void *arg,
                        struct err *e);
uint16_t serve_port(const struct serve *s);
void serve_free(struct serve *s); // takes NULL

#endif
