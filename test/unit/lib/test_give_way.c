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

static void add(unsigned from, uint64_t since_ns, bool idle)
{
    places[n++] = (struct give_way_place){.from = host(from), .since_ns = since_ns, .idle = idle};
}

static size_t comes(unsigned from)
{
    struct addr a = host(from);
    return give_way(places, n, &a);
}

// Everybody has one place: those that are idle or over their time, the longest first; nobody else.
static void test_one_each(void)
{
    n = 0;
    CHECK_INT(comes(9), n);
    add(1, 10, false);
    add(2, 20, false);
    CHECK_INT(comes(9), n);
    add(3, 40, true);
    CHECK_INT(comes(9), 2);
    add(4, 30, true);
    CHECK_INT(comes(9), 3);
    CHECK_INT(comes(2), n);
    places[1].over = true;
    CHECK_INT(comes(9), 1);
    CHECK_INT(comes(2), 1);
    CHECK_INT(comes(1), 1); // who takes longer than anybody may is safe from nobody with as many
}

// Two addresses that hold all, and are busy within the time: others come in, they themselves do not.
static void test_two_hold_all(void)
{
    n = 0;
    for (unsigned i = 0; i < MOST; i++)
        add(1 + i % 2, 100 - i, false);
    CHECK_INT(comes(9), MOST - 1); // the longest of all
    CHECK_INT(comes(1), n);
    CHECK_INT(comes(2), n);
    places[4].idle = true;
    CHECK_INT(comes(9), 4);
    CHECK_INT(comes(1), 4); // its own
    CHECK_INT(comes(2), n); // who has as many
}

// The place of somebody with a single one is safe from who has some already, however long it has been free.
static void test_the_single_one_stays(void)
{
    n = 0;
    add(7, 1, true);
    for (unsigned i = 0; i < 16; i++)
        add(1, 50 + i, false);
    for (unsigned i = 0; i < 15; i++)
        add(2, 80 + i, false);
    CHECK_INT(comes(2), n);
    CHECK_INT(comes(1), n);
    CHECK_INT(comes(9), 1); // nor does anybody else need it, while some have far more than their share
    CHECK_INT(comes(7), 1);
    places[20].over = true;
    CHECK_INT(comes(2), 20);
    CHECK_INT(comes(1), n); // it has more than 2 has
    CHECK_INT(comes(9), 1);
}

// Nobody has more than an even share and one: the free ones go before the others.
static void test_free_before_others(void)
{
    n = 0;
    for (unsigned i = 0; i < 30; i++)
        add(10 + i, 100 - i, true);
    add(1, 1, false);
    add(1, 2, false);
    CHECK_INT(comes(9), 29);
    for (unsigned i = 0; i < 30; i++)
        places[i].idle = false;
    CHECK_INT(comes(9), 30);
    CHECK_INT(comes(10), n);
}

// Of four places three are one address', and the fourth has been busy for long.
static void test_few_places(void)
{
    n = 0;
    for (unsigned i = 0; i < 3; i++)
        add(1, 50 + i, false);
    add(2, 1, false);
    places[3].over = true;
    CHECK_INT(comes(1), n);
    CHECK_INT(comes(9), 0);
    places[1].over = true;
    CHECK_INT(comes(1), 1);
    CHECK_INT(comes(9), 1);
}

// An even share is not taken from, until its time is over.
static void test_even_share(void)
{
    n = 0;
    add(1, 1, false);
    add(1, 2, false);
    add(2, 3, false);
    add(2, 4, false);
    CHECK_INT(comes(1), n);
    CHECK_INT(comes(9), 0);
    add(9, 5, false);
    CHECK_INT(comes(9), n);
    places[3].over = true;
    CHECK_INT(comes(9), 3);
}

static const struct check_case cases[] = {
    {"one place each", test_one_each},
    {"two addresses hold all", test_two_hold_all},
    {"the single place of somebody stays", test_the_single_one_stays},
    {"free ones before others", test_free_before_others},
    {"few places", test_few_places},
    {"an even share", test_even_share},
};

CHECK_MAIN(cases)
