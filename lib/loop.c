// SPDX-License-Identifier: Apache-2.0
// epoll, a binary heap of intrusive timers, a signalfd, and a list of deferred frees. Reads the clock once
// per wake-up.
#include "lib/loop.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

// Events taken from one epoll_wait; more stay in the kernel for the next wake-up.
#define BATCH 64
#define SIGNALS 8

struct signal_slot {
    int signo;
    loop_signal_fn *fn;
    void *arg;
};

struct deferred {
    void (*fn)(void *);
    void *ptr;
};

struct loop {
    int epoll;
    int signals;
    sigset_t mask;
    struct loop_fd signal_fd;
    struct signal_slot handlers[SIGNALS];
    size_t n_handlers;
    bool firing; // timers, those up to `due`
    uint64_t due;
    struct loop_timer **heap;
    size_t n_timers, cap_timers;
    struct deferred *deferred;
    size_t n_deferred, cap_deferred;
    struct epoll_event batch[BATCH]; // of the wake-up being dispatched
    int n_batch;
    uint64_t now;
    bool stopped;
};

static uint64_t read_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

struct loop *loop_new(struct err *e)
{
    struct loop *l = calloc(1, sizeof(*l));
    if (!l) {
        err_set(e, ENOMEM, "no memory for the event loop");
        return NULL;
    }
    l->signals = -1;
    sigemptyset(&l->mask);
    l->now = read_clock();
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0) {
        err_sys(e, errno, "epoll_create1");
        free(l);
        return NULL;
    }
    return l;
}

static void run_deferred(struct loop *l)
{
    for (size_t i = 0; i < l->n_deferred; i++)
        l->deferred[i].fn(l->deferred[i].ptr);
    l->n_deferred = 0;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    run_deferred(l);
    for (size_t i = 0; i < l->n_timers; i++)
        l->heap[i]->slot = 0;
    if (l->signals >= 0)
        close(l->signals);
    close(l->epoll);
    free(l->heap);
    free(l->deferred);
    free(l);
}

uint64_t loop_now(const struct loop *l)
{
    return l->now;
}

uint64_t loop_refresh(struct loop *l)
{
    l->now = read_clock();
    return l->now;
}

int loop_fd_add(struct loop *l, struct loop_fd *h, int fd, uint32_t events, loop_fd_fn *fn, void *arg,
                struct err *e)
{
    struct epoll_event ev = {.events = events, .data.ptr = h};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        return err_sys(e, errno, "epoll_ctl add of descriptor %d", fd);
    *h = (struct loop_fd){.fd = fd, .fn = fn, .arg = arg, .active = true};
    return 0;
}

int loop_fd_mod(struct loop *l, struct loop_fd *h, uint32_t events, struct err *e)
{
    struct epoll_event ev = {.events = events, .data.ptr = h};
    if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, h->fd, &ev) < 0)
        return err_sys(e, errno, "epoll_ctl mod of descriptor %d", h->fd);
    return 0;
}

void loop_fd_del(struct loop *l, struct loop_fd *h)
{
    if (!h->active)
        return;
    epoll_ctl(l->epoll, EPOLL_CTL_DEL, h->fd, NULL);
    h->active = false;
    for (int i = 0; i < l->n_batch; i++) {
        if (l->batch[i].data.ptr == h)
            l->batch[i].data.ptr = NULL;
    }
}

static void heap_place(struct loop *l, size_t at, struct loop_timer *t)
{
    l->heap[at] = t;
    t->slot = at + 1;
}

static void heap_up(struct loop *l, size_t at)
{
    struct loop_timer *t = l->heap[at];
    while (at > 0 && l->heap[(at - 1) / 2]->at_ns > t->at_ns) {
        heap_place(l, at, l->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_place(l, at, t);
}

static void heap_down(struct loop *l, size_t at)
{
    struct loop_timer *t = l->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= l->n_timers)
            break;
        if (child + 1 < l->n_timers && l->heap[child + 1]->at_ns < l->heap[child]->at_ns)
            child++;
        if (l->heap[child]->at_ns >= t->at_ns)
            break;
        heap_place(l, at, l->heap[child]);
        at = child;
    }
    heap_place(l, at, t);
}

int loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t at_ns, loop_timer_fn *fn, void *arg,
                   struct err *e)
{
    t->fn = fn;
    t->arg = arg;
    if (t->slot == 0) {
        if (l->n_timers == l->cap_timers) {
            size_t cap = MAX(l->cap_timers * 2, (size_t)16);
            struct loop_timer **heap = realloc(l->heap, cap * sizeof(*heap));
            if (!heap)
                return err_set(e, ENOMEM, "no memory for %zu timers", cap);
            l->heap = heap;
            l->cap_timers = cap;
        }
        l->heap[l->n_timers] = t;
        t->slot = ++l->n_timers;
    }
    t->at_ns = l->firing ? MAX(at_ns, l->due + 1) : at_ns;
    heap_up(l, t->slot - 1);
    heap_down(l, t->slot - 1);
    return 0;
}

