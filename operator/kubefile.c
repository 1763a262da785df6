// SPDX-License-Identifier: Apache-2.0
// Reads small text files and decodes base64.
#include "operator/kubefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"

int kubefile_read(const char *path, size_t max, char **ret, struct err *e)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, errno, "%s", path);
    CLEANUP_BUF struct buf b;
    char piece[4096];
    ssize_t n;
    buf_init(&b, max);
    while ((n = read(fd, piece, sizeof(piece))) > 0) {
        if (memchr(piece, '\0', (size_t)n))
            return err_set(e, EINVAL, "%s: is not a text file", path);
        buf_add(&b, piece, (size_t)n);
        if (b.over)
            return err_set(e, E2BIG, "%s: more than %zu bytes", path, max);
    }
    if (n < 0)
        return err_sys(e, errno, "%s", path);
    buf_add(&b, "", 0); // so that an empty file is a text too
    char *text = buf_take(&b);
    if (!text)
        return err_set(e, ENOMEM, "%s: no memory", path);
    *ret = text;
    return 0;
}

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int kubefile_base64(const char *text, char **ret, struct err *e)
{
    CLEANUP_FREE char *out = malloc(strlen(text) / 4 * 3 + 4);
    size_t len = 0, digits = 0, pads = 0;
    uint32_t bits = 0;
    if (!out)
        return err_set(e, ENOMEM, "no memory for base64");
    for (const char *p = text; *p; p++) {
        if (strchr(" \t\r\n", *p))
            continue;
        int d = digit(*p);
        if (*p == '=' && digits % 4 >= 2 && pads < 2)
            d = 0, pads++;
        else if (d < 0 || pads > 0)
            return err_set(e, EINVAL, "is not base64");
        bits = bits << 6 | (uint32_t)d;
        if (++digits % 4 == 0) {
            for (unsigned i = 0; i < 3 - pads; i++) {
                out[len] = (char)(bits >> (16 - 8 * i) & 0xff);
                if (out[len++] == '\0')
                    return err_set(e, EINVAL, "is not text");
            }
        }
    }
    if (digits % 4 != 0)
        return err_set(e, EINVAL, "is not base64");
    out[len] = '\0';
    *ret = TAKE_PTR(out);
    return 0;
}

bool kubefile_has_pem(const char *text, const char *kind)
{
    const char *begin = strstr(text, "-----BEGIN ");
    while (begin) {
        const char *end = strstr(begin + 11, "-----");
        if (end && memmem(begin, (size_t)(end - begin), kind, strlen(kind)))
            return true;
        begin = strstr(begin + 11, "-----BEGIN ");
    }
    return false;
}
