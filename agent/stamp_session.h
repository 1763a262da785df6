// SPDX-License-Identifier: Apache-2.0
// What a reflector remembers of those who ask it: the number of the next answer in each session, and how much
// each source has asked of late. Both tables have a size that is given at the start and never grow by what
// the network sends. Pure: time comes from the caller, and nothing here sends.
#ifndef KUBECANARY_AGENT_STAMP_SESSION_H
#define KUBECANARY_AGENT_STAMP_SESSION_H

#include "lib/addr.h"
#include "lib/err.h"

struct stamp_session;

// Room for `sessions` sessions and `sources` addresses, with some to spare. seed: random, so that nobody
// outside knows what shares a place with what.
struct stamp_session *stamp_session_new(size_t sessions, size_t sources, uint64_t seed, struct err *e);
void stamp_session_free(struct stamp_session *t); // takes NULL
// The bytes that one with such room takes from the heap.
size_t stamp_session_bytes(size_t sessions, size_t sources);
// Takes over what another one remembers, as far as there is room.
void stamp_session_copy(struct stamp_session *t, const struct stamp_session *from);

enum stamp_session_verdict { STAMP_SESSION_ADMITTED, STAMP_SESSION_SOURCE_RATE, STAMP_SESSION_RATE };
// Whether one more packet of this source may be answered now (LIMIT_STAMP_SOURCE_RATE, LIMIT_STAMP_RATE, each
// with as much of a burst as a second has). Sources that fall on one place share its rate.
enum stamp_session_verdict stamp_session_admit(struct stamp_session *t, const struct addr *from,
                                               uint64_t now_ns);

// The number of the next answer in a session: 0 first. False: no room, and nobody idle (LIMIT_STAMP_IDLE_NS)
// whose place could be had; then the answer is a stateless one.
bool stamp_session_number(struct stamp_session *t, const struct addr *from, uint16_t port, uint16_t ssid,
                          uint64_t now_ns, uint32_t *ret);
size_t stamp_session_count(const struct stamp_session *t);

#endif
