// SPDX-License-Identifier: Apache-2.0
// Runs a program whose chosen system calls are answered differently. A seccomp filter of the caller's decides
// which; those that it lets through run at full speed, those with SECCOMP_RET_TRACE stop the program
// (seccomp(2); ptrace(2), PTRACE_EVENT_SECCOMP), before the call and after it. x86-64.
#ifndef KUBECANARY_TEST_TRACED_H
#define KUBECANARY_TEST_TRACED_H

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base.h"

// Of a call that was stopped at. May change the registers: true if it did.
typedef bool traced_fn(pid_t pid, struct user_regs_struct *regs, const void *arg);

struct traced {
    const char *name; // of the test program, for what goes wrong
    struct sock_fprog filter;
    void (*prepare)(const void *arg); // in the child, before the filter; NULL: nothing
    traced_fn *before;                // NULL: nothing
    traced_fn *after;                 // NULL: nothing
    const void *arg;
};

static const char *traced_name;
static pid_t traced_child;

static int traced_die(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", traced_name, what, strerror(errno));
    exit(125);
}

static void traced_become(const struct traced *t, char **argv)
{
    if (t->prepare)
        t->prepare(t->arg);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        traced_die("ptrace");
    raise(SIGSTOP);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &t->filter) != 0)
        traced_die("seccomp");
    execvp(argv[0], argv);
    traced_die(argv[0]);
}

static void traced_handle(const struct traced *t, traced_fn *fn, pid_t pid)
{
    struct user_regs_struct regs;
    struct iovec io = {&regs, sizeof(regs)};
    if (!fn)
        return;
    if (ptrace(PTRACE_GETREGSET, pid, (void *)1L, &io) != 0) // NT_PRSTATUS
        traced_die("registers");
    if (fn(pid, &regs, t->arg) && ptrace(PTRACE_SETREGSET, pid, (void *)1L, &io) != 0)
        traced_die("registers");
}

// Runs until the program ends.
static int traced_watch(const struct traced *t)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0)
            traced_die("wait");
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid == traced_child)
                return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        int event = status >> 16, sig = WSTOPSIG(status);
        if (sig == (SIGTRAP | 0x80)) { // the call returns
            traced_handle(t, t->after, pid);
            ptrace(PTRACE_CONT, pid, NULL, NULL);
        } else if (event == PTRACE_EVENT_SECCOMP) {
            traced_handle(t, t->before, pid);
            ptrace(t->after ? PTRACE_SYSCALL : PTRACE_CONT, pid, NULL, NULL);
        } else {
            bool ours = event != 0 || sig == SIGTRAP || sig == SIGSTOP;
            ptrace(PTRACE_CONT, pid, NULL, (void *)(long)(ours ? 0 : sig));
        }
    }
}

static void traced_forward(int sig)
{
    kill(traced_child, sig);
}

// Returns what the program ended with.
static int traced_run(const struct traced *t, char **argv)
{
    traced_name = t->name;
    traced_child = fork();
    if (traced_child < 0)
        traced_die("fork");
    if (traced_child == 0)
        traced_become(t, argv);
    int status;
    if (waitpid(traced_child, &status, 0) != traced_child || !WIFSTOPPED(status))
        traced_die("start");
    const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL |
                         PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
    if (ptrace(PTRACE_SETOPTIONS, traced_child, NULL, (void *)options) != 0)
        traced_die("ptrace");
    signal(SIGTERM, traced_forward);
    signal(SIGINT, traced_forward);
    ptrace(PTRACE_CONT, traced_child, NULL, NULL);
    return traced_watch(t);
}

#endif
