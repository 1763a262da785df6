// SPDX-License-Identifier: Apache-2.0
// The work queue: a key is worked on once at a time, adds meanwhile cause one more run, delays keep the
// earlier time, failures back off. keep the earlier time, failures back off.
#include "operator/queue.h"
#include "test/unit/check.h"

struct world {
    struct loop *loop;
    struct queue *queue;
    char trace[256];
    int running[3];
    int most;
};

static void started(const char *namespace UNUSED, const char *name, void *arg)
{
    struct world *w = arg;
    size_t n = strlen(w->trace);
    if (n + 1 < sizeof(w->trace))
        w->trace[n] = name[0];
    int sum = 0;
    w->running[name[0] - 'a']++;
    for (int i = 0; i < 3; i++)
        sum += w->running[i];
    w->most = MAX(w->most, sum);
}

static bool setup(struct world *w)
{
    struct err e;
    *w = (struct world){0};
    w->loop = loop_new(&e);
    w->queue = w->loop ? queue_new(w->loop, started, w, &e) : NULL;
    return w->queue != NULL;
}

static void teardown(struct world *w)
{
    queue_free(w->queue);
    loop_free(w->loop);
}

static void done(struct world *w, const char *name, bool failed)
{
    w->running[name[0] - 'a']--;
    queue_done(w->queue, "ns", name, failed, 0);
}

static bool turn(struct world *w)
{
    struct err e;
    return loop_once(w->loop, 0, &e) == 0;
}

static void once_at_a_time(void)
{
    struct world w;
    CHECK(setup(&w));
    CHECK_INT(queue_add(w.queue, "ns", "a", 0), 0);
    CHECK_INT(queue_add(w.queue, "ns", "a", 0), 0);
    CHECK(turn(&w));
    CHECK_STR(w.trace, "a");
    for (int i = 0; i < 3; i++)
        CHECK_INT(queue_add(w.queue, "ns", "a", 0), 0);
    CHECK(turn(&w));
    CHECK_STR(w.trace, "a"); // still worked on
    done(&w, "a", false);
    CHECK(turn(&w) && turn(&w));
    CHECK_STR(w.trace, "aa"); // exactly one more
    done(&w, "a", false);
    CHECK(turn(&w));
    CHECK_STR(w.trace, "aa");
    CHECK_INT(queue_stats(w.queue).adds, 5);
    teardown(&w);
}

static void same_name_in_two_namespaces(void)
{
    struct world w;
    CHECK(setup(&w));
    CHECK_INT(queue_add(w.queue, "ns", "b", 0), 0);
    CHECK_INT(queue_add(w.queue, "other", "b", 0), 0);
    CHECK(turn(&w));
    CHECK_STR(w.trace, "bb");
    CHECK_INT(queue_stats(w.queue).active, 2);
    teardown(&w);
}

static void earlier_time_wins(void)
{
    struct world w;
    CHECK(setup(&w));
    CHECK_INT(queue_add(w.queue, "ns", "a", 3600 * NS_PER_S), 0);
    CHECK(turn(&w));
    CHECK_STR(w.trace, "");
    CHECK_INT(queue_add(w.queue, "ns", "a", 0), 0);
    CHECK_INT(queue_add(w.queue, "ns", "a", 3600 * NS_PER_S), 0);
    CHECK(turn(&w));
    CHECK_STR(w.trace, "a");
    teardown(&w);
}

static void workers_are_bounded(void)
{
    struct world w;
    struct err e;
    CHECK(setup(&w));
    char names[QUEUE_WORKERS * 2][16];
    for (int i = 0; i < QUEUE_WORKERS * 2; i++) {
        snprintf(names[i], sizeof(names[i]), "a%d", i);
        CHECK_INT(queue_add(w.queue, "ns", names[i], 0), 0);
    }
    CHECK_INT(loop_once(w.loop, 0, &e), 0);
    CHECK_INT(w.most, QUEUE_WORKERS);
    CHECK_INT(queue_stats(w.queue).depth, QUEUE_WORKERS);
    for (int i = 0; i < QUEUE_WORKERS * 2; i++)
        queue_done(w.queue, "ns", names[i], false, 0); // of one that is not worked on: nothing
    CHECK_INT(queue_stats(w.queue).active, 0);
    teardown(&w);
}

static void failures_back_off(void)
{
    struct world w;
    struct err e;
    CHECK(setup(&w));
    CHECK_INT(queue_add(w.queue, "ns", "c", 0), 0);
    CHECK(turn(&w));
    done(&w, "c", true);
    CHECK(turn(&w));
    CHECK_STR(w.trace, "c"); // not at once
    while (strlen(w.trace) < 2)
        CHECK_INT(loop_once(w.loop, NS_PER_S, &e), 0); // woken by the queue's timer
    CHECK_INT(queue_stats(w.queue).retries, 1);
    teardown(&w);
}

static const struct check_case cases[] = {
    {"a key is worked on once at a time", once_at_a_time},
    {"the same name in two namespaces", same_name_in_two_namespaces},
    {"the earlier time wins", earlier_time_wins},
    {"workers are bounded", workers_are_bounded},
    {"failures back off", failures_back_off},
};
CHECK_MAIN(cases)
