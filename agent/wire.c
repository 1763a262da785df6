// SPDX-License-Identifier: Apache-2.0
// The payload of an echo request, written and read.
#include "agent/wire.h"

#include "lib/bytes.h"

#define TOKEN_BYTES 20
#define TAIL (WIRE_PAYLOAD - TOKEN_BYTES)

static const uint8_t magic[4] = {'k', 'c', 'n', '1'};

static void put_token(uint8_t out[static TOKEN_BYTES], const struct engine_token *t)
{
    memcpy(out, magic, sizeof(magic));
    bytes_put(out + 4, t->id, 4);
    bytes_put(out + 8, t->seq, 4);
    bytes_put(out + 12, t->cookie, 8);
}

static bool get_token(const uint8_t in[static TOKEN_BYTES], struct engine_token *ret)
{
    if (memcmp(in, magic, sizeof(magic)) != 0)
        return false;
    *ret = (struct engine_token){(uint32_t)bytes_get(in + 4, 4), (uint32_t)bytes_get(in + 8, 4),
                                 bytes_get(in + 12, 8)};
    return true;
}

void wire_write(uint8_t out[static WIRE_PAYLOAD], const struct engine_token *t, size_t payload)
{
    size_t more = payload - WIRE_PAYLOAD;
    put_token(out, t);
    for (unsigned i = TOKEN_BYTES; i < TAIL; i++)
        out[i] = (uint8_t)(t->cookie >> (8 * (i % 8))) ^ (uint8_t)i;
    out[TAIL - 2] ^= (uint8_t)(more >> 8);
    out[TAIL - 1] ^= (uint8_t)more;
    put_token(out + TAIL, t);
}

unsigned wire_read(const uint8_t *data, size_t len, struct engine_token ret[static 2], bool *ret_intact)
{
    unsigned n = 0;
    *ret_intact = false;
    if (len >= TOKEN_BYTES && get_token(data, &ret[0]))
        n = 1;
    if (len >= WIRE_PAYLOAD && get_token(data + TAIL, &ret[n])) {
        if (n == 1 && ret[0].id == ret[1].id && ret[0].seq == ret[1].seq && ret[0].cookie == ret[1].cookie) {
            uint8_t want[WIRE_PAYLOAD];
            wire_write(want, &ret[0], len);
            *ret_intact = memcmp(want, data, WIRE_PAYLOAD) == 0;
        } else {
            n++;
        }
    }
    return n;
}
