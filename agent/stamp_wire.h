// SPDX-License-Identifier: Apache-2.0
// Test packets of STAMP, unauthenticated: what a Session-Sender sends (RFC 8762 4.2.1) and what a
// Session-Reflector answers (4.3.1), both with the session's identifier of RFC 8972 (3). Pure: bytes in,
// values out; knows no session and no socket.
#ifndef KUBECANARY_AGENT_STAMP_WIRE_H
#define KUBECANARY_AGENT_STAMP_WIRE_H

#include "lib/base.h"

// Of both formats: symmetrical, so that there is nothing to gain from a spoofed source.
#define STAMP_WIRE_BYTES 44
// In an SSID: our senders' wish that the answer not be fragmented either. The RFCs leave the number to the
// sender and have no other place for it; to other reflectors it is a number like any other.
#define STAMP_WIRE_WHOLE 0x8000

// A sender's packet. Big-endian: sequence number (4), timestamp (8), error estimate (2), SSID (2), zeros
// (28).
struct stamp_wire_query {
    uint32_t seq;
    uint64_t time;  // NTP format (stamp_wire_ntp), or whatever the sender's error estimate says
    uint16_t error; // stamp_wire_error
    uint16_t ssid;  // 0: the sender has none (RFC 8762 alone)
};

// A reflector's packet: sequence number (4), timestamp (8), error estimate (2), SSID (2), time of receipt
// (8), the sender's sequence number (4), timestamp (8) and error estimate (2), zeros (2), TTL of the sender's
// packet as it came (1), zeros (3).
struct stamp_wire_answer {
    uint32_t seq; // the reflector's own, or the sender's where it keeps no state
    uint64_t time;
    uint16_t error; // of time and received
    uint16_t ssid;
    uint64_t received;
    struct stamp_wire_query sender; // as it came; ssid is not part of it
    uint8_t ttl;
};

void stamp_wire_put_query(uint8_t out[static STAMP_WIRE_BYTES], const struct stamp_wire_query *q);
// What stands after the base packet of one with a longer payload: the head of an Extra Padding TLV (RFC 8972
// 4.1), which the rest of the payload is the value of; zeros where there is no room for it. Returns its
// bytes: 0 to 4.
#define STAMP_WIRE_TLV 4
size_t stamp_wire_put_padding(uint8_t out[static STAMP_WIRE_TLV], size_t payload);
// The base packet in data, which may be longer: extensions (RFC 8972 4) or padding. -EINVAL: too short.
MUST_USE int stamp_wire_get_query(const uint8_t *data, size_t len, struct stamp_wire_query *ret);
// Whether the 28 bytes that a sender leaves zero are: in a reflector's answer they cannot be, for it holds
// times there.
bool stamp_wire_is_query(const uint8_t data[static STAMP_WIRE_BYTES]);

void stamp_wire_put_answer(uint8_t out[static STAMP_WIRE_BYTES], const struct stamp_wire_answer *a);
MUST_USE int stamp_wire_get_answer(const uint8_t *data, size_t len, struct stamp_wire_answer *ret);

// Nanoseconds since 1970 as an NTP timestamp: seconds since 1900 (modulo 2^32) and a binary fraction.
uint64_t stamp_wire_ntp(uint64_t real_ns);
// The error estimate for NTP timestamps (RFC 4656 4.1.2): S, the clock follows UTC; Z, 0; an error of
// multiplier * 2^(scale - 32) seconds, at least error_ns, the closest there is. Never 0, as 0 is invalid.
uint16_t stamp_wire_error(bool synchronized, uint64_t error_ns);
// How long the reflector held the packet, in ns, by its own clock and word (NTP or PTP format, as its Z bit
// says). 0 if that cannot be: it would have sent before it received, or held it for more than a minute.
uint64_t stamp_wire_held(const struct stamp_wire_answer *a);

#endif
