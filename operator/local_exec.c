// SPDX-License-Identifier: Apache-2.0
// fork, drop everything, exec. Between fork and exec only system calls are made.
#include "operator/local_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/file.h"

// Whether /proc/self/{uid,gid}_map has the id: not in a user namespace that only maps its maker.
static bool is_mapped(const char *path, unsigned id)
{
    struct err ignored;
    CLEANUP_FREE char *text = NULL;
    if (file_read(path, 65536, &text, NULL, &ignored) < 0)
        return false;
    unsigned inside, outside, count;
    for (char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (sscanf(line, "%u %u %u", &inside, &outside, &count) == 3 && id >= inside && id - inside < count)
            return true;
    }
    return false;
}

static bool can_change_ids(void)
{
    return geteuid() == 0 && is_mapped("/proc/self/uid_map", LOCAL_EXEC_ID) &&
           is_mapped("/proc/self/gid_map", LOCAL_EXEC_ID);
}

static void open_ping_sockets(gid_t gid)
{
    char text[32];
    int fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);
    int n = snprintf(text, sizeof(text), "%u %u\n", (unsigned)gid, (unsigned)gid);
    if (fd < 0 || write(fd, text, (size_t)n) != n)
        dprintf(2, "cannot open ping sockets to group %u: %s\n", (unsigned)gid, strerror(errno));
}

static int drop_ids(void)
{
    gid_t none = 0;
    return setgroups(0, &none) | setresgid(LOCAL_EXEC_ID, LOCAL_EXEC_ID, LOCAL_EXEC_ID) |
           setresuid(LOCAL_EXEC_ID, LOCAL_EXEC_ID, LOCAL_EXEC_ID);
}

// Uid 0 of a user namespace keeps its uid but gets no capability from exec.
static void drop_capabilities(void)
{
    prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0);
}

static void restore_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
}

static _Noreturn void run_child(const struct local_exec *x, pid_t parent, bool change_ids, int program,
                                int failure)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int log = open(x->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (null < 0 || log < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
        goto fail;
    if (setns(x->netns, CLONE_NEWNET) < 0)
        goto fail;
    if (x->ping)
        open_ping_sockets(change_ids ? LOCAL_EXEC_ID : getegid());
    drop_capabilities();
    if (change_ids && drop_ids() != 0)
        goto fail;
    // After the change of ids, which clears it.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        goto fail;
    if (getppid() != parent)
        _exit(127);
    restore_signals();
    execve(x->program, x->argv, x->envp);
    if (errno == EACCES) // a path that only root may walk: the program is open already
        execveat(program, "", x->argv, x->envp, AT_EMPTY_PATH);
fail:;
    int code = errno;
    if (write(failure, &code, sizeof(code)) != sizeof(code))
        _exit(126);
    _exit(127);
}

// What the child says before its exec closes the pipe: 0, or why it could not.
static int read_failure(int fd)
{
    int code = 0;
    ssize_t n;
    do
        n = read(fd, &code, sizeof(code));
    while (n < 0 && errno == EINTR);
    return n == sizeof(code) ? code : 0;
}

int local_exec_start(const struct local_exec *x, pid_t *ret_pid, int *ret_pidfd, struct err *e)
{
    int ends[2];
    CLEANUP_FD int program = open(x->program, O_RDONLY | O_CLOEXEC);
    if (program < 0)
        return err_sys(e, errno, "%s", x->program);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(e, errno, "cannot start %s", x->program);
    CLEANUP_FD int from = ends[0];
    CLEANUP_FD int to = ends[1];
    bool change_ids = can_change_ids();
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        return err_sys(e, errno, "cannot start %s", x->program);
    if (pid == 0)
        run_child(x, parent, change_ids, program, to);
    base_cleanup_fd(&to);
    int code = read_failure(from);
    CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0); // close-on-exec by itself
    code = code == 0 && pidfd < 0 ? errno : code;
    if (code) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return err_sys(e, code, "cannot start %s", x->program);
    }
    *ret_pid = pid;
    *ret_pidfd = TAKE_FD(pidfd);
    return 0;
}
