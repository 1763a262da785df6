// SPDX-License-Identifier: Apache-2.0
// Numbers in packets, in network byte order (big-endian), at any address.
#ifndef KUBECANARY_LIB_BYTES_H
#define KUBECANARY_LIB_BYTES_H

#include "lib/base.h"

// The low n bytes (1 to 8) of value.
static inline void bytes_put(uint8_t *out, uint64_t value, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        out[i] = (uint8_t)(value >> (8 * (n - 1 - i)));
}

static inline uint64_t bytes_get(const uint8_t *in, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | in[i];
    return v;
}

#endif
