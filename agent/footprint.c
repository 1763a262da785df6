// SPDX-License-Identifier: Apache-2.0
#include "agent/footprint.h"

#include <sys/mman.h>
#include <unistd.h>

// The linker's: the file's first byte; where code begins, that which runs all the time first; where that ends
// (tools/order/script); where all code ends. Before the code stands what relocates the program and no more.
extern const char __ehdr_start[] __attribute__((weak, visibility("hidden")));
extern const char footprint_text[] __attribute__((weak, visibility("hidden")));
extern const char footprint_cold[] __attribute__((weak, visibility("hidden")));
extern const char etext[] __attribute__((weak, visibility("hidden")));

bool footprint_known(void)
{
    return footprint_cold != NULL;
}

// The whole pages between two places. madvise(2): pages of a file that nobody has written to are read again
// when they are needed; without it they just stay.
static void let_go(const char *begin, const char *end)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)begin + page - 1) & -page, to = (uintptr_t)end & -page;
    if (from < to)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

void footprint_trim(void)
{
    if (!footprint_known())
        return;
    let_go(__ehdr_start, footprint_text);
    let_go(footprint_cold, etext);
}
