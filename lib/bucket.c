// SPDX-License-Identifier: Apache-2.0
#include "lib/bucket.h"

bool bucket_take(struct bucket *b, uint64_t burst, uint64_t each_ns, uint64_t now_ns)
{
    uint64_t back = (now_ns - b->refill_ns) / each_ns;
    b->used -= MIN(back, b->used);
    b->refill_ns = b->used ? b->refill_ns + back * each_ns : now_ns;
    if (b->used >= burst)
        return false;
    b->used++;
    return true;
}
