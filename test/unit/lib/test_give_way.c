// SPDX-License-Identifier: Apache-2.0
// Who gives way, by address, and who does not.
#include "lib/give_way.h"

#include "test/unit/check.h"

#define MOST 32

static struct give_way_place places[MOST];
static size_t n;

static struct addr host(unsigned last)
{
    return (struct addr){.set = 1, .bytes = {192, 0, 2, (uint8_t)last}};
}

static void add(unsigned from, uint64_t since_ns, bool idle, bool over)
{
    places[n++] =
        (struct give_way_place){.from = host(from), .since_ns = since_ns, .idle = idle, .over = over};
}

static size_t comes(unsigned from)
{
    struct addr a = host(from);
    return give_way(places, n, &a);
}

// Everybody has one place: the idle and those whose time is over, the longest first; nobody else.
static void test_one_each(void)
{
    n = 0;
    CHECK_INT(comes(9), n);
    add(1, 10, false, false);
    add(2, 20, false, false);
    CHECK_INT(comes(9), n);
    add(3, 40, true, false);
    CHECK_INT(comes(9), 2);
    add(4, 30, true, false);
    CHECK_INT(comes(9), 3);
    places[2].idle = places[3].idle = false;
    CHECK_INT(comes(9), n);
    places[1].over = true;
    CHECK_INT(comes(9), 1);
    places[0].over = true;
    CHECK_INT(comes(9), 0);
    places[3].idle = true;
    CHECK_INT(comes(9), 0); // whose time is over has no more right than who is idle
    places[0].since_ns = 31;
    CHECK_INT(comes(9), 1);
    places[1].since_ns = 31;
    CHECK_INT(comes(9), 3);
}

// Two addresses that hold all, and are busy within the time: others come in, they themselves do not.
static void test_two_hold_all(void)
{
    n = 0;
    for (unsigned i = 0; i < MOST; i++)
        add(1 + i % 2, 100 - i, false, false);
    CHECK_INT(comes(9), MOST - 1); // the longest of all
    CHECK_INT(comes(1), n);
    CHECK_INT(comes(2), n);
    places[4].idle = true;
    CHECK_INT(comes(9), 4);
    CHECK_INT(comes(1), 4);
}

// One place that has been idle for long is safe from who has many.
static void test_the_single_one_stays(void)
{
    n = 0;
    add(7, 1, true, false);
    for (unsigned i = 0; i < 16; i++)
        add(1, 50 + i, i % 2 == 0, false);
    for (unsigned i = 0; i < 15; i++)
        add(2, 80 + i, false, true);
    CHECK_INT(comes(9), 1);
    CHECK_INT(comes(2), 1);
    CHECK_INT(comes(1), 1);
}

// An even share is not taken from, until its time is over.
static void test_even_share(void)
{
    n = 0;
    add(1, 1, false, false);
    add(1, 2, false, false);
    add(2, 3, false, false);
    add(2, 4, false, false);
    CHECK_INT(comes(1), n);
    CHECK_INT(comes(9), 0);
    add(9, 5, false, false);
    CHECK_INT(comes(9), n);
    places[3].over = true;
    CHECK_INT(comes(9), 3);
}

static const struct check_case cases[] = {
    {"one place each", test_one_each},
    {"two addresses hold all", test_two_hold_all},
    {"the single place of somebody stays", test_the_single_one_stays},
    {"an even share", test_even_share},
};

CHECK_MAIN(cases)
