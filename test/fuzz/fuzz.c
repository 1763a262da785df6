// SPDX-License-Identifier: Apache-2.0
// What all targets share.
#include "test/fuzz/fuzz.h"

#include <stdarg.h>

void fuzz_fail(const char *file, int line, const char *fmt, ...)
{
    va_list args;
    fprintf(stderr, "%s:%d: not true: ", file, line);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

char *fuzz_text(const uint8_t *data, size_t len)
{
    size_t n = len ? strnlen((const char *)data, len) : 0;
    char *text = malloc(n + 1);
    if (n > 0)
        memcpy(text, data, n);
    text[n] = '\0';
    return text;
}

const uint8_t *fuzz_take_bytes(struct fuzz_input *in, size_t n, size_t *ret_len)
{
    const uint8_t *from = in->data;
    *ret_len = MIN(n, in->len);
    if (*ret_len > 0)
        in->data += *ret_len;
    in->len -= *ret_len;
    return from;
}

uint64_t fuzz_take(struct fuzz_input *in, unsigned n)
{
    size_t len;
    uint64_t value = 0;
    const uint8_t *from = fuzz_take_bytes(in, n, &len);
    for (unsigned i = 0; i < n; i++)
        value = value << 8 | (i < len ? from[i] : 0);
    return value;
}

// Bytes of the character at p, its value in *ret; 0 if there is none that is valid.
static unsigned decode(const unsigned char *p, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (unsigned i = 1; i < n; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (n == 0 || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *ret = c;
    return n;
}

bool fuzz_is_utf8(const char *text, bool one_line)
{
    const unsigned char *p = (const unsigned char *)text;
    while (*p) {
        uint32_t c;
        unsigned n = decode(p, &c);
        if (n == 0)
            return false;
        if (one_line && (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029))
            return false;
        p += n;
    }
    return true;
}

void fuzz_check_err(int r, const struct err *e)
{
    FUZZ_CHECK(r < 0);
    FUZZ_CHECK(e->code == -r);
    FUZZ_CHECK(memchr(e->path, '\0', sizeof(e->path)));
    FUZZ_CHECK(memchr(e->msg, '\0', sizeof(e->msg)));
    if (!fuzz_is_utf8(e->msg, true) || !fuzz_is_utf8(e->path, true) || e->msg[0] == '\0')
        fuzz_fail(__FILE__, __LINE__, "a line of UTF-8: path \"%s\", message \"%s\"", e->path, e->msg);
}

void fuzz_check_err_place(int r, const struct err *e, const char *whole)
{
    fuzz_check_err(r, e);
    bool place = e->path[0] || strncmp(e->msg, "line ", 5) == 0 || strncmp(e->msg, "byte ", 5) == 0 ||
                 (whole && strncmp(e->msg, whole, strlen(whole)) == 0);
    if (!place)
        fuzz_fail(__FILE__, __LINE__, "names a place: \"%s\"", e->msg);
}

struct doc *fuzz_doc(const uint8_t *data, size_t len)
{
    struct doc *d = NULL;
    struct err e;
    // A copy, exactly as long.
    char *text = malloc(len ? len : 1);
    if (len > 0)
        memcpy(text, data, len);
    int r = doc_parse(text, len, &d, &e);
    if (r < 0)
        fuzz_check_err_place(r, &e, "the document has ");
    free(text);
    return d;
}

struct doc *fuzz_own_doc(const struct buf *b)
{
    struct doc *d = NULL;
    struct err e;
    FUZZ_CHECK(!b->failed);
    if (doc_parse(buf_text(b), b->len, &d, &e) < 0)
        fuzz_fail(__FILE__, __LINE__, "can be read again: %s\n%s", e.msg, buf_text(b));
    return d;
}
