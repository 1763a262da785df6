// SPDX-License-Identifier: Apache-2.0
// The places lie side by side, each of whole pages.
#include "lib/scratch.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

struct scratch {
    uint8_t *base;
    size_t places;
    size_t stride;  // bytes of a place, whole pages
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
    *s = (struct scratch){.places = MIN(places, (size_t)SCRATCH_PLACES), .stride = whole_pages(bytes)};
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
    return s;
}

static void end(struct scratch *s)
{
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

void *scratch_take(struct scratch *s)
{
    for (size_t i = 0; i < s->places; i++) {
        if (s->taken >> i & 1)
            continue;
        s->taken |= 1u << i;
        return s->base + i * s->stride;
    }
    return NULL;
}

void scratch_give(struct scratch *s, void *place)
{
    size_t i = (size_t)((uint8_t *)place - s->base) / s->stride;
    // It fails for locked memory alone, which keeps its pages: they must be zeros all the same.
    if (madvise(place, s->stride, MADV_DONTNEED) != 0)
        memset(place, 0, s->stride);
    s->taken &= ~(1u << i);
    if (s->dropped && !s->taken)
        end(s);
}
