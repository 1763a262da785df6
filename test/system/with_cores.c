// SPDX-License-Identifier: Apache-2.0
// with_cores N PROGRAM ARG...: runs a program that sees N processors, whatever the machine has, so that an
// allocator or a thread pool which goes by them can be watched. sched_getaffinity answers with N bits set,
// and the files under /sys/devices/system/cpu that name the processors say 0 to N - 1: all that musl,
// glibc 2.36, jemalloc 5.3 and Go ask. Everything else runs at full speed: a seccomp filter stops the program
// at that one system call only (seccomp(2), SECCOMP_RET_TRACE; ptrace(2), PTRACE_EVENT_SECCOMP). Needs root
// for the mounts.
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base.h"

#define CORES_MAX 1024

static int die(const char *what)
{
    fprintf(stderr, "with_cores: %s: %s\n", what, strerror(errno));
    exit(125);
}

// --- the child: what it sees, then the program ---------------------------------------------------

static void cover(const char *path, const char *text)
{
    char name[] = "/tmp/with-cores-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fchmod(fd, 0444) != 0)
        die(name);
    if (mount(name, path, NULL, MS_BIND, NULL) != 0)
        die(path);
    close(fd);
    unlink(name);
}

static void stop_at_affinity(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_getaffinity, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {ARRAY_LEN(code), code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        die("seccomp");
}

static void become(unsigned cores, char **argv)
{
    char list[32];
    snprintf(list, sizeof(list), cores > 1 ? "0-%u\n" : "%u\n", cores - 1);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        die("mount namespace");
    cover("/sys/devices/system/cpu/online", list);
    cover("/sys/devices/system/cpu/possible", list);
    cover("/sys/devices/system/cpu/present", list);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        die("ptrace");
    raise(SIGSTOP);
    stop_at_affinity();
    execvp(argv[0], argv);
    die(argv[0]);
}

// --- the parent: answers the one call ------------------------------------------------------------

// The call is let run with its own arguments; what it wrote is written over when it returns.
static void answer(pid_t pid, unsigned cores)
{
    struct user_regs_struct regs;
    uint8_t mask[CORES_MAX / 8] = {0};
    struct iovec io = {&regs, sizeof(regs)};
    if (ptrace(PTRACE_GETREGSET, pid, (void *)1L, &io) != 0) // NT_PRSTATUS
        die("registers");
    size_t len = MIN((size_t)regs.rsi, sizeof(mask));
    for (unsigned i = 0; i < cores && i / 8 < len; i++)
        mask[i / 8] |= (uint8_t)(1u << i % 8);
    const struct iovec here = {mask, len}, there = {(void *)(size_t)regs.rdx, len};
    if (8 * len < cores)
        regs.rax = (unsigned long long)-EINVAL; // as the kernel does
    else if (process_vm_writev(pid, &here, 1, &there, 1, 0) == (ssize_t)len)
        regs.rax = len;
    else
        die("the program's memory");
    if (ptrace(PTRACE_SETREGSET, pid, (void *)1L, &io) != 0)
        die("registers");
}

// Runs until the program ends. A call that was stopped at is followed to its end, and answered there.
static int watch(pid_t main_pid, unsigned cores)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0)
            die("wait");
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid == main_pid)
                return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        int event = status >> 16, sig = WSTOPSIG(status);
        if (sig == (SIGTRAP | 0x80)) { // the call returns
            answer(pid, cores);
            ptrace(PTRACE_CONT, pid, NULL, NULL);
        } else if (event == PTRACE_EVENT_SECCOMP) {
            ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
        } else {
            bool ours = event != 0 || sig == SIGTRAP || sig == SIGSTOP;
            ptrace(PTRACE_CONT, pid, NULL, (void *)(long)(ours ? 0 : sig));
        }
    }
}

static pid_t child;

static void forward(int sig)
{
    kill(child, sig);
}

int main(int argc, char **argv)
{
    uint64_t cores;
    if (argc < 3 || base_parse_u64(argv[1], 1, CORES_MAX, &cores) < 0) {
        fprintf(stderr, "usage: with_cores N PROGRAM ARG... (N: 1 to %d)\n", CORES_MAX);
        return 2;
    }
    child = fork();
    if (child < 0)
        die("fork");
    if (child == 0)
        become((unsigned)cores, argv + 2);
    int status;
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
        die("start");
    const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL |
                         PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
    if (ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)options) != 0)
        die("ptrace");
    signal(SIGTERM, forward);
    signal(SIGINT, forward);
    ptrace(PTRACE_CONT, child, NULL, NULL);
    return watch(child, (unsigned)cores);
}
