// SPDX-License-Identifier: Apache-2.0
// With which status a program ends whose output arrived, or did not. It is a child, as its standard output is
// not ours.
#include "test/unit/check.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "lib/output.h"

static char said[256]; // on stderr

static _Noreturn void child(const char *out, int buffered, int status, int err_fd)
{
    int fd = open(out, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(err_fd, STDERR_FILENO) < 0)
        _exit(100);
    setvbuf(stdout, NULL, buffered, BUFSIZ);
    puts("x");
    _exit(output_finish("a-program", status));
}

// The exit status of a program that prints a line and would end with this one; -1: something failed here.
// buffered: _IOFBF: it is written at the end, _IONBF: at once.
static int run(const char *out, int buffered, int status)
{
    int ends[2], how;
    size_t len = 0;
    fflush(stdout);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    CLEANUP_FD int from = ends[0];
    pid_t pid = fork();
    if (pid == 0)
        child(out, buffered, status, ends[1]);
    close(ends[1]);
    for (ssize_t n; len < sizeof(said) - 1 && (n = read(from, said + len, sizeof(said) - 1 - len)) > 0;)
        len += (size_t)n;
    said[len] = '\0';
    return pid > 0 && waitpid(pid, &how, 0) == pid && WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

static void test_arrived(void)
{
    CHECK_INT(run("/dev/null", _IOFBF, 0), 0);
    CHECK_STR(said, "");
    CHECK_INT(run("/dev/null", _IONBF, 0), 0);
    CHECK_STR(said, "");
}

static void test_did_not_arrive(void)
{
    CHECK_INT(run("/dev/full", _IOFBF, 0), 1);
    CHECK_STR(said, "a-program: standard output: No space left on device\n");
}

// It failed some time ago, and nothing is left to be written: why is not known any more.
static void test_had_not_arrived(void)
{
    CHECK_INT(run("/dev/full", _IONBF, 0), 1);
    CHECK_STR(said, "a-program: standard output: Input/output error\n");
}

// It has failed already, and said why.
static void test_failed(void)
{
    CHECK_INT(run("/dev/null", _IOFBF, 3), 3);
    CHECK_STR(said, "");
    CHECK_INT(run("/dev/full", _IOFBF, 3), 3);
    CHECK_STR(said, "");
}

static const struct check_case cases[] = {
    {"it arrived", test_arrived},
    {"it did not arrive", test_did_not_arrive},
    {"it had not arrived before", test_had_not_arrived},
    {"the program failed", test_failed},
};
CHECK_MAIN(cases)
