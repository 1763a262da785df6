// SPDX-License-Identifier: Apache-2.0
// Who gives way when all places are taken: fair by address, so that nobody who opens all that one address may
// keeps others out, nor takes the one place of somebody who has a single one. Pure.
#ifndef KUBECANARY_LIB_GIVE_WAY_H
#define KUBECANARY_LIB_GIVE_WAY_H

#include "lib/addr.h"

struct give_way_place { // that is taken
    struct addr from;
    uint64_t since_ns; // that it is idle, or busy
    bool idle;         // may go at any time
    bool over;         // busy for longer than anybody is entitled to: likewise
};

// Of n places one for somebody from this address; n: nobody gives way. Who is busy within the time does so
// only if the address has at least two places more than that of who comes. Of those who may go: of the
// address with the most places; those that may at any time before the others; the longest first.
size_t give_way(const struct give_way_place *p, size_t n, const struct addr *from);

#endif
