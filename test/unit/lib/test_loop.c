// SPDX-License-Identifier: Apache-2.0
// The loop: order of timers, cancelling and re-arming from callbacks, removal of a descriptor whose event is
// already taken, signals, deferred frees.
#include "lib/loop.h"
#include "test/unit/check.h"

struct trace {
    struct loop *loop;
    char text[64];
    struct loop_timer *other;
    struct loop_fd *peer;
    int count;
};

static void note(struct trace *t, char c)
{
    size_t n = strlen(t->text);
    if (n + 1 < sizeof(t->text))
        t->text[n] = c;
}

static void note_a(struct loop_timer *t UNUSED, void *arg)
{
    note(arg, 'a');
}

static void note_b_cancel_other(struct loop_timer *t UNUSED, void *arg)
{
    struct trace *trace = arg;
    note(trace, 'b');
    loop_timer_cancel(trace->loop, trace->other);
}

static void rearm(struct loop_timer *t, void *arg)
{
    struct trace *trace = arg;
    struct err e;
    note(trace, 'r');
    if (++trace->count < 3 && loop_timer_set(trace->loop, t, loop_now(trace->loop), rearm, arg, &e) < 0)
        note(trace, '!');
}

static void timers(void)
{
    struct err e;
    struct loop *l = loop_new(&e);
    CHECK(l != NULL);
    struct trace trace = {.loop = l};
    struct loop_timer late = {0}, early = {0}, victim = {0}, again = {0};
    trace.other = &victim;
    uint64_t now = loop_now(l);
    CHECK_INT(loop_timer_set(l, &late, now + 3, note_a, &trace, &e), 0);
    CHECK_INT(loop_timer_set(l, &victim, now + 2, note_a, &trace, &e), 0);
    CHECK_INT(loop_timer_set(l, &early, now + 1, note_b_cancel_other, &trace, &e), 0);
    CHECK_INT(loop_timer_set(l, &again, now + 4, rearm, &trace, &e), 0);
    while (loop_timer_armed(&late) || loop_timer_armed(&again))
        CHECK_INT(loop_once(l, 1000000, &e), 0);
    CHECK_STR(trace.text, "barrr");
    CHECK(!loop_timer_armed(&victim));
    loop_free(l);
}

// Armed again for now it fires once in a wake-up, however many others there are.
static void again_and_again(void)
{
    struct err e;
    struct loop *l = loop_new(&e);
    CHECK(l != NULL);
    struct trace trace = {.loop = l};
    struct loop_timer again = {0}, far[20] = {0};
    for (size_t i = 0; i < ARRAY_LEN(far); i++)
        CHECK_INT(loop_timer_set(l, &far[i], UINT64_MAX - i, note_a, &trace, &e), 0);
    CHECK_INT(loop_timer_set(l, &again, loop_now(l), rearm, &trace, &e), 0);
    for (int i = 1; i <= 3; i++) {
        CHECK_INT(loop_once(l, 1000000, &e), 0);
        CHECK_INT(trace.count, i);
    }
    for (size_t i = 0; i < ARRAY_LEN(far); i++)
        loop_timer_cancel(l, &far[i]);
    loop_free(l);
}

static void heap_order(void)
{
    struct err e;
    struct loop *l = loop_new(&e);
    struct trace trace = {.loop = l};
    enum { N = 500 };
    static struct loop_timer t[N];
    uint64_t seed = 1;
    for (int i = 0; i < N; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        CHECK_INT(loop_timer_set(l, &t[i], UINT64_MAX - (seed >> 40), note_a, &trace, &e), 0);
    }
    for (int i = 0; i < N; i += 3)
        loop_timer_cancel(l, &t[i]);
    for (int i = 0; i < N; i++)
        CHECK_INT(loop_timer_armed(&t[i]), i % 3 != 0);
    CHECK_INT(loop_timer_set(l, &t[0], 1, note_a, &trace, &e), 0); // far in the past: the first to fire
    CHECK_INT(loop_once(l, 0, &e), 0);
    CHECK_STR(trace.text, "a");
    loop_free(l);
    CHECK(!loop_timer_armed(&t[1])); // forgotten with the loop
}

static void on_readable_drop_peer(struct loop_fd *fd, uint32_t events UNUSED, void *arg)
{
    struct trace *trace = arg;
    note(trace, 'f');
    loop_fd_del(trace->loop, trace->peer == fd ? fd : trace->peer);
    loop_fd_del(trace->loop, fd);
}

static void removed_descriptor_gets_no_event(void)
{
    struct err e;
    struct loop *l = loop_new(&e);
    struct trace trace = {.loop = l};
    int one[2], two[2];
    CHECK(pipe(one) == 0 && pipe(two) == 0);
    struct loop_fd a = {0}, b = {0};
    CHECK_INT(loop_fd_add(l, &a, one[0], EPOLLIN, on_readable_drop_peer, &trace, &e), 0);
    CHECK_INT(loop_fd_add(l, &b, two[0], EPOLLIN, on_readable_drop_peer, &trace, &e), 0);
    CHECK(write(one[1], "x", 1) == 1 && write(two[1], "x", 1) == 1);
    struct loop_fd *fds[] = {&a, &b};
    trace.peer = fds[1];
    CHECK_INT(loop_once(l, 1000000, &e), 0);
    CHECK_INT(loop_once(l, 0, &e), 0);
    CHECK_INT((int)strlen(trace.text) <= 2, 1);
    CHECK(!a.active || !b.active);
    loop_free(l);
    for (int i = 0; i < 2; i++) {
        close(one[i]);
        close(two[i]);
    }
}

static void on_signal_note(int signo, void *arg)
{
    struct trace *trace = arg;
    note(trace, signo == SIGUSR1 ? 's' : '?');
    loop_stop(trace->loop);
}

static void free_note(void *arg)
{
    note(arg, 'd');
}

static void defer_from_timer(struct loop_timer *t UNUSED, void *arg)
{
    struct trace *trace = arg;
    loop_defer(trace->loop, free_note, trace);
    note(trace, 't');
}

static void signals_and_deferred(void)
{
    struct err e;
    struct loop *l = loop_new(&e);
    struct trace trace = {.loop = l};
    struct loop_timer t = {0};
    CHECK_INT(loop_signal(l, SIGUSR1, on_signal_note, &trace, &e), 0);
    CHECK_INT(loop_timer_set(l, &t, 1, defer_from_timer, &trace, &e), 0);
    CHECK_INT(loop_once(l, 0, &e), 0);
    CHECK_STR(trace.text, "td");
    CHECK_INT(kill(getpid(), SIGUSR1), 0);
    CHECK_INT(loop_run(l, &e), 0);
    CHECK_STR(trace.text, "tds");
    loop_free(l);
}

static const struct check_case cases[] = {
    {"timers", timers},
    {"again and again", again_and_again},
    {"heap order", heap_order},
    {"a removed descriptor gets no event", removed_descriptor_gets_no_event},
    {"signals and deferred frees", signals_and_deferred},
};
CHECK_MAIN(cases)
