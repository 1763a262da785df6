// SPDX-License-Identifier: Apache-2.0
#include "lib/output.h"

#include <errno.h>
#include <stdio.h>

int output_end(struct err *e)
{
    bool failed_before = ferror(stdout) != 0; // some time ago: errno has been anything since
    if (fflush(stdout) != 0)
        return err_sys(e, errno, "standard output");
    return failed_before ? err_sys(e, EIO, "standard output") : 0;
}

int output_finish(const char *program, int status)
{
    struct err e;
    if (status != 0 || output_end(&e) == 0)
        return status;
    fprintf(stderr, "%s: %s\n", program, e.msg);
    return 1;
}
