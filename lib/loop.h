// SPDX-License-Identifier: Apache-2.0
// One epoll loop, one thread, one clock read once per wake-up. Descriptors and timers are intrusive: they
// live in the owner's structs and the loop allocates nothing for them but the timer heap's slots. Signals
// arrive by signalfd. Callbacks may add, change and remove anything, themselves included; memory that a
// callback's caller may still touch is freed through loop_defer.
#ifndef KUBECANARY_LIB_LOOP_H
#define KUBECANARY_LIB_LOOP_H

#include <signal.h>
#include <sys/epoll.h>

#include "lib/base.h"
#include "lib/err.h"

struct loop;
struct loop_fd;
struct loop_timer;

typedef void loop_fd_fn(struct loop_fd *fd, uint32_t events,
                        void *arg); // events: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP ...
typedef void loop_timer_fn(struct loop_timer *timer, void *arg);
typedef void loop_signal_fn(int signo, void *arg);

struct loop_fd { // zero-initialised before first use
    int fd;
    loop_fd_fn *fn;
    void *arg;
    bool active; // the loop's
};

struct loop_timer { // zero-initialised before first use
    uint64_t at_ns;
    loop_timer_fn *fn;
    void *arg;
    size_t slot; // the loop's: index in the heap + 1; 0 = not armed
};

struct loop *loop_new(struct err *e); // NULL on failure
void loop_free(struct loop *l);       // takes NULL; timers and fds still registered are forgotten, not closed

// The loop's clock: CLOCK_MONOTONIC in ns, as read at the last wake-up.
uint64_t loop_now(const struct loop *l);
// Reads the clock again: only for callbacks that worked long.
uint64_t loop_refresh(struct loop *l);

// Watches fd for events (EPOLLIN | EPOLLOUT ...; level-triggered). The fd stays the caller's.
MUST_USE int loop_fd_add(struct loop *l, struct loop_fd *h, int fd, uint32_t events, loop_fd_fn *fn,
                         void *arg, struct err *e);
MUST_USE int loop_fd_mod(struct loop *l, struct loop_fd *h, uint32_t events, struct err *e);
// Before closing the descriptor. Takes one that is not active. No event of this wake-up is delivered to it
// any more.
void loop_fd_del(struct loop *l, struct loop_fd *h);

// Arms or re-arms the timer for the absolute time at_ns on the loop's clock. A timer fires once; it is
// unarmed before fn is called. From a timer's callback it is for the next wake-up at the earliest, and then
// t->at_ns may be later than at_ns by as much.
MUST_USE int loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t at_ns, loop_timer_fn *fn,
                            void *arg, struct err *e);
void loop_timer_cancel(struct loop *l, struct loop_timer *t); // takes an unarmed one
static inline bool loop_timer_armed(const struct loop_timer *t)
{
    return t->slot != 0;
}

// Blocks signo for the process and delivers it through fn. At most one handler a signal.
MUST_USE int loop_signal(struct loop *l, int signo, loop_signal_fn *fn, void *arg, struct err *e);
// free_fn(ptr) after the callbacks of this wake-up are done.
void loop_defer(struct loop *l, void (*free_fn)(void *), void *ptr);

// Runs until loop_stop. 0, or a negative errno if epoll itself failed.
MUST_USE int loop_run(struct loop *l, struct err *e);
// One wake-up: waits at most max_wait_ns (UINT64_MAX: until something happens), dispatches once. Not from a
// callback of the loop.
MUST_USE int loop_once(struct loop *l, uint64_t max_wait_ns, struct err *e);
void loop_stop(struct loop *l);

#endif
