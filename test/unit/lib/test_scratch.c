// SPDX-License-Identifier: Apache-2.0
// Places that are taken and given back: zeros each time, pages that the kernel has again, a mapping that goes
// with the last of them.
#include "lib/scratch.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test/unit/check.h"

#define BYTES 100000

// Of the `bytes` from `at`: how many pages are resident (mincore(2)); -1: they are no mapping.
static int resident(const void *at, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char in[64];
    int n = 0;
    if (mincore((void *)(uintptr_t)at, bytes, in) != 0)
        return -1;
    for (size_t i = 0; i < (bytes + page - 1) / page; i++)
        n += in[i] & 1;
    return n;
}

static bool is_zero(const uint8_t *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (at[i])
            return false;
    return true;
}

static void test_places(void)
{
    struct err e;
    struct scratch *s = scratch_new(3, BYTES, &e);
    uint8_t *places[3];
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        CHECK((places[i] = scratch_take(s, BYTES)));
        CHECK((uintptr_t)places[i] % (size_t)sysconf(_SC_PAGESIZE) == 0);
        CHECK_INT(resident(places[i], BYTES), 0);
        CHECK(is_zero(places[i], BYTES));
        memset(places[i], (int)i + 1, BYTES);
    }
    CHECK(!scratch_take(s, BYTES));
    CHECK(places[0][BYTES - 1] == 1 && places[1][0] == 2 && places[2][BYTES - 1] == 3); // each its own
    scratch_give(s, places[1]);
    CHECK_INT(resident(places[1], BYTES), 0);
    CHECK_INT(resident(places[0], BYTES), (BYTES + 4095) / 4096);
    CHECK(scratch_take(s, BYTES) == places[1]);
    CHECK(is_zero(places[1], BYTES));
    CHECK(places[0][BYTES - 1] == 1 && places[2][0] == 3);
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        scratch_give(s, places[i]);
    scratch_free(s);
}

// A reload while somebody still reads.
static void test_dropped(void)
{
    struct err e;
    struct scratch *s = scratch_new(2, BYTES, &e);
    uint8_t *a = scratch_take(s, BYTES), *b = scratch_take(s, BYTES);
    scratch_free(s);
    memset(a, 1, BYTES);
    memset(b, 2, BYTES);
    scratch_give(s, a);
    CHECK(b[BYTES - 1] == 2);
    scratch_give(s, b);
    CHECK_INT(resident(b, BYTES), -1);
    scratch_free(NULL);
}

static void test_no_space(void)
{
    struct err e = {0};
    CHECK(!scratch_new(SCRATCH_PLACES, (size_t)1 << 58, &e));
    CHECK_INT(e.code, ENOMEM);
    CHECK_CONTAINS(e.msg, "no address space of ");
}

// Locked memory cannot be given back: it is zeros all the same.
static void test_locked(void)
{
    struct err e;
    struct scratch *s = scratch_new(1, 4096, &e);
    uint8_t *a = scratch_take(s, 4096);
    CHECK_INT(mlock(a, 4096), 0);
    memset(a, 1, 4096);
    scratch_give(s, a);
    CHECK(scratch_take(s, 4096) == a);
    CHECK(is_zero(a, 4096));
    scratch_give(s, a);
    scratch_free(s);
}

// Of the sanitizers: NULL, or the first byte that may not be touched.
void *__asan_region_is_poisoned(void *at, size_t bytes);

// What is no part of a place, and a place that was given back, are the sanitizers' to watch.
static void test_watched(void)
{
    struct err e;
    struct scratch *s = scratch_new(2, 5000, &e);
    uint8_t *a = scratch_take(s, 4500);
    CHECK(!__asan_region_is_poisoned(a, 4500));
    CHECK(__asan_region_is_poisoned(a, 8192) == a + 4500 || __asan_region_is_poisoned(a, 8192) == a + 4504);
    scratch_give(s, a);
    CHECK(__asan_region_is_poisoned(a, 1) == a);
    CHECK(scratch_take(s, 5000) == a);
    CHECK(!__asan_region_is_poisoned(a, 5000));
    scratch_give(s, a);
    scratch_free(s);
    CHECK(!__asan_region_is_poisoned(a, 8192));
}

static const struct check_case cases[] = {
    {"places", test_places},
    {"dropped while some are in use", test_dropped},
    {"no address space", test_no_space},
    {"locked memory", test_locked},
    {"watched by the sanitizers", test_watched},
};

CHECK_MAIN(cases)
