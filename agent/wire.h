// SPDX-License-Identifier: Apache-2.0
// What is in an echo request's payload: the probe's token at both ends around a fixed pattern, so that an
// answer with some bytes broken can still be told for whose it is. Pure: bytes in, values out.
#ifndef KUBECANARY_AGENT_WIRE_H
#define KUBECANARY_AGENT_WIRE_H

#include "agent/engine.h"

// "kcn1", id, seq, cookie (big-endian, 20 bytes), 16 bytes of pattern, then the same 20 bytes again: 56 as
// ping(8) sends. The pattern follows from the cookie and the length of the whole payload, which may be more:
// what comes after is the caller's (padding.h).
#define WIRE_PAYLOAD 56

// payload: of the whole.
void wire_write(uint8_t out[static WIRE_PAYLOAD], const struct engine_token *t, size_t payload);

// The tokens found in an answer's payload of len bytes, of which data holds the first WIRE_PAYLOAD at most:
// 0, 1 or 2 candidates (2 if the copies differ); *ret_intact: exactly what wire_write makes of ret[0] and
// len.
unsigned wire_read(const uint8_t *data, size_t len, struct engine_token ret[static 2], bool *ret_intact);

#endif
