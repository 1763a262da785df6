// SPDX-License-Identifier: Apache-2.0
#include "lib/stdfd.h"

#include <errno.h>
#include <fcntl.h>

int stdfd_open(struct err *e)
{
    // The direction that is of no use fails, where it matters.
    static const int modes[] = {
        [STDIN_FILENO] = O_WRONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_WRONLY};
    for (int fd = 0; fd < (int)ARRAY_LEN(modes); fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        if (open("/dev/null", modes[fd]) < 0) // it is the lowest one free: fd
            return err_sys(e, errno, "/dev/null");
    }
    return 0;
}
