// SPDX-License-Identifier: Apache-2.0
// standin [THREADS [ROUNDS]]: a program with the memory habits of the prober that this project began with, a
// web server of one thread a core, for docs/allocator.md. All threads (by default one for each processor
// that sysconf tells of) begin together. Each does ROUNDS (100) rounds of work: the small objects of a
// request, 2,000 of 24 to 424 bytes, a body of 300 kB that grows by realloc, all of it freed but two
// objects. Sizes are the same in each run. Then they idle, as a server does between scrapes, and the program
// says "ready". For each line of stdin it says on a line of JSON what it runs on and what its allocator came
// to: not before it is asked, because jemalloc takes memory to answer. It ends when stdin ends.
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base.h"

#define THREADS_MAX 1024
#define ROUNDS_MAX 10000
#define ROUNDS 100
#define REQUESTS 2000
#define SMALLEST 24
#define LARGEST 424
#define KEPT 2 // in a round
#define BODY_FIRST 1024
#define BODY_LAST (300u << 10)
#define STACK (64u << 10)

// Weak: each is there only if that allocator is the one that is linked. jemalloc(3), malloc_info(3).
extern int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
    __attribute__((weak));
extern int malloc_info(int options, FILE *stream) __attribute__((weak));

static pthread_barrier_t begin, end;
static uint64_t rounds = ROUNDS;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "standin: %s\n", what);
    exit(1);
}

// --- the work ------------------------------------------------------------------------------------

// Objects in the order they came, linked through their first bytes: the list itself takes no memory.
struct object {
    struct object *next;
    uint8_t rest[];
};
struct list {
    struct object *first, **last;
};

static void append(struct list *l, struct object *o)
{
    o->next = NULL;
    *l->last = o;
    l->last = &o->next;
}

static struct object *take(struct list *l)
{
    struct object *o = l->first;
    l->first = o->next;
    if (!l->first)
        l->last = &l->first;
    return o;
}

static uint64_t next_random(uint64_t *state) // xorshift64
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void respond(void)
{
    char *body = NULL;
    for (size_t have = 0, size = BODY_FIRST; have < BODY_LAST; have = size, size = MIN(2 * size, BODY_LAST)) {
        body = realloc(body, size);
        if (!body)
            die("no memory");
        memset(body + have, 'x', size - have);
    }
    free(body);
}

static void one_round(uint64_t *random, struct list *kept)
{
    struct list live = {.last = &live.first};
    for (unsigned i = 0; i < REQUESTS; i++) {
        size_t size = SMALLEST + next_random(random) % (LARGEST - SMALLEST + 1);
        struct object *o = malloc(size);
        if (!o)
            die("no memory");
        memset(o, 'x', size);
        append(&live, o);
    }
    respond();
    for (unsigned i = 0; i < REQUESTS; i++) {
        struct object *o = take(&live);
        if (i % (REQUESTS / KEPT) == 0)
            append(kept, o);
        else
            free(o);
    }
}

static void *work(void *number)
{
    uint64_t random = 0x9e3779b97f4a7c15u * ((uintptr_t)number + 1);
    struct list kept = {.last = &kept.first};
    pthread_barrier_wait(&begin);
    for (uint64_t i = 0; i < rounds; i++)
        one_round(&random, &kept);
    pthread_barrier_wait(&end);
    for (;;)
        pause();
    return NULL;
}

static void start(unsigned threads)
{
    pthread_attr_t attr;
    pthread_t thread;
    if (pthread_barrier_init(&begin, NULL, threads) != 0 ||
        pthread_barrier_init(&end, NULL, threads + 1) != 0 || pthread_attr_init(&attr) != 0 ||
        pthread_attr_setstacksize(&attr, STACK) != 0)
        die("threads");
    for (uintptr_t i = 0; i < threads; i++) {
        if (pthread_create(&thread, &attr, work, (void *)i) != 0)
            die("a thread");
    }
}

// --- what the allocator came to ------------------------------------------------------------------

struct allocator {
    const char *name, *version;
    unsigned limit; // arenas that it would make; 0: it does not tell
    unsigned made;
};

static bool ctl(const char *name, void *ret, size_t size)
{
    size_t len = size;
    return mallctl(name, ret, &len, NULL, 0) == 0 && len == size;
}

static struct allocator ask_jemalloc(void)
{
    struct allocator a = {"jemalloc", "", 0, 0};
    unsigned all = 0;
    if (!ctl("version", &a.version, sizeof(a.version)) || !ctl("opt.narenas", &a.limit, sizeof(a.limit)) ||
        !ctl("arenas.narenas", &all, sizeof(all)))
        die("mallctl");
    for (unsigned i = 0; i < all; i++) {
        char name[64];
        bool made = false;
        snprintf(name, sizeof(name), "arena.%u.initialized", i);
        a.made += ctl(name, &made, sizeof(made)) && made;
    }
    return a;
}

// malloc_info(3) writes an element <heap nr="N"> for each arena.
struct search {
    unsigned matched, found;
};

static ssize_t look(void *cookie, const char *bytes, size_t n)
{
    static const char wanted[] = "<heap nr=";
    struct search *s = cookie;
    for (size_t i = 0; i < n; i++) {
        s->matched = bytes[i] == wanted[s->matched] ? s->matched + 1 : bytes[i] == wanted[0];
        if (s->matched == strlen(wanted)) {
            s->found++;
            s->matched = 0;
        }
    }
    return (ssize_t)n;
}

static struct allocator ask_glibc(void)
{
    static char buffer[4096];
    struct search s = {0};
    FILE *stream = fopencookie(&s, "w", (cookie_io_functions_t){.write = look});
    if (!stream || setvbuf(stream, buffer, _IOFBF, sizeof(buffer)) != 0 || malloc_info(0, stream) != 0 ||
        fclose(stream) != 0)
        die("malloc_info");
    return (struct allocator){"glibc", "", 0, s.found};
}

static void tell(long cores, uint64_t threads)
{
    struct allocator a = {"musl", "", 1, 1};
    if (mallctl)
        a = ask_jemalloc();
    else if (malloc_info)
        a = ask_glibc();
    dprintf(STDOUT_FILENO,
            "{\"allocator\": \"%s\", \"version\": \"%s\", \"cores\": %ld, \"threads\": %" PRIu64
            ", \"limit\": %u, \"arenas\": %u}\n",
            a.name, a.version, cores, threads, a.limit, a.made);
}

int main(int argc, char **argv)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t threads = (uint64_t)cores;
    if (cores < 1 || argc > 3 || (argc > 1 && base_parse_u64(argv[1], 1, THREADS_MAX, &threads) < 0) ||
        (argc > 2 && base_parse_u64(argv[2], 1, ROUNDS_MAX, &rounds) < 0)) {
        fprintf(stderr, "usage: standin [THREADS [ROUNDS]]\n");
        return 2;
    }
    start((unsigned)threads);
    pthread_barrier_wait(&end);
    dprintf(STDOUT_FILENO, "ready\n");
    for (char byte; read(STDIN_FILENO, &byte, 1) > 0;)
        tell(cores, threads);
    return 0;
}
