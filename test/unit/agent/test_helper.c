// SPDX-License-Identifier: Apache-2.0
// A child process that is started, dies, is started again, hangs, and is not wanted any more. The child is
// this very program, told by its environment what to be.
#include "test/unit/check.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent/helper.h"
#include "lib/log.h"

#define ROLE "KUBECANARY_TEST_HELPER"

// --- the child -----------------------------------------------------------------------------------

static int open_descriptors(void)
{
    int n = -1; // the folder's own
    DIR *d = opendir("/proc/self/fd");
    for (const struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void describe(char *out, size_t size)
{
    int death = 0;
    sigset_t mask;
    prctl(PR_GET_PDEATHSIG, &death);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    snprintf(out, size, "%d descriptors, signal %d, SIGCHLD %s", open_descriptors(), death,
             sigismember(&mask, SIGCHLD) ? "blocked" : "free");
}

static void __attribute__((constructor)) child(void)
{
    const char *role = getenv(ROLE);
    char text[128];
    if (!role)
        return;
    if (strcmp(role, "die") == 0)
        _exit(3);
    for (ssize_t n; (n = recv(3, text, sizeof(text), 0)) > 0;) {
        if (text[0] == 'd')
            describe(text, sizeof(text));
        else if (text[0] == 'x')
            _exit(4);
        else if (text[0] == 'k')
            kill(getpid(), SIGKILL);
        else
            snprintf(text, sizeof(text), "%d", getpid());
        send(3, text, strlen(text) + 1, MSG_NOSIGNAL);
        if (text[0] == 'x')
            _exit(0);
    }
    while (strcmp(role, "stay") == 0)
        pause();
    _exit(0);
}

// --- the parent ----------------------------------------------------------------------------------

static struct loop *loop;
static struct helper *helper;
static int gone, gone_fd;

static void on_gone(void *arg UNUSED)
{
    gone++;
    gone_fd = helper_fd(helper);
}

static bool begin(const char *role)
{
    struct err e;
    log_init(LOG_ERROR, STDERR_FILENO);
    gone = 0;
    if (setenv(ROLE, role, 1) != 0 || !(loop = loop_new(&e)))
        return false;
    helper = helper_new(loop, "test_helper", on_gone, NULL, &e);
    if (helper)
        helper_want(helper, true);
    return helper != NULL;
}

static void finish(void)
{
    helper_free(helper);
    loop_free(loop);
    unsetenv(ROLE);
}

// Runs the loop until so.
#define UNTIL(cond)                                            \
    for (unsigned turns_ = 0; !(cond) && turns_ < 600;) {      \
        struct err err_;                                       \
        CHECK_INT(loop_once(loop, 100 * NS_PER_MS, &err_), 0); \
        turns_++;                                              \
    }                                                          \
    CHECK(cond)

static const char *ask(const char *what)
{
    static char text[128];
    struct err e;
    if (send(helper_fd(helper), what, strlen(what) + 1, MSG_NOSIGNAL) < 0)
        return "";
    for (unsigned i = 0; i < 600; i++) {
        ssize_t n = recv(helper_fd(helper), text, sizeof(text), 0);
        if (n > 0)
            return text;
        if (n == 0 || errno != EAGAIN || loop_once(loop, 10 * NS_PER_MS, &e) != 0)
            return "";
    }
    return "";
}

static int ask_pid(void)
{
    uint64_t pid;
    return base_parse_u64(ask("p"), 1, INT32_MAX, &pid) == 0 ? (int)pid : 0;
}

static bool childless(void)
{
    return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

static void test_talks(void)
{
    CHECK(begin("talk"));
    CHECK(helper_stats(helper).running);
    CHECK(ask_pid() > 0);
    CHECK_STR(ask("d"), "4 descriptors, signal 9, SIGCHLD free");
    CHECK_INT(helper_stats(helper).restarts, 0);
    finish();
    CHECK_INT(gone, 1);
    CHECK(childless());
}

static void test_is_started_again(void)
{
    static const char *const deaths[] = {"x", "k"};
    CHECK(begin("talk"));
    for (unsigned i = 0; i < 2; i++) {
        int before = ask_pid();
        CHECK_INT(helper_stats(helper).backoff_ns, HELPER_BACKOFF_MIN_NS << i);
        CHECK(before > 0);
        ask(deaths[i]);
        UNTIL(gone == (int)i + 1);
        CHECK_INT(helper_fd(helper), -1);
        CHECK(gone_fd >= 0); // it could still be read
        CHECK(childless());
        CHECK_INT(helper_stats(helper).restarts, i);
        UNTIL(helper_stats(helper).running);
        CHECK_INT(helper_stats(helper).restarts, i + 1);
        CHECK(ask_pid() > 0 && ask_pid() != before);
    }
    helper_want(helper, false);
    UNTIL(childless());
    CHECK_INT(helper_stats(helper).backoff_ns, HELPER_BACKOFF_MIN_NS);
    finish();
}

static void test_backs_off(void)
{
    CHECK(begin("die"));
    UNTIL(helper_stats(helper).restarts == 1);
    UNTIL(gone == 2);
    CHECK_INT(helper_stats(helper).backoff_ns, 4 * HELPER_BACKOFF_MIN_NS);
    helper_want(helper, false); // while it waits: that is the end
    CHECK(!helper_stats(helper).running && childless());
    helper_want(helper, true); // and this a beginning
    CHECK(helper_stats(helper).running);
    CHECK_INT(helper_stats(helper).restarts, 1);
    finish();
    CHECK(childless());
}

static void test_is_ended(void)
{
    CHECK(begin("talk"));
    CHECK(ask_pid() > 0);
    helper_want(helper, false);
    CHECK_INT(gone, 1);
    CHECK_INT(helper_fd(helper), -1);
    helper_want(helper, true); // before it has ended
    CHECK(!helper_stats(helper).running);
    UNTIL(helper_stats(helper).running);
    CHECK(ask_pid() > 0);
    CHECK_INT(helper_stats(helper).restarts, 0);
    finish();
    CHECK(childless());
}

// One that does not see that its socket is closed.
static void test_hangs(void)
{
    CHECK(begin("stay"));
    CHECK(ask_pid() > 0);
    helper_want(helper, false);
    UNTIL(childless());
    CHECK_INT(gone, 1);
    finish();
}

static void test_condemned(void)
{
    struct err e;
    CHECK(begin("stay"));
    log_init(LOG_ERROR, -1);
    int before = ask_pid();
    err_set(&e, EPROTO, "nonsense");
    helper_condemn(helper, &e);
    CHECK_INT(helper_fd(helper), -1);
    helper_condemn(helper, &e); // once is enough
    UNTIL(helper_stats(helper).running);
    CHECK(ask_pid() > 0 && ask_pid() != before);
    CHECK_INT(helper_stats(helper).restarts, 1);
    CHECK_INT(gone, 1);
    finish();
}

static void test_is_not_there(void)
{
    struct err e;
    loop = loop_new(&e);
    gone = 0;
    helper = helper_new(loop, "no-such-program", on_gone, NULL, &e);
    CHECK(helper && !helper_stats(helper).wanted);
    helper_want(helper, true);
    UNTIL(gone == 1);
    CHECK(!helper_stats(helper).running);
    CHECK(childless());
    finish();
}

static const struct check_case cases[] = {
    {"it talks", test_talks},
    {"started again", test_is_started_again},
    {"backs off", test_backs_off},
    {"is ended", test_is_ended},
    {"hangs", test_hangs},
    {"condemned", test_condemned},
    {"is not there", test_is_not_there},
};
CHECK_MAIN(cases)
