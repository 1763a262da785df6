// SPDX-License-Identifier: Apache-2.0
// When to look at the files and what to do with what was found. A look is cheap: it compares the files' stat
// data with those of the last look, and reads only what changed. inotify on the directory makes it prompt, a
// slow poll makes it certain.
#include "agent/inputs.h"

#include <errno.h>
#include <sys/inotify.h>
#include <time.h>

#include "agent/inputs_read.h"
#include "lib/limits.h"
#include "lib/log.h"

// A mount that is swapped while it is read is read again; so often before the error is believed.
#define RACES 10

struct inputs {
    struct loop *loop;
    char *dir;
    uint64_t poll_ns;
    inputs_apply_fn *apply;
    void *arg;
    struct inputs_state state;
    int notify;
    int watch; // inotify's, -1: none
    struct loop_fd fd;
    struct loop_timer timer;
    uint64_t seen; // fingerprint of the files that the state is about; 0: none
    int races;
};

static void look_later(struct inputs *in, uint64_t delay_ns);

static void rewatch(struct inputs *in)
{
    if (in->watch < 0 && in->notify >= 0)
        in->watch = inotify_add_watch(in->notify, in->dir,
                                      IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_DELETE |
                                          IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
}

static void succeed(struct inputs *in, const struct inputs_files *f)
{
    struct inputs_state *s = &in->state;
    struct timespec ts;
    bool news = !s->last_ok || s->generation != f->agent.generation;
    log_write(news ? LOG_INFO : LOG_DEBUG, "configuration in force",
              LOG_FIELDS(LOG_STR("fleet", f->agent.fleet), LOG_INT("generation", f->agent.generation),
                         LOG_INT("peers", f->peers.n), LOG_INT("targets", f->agent.spec.n_targets)));
    s->loaded = s->last_ok = true;
    s->generation = f->agent.generation;
    s->loads++;
    if (clock_gettime(CLOCK_REALTIME, &ts) == 0)
        s->loaded_real = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void fail(struct inputs *in, const struct err *e, bool changed)
{
    struct inputs_state *s = &in->state;
    bool same = s->failures > 0 && !s->last_ok && strcmp(s->err.msg, e->msg) == 0 &&
                strcmp(s->err.path, e->path) == 0;
    s->last_ok = false;
    s->err = *e;
    s->failures += changed || !same;
    if (!same)
        log_warn(s->loaded ? "configuration not taken, the last good one stays in force"
                           : "no configuration yet",
                 LOG_STR("dir", in->dir), LOG_ERR(e));
}

// Content stays bad until it changes; anything else (memory, descriptors, a file that is missing) is tried
// again.
static bool worth_another_try(const struct inputs_state *s)
{
    return !s->last_ok && s->err.code != EINVAL && s->err.code != E2BIG && s->err.code != EEXIST;
}

static void look(struct inputs *in)
{
    CLEANUP_INPUTS_FILES struct inputs_files files = {0};
    struct err e;
    rewatch(in);
    uint64_t now = inputs_fingerprint(in->dir);
    bool changed = now != in->seen;
    if (!changed && !worth_another_try(&in->state)) {
        look_later(in, in->poll_ns);
        return;
    }
    int r = inputs_read(in->dir, &files, &e);
    if (inputs_fingerprint(in->dir) != now && in->races++ < RACES) {
        look_later(in, LIMIT_INPUTS_SETTLE_NS); // it changed under our eyes: neither good nor bad
        return;
    }
    in->races = 0;
    if (r == 0)
        r = in->apply(&files, in->arg, &e);
    in->seen = now;
    if (r == 0)
        succeed(in, &files);
    else
        fail(in, &e, changed);
    look_later(in, in->poll_ns);
}

static void on_timer(struct loop_timer *t UNUSED, void *arg)
{
    look(arg);
}

static void look_later(struct inputs *in, uint64_t delay_ns)
{
    struct err e;
    // The slot in the heap was there for the first look; should it fail all the same, the next event arms it.
    if (loop_timer_set(in->loop, &in->timer, loop_now(in->loop) + delay_ns, on_timer, in, &e) < 0)
        log_warn("the files will be looked at only when they change", LOG_ERR(&e));
}

static void on_event(struct loop_fd *fd, uint32_t events UNUSED, void *arg)
{
    struct inputs *in = arg;
    _Alignas(struct inotify_event) char text[4096];
    ssize_t n = read(fd->fd, text, sizeof(text));
    for (char *at = text; n > 0 && at < text + n;) {
        const struct inotify_event *event = (const struct inotify_event *)at;
        if (event->mask & IN_IGNORED && event->wd == in->watch)
            in->watch = -1;
        if (event->mask & IN_MOVE_SELF && in->watch >= 0) {
            inotify_rm_watch(in->notify, in->watch); // it is another directory's now
            in->watch = -1;
        }
        at += sizeof(*event) + event->len;
    }
    look_later(in, LIMIT_INPUTS_SETTLE_NS);
}

struct inputs *inputs_new(struct loop *l, const char *dir, uint64_t poll_ns, inputs_apply_fn *apply,
                          void *arg, struct err *e)
{
    struct inputs *in = calloc(1, sizeof(*in));
    if (!in) {
        err_set(e, ENOMEM, "no memory for the files' watcher");
        return NULL;
    }
    *in = (struct inputs){
        .loop = l, .poll_ns = poll_ns, .apply = apply, .arg = arg, .watch = -1, .dir = strdup(dir)};
    in->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (in->notify < 0) // instances are few for each user id, and others may run under ours
        log_warn("no inotify instance: changed files are seen by polling only", LOG_STR("dir", dir));
    if (!in->dir)
        err_set(e, ENOMEM, "no memory for the directory's name");
    if (!in->dir || (in->notify >= 0 && loop_fd_add(l, &in->fd, in->notify, EPOLLIN, on_event, in, e) < 0)) {
        inputs_free(in);
        return NULL;
    }
    look(in);
    return in;
}

void inputs_free(struct inputs *in)
{
    if (!in)
        return;
    loop_fd_del(in->loop, &in->fd);
    loop_timer_cancel(in->loop, &in->timer);
    if (in->notify >= 0)
        close(in->notify);
    free(in->dir);
    free(in);
}

const struct inputs_state *inputs_state(const struct inputs *in)
{
    return &in->state;
}
