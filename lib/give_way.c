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

// Whether a goes rather than b.
static bool before(const struct give_way_place *a, size_t a_places, const struct give_way_place *b,
                   size_t b_places)
{
    if (a_places != b_places)
        return a_places > b_places;
    bool a_may = a->idle || a->over, b_may = b->idle || b->over;
    return a_may != b_may ? a_may : a->since_ns < b->since_ns;
}

size_t give_way(const struct give_way_place *p, size_t n, const struct addr *from)
{
    size_t ret = n, ret_places = 0, own = places_of(p, n, from);
    for (size_t i = 0; i < n; i++) {
        size_t places = places_of(p, n, &p[i].from);
        if (!p[i].idle && !p[i].over && places < own + 2)
            continue;
        if (ret == n || before(&p[i], places, &p[ret], ret_places)) {
            ret = i;
            ret_places = places;
        }
    }
    return ret;
}
