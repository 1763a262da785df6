// SPDX-License-Identifier: Apache-2.0
// A token bucket: so many at once, then one in so long. Counted by what is used up, so that a zeroed bucket
// is full. Pure: time comes from the caller, ascending. Where thousands of sources have a bucket each,
// smaller ones are kept (agent/peer_rate, agent/stamp_session).
#ifndef KUBECANARY_LIB_BUCKET_H
#define KUBECANARY_LIB_BUCKET_H

#include "lib/base.h"

struct bucket {         // zero-initialised: full
    uint64_t refill_ns; // up to when what came back is counted
    uint64_t used;      // at that moment
};

// Whether there is one to take of at most `burst`, one of which comes back each_ns after another; takes it if
// so.
bool bucket_take(struct bucket *b, uint64_t burst, uint64_t each_ns, uint64_t now_ns);

#endif
