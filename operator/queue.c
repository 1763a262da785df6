// SPDX-License-Identifier: Apache-2.0
// Keys in a list, one timer for the next that is due. The list is as long as there are fleets with work, so
// it is walked, not indexed.
#include "operator/queue.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "lib/limits.h"

#define NEVER UINT64_MAX

struct entry {
    LIST_ENTRY(entry) link;
    char namespace[LIMIT_NAMESPACE + 1];
    char name[LIMIT_NAME + 1];
    uint64_t due_ns;   // NEVER: not waiting
    uint64_t least_ns; // not before: what a server asked for
    unsigned failures; // in a row
    bool active;
};

struct queue {
    struct loop *loop;
    queue_fn *fn;
    void *arg;
    LIST_HEAD(, entry) entries;
    struct loop_timer timer;
    size_t active;
    uint64_t adds, retries;
};

struct queue *queue_new(struct loop *l, queue_fn *fn, void *arg, struct err *e)
{
    struct queue *q = calloc(1, sizeof(*q));
    if (!q) {
        err_set(e, ENOMEM, "no memory for the work queue");
        return NULL;
    }
    q->loop = l;
    q->fn = fn;
    q->arg = arg;
    LIST_INIT(&q->entries);
    return q;
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    loop_timer_cancel(q->loop, &q->timer);
    for (struct entry *at = LIST_FIRST(&q->entries); at;) {
        struct entry *next = LIST_NEXT(at, link);
        free(at);
        at = next;
    }
    free(q);
}

static struct entry *find(const struct queue *q, const char *namespace, const char *name)
{
    struct entry *at;
    LIST_FOREACH (at, &q->entries, link) {
        if (strcmp(at->name, name) == 0 && strcmp(at->namespace, namespace) == 0)
            return at;
    }
    return NULL;
}

static struct entry *next_due(const struct queue *q)
{
    struct entry *at, *best = NULL;
    LIST_FOREACH (at, &q->entries, link) {
        if (!at->active && at->due_ns != NEVER && (!best || at->due_ns < best->due_ns))
            best = at;
    }
    return best;
}

static void on_timer(struct loop_timer *t, void *arg);

static void arm(struct queue *q)
{
    struct err e;
    const struct entry *next = q->active < QUEUE_WORKERS ? next_due(q) : NULL;
    if (!next)
        loop_timer_cancel(q->loop, &q->timer);
    else if (loop_timer_set(q->loop, &q->timer, next->due_ns, on_timer, q, &e) < 0)
        abort(); // a timer slot of eight bytes: the process is beyond saving
}

static void on_timer(struct loop_timer *t UNUSED, void *arg)
{
    struct queue *q = arg;
    uint64_t now = loop_now(q->loop);
    struct entry *at;
    while (q->active < QUEUE_WORKERS && (at = next_due(q)) && at->due_ns <= now) {
        at->due_ns = NEVER;
        at->active = true;
        q->active++;
        q->fn(at->namespace, at->name, q->arg);
    }
    arm(q);
}

int queue_add(struct queue *q, const char *namespace, const char *name, uint64_t delay_ns)
{
    struct entry *at = find(q, namespace, name);
    if (!at) {
        at = calloc(1, sizeof(*at));
        if (!at || base_copy(at->namespace, sizeof(at->namespace), namespace) < 0 ||
            base_copy(at->name, sizeof(at->name), name) < 0) {
            free(at);
            return -ENOMEM;
        }
        at->due_ns = NEVER;
        LIST_INSERT_HEAD(&q->entries, at, link);
    }
    q->adds++;
    at->due_ns = MAX(MIN(at->due_ns, loop_now(q->loop) + delay_ns), at->least_ns);
    arm(q);
    return 0;
}

static uint64_t backoff(unsigned failures)
{
    uint64_t wait = QUEUE_RETRY_FIRST_NS << MIN(failures - 1, 20U);
    uint16_t noise = 0;
    if (getrandom(&noise, sizeof(noise), GRND_NONBLOCK) < 0)
        noise = 32768;
    wait = MIN(wait, QUEUE_RETRY_MAX_NS);
    return wait - wait / 10 + wait / 5 * noise / 65536;
}

void queue_done(struct queue *q, const char *namespace, const char *name, bool failed, uint64_t least_ns)
{
    struct entry *at = find(q, namespace, name);
    if (!at || !at->active)
        return;
    at->active = false;
    q->active--;
    if (failed) {
        at->failures++;
        q->retries++;
        uint64_t now = loop_now(q->loop);
        at->least_ns = now + least_ns;
        at->due_ns = MAX(MIN(at->due_ns, now + backoff(at->failures)), at->least_ns);
    } else {
        at->failures = 0;
        at->least_ns = 0;
        if (at->due_ns == NEVER) {
            LIST_REMOVE(at, link);
            free(at);
        }
    }
    arm(q);
}

struct queue_stats queue_stats(const struct queue *q)
{
    struct queue_stats s = {.adds = q->adds, .retries = q->retries, .active = q->active};
    uint64_t now = loop_now(q->loop);
    const struct entry *at;
    LIST_FOREACH (at, &q->entries, link)
        s.depth += !at->active && at->due_ns <= now;
    return s;
}
