// SPDX-License-Identifier: Apache-2.0
// Line framing.
#include "operator/kube_lines.h"

#include <errno.h>
#include <string.h>

void kube_lines_init(struct kube_lines *l)
{
    buf_init(&l->partial, LIMIT_API_OBJECT);
}

void kube_lines_release(struct kube_lines *l)
{
    buf_release(&l->partial);
}

static int deliver(const char *line, size_t len, kube_lines_fn *fn, void *arg)
{
    if (len > 0 && line[len - 1] == '\r')
        len--;
    return len > 0 ? fn(line, len, arg) : 0;
}

int kube_lines_feed(struct kube_lines *l, const char *data, size_t len, kube_lines_fn *fn, void *arg)
{
    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        size_t piece = end ? (size_t)(end - data) : len;
        bool whole = end && l->partial.len == 0;
        if (!whole) {
            buf_add(&l->partial, data, piece);
            if (l->partial.failed)
                return -E2BIG;
        }
        if (end) {
            int r = whole ? deliver(data, piece, fn, arg) : deliver(l->partial.data, l->partial.len, fn, arg);
            buf_reset(&l->partial);
            if (r != 0)
                return r;
            piece++;
        }
        data += piece;
        len -= piece;
    }
    return 0;
}
