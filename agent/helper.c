// SPDX-License-Identifier: Apache-2.0
// A child process as a small machine: away, running, ending, or waiting for its next chance.
#include "agent/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/log.h"

#define CHILD_FD 3

struct helper {
    struct loop *loop;
    char path[PATH_MAX];
    helper_gone_fn *on_gone;
    void *arg;
    bool wanted;
    bool asked;       // to end
    bool condemned;   // killed by us: its end is no news, and says nothing of it
    bool restart_due; // the last one ended although it was wanted
    pid_t pid;        // 0: none
    int fd;           // -1: none, or it is ending
    uint64_t started_ns, backoff_ns;
    uint64_t restarts;
    struct loop_timer timer; // of the next start; or, while one is ending, of our patience
};

static void try_start(struct helper *h);

static void on_timer(struct loop_timer *t UNUSED, void *arg)
{
    struct helper *h = arg;
    if (h->pid > 0)
        kill(h->pid, SIGKILL);
    else
        try_start(h);
}

static void set_timer(struct helper *h, uint64_t delay_ns)
{
    struct err e;
    if (loop_timer_set(h->loop, &h->timer, loop_now(h->loop) + delay_ns, on_timer, h, &e) != 0)
        log_error("the helper cannot be watched", LOG_STR("program", h->path), LOG_ERR(&e));
}

static void back_off(struct helper *h)
{
    if (h->backoff_ns == 0)
        h->backoff_ns = HELPER_BACKOFF_MIN_NS;
    set_timer(h, h->backoff_ns);
    h->backoff_ns = MIN(2 * h->backoff_ns, HELPER_BACKOFF_MAX_NS);
}

// --- start ---------------------------------------------------------------------------------------

// In the child: nothing here allocates or locks. What the agent holds is not the helper's.
static _Noreturn void become(const struct helper *h, int fd, pid_t parent)
{
    sigset_t none;
    char *const argv[] = {(char *)(uintptr_t)h->path, NULL};
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) // it ended before we asked to be told
        _exit(0);
    if (fd == CHILD_FD ? fcntl(fd, F_SETFD, 0) != 0 : dup2(fd, CHILD_FD) < 0)
        _exit(126);
    syscall(SYS_close_range, CHILD_FD + 1, ~0U, 0); // they are CLOEXEC anyway; a library's may not be
    execv(h->path, argv);
    _exit(errno == ENOENT ? 127 : 126);
}

static int start(struct helper *h, struct err *e)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return err_sys(e, errno, "no socket for the helper");
    CLEANUP_FD int ours = pair[0], theirs = pair[1];
    if (fcntl(ours, F_SETFL, O_NONBLOCK) != 0)
        return err_sys(e, errno, "no socket for the helper");
    pid_t self = getpid(), pid = fork();
    if (pid < 0)
        return err_sys(e, errno, "no process for the helper");
    if (pid == 0)
        become(h, theirs, self);
    h->pid = pid;
    h->fd = TAKE_FD(ours);
    h->started_ns = loop_now(h->loop);
    return 0;
}

static void try_start(struct helper *h)
{
    struct err e;
    if (!h->wanted || h->pid > 0)
        return;
    loop_timer_cancel(h->loop, &h->timer);
    h->restarts += h->restart_due;
    h->restart_due = h->asked = h->condemned = false;
    if (start(h, &e) == 0) {
        log_info("helper started", LOG_STR("program", h->path), LOG_INT("pid", h->pid));
        return;
    }
    log_warn("helper not started", LOG_STR("program", h->path), LOG_ERR(&e),
             LOG_INT("againInMilliseconds", MAX(h->backoff_ns, HELPER_BACKOFF_MIN_NS) / NS_PER_MS));
    back_off(h);
}

// --- end -----------------------------------------------------------------------------------------

static void hang_up(struct helper *h)
{
    if (h->fd < 0)
        return;
    h->on_gone(h->arg);
    close(h->fd);
    h->fd = -1;
}

