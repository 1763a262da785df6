// SPDX-License-Identifier: Apache-2.0
// The two formats, byte for byte, and the arithmetic of their timestamps.
#include "agent/stamp_wire.h"

#include <errno.h>
#include <string.h>

#include "lib/bytes.h"

#define QUERY_USED 16 // the rest is zeros
#define TLV_U 0x80    // a sender sets it; a reflector that understands the TLV takes it off
#define TLV_EXTRA_PADDING 1
#define ERROR_S 0x8000
#define ERROR_Z 0x4000
#define ERROR_SCALE 63
#define EPOCH_NTP UINT64_C(2208988800) // seconds from 1900 to 1970
#define HELD_MAX_S 60

void stamp_wire_put_query(uint8_t out[static STAMP_WIRE_BYTES], const struct stamp_wire_query *q)
{
    memset(out, 0, STAMP_WIRE_BYTES);
    bytes_put(out, q->seq, 4);
    bytes_put(out + 4, q->time, 8);
    bytes_put(out + 12, q->error, 2);
    bytes_put(out + 14, q->ssid, 2);
}

size_t stamp_wire_put_padding(uint8_t out[static STAMP_WIRE_TLV], size_t payload)
{
    size_t more = payload - STAMP_WIRE_BYTES;
    memset(out, 0, STAMP_WIRE_TLV);
    if (more < STAMP_WIRE_TLV)
        return more;
    out[0] = TLV_U;
    out[1] = TLV_EXTRA_PADDING;
    bytes_put(out + 2, more - STAMP_WIRE_TLV, 2);
    return STAMP_WIRE_TLV;
}

int stamp_wire_get_query(const uint8_t *data, size_t len, struct stamp_wire_query *ret)
{
    if (len < STAMP_WIRE_BYTES)
        return -EINVAL;
    *ret = (struct stamp_wire_query){.seq = (uint32_t)bytes_get(data, 4),
                                     .time = bytes_get(data + 4, 8),
                                     .error = (uint16_t)bytes_get(data + 12, 2),
                                     .ssid = (uint16_t)bytes_get(data + 14, 2)};
    return 0;
}

bool stamp_wire_is_query(const uint8_t data[static STAMP_WIRE_BYTES])
{
    for (unsigned i = QUERY_USED; i < STAMP_WIRE_BYTES; i++)
        if (data[i] != 0)
            return false;
    return true;
}

void stamp_wire_put_answer(uint8_t out[static STAMP_WIRE_BYTES], const struct stamp_wire_answer *a)
{
    memset(out, 0, STAMP_WIRE_BYTES);
    bytes_put(out, a->seq, 4);
    bytes_put(out + 4, a->time, 8);
    bytes_put(out + 12, a->error, 2);
    bytes_put(out + 14, a->ssid, 2);
    bytes_put(out + 16, a->received, 8);
    bytes_put(out + 24, a->sender.seq, 4);
    bytes_put(out + 28, a->sender.time, 8);
    bytes_put(out + 36, a->sender.error, 2);
    out[40] = a->ttl;
}

int stamp_wire_get_answer(const uint8_t *data, size_t len, struct stamp_wire_answer *ret)
{
    if (len < STAMP_WIRE_BYTES)
        return -EINVAL;
    *ret = (struct stamp_wire_answer){
        .seq = (uint32_t)bytes_get(data, 4),
        .time = bytes_get(data + 4, 8),
        .error = (uint16_t)bytes_get(data + 12, 2),
        .ssid = (uint16_t)bytes_get(data + 14, 2),
        .received = bytes_get(data + 16, 8),
        .sender = {.seq = (uint32_t)bytes_get(data + 24, 4),
                   .time = bytes_get(data + 28, 8),
                   .error = (uint16_t)bytes_get(data + 36, 2)},
        .ttl = data[40],
    };
    return 0;
}

uint64_t stamp_wire_ntp(uint64_t real_ns)
{
    uint64_t seconds = real_ns / NS_PER_S + EPOCH_NTP, rest = real_ns % NS_PER_S;
    return seconds << 32 | (rest << 32) / NS_PER_S;
}

uint16_t stamp_wire_error(bool synchronized, uint64_t error_ns)
{
    uint64_t ns = MIN(error_ns, HELD_MAX_S * NS_PER_S);
    uint64_t multiplier = ((ns << 24) / NS_PER_S)
                          << 8; // in units of 2^-32 s; coarse, so that nothing overflows
    if (ns < NS_PER_S)
        multiplier = ((ns << 32) + NS_PER_S - 1) / NS_PER_S;
    unsigned scale = 0;
    for (; multiplier > 255; scale++)
        multiplier = (multiplier + 1) / 2;
    return (uint16_t)((synchronized ? ERROR_S : 0) | (scale & ERROR_SCALE) << 8 | MAX(multiplier, 1));
}

uint64_t stamp_wire_held(const struct stamp_wire_answer *a)
{
    uint64_t held;
    if (a->error & ERROR_Z) { // PTP, truncated: seconds and nanoseconds
        uint64_t sent = (a->time >> 32) * NS_PER_S + (uint32_t)a->time;
        uint64_t received = (a->received >> 32) * NS_PER_S + (uint32_t)a->received;
        held = sent - received;
    } else {
        uint64_t d = a->time - a->received; // modulo 2^64: also past the end of an NTP era
        held = (int64_t)d < 0 ? UINT64_MAX : (d >> 32) * NS_PER_S + ((d & UINT32_MAX) * NS_PER_S >> 32);
    }
    return held <= HELD_MAX_S * NS_PER_S ? held : 0;
}
