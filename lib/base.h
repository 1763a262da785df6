// SPDX-License-Identifier: Apache-2.0
// The few words of C that every file uses: array length, clean-up by attribute, and strict parsing of
// numbers. Knows nothing else of the project.
#ifndef KUBECANARY_LIB_BASE_H
#define KUBECANARY_LIB_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/banned.h"

#define ALIGN8(n) (((n) + 7) & ~(size_t)7) // up to a multiple of 8
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define MUST_USE __attribute__((warn_unused_result))
#define UNUSED __attribute__((unused))
#define ALWAYS_INLINE __attribute__((always_inline)) // though the compiler is asked for small code

// CLEANUP(f) T x: f(&x) runs when x leaves its scope. The common ones are named here.
#define CLEANUP(f) __attribute__((cleanup(f)))
#define CLEANUP_FREE CLEANUP(base_cleanup_free)
#define CLEANUP_FD CLEANUP(base_cleanup_fd)

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

// Frees *(void **)p. For CLEANUP_FREE on any object pointer.
static inline void base_cleanup_free(void *p)
{
    void **slot = p;
    free(*slot);
    *slot = NULL;
}

// Closes *fd unless it is negative. For CLEANUP_FD.
static inline void base_cleanup_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

// Takes the value out of a variable that has a clean-up, leaving NULL (or -1) there.
#define TAKE_PTR(p)             \
    ({                          \
        __typeof__(p) p_ = (p); \
        (p) = NULL;             \
        p_;                     \
    })
#define TAKE_FD(fd)     \
    ({                  \
        int fd_ = (fd); \
        (fd) = -1;      \
        fd_;            \
    })

// Parses an unsigned decimal number that is the whole of text, with no sign and no space.
// Returns 0 and sets *ret when min <= value <= max; -EINVAL (not a number) or -ERANGE otherwise.
MUST_USE int base_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

// FNV-1a, 64 bits. Stable over machines and versions: peers slices and hashes in annotations depend on it.
// Start with BASE_HASH_INIT; chain calls to hash several parts.
#define BASE_HASH_INIT UINT64_C(0xcbf29ce484222325)
uint64_t base_hash(uint64_t hash, const void *data, size_t len);

// Copies src into dst[size], always terminated. Returns 0, or -ENAMETOOLONG with dst = "" when it does not
// fit.
MUST_USE int base_copy(char *dst, size_t size, const char *src);

#endif
