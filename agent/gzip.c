// SPDX-License-Identifier: Apache-2.0
#include "agent/gzip.h"

#include <zlib.h>

#define WINDOW_BITS 12  // 4 KiB: ten to twenty lines
#define GZIP_WRAPPER 16 // added to them: gzip's header and trailer
#define MEMORY_LEVEL 5
#define LEVEL 1
#define PIECE 4096 // of the source, at once

struct gzip {
    gzip_source_fn *source;
    void *arg;
    z_stream z;
    size_t used; // bytes of the memory, this struct's included
    bool last;   // the source has ended
    bool ended;  // the stream has
    uint8_t in[PIECE];
};

// zlib asks when it begins, for five blocks, and never again.
static void *take(void *arg, unsigned n, unsigned size)
{
    struct gzip *g = arg;
    size_t bytes = (size_t)n * size, at = g->used;
    if (bytes > GZIP_BYTES - at)
        return NULL;
    g->used = at + (bytes + 15) / 16 * 16;
    return (uint8_t *)g + at;
}

static void give(void *arg UNUSED, void *block UNUSED)
{
}

struct gzip *gzip_new(void *memory, gzip_source_fn *source, void *arg)
{
    struct gzip *g = memory;
    *g = (struct gzip){.source = source,
                       .arg = arg,
                       .z = {.zalloc = take, .zfree = give, .opaque = g},
                       .used = (sizeof(*g) + 15) / 16 * 16};
    return deflateInit2(&g->z, LEVEL, Z_DEFLATED, GZIP_WRAPPER + WINDOW_BITS, MEMORY_LEVEL,
                        Z_DEFAULT_STRATEGY) == Z_OK
               ? g
               : NULL;
}

// Fills the input if it is empty; the bytes that it got, -1 on failure.
static ssize_t refill(struct gzip *g)
{
    if (g->z.avail_in > 0 || g->last)
        return 0;
    ssize_t n = g->source(g->arg, (char *)g->in, sizeof(g->in));
    if (n < 0)
        return -1;
    g->last = n == 0;
    g->z.next_in = g->in;
    g->z.avail_in = (unsigned)n;
    return n;
}

ssize_t gzip_read(struct gzip *g, char *out, size_t max)
{
    size_t taken = 0, given = 0;
    max = MIN(max, (size_t)INT32_MAX);
    while (!g->ended && given < max && (given == 0 || taken < GZIP_STEP)) {
        ssize_t n = refill(g);
        if (n < 0)
            return -1;
        taken += (size_t)n;
        g->z.next_out = (uint8_t *)out + given;
        g->z.avail_out = (unsigned)(max - given);
        int r = deflate(&g->z, g->last ? Z_FINISH : Z_NO_FLUSH);
        if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
            return -1;
        g->ended = r == Z_STREAM_END;
        given = max - g->z.avail_out;
    }
    return (ssize_t)given;
}
