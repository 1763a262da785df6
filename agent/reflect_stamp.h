// SPDX-License-Identifier: Apache-2.0
// STAMP's Session-Reflector (RFC 8762 4.3, unauthenticated, stateful): each well-formed test packet is
// answered at once, with as many bytes as it had, from the address that it was sent to, in its own class
// (DSCP). A session is source address, source port and SSID (RFC 8972 3); its answers are numbered from 0. It
// is open to whoever reaches it, so it answers nothing that another reflector could have sent, is bounded in
// what it answers and remembers, and counts what it refuses. What follows the base packet (extensions of RFC
// 8972, padding) is sent back as it came, which means "not understood".
#ifndef KUBECANARY_AGENT_REFLECT_STAMP_H
#define KUBECANARY_AGENT_REFLECT_STAMP_H

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/loop.h"

// Why a packet was not answered: label `reason`.
enum reflect_stamp_refusal {
    REFLECT_STAMP_SHORT,       // less than a test packet
    REFLECT_STAMP_LONG,        // more than LIMIT_PROBE_PAYLOAD
    REFLECT_STAMP_FORM,        // not a sender's: what it leaves zero is not
    REFLECT_STAMP_PORT,        // from a well-known port, or our own: a server or a reflector, no sender
    REFLECT_STAMP_ADDRESS,     // to a broadcast or multicast address
    REFLECT_STAMP_SOURCE_RATE, // its source asks too much
    REFLECT_STAMP_RATE,        // all together ask too much
    REFLECT_STAMP_SEND,        // the answer could not be sent
};
#define REFLECT_STAMP_REFUSALS 8
const char *reflect_stamp_refusal_name(enum reflect_stamp_refusal r); // "short", "long", ...

struct reflect_stamp_stats {
    uint64_t answered;
    uint64_t stateless; // of these: with the sender's number, as there was no room for another session
    uint64_t refused[REFLECT_STAMP_REFUSALS];
    uint64_t sessions; // remembered now
};

struct reflect_stamp;

// Listens on addr (set = 0: all addresses, of each family that there is) and port (0: any). NULL on failure.
struct reflect_stamp *reflect_stamp_new(struct loop *l, const struct addr *addr, uint16_t port, uint64_t seed,
                                        struct err *e);
void reflect_stamp_free(struct reflect_stamp *r); // takes NULL
uint16_t reflect_stamp_port(const struct reflect_stamp *r);
// Room for so many sessions of so many sources (see stamp_session.h); it only grows, and numbers go on.
MUST_USE int reflect_stamp_expect(struct reflect_stamp *r, size_t sessions, size_t sources, struct err *e);
void reflect_stamp_stats(const struct reflect_stamp *r, struct reflect_stamp_stats *ret);

#endif