void loop_timer_cancel(struct loop *l, struct loop_timer *t)
{
    if (t->slot == 0)
        return;
    size_t at = t->slot - 1;
    t->slot = 0;
    struct loop_timer *last = l->heap[--l->n_timers];
    if (last == t)
        return;
    heap_place(l, at, last);
    heap_up(l, at);
    heap_down(l, last->slot - 1);
}

static void on_signal(struct loop_fd *fd, uint32_t events UNUSED, void *arg)
{
    struct loop *l = arg;
    struct signalfd_siginfo info;
    while (read(fd->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        for (size_t i = 0; i < l->n_handlers; i++) {
            if (l->handlers[i].signo == (int)info.ssi_signo)
                l->handlers[i].fn(l->handlers[i].signo, l->handlers[i].arg);
        }
    }
}

int loop_signal(struct loop *l, int signo, loop_signal_fn *fn, void *arg, struct err *e)
{
    assert(l->n_handlers < SIGNALS);
    sigaddset(&l->mask, signo);
    if (sigprocmask(SIG_BLOCK, &l->mask, NULL) < 0)
        return err_sys(e, errno, "sigprocmask");
    int fd = signalfd(l->signals, &l->mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return err_sys(e, errno, "signalfd");
    l->handlers[l->n_handlers++] = (struct signal_slot){.signo = signo, .fn = fn, .arg = arg};
    if (l->signals >= 0)
        return 0;
    int r = loop_fd_add(l, &l->signal_fd, fd, EPOLLIN, on_signal, l, e);
    if (r < 0) {
        l->n_handlers--;
        close(fd);
        return r;
    }
    l->signals = fd;
    return 0;
}

void loop_defer(struct loop *l, void (*free_fn)(void *), void *ptr)
{
    if (l->n_deferred == l->cap_deferred) {
        size_t cap = MAX(l->cap_deferred * 2, (size_t)16);
        struct deferred *list = realloc(l->deferred, cap * sizeof(*list));
        if (!list)
            return; // leaks ptr: freeing it now would be worse
        l->deferred = list;
        l->cap_deferred = cap;
    }
    l->deferred[l->n_deferred++] = (struct deferred){.fn = free_fn, .ptr = ptr};
}

// Rounds up to epoll's milliseconds, so that a timer is never early and the loop never spins on the last
// fraction.
static int wait_ms(const struct loop *l, uint64_t max_wait_ns)
{
    uint64_t wait = max_wait_ns;
    if (l->n_timers > 0) {
        uint64_t at = l->heap[0]->at_ns;
        uint64_t now = read_clock();
        wait = MIN(wait, at > now ? at - now : 0);
    }
    if (wait == UINT64_MAX)
        return -1;
    uint64_t ms = wait / NS_PER_MS + (wait % NS_PER_MS != 0);
    return (int)MIN(ms, (uint64_t)(24 * 3600 * 1000));
}

// Fires what was due when the wake-up began; a timer that re-arms itself for "now" waits for the next one.
static void fire_timers(struct loop *l)
{
    l->due = l->now;
    l->firing = true;
    while (l->n_timers > 0 && l->heap[0]->at_ns <= l->due) {
        struct loop_timer *t = l->heap[0];
        loop_timer_cancel(l, t);
        t->fn(t, t->arg);
    }
    l->firing = false;
}

int loop_once(struct loop *l, uint64_t max_wait_ns, struct err *e)
{
    assert(!l->firing && l->n_batch == 0);
    int n = epoll_wait(l->epoll, l->batch, BATCH, wait_ms(l, max_wait_ns));
    if (n < 0 && errno != EINTR)
        return err_sys(e, errno, "epoll_wait");
    l->now = read_clock();
    l->n_batch = MAX(n, 0);
    for (int i = 0; i < l->n_batch; i++) {
        struct loop_fd *h = l->batch[i].data.ptr;
        if (h)
            h->fn(h, l->batch[i].events, h->arg);
    }
    l->n_batch = 0;
    fire_timers(l);
    run_deferred(l);
    return 0;
}

int loop_run(struct loop *l, struct err *e)
{
    l->stopped = false;
    while (!l->stopped) {
        int r = loop_once(l, UINT64_MAX, e);
        if (r < 0)
            return r;
    }
    return 0;
}

void loop_stop(struct loop *l)
{
    l->stopped = true;
}
