// SPDX-License-Identifier: Apache-2.0
// Counts what an agent allocates. The linker sends every call of the agent, of its libraries and of musl's
// own functions (opendir, strdup, vasprintf, getline ...) here first (--wrap, see the Makefile). The counts
// are in a file that COUNTED_FILE names, mapped before main, which a test reads while the agent runs; without
// it they go nowhere. Not counted: what malloc itself takes from the kernel, and what has a stack or a
// mapping by system calls of its own: threads, of which an agent has none.
#include <fcntl.h>
#include <sys/mman.h>

#include "lib/base.h"

#define RING 64   // the last calls
#define CALLERS 8 // of each: what is on the stack and may be a return address, the innermost first
#define WORDS 256 // of the stack, that are looked at
#define NAME 16

enum function { MALLOC, CALLOC, REALLOC, ALIGNED_ALLOC, LIBC_MALLOC, LIBC_CALLOC, MMAP, MREMAP, FUNCTIONS };

// test/system/counted.py reads it: numbers of 64 bits and names, as they lie here.
struct counted {
    uint64_t base; // where the program begins: addresses less this are addr2line's
    uint64_t total;
    struct {
        char name[NAME];
        uint64_t calls;
    } by[FUNCTIONS];
    struct {
        uint64_t function, size;
        uint64_t callers[CALLERS]; // 0: no more
    } last[RING];                  // call n is at n % RING
};

extern const char __executable_start[], etext[]; // the linker's

static struct counted unseen;
static struct counted *counted = &unseen;
static bool inside; // of musl's calloc, which calls malloc

static __attribute__((constructor)) void begin(void)
{
    static const char *const names[FUNCTIONS] = {"malloc",        "calloc",        "realloc", "aligned_alloc",
                                                 "__libc_malloc", "__libc_calloc", "mmap",    "mremap"};
    const char *path = getenv("COUNTED_FILE");
    CLEANUP_FD int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (path && (fd < 0 || ftruncate(fd, sizeof(*counted)) != 0))
        abort();
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*counted), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (path && p == MAP_FAILED)
        abort();
    counted = path ? p : counted;
    counted->base = (uint64_t)(uintptr_t)__executable_start;
    for (unsigned i = 0; i < FUNCTIONS; i++)
        memcpy(counted->by[i].name, names[i], strlen(names[i]));
}

// The release agent has neither frame pointers nor unwind tables: every word of the stack that lies in the
// program's text is taken for a return address. Some are left over from calls before.
static __attribute__((noinline)) void count(enum function f, size_t size)
{
    if (inside)
        return;
    uint64_t at = counted->total % RING;
    const uintptr_t *word = __builtin_frame_address(0);
    uint64_t *callers = counted->last[at].callers;
    size_t n = 0;
    for (size_t i = 1; i < WORDS && n < CALLERS; i++)
        if (word[i] >= (uintptr_t)__executable_start && word[i] < (uintptr_t)etext)
            callers[n++] = word[i];
    while (n < CALLERS)
        callers[n++] = 0;
    counted->last[at].function = f;
    counted->last[at].size = size;
    counted->by[f].calls++;
    __atomic_store_n(&counted->total, counted->total + 1, __ATOMIC_RELEASE);
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__real___libc_malloc(size_t size);
void *__real___libc_calloc(size_t n, size_t size);
void *__real_mmap(void *p, size_t size, int prot, int flags, int fd, off_t offset);
void *__real_mremap(void *p, size_t size, size_t wanted, int flags, void *to);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void *__wrap___libc_malloc(size_t size);
void *__wrap___libc_calloc(size_t n, size_t size);
void *__wrap_mmap(void *p, size_t size, int prot, int flags, int fd, off_t offset);
void *__wrap_mremap(void *p, size_t size, size_t wanted, int flags, void *to);

void *__wrap_malloc(size_t size)
{
    count(MALLOC, size);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    count(CALLOC, n * size);
    inside = true;
    void *p = __real_calloc(n, size);
    inside = false;
    return p;
}

void *__wrap_realloc(void *p, size_t size)
{
    count(REALLOC, size);
    return __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    count(ALIGNED_ALLOC, size);
    return __real_aligned_alloc(align, size);
}

void *__wrap___libc_malloc(size_t size)
{
    count(LIBC_MALLOC, size);
    return __real___libc_malloc(size);
}

void *__wrap___libc_calloc(size_t n, size_t size)
{
    count(LIBC_CALLOC, n * size);
    inside = true;
    void *p = __real___libc_calloc(n, size);
    inside = false;
    return p;
}

void *__wrap_mmap(void *p, size_t size, int prot, int flags, int fd, off_t offset)
{
    count(MMAP, size);
    return __real_mmap(p, size, prot, flags, fd, offset);
}

// Its last argument is there or not: musl's takes it, and reads it only if it is.
void *__wrap_mremap(void *p, size_t size, size_t wanted, int flags, void *to)
{
    count(MREMAP, wanted);
    return __real_mremap(p, size, wanted, flags, to);
}
