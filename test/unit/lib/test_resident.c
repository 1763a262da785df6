// SPDX-License-Identifier: Apache-2.0
// Resident memory by the page, where the kernel's own sum comes in steps of 32.
#include "lib/resident.h"

#include <sys/mman.h>

#include "test/unit/check.h"

#define PAGES 100

// But for what the kernel does meanwhile: it may bring a page of the program's in, or take one away.
static bool is_near(uint64_t a, uint64_t b)
{
    return MAX(a, b) - MIN(a, b) < 8 * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void test_each_page(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *at = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED);
    madvise(at, PAGES * page, MADV_NOHUGEPAGE); // EINVAL: this kernel has none
    (void)resident_bytes();                     // what it runs is there from now on
    uint64_t before = resident_bytes();
    for (size_t i = 0; i < PAGES; i++) {
        at[i * page] = 1;
        CHECK(is_near(resident_bytes(), before + (i + 1) * page));
    }
    CHECK_INT(munmap(at, PAGES * page), 0);
    CHECK(is_near(resident_bytes(), before));
}

// What is taken where the kernel does not count pages: three sums, each of which lacks up to 32 pages a
// processor, 2n where there are more of them.
static void test_sum(void)
{
    uint64_t n = (uint64_t)sysconf(_SC_NPROCESSORS_CONF);
    uint64_t off = 3 * n * MAX(32, 2 * n) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t counted = resident_counted(), summed = resident_summed();
    CHECK(counted > 0 && summed > 0);
    CHECK(summed <= counted + off && counted <= summed + off);
}

static const struct check_case cases[] = {
    {"each page", test_each_page},
    {"the sum", test_sum},
};

CHECK_MAIN(cases)
