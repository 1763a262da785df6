// SPDX-License-Identifier: Apache-2.0
#include "lib/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int output_write(const char *text, size_t len, struct err *e)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, errno, "standard output");
        text += n;
        len -= (size_t)n;
    }
    return 0;
}

int output_result(const char *program, const char *text)
{
    struct err e;
    if (output_write(text, strlen(text), &e) == 0)
        return 0;
    fprintf(stderr, "%s: %s\n", program, e.msg);
    return 1;
}
