// SPDX-License-Identifier: Apache-2.0
// Reads until end of file, so that files of /proc and pipes, whose size is unknown, work too.
#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>

#include "lib/buf.h"

int file_read(const char *path, size_t max, char **ret, size_t *ret_len, struct err *e)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, errno, "%s", path);
    CLEANUP_BUF struct buf b;
    buf_init(&b, max);
    buf_add(&b, "", 0); // so that an empty file is an empty string, not NULL
    for (;;) {
        char piece[8192];
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, errno, "%s", path);
        if (n == 0)
            break;
        buf_add(&b, piece, (size_t)n);
        if (b.over)
            return err_set(e, E2BIG, "%s: larger than %zu bytes", path, max);
        if (b.failed)
            return err_set(e, ENOMEM, "%s: no memory", path);
    }
    size_t len = b.len;
    char *text = buf_take(&b);
    if (!text)
        return err_set(e, ENOMEM, "%s: no memory", path);
    *ret = text;
    if (ret_len)
        *ret_len = len;
    return 0;
}
