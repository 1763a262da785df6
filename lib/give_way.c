// SPDX-License-Identifier: Apache-2.0
// Counts anew for each place: there are a few dozen at most.
#include "lib/give_way.h"

static size_t places_of(const struct give_way_place *p, size_t n, const struct addr *from)
{
    size_t ret = 0;
    for (size_t i = 0; i < n; i++)
        ret += addr_equal(&p[i].from, from);
    return ret;
}

// What an address may have without being the first to give: an even share and one more. own: how many places
// who comes has.
static size_t share_of(const struct give_way_place *p, size_t n, size_t own)
{
    size_t addresses = own == 0; // who comes is one more
    for (size_t i = 0; i < n; i++)
        addresses += places_of(p, i, &p[i].from) == 0;
    return n / addresses + 1;
}

// What decides between two that may give way.
struct rank {
    bool may;      // it may give way at all
    unsigned turn; // 0: of an address beyond its share; 1: idle or over its time; 2: neither
    size_t places;
    bool free;
    uint64_t since_ns;
};

static struct rank rank_of(const struct give_way_place *p, size_t places, bool is_own, size_t own,
                           size_t share)
{
    struct rank r = {.places = places, .free = p->idle || p->over, .since_ns = p->since_ns};
    r.may = p->over ? is_own || places >= own : p->idle ? is_own || places > own : places >= own + 2;
    r.turn = places > share ? 0 : r.free ? 1 : 2;
    return r;
}

static bool before(const struct rank *a, const struct rank *b)
{
    if (a->turn != b->turn)
        return a->turn < b->turn;
    if (a->places != b->places)
        return a->places > b->places;
    return a->free != b->free ? a->free : a->since_ns < b->since_ns;
}

size_t give_way(const struct give_way_place *p, size_t n, const struct addr *from)
{
    const size_t own = places_of(p, n, from), share = share_of(p, n, own);
    struct rank best = {0};
    size_t ret = n;
    for (size_t i = 0; i < n; i++) {
        bool is_own = addr_equal(&p[i].from, from);
        struct rank r = rank_of(&p[i], places_of(p, n, &p[i].from), is_own, own, share);
        if (r.may && (ret == n || before(&r, &best))) {
            ret = i;
            best = r;
        }
    }
    return ret;
}
