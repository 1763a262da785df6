// SPDX-License-Identifier: Apache-2.0
// What agents say to each other (UDP, ports.peer): "I leave" (a hint, which proves nothing), "do you stay?"
// and the answer. One size for all, so that no answer is larger than its question; no reply to an answer, so
// that nothing can go round in circles. Pure: bytes in, values out.
//
//  0  4  "kcp1": what it is, and its version
//  4  1  kind
//  5  1  0: the sender stays, 1: it leaves
//  6  2  0
//  8  8  hash of the fleet's name: agents of another fleet are not listened to
// 16  8  hash of the sender's node name and network: a node may have an agent in each
// 24  8  nonce: random in a question, the question's in its answer, 0 in a hint
// Numbers are big-endian. The hashes tell apart, they protect nothing: what is believed is an answer with the
// nonce of a question of our own, from the address that we asked.
#ifndef KUBECANARY_AGENT_PEER_WIRE_H
#define KUBECANARY_AGENT_PEER_WIRE_H

#include "lib/spec.h"

#define PEER_WIRE_BYTES 32

enum peer_wire_kind { PEER_WIRE_HINT, PEER_WIRE_QUERY, PEER_WIRE_ANSWER };
#define PEER_WIRE_KINDS 3
const char *peer_wire_kind_name(enum peer_wire_kind k); // "hint", "query", "answer": the label `kind`

struct peer_wire {
    enum peer_wire_kind kind;
    bool leaving;
    uint64_t fleet; // peer_wire_fleet
    uint64_t agent; // peer_wire_agent
    uint64_t nonce;
};

void peer_wire_write(uint8_t out[static PEER_WIRE_BYTES], const struct peer_wire *m);
// False: it is none of ours, or of a version that we do not know.
bool peer_wire_read(const uint8_t *data, size_t len, struct peer_wire *ret);

// Both are, of agents in the network Pod, what they were before there were others in a fleet.
uint64_t peer_wire_fleet(const char *fleet);
uint64_t peer_wire_agent(const char *node, enum spec_network network);

#endif
