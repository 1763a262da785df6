// SPDX-License-Identifier: Apache-2.0
#include "lib/serve_answer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "lib/limits.h"

// Whether a response of unknown length may be queued again. libmicrohttpd as released gives each later answer
// the length of the first: none is kept. Ours (tools/deps/recipe) has this macro, and notes no length where
// it sends chunks: each answer is chunked, and whole by its last chunk.
#ifdef MHD_KUBECANARY_CHUNKED_AGAIN
#define KEEPS_RESPONSES true
#else
#define KEEPS_RESPONSES false
#endif

// With a cork the kernel makes whole segments of a stream's pieces (64 KiB of two or three on loopback and
// veth), and wakes the reader once for each: a third of what a large scrape costs. tcp(7).
static bool cork(int fd, bool on)
{
    int value = on;
    return setsockopt(fd, IPPROTO_TCP, TCP_CORK, &value, sizeof(value)) == 0;
}

static ssize_t on_stream_read(void *arg, uint64_t pos, char *out, size_t max)
{
    struct serve_answer *a = arg;
    // The first piece goes with the header, and libmicrohttpd uncorks for it.
    if (pos > 0 && !a->corked)
        a->corked = cork(a->fd, true);
    ssize_t n = a->r.read(a->r.arg, out, max);
    if (n == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    return n < 0 ? MHD_CONTENT_READER_END_WITH_ERROR : n;
}

// Takes m over. NULL without memory: an answer without one of its headers would be another one.
static struct MHD_Response *with_head(struct MHD_Response *m, const struct serve_response *r, bool last)
{
    const char *const rows[][2] = {
        {MHD_HTTP_HEADER_CONTENT_TYPE, r->content_type},
        {MHD_HTTP_HEADER_VARY, r->vary},
        {MHD_HTTP_HEADER_CONTENT_ENCODING, r->gzip ? "gzip" : NULL},
        {MHD_HTTP_HEADER_ALLOW, r->status == MHD_HTTP_METHOD_NOT_ALLOWED ? "GET, HEAD" : NULL},
        {MHD_HTTP_HEADER_CONNECTION, last ? "close" : NULL},
    };
    for (size_t i = 0; m && i < ARRAY_LEN(rows); i++) {
        if (rows[i][1] && MHD_add_response_header(m, rows[i][0], rows[i][1]) != MHD_YES) {
            MHD_destroy_response(m);
            return NULL;
        }
    }
    return m;
}

static bool same_head(const struct serve_response *a, const struct serve_response *b)
{
    return a->status == b->status && a->content_type == b->content_type && a->vary == b->vary &&
           a->gzip == b->gzip;
}

enum MHD_Result serve_answer_body(struct MHD_Connection *c, const struct serve_response *r, bool last)
{
    struct MHD_Response *m =
        r->body ? MHD_create_response_from_buffer(r->body_len, r->body, MHD_RESPMEM_MUST_FREE)
                : MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    if (!m)
        free(r->body);
    m = with_head(m, r, last);
    if (!m)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(c, (unsigned)r->status, m);
    MHD_destroy_response(m);
    return result;
}

// Is not called: to HEAD no body is sent.
static ssize_t read_nothing(void *arg UNUSED, uint64_t pos UNUSED, char *out UNUSED, size_t max UNUSED)
{
    return MHD_CONTENT_READER_END_OF_STREAM;
}

// A length that is not known is none, and not 0. libmicrohttpd 0.9.75 has that with a reader only, and keeps
// the connection with chunks only, whose last one it would send after this head.
enum MHD_Result serve_answer_head(struct MHD_Connection *c, const struct serve_response *r)
{
    struct MHD_Response *m =
        with_head(MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1, read_nothing, NULL, NULL), r, false);
    if (!m)
        return MHD_NO;
    MHD_set_response_options(m, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    enum MHD_Result result = MHD_queue_response(c, (unsigned)r->status, m);
    MHD_destroy_response(m);
    return result;
}

// No other answer than one in chunks is kept: one to HTTP/1.0 is sent from the response's own block, which
// remembers what it holds. Chunks are made in the connection's memory, and the block is not used.
enum MHD_Result serve_answer_stream(struct serve_answer *a, struct MHD_Connection *c, int fd,
                                    const struct serve_response *r, bool chunked)
{
    bool keep = chunked && KEEPS_RESPONSES;
    if (a->kept && !same_head(&a->r, r)) {
        MHD_destroy_response(a->kept);
        a->kept = NULL;
    }
    a->r = *r;
    a->under_way = true;
    a->fd = fd;
    a->corked = false;
    struct MHD_Response *m = keep ? a->kept : NULL;
    if (!m)
        m = with_head(MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, chunked ? 1 : LIMIT_SERVE_BLOCK,
                                                        on_stream_read, a, NULL),
                      r, false);
    if (!m)
        return MHD_NO;
    if (!chunked)
        MHD_set_response_options(m, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    enum MHD_Result result = MHD_queue_response(c, (unsigned)r->status, m);
    if (keep)
        a->kept = m;
    else
        MHD_destroy_response(m);
    return result;
}

void serve_answer_end(struct serve_answer *a)
{
    if (!a || !a->under_way)
        return;
    a->under_way = false;
    cork(a->fd, false); // the rest goes
    if (a->r.done)
        a->r.done(a->r.arg);
}

void serve_answer_release(struct serve_answer *a)
{
    if (a->kept)
        MHD_destroy_response(a->kept);
    a->kept = NULL;
}
