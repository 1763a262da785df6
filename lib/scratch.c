// SPDX-License-Identifier: Apache-2.0
// The places lie side by side, each of whole pages.
#include "lib/scratch.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_feature) // clang
#if __has_feature(address_sanitizer)
#define IS_WATCHED
#endif
#elif defined(__SANITIZE_ADDRESS__) // gcc
#define IS_WATCHED
#endif
#ifdef IS_WATCHED
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

struct scratch {
    uint8_t *base;
    size_t places;
    size_t bytes;   // of a place, as asked for
    size_t stride;  // in whole pages
    uint32_t taken; // bits 1 << place
    bool dropped;   // goes with the last place
};
_Static_assert(SCRATCH_PLACES <= 32, "bits of taken");

static size_t whole_pages(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (MAX(bytes, (size_t)1) + page - 1) / page * page;
}

struct scratch *scratch_new(size_t places, size_t bytes, struct err *e)
{
    struct scratch *s = calloc(1, sizeof(*s));
    if (!s) {
        err_set(e, ENOMEM, "no memory");
        return NULL;
    }
    assert(places > 0 && places <= SCRATCH_PLACES);
    *s = (struct scratch){.places = places, .bytes = bytes, .stride = whole_pages(bytes)};
    void *base =
        mmap(NULL, s->places * s->stride, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        err_set(e, ENOMEM, "no address space of %zu bytes", s->places * s->stride);
        free(s);
        return NULL;
    }
    // Where huge pages are the rule the first byte would cost 2 MiB. Kernels without them say EINVAL.
    (void)madvise(base, s->places * s->stride, MADV_NOHUGEPAGE);
    s->base = base;
    ASAN_POISON_MEMORY_REGION(base, s->places * s->stride);
    return s;
}

static void end(struct scratch *s)
{
    ASAN_UNPOISON_MEMORY_REGION(s->base, s->places * s->stride); // what comes there next is another's
    munmap(s->base, s->places * s->stride);
    free(s);
}

void scratch_free(struct scratch *s)
{
    if (!s)
        return;
    s->dropped = true;
    if (!s->taken)
        end(s);
}

void *scratch_take(struct scratch *s, size_t bytes)
{
    assert(bytes <= s->bytes);
    for (size_t i = 0; i < s->places; i++) {
        if (s->taken >> i & 1)
            continue;
        s->taken |= 1u << i;
        ASAN_UNPOISON_MEMORY_REGION(s->base + i * s->stride, bytes);
        return s->base + i * s->stride;
    }
    return NULL;
}

void scratch_give(struct scratch *s, void *place)
{
    size_t i = (size_t)((uint8_t *)place - s->base) / s->stride;
    // It fails for locked memory alone, which keeps its pages: they must be zeros all the same.
    ASAN_UNPOISON_MEMORY_REGION(place, s->stride);
    if (madvise(place, s->stride, MADV_DONTNEED) != 0)
        memset(place, 0, s->stride);
    ASAN_POISON_MEMORY_REGION(place, s->stride);
    s->taken &= ~(1u << i);
    if (s->dropped && !s->taken)
        end(s);
}