static void log_end_unasked(const struct helper *h, int status)
{
    int64_t again_ms = (int64_t)(MAX(h->backoff_ns, HELPER_BACKOFF_MIN_NS) / NS_PER_MS);
    if (h->condemned)
        log_info("killed helper has ended", LOG_STR("program", h->path),
                 LOG_INT("againInMilliseconds", again_ms));
    else
        log_warn("helper ended by itself", LOG_STR("program", h->path),
                 LOG_INT("exitStatus", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
                 LOG_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
                 LOG_INT("againInMilliseconds", again_ms));
}

static void reaped(struct helper *h, int status)
{
    uint64_t ran_ns = loop_now(h->loop) - h->started_ns;
    h->pid = 0;
    loop_timer_cancel(h->loop, &h->timer);
    hang_up(h);
    if (h->asked) {
        log_info("helper ended", LOG_STR("program", h->path));
        try_start(h); // it may be wanted again by now
        return;
    }
    if (ran_ns >= HELPER_BACKOFF_MAX_NS)
        h->backoff_ns = 0;
    log_end_unasked(h, status);
    h->restart_due = true;
    back_off(h);
}

static void on_child(int signo UNUSED, void *arg)
{
    struct helper *h = arg;
    int status;
    if (h->pid > 0 && waitpid(h->pid, &status, WNOHANG) == h->pid)
        reaped(h, status);
}

void helper_want(struct helper *h, bool wanted)
{
    if (h->wanted == wanted)
        return;
    h->wanted = wanted;
    if (wanted) {
        try_start(h); // or later, if the last one is still ending
        return;
    }
    h->restart_due = false;
    h->backoff_ns = 0;
    h->asked = true;
    if (h->pid == 0) {
        loop_timer_cancel(h->loop, &h->timer);
    } else if (h->fd >= 0) {
        hang_up(h); // which it sees, and ends
        set_timer(h, HELPER_STOP_NS);
    }
}

void helper_condemn(struct helper *h, const struct err *why)
{
    if (h->fd < 0)
        return;
    log_error("helper is killed", LOG_STR("program", h->path), LOG_ERR(why));
    hang_up(h);
    h->condemned = true;
    kill(h->pid, SIGKILL);
}

// --- life ----------------------------------------------------------------------------------------

static int find_program(struct helper *h, const char *name, struct err *e)
{
    ssize_t len = readlink("/proc/self/exe", h->path, sizeof(h->path) - 1);
    if (len < 0)
        return err_sys(e, errno, "/proc/self/exe");
    h->path[len] = '\0';
    char *slash = strrchr(h->path, '/');
    size_t at = slash ? (size_t)(slash + 1 - h->path) : 0;
    if (base_copy(h->path + at, sizeof(h->path) - at, name) != 0)
        return err_set(e, ENAMETOOLONG, "the path of %s is too long", name);
    return 0;
}

struct helper *helper_new(struct loop *l, const char *name, helper_gone_fn *on_gone, void *arg, struct err *e)
{
    struct helper *h = calloc(1, sizeof(*h));
    if (!h) {
        err_set(e, ENOMEM, "no memory for the helper");
        return NULL;
    }
    h->loop = l;
    h->on_gone = on_gone;
    h->arg = arg;
    h->fd = -1;
    if (find_program(h, name, e) < 0 || loop_signal(l, SIGCHLD, on_child, h, e) < 0) {
        free(h);
        return NULL;
    }
    return h;
}

void helper_free(struct helper *h)
{
    if (!h)
        return;
    loop_timer_cancel(h->loop, &h->timer);
    hang_up(h);
    if (h->pid > 0) {
        kill(h->pid, SIGKILL); // it keeps nothing that could be lost
        while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    free(h);
}

int helper_fd(const struct helper *h)
{
    return h->fd;
}

struct helper_stats helper_stats(const struct helper *h)
{
    return (struct helper_stats){.wanted = h->wanted,
                                 .running = h->fd >= 0,
                                 .restarts = h->restarts,
                                 .backoff_ns = MAX(h->backoff_ns, HELPER_BACKOFF_MIN_NS)};
}
