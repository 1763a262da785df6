// SPDX-License-Identifier: Apache-2.0
// A growing byte buffer with a ceiling. Always NUL-terminated (the NUL is not counted). After an append fails
// (memory, ceiling) the buffer is `failed` and further appends do nothing, so that a writer checks once, at
// the end.
#ifndef KUBECANARY_LIB_BUF_H
#define KUBECANARY_LIB_BUF_H

#include "lib/base.h"

struct buf {
    char *data;  // NULL until the first append; use buf_text()
    size_t len;  // bytes in use
    size_t cap;  // bytes allocated
    size_t max;  // ceiling of len
    bool failed; // an append did not fit or memory ran out
    bool over;   // failed: it did not fit
};

void buf_init(struct buf *b, size_t max);
// In memory of the caller's, which it never leaves: size - 1 bytes at most. Not to be released or taken.
static inline void buf_fixed(struct buf *b, char *memory, size_t size)
{
    *b = (struct buf){.data = memory, .cap = size, .max = size - 1};
    memory[0] = '\0';
}
void buf_release(struct buf *b); // leaves an empty, usable buffer; takes a zeroed struct too
#define CLEANUP_BUF CLEANUP(buf_release)

void buf_add(struct buf *b, const void *data, size_t len);
void buf_str(struct buf *b, const char *text);
void buf_char(struct buf *b, char c);
void buf_fmt(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_u64(struct buf *b, uint64_t value); // decimal; an order of magnitude quicker than buf_fmt
// For a writer of many small pieces: room for n more bytes, where they belong, to be written by the caller,
// who then says with buf_grew how many there are (at most n). NULL, and failed, if there is no room.
char *buf_more(struct buf *b, size_t n); // buf_room, when it has to grow
static inline char *buf_room(struct buf *b, size_t n)
{
    return !b->failed && n < b->cap - b->len ? b->data + b->len : buf_more(b, n);
}
static inline void buf_grew(struct buf *b, size_t n)
{
    b->len += n;
    b->data[b->len] = '\0';
}
// Text as a JSON string with its quotes, which YAML reads as the same text (see utf8_json): invalid UTF-8 is
// replaced by U+FFFD.
void buf_json(struct buf *b, const char *text);

// Drops the first n bytes (n <= len): what has been consumed of a stream.
void buf_shift(struct buf *b, size_t n);
// len = 0, memory kept, `failed` cleared.
void buf_reset(struct buf *b);
// The text so far, "" if nothing was added. Valid until the next call on b.
const char *buf_text(const struct buf *b);
// Hands the memory over (to be freed with free), leaves b empty. NULL if nothing was added or b failed.
char *buf_take(struct buf *b);

#endif
