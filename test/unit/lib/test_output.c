// SPDX-License-Identifier: Apache-2.0
// With which status a program ends whose output arrived, or did not. It is a child, as its standard output is
// not ours.
#include "test/unit/check.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "lib/output.h"

static char said[256]; // on stderr

static _Noreturn void child(const char *out, size_t len, int err_fd)
{
    static char text[100000];
    int fd = open(out, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(err_fd, STDERR_FILENO) < 0)
        _exit(100);
    memset(text, 'x', len);
    _exit(output_result("a-program", text));
}

// The exit status of a program that prints so much; -1: something failed here.
static int run(const char *out, size_t printed)
{
    int ends[2], how;
    size_t len = 0;
    fflush(stdout);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    CLEANUP_FD int from = ends[0];
    pid_t pid = fork();
    if (pid == 0)
        child(out, printed, ends[1]);
    close(ends[1]);
    for (ssize_t n; len < sizeof(said) - 1 && (n = read(from, said + len, sizeof(said) - 1 - len)) > 0;)
        len += (size_t)n;
    said[len] = '\0';
    return pid > 0 && waitpid(pid, &how, 0) == pid && WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

static const size_t lengths[] = {1, 1023, 1024, 4096, 5000, 99999};

static void test_arrived(void)
{
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        CHECK_INT(run("/dev/null", lengths[i]), 0);
        CHECK_STR(said, "");
    }
    CHECK_INT(run("/dev/full", 0), 0);
}

// Why is known however long it is: stdio would know it only of what is still in its buffer.
static void test_did_not_arrive(void)
{
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        CHECK_INT(run("/dev/full", lengths[i]), 1);
        CHECK_STR(said, "a-program: standard output: No space left on device\n");
    }
}

static const struct check_case cases[] = {
    {"it arrived", test_arrived},
    {"it did not arrive", test_did_not_arrive},
};
CHECK_MAIN(cases)
