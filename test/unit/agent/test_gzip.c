// SPDX-License-Identifier: Apache-2.0
// What is compressed is what was given, however it is pulled, in memory that does not follow its length.
#include "agent/gzip.h"

#include <zlib.h>

#include "lib/buf.h"
#include "test/unit/check.h"

struct source {
    size_t left, step; // bytes to give, at most so many at once
    bool fails;        // at its end
    uint64_t random;
    size_t line, taken;
    struct buf given;
};

static void *memory(void)
{
    static _Alignas(16) uint8_t bytes[GZIP_BYTES];
    memset(bytes, 0, sizeof(bytes));
    return bytes;
}

static void line_of(struct source *s, struct buf *b)
{
    s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    buf_fmt(b, "kubecanary_probe_sent_total{destination_node=\"n%zu\",family=\"IPv4\"} %u\n", s->line++,
            (unsigned)(s->random >> 40));
}

static ssize_t give(void *arg, char *out, size_t max)
{
    struct source *s = arg;
    if (s->left == 0)
        return s->fails ? -1 : 0;
    size_t n = MIN(MIN(max, s->step), s->left);
    while (s->given.len < s->taken + n)
        line_of(s, &s->given);
    memcpy(out, buf_text(&s->given) + s->taken, n);
    s->taken += n;
    s->left -= n;
    return (ssize_t)n;
}

static void start(struct source *s, size_t bytes, size_t step)
{
    *s = (struct source){.left = bytes, .step = step, .random = bytes};
    buf_init(&s->given, 64u << 20);
}

// The whole stream, pulled in pieces of at most max bytes.
static bool pull(struct source *s, size_t max, struct buf *ret)
{
    struct gzip *g = gzip_new(memory(), give, s);
    char *piece = malloc(max);
    ssize_t n = -1;
    buf_init(ret, 64u << 20);
    while (g && piece && (n = gzip_read(g, piece, max)) > 0)
        buf_add(ret, piece, (size_t)n);
    bool again = g && piece && n == 0 && gzip_read(g, piece, max) == 0; // the end stays the end
    free(piece);
    return again && !ret->failed;
}

static bool inflates_to(const struct buf *b, const char *want, size_t len)
{
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)buf_text(b), .avail_in = (unsigned)b->len};
    uint8_t *out = malloc(len + 1);
    bool ok = inflateInit2(&z, 16 + 15) == Z_OK; // gzip only
    z.next_out = out;
    z.avail_out = (unsigned)(len + 1);
    ok = ok && inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == len && z.avail_in == 0 &&
         (len == 0 || memcmp(out, want, len) == 0);
    inflateEnd(&z);
    free(out);
    return ok;
}

static void same_bytes(void)
{
    static const size_t lengths[] = {0, 1, 4095, 4096, 4097, 300000};
    static const size_t steps[] = {1, 7, 4096, 100000}, pieces[] = {1, 5, 1000, 16384};
    for (size_t i = 0; i < ARRAY_LEN(lengths) * ARRAY_LEN(steps) * ARRAY_LEN(pieces); i++) {
        size_t len = lengths[i / 16], step = steps[i / 4 % 4], max = pieces[i % 4];
        CLEANUP_BUF struct buf out = {0};
        struct source s;
        start(&s, len, step);
        bool ok = pull(&s, max, &out) && inflates_to(&out, buf_text(&s.given), len);
        buf_release(&s.given);
        if (!ok)
            printf("    %zu bytes in steps of %zu, pulled by %zu\n", len, step, max);
        CHECK(ok);
        CHECK(len < 300000 || out.len < len / 6);
    }
}

// One call does not take the whole of it, so that others are served between.
static void in_steps(void)
{
    struct source s;
    static char out[65536];
    start(&s, 4u << 20, 4096);
    struct gzip *g = gzip_new(memory(), give, &s);
    CHECK(g);
    CHECK(gzip_read(g, out, sizeof(out)) > 0);
    CHECK(s.taken < 2 * GZIP_STEP);
    buf_release(&s.given);
}

static void source_fails(void)
{
    CLEANUP_BUF struct buf out = {0};
    struct source s;
    start(&s, 100000, 4096);
    s.fails = true;
    CHECK(!pull(&s, 4096, &out));
    buf_release(&s.given);
}

static const struct check_case cases[] = {
    {"what comes out is what went in", same_bytes},
    {"in steps", in_steps},
    {"a source that fails", source_fails},
};
CHECK_MAIN(cases)
