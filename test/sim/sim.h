// SPDX-License-Identifier: Apache-2.0
// What every simulated world is made of: a seed that can be set and is printed with each failure, random
// numbers from it, and a queue of what is to happen, by time.
#ifndef KUBECANARY_TEST_SIM_SIM_H
#define KUBECANARY_TEST_SIM_SIM_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base.h"

// For a world with the members seed, now_ns and failures: counts a failure, and prints the first few.
#define SIM_FAIL(w, ...)                                                                       \
    do {                                                                                       \
        if ((w)->failures++ < 5) {                                                             \
            printf("    seed %" PRIu64 ", at %.3f s: ", (w)->seed, (double)(w)->now_ns / 1e9); \
            printf(__VA_ARGS__);                                                               \
            printf("\n");                                                                      \
        }                                                                                      \
    } while (0)

// SIM_SEED, or a new one.
static inline uint64_t sim_seed(void)
{
    uint64_t seed = 0;
    const char *text = getenv("SIM_SEED");
    if (text ? base_parse_u64(text, 0, UINT64_MAX, &seed) != 0
             : getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
        printf("SIM_SEED must be a number\n");
        exit(1);
    }
    return seed;
}

static inline uint64_t sim_random(uint64_t *state) // splitmix64
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

// --- the queue -----------------------------------------------------------------------------------

// The first member of what is queued.
struct sim_at {
    uint64_t at_ns;
    uint64_t order; // of queueing, for equal times
};

// A heap of things of one size. To be set up as {.size = sizeof(thing)}.
struct sim_queue {
    size_t size, n, room;
    uint64_t order;
    uint8_t *list;
};

static inline struct sim_at *sim_queue_at(const struct sim_queue *q, size_t i)
{
    return (struct sim_at *)(void *)(q->list + i * q->size);
}

static inline bool sim_earlier(const struct sim_at *a, const struct sim_at *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

// Takes a copy.
static inline void sim_push(struct sim_queue *q, struct sim_at *thing)
{
    if (q->n == q->room) {
        q->room = q->room ? 2 * q->room : 64;
        q->list = reallocarray(q->list, q->room, q->size);
    }
    thing->order = q->order++;
    size_t i = q->n++;
    for (; i > 0 && sim_earlier(thing, sim_queue_at(q, (i - 1) / 2)); i = (i - 1) / 2)
        memcpy(sim_queue_at(q, i), sim_queue_at(q, (i - 1) / 2), q->size);
    memcpy(sim_queue_at(q, i), thing, q->size);
}

// The first of what happens until then; false: nothing does.
static inline bool sim_pop(struct sim_queue *q, uint64_t until_ns, struct sim_at *ret)
{
    if (q->n == 0 || sim_queue_at(q, 0)->at_ns > until_ns)
        return false;
    memcpy(ret, sim_queue_at(q, 0), q->size);
    const struct sim_at *last = sim_queue_at(q, --q->n);
    size_t i = 0;
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= q->n)
            break;
        if (c + 1 < q->n && sim_earlier(sim_queue_at(q, c + 1), sim_queue_at(q, c)))
            c++;
        if (!sim_earlier(sim_queue_at(q, c), last))
            break;
        memcpy(sim_queue_at(q, i), sim_queue_at(q, c), q->size);
        i = c;
    }
    if (i != q->n)
        memcpy(sim_queue_at(q, i), last, q->size);
    return true;
}

#endif
