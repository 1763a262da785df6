// SPDX-License-Identifier: Apache-2.0
// Standard descriptors: what is closed is opened on nothing. It is a child that closes them, as ours are the
// test's.
#include "lib/stdfd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "test/unit/check.h"

static bool is_null(int fd)
{
    struct stat s, null;
    return fstat(fd, &s) == 0 && stat("/dev/null", &null) == 0 && s.st_rdev == null.st_rdev &&
           S_ISCHR(s.st_mode);
}

// In the child: 0, or which expectation failed.
static int check_without(unsigned closed)
{
    struct err e = {0};
    for (int fd = 0; fd < 3; fd++)
        if (closed & 1u << fd)
            close(fd);
    if (stdfd_open(&e) < 0)
        return 1;
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 || ((closed & 1u << fd) && !is_null(fd)))
            return 2;
    if ((closed & 1u << STDERR_FILENO) && write(STDERR_FILENO, "x", 1) != 1)
        return 3;
    if ((closed & 1u << STDOUT_FILENO) && (write(STDOUT_FILENO, "x", 1) >= 0 || errno != EBADF))
        return 4;
    return open("/dev/zero", O_RDONLY | O_CLOEXEC) > STDERR_FILENO ? 0 : 5;
}

// The exit status of a child that closes some (bits 1 << fd) and opens what is missing. Nothing is printed in
// it: what it would print to may be closed.
static int without(unsigned closed)
{
    pid_t child = fork();
    int status = -1;
    if (child == 0)
        _exit(check_without(closed));
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static void test_closed(void)
{
    for (unsigned closed = 0; closed < 8; closed++)
        CHECK_INT(without(closed), 0);
}

static const struct check_case cases[] = {
    {"closed descriptors", test_closed},
};
CHECK_MAIN(cases)
