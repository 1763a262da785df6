// SPDX-License-Identifier: Apache-2.0
// Who gives way when all places are taken: by address, so that nobody who opens all that one address may
// keeps others out, nor takes a place in use from who has no more of them. Pure.
#ifndef KUBECANARY_LIB_GIVE_WAY_H
#define KUBECANARY_LIB_GIVE_WAY_H

#include "lib/addr.h"

struct give_way_place { // that is taken
    struct addr from;
    uint64_t since_ns; // that it is as it is
    bool idle;
    bool over; // busy for longer than anybody is entitled to
};

// Of n places one for somebody from this address; n: nobody gives way. It is one of its own that is idle or
// over its time; or one of another address: that is idle, if that has more places; that is over its time, if
// it has as many; any, if it has at least two more. First those of an address with more than an even share
// and one; then those that are idle or over their time; among these of the address with most, the longest
// first.
size_t give_way(const struct give_way_place *p, size_t n, const struct addr *from);

#endif
