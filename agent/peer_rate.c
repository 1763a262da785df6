// SPDX-License-Identifier: Apache-2.0
// Token buckets, counted by what is used up: a bucket that was never touched is full.
#include "agent/peer_rate.h"

#include <string.h>

#define PARTS 32u // of one answer
#define FULL (LIMIT_PEER_ANSWERS_EACH * PARTS)
#define ALL_EACH_NS (NS_PER_S / LIMIT_PEER_ANSWERS)

void peer_rate_init(struct peer_rate *r, uint64_t key)
{
    memset(r, 0, sizeof(*r));
    r->key = key;
}

static struct peer_rate_bucket *bucket_of(struct peer_rate *r, const struct addr *from, bool known)
{
    size_t len = from->family == FAMILY_IPV4 ? 4 : known ? 16 : 8;
    uint64_t h = base_hash(base_hash(BASE_HASH_INIT, &r->key, sizeof(r->key)), from->bytes, len);
    return &r->sources[(h ^ h >> 32) % LIMIT_PEER_SOURCES];
}

bool peer_rate_allow(struct peer_rate *r, const struct addr *from, bool known, uint64_t now_ns)
{
    struct peer_rate_bucket *b = bucket_of(r, from, known);
    uint32_t now_ms = (uint32_t)(now_ns / NS_PER_MS);
    // Given back since then: a second gives back all. After 49 days the clock of a bucket has come round,
    // which at worst gives back less than is due.
    uint64_t back = (uint64_t)(now_ms - b->at_ms) * FULL / 1000;
    uint64_t used = b->used > back ? b->used - back : 0;
    uint64_t all = r->all_used > now_ns - r->all_ns ? r->all_used - (now_ns - r->all_ns) : 0;
    if (used + PARTS > FULL || all + ALL_EACH_NS > NS_PER_S)
        return false;
    *b = (struct peer_rate_bucket){now_ms, (uint16_t)(used + PARTS)};
    r->all_ns = now_ns;
    r->all_used = all + ALL_EACH_NS;
    return true;
}
