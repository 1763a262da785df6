// SPDX-License-Identifier: Apache-2.0
// A generator of pseudo-random bytes (splitmix64, public domain), from a fixed seed.
#include "agent/padding.h"

#include <errno.h>

size_t padding_payload(const struct plan *plan, enum spec_probe_type type)
{
    size_t most = 0;
    for (size_t i = 0; i < plan->n_probes; i++)
        if (plan->probes[i].type == type)
            most = MAX(most, (size_t)plan->probes[i].payload);
    return most;
}

int padding_reserve(struct padding *p, const struct plan *plan, enum spec_probe_type type, struct err *e)
{
    size_t least = spec_probe_payload_min(type), most = padding_payload(plan, type);
    uint64_t state = 0;
    if (most <= least || most - least <= p->n)
        return 0;
    uint8_t *bytes = realloc(p->bytes, most - least);
    if (!bytes)
        return err_set(e, ENOMEM, "no memory for packets of %zu bytes", most);
    p->bytes = bytes;
    p->n = most - least;
    for (size_t i = 0; i < p->n; i++) {
        uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        p->bytes[i] = (uint8_t)(z ^ z >> 31);
    }
    return 0;
}

void padding_release(struct padding *p)
{
    free(p->bytes);
    *p = (struct padding){0};
}
