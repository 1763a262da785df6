// SPDX-License-Identifier: Apache-2.0
// On which way a pair's STAMP probes were lost. Each source port (flow) of a pair is a session; the reflector
// numbers what it answers in each (RFC 8762 4.3, stateful). A number that no answer brings back was lost on
// the way back; the other losses, on the way there. Pure: lives in the bytes that the engine keeps for a
// probe's type, is told what was sent and answered, and reads no clock: a probe is taken for lost when the
// engine has ended it, that is when its place in the ring is needed again.
//
// The sums are exact, and neither is ever too large, as long as
// - no probe gets to the reflector after one of its session that was sent a reach later: as many as the ring
//   holds of a flow, that is at least timeout and grace (1023 at most). Within that, probes and answers may
//   overtake each other and be lost in any way;
// - a session's first reach after its first answer was in order;
// - of a probe that was doubled on its way there all answers come, or none, and at most 13 numbers apart. One
//   that is missing looks like the loss of an answer: it is counted as one if another loss is there that it
//   may have been, in whose place; forward + backward stays right.
// A loss is told when that much is certain: once three times the ring, and four probes of its flow, have gone
// by since it was sent, at the latest, if the flow is answered; some of it earlier.
//
// What cannot be told is counted for neither way: losses before the first answer of a session or after the
// last one; those around a restart of the reflector, which begins at 0 again (unless it gets past the old
// number unseen); all of a reflector that keeps no state and sends our own number back. Our numbers begin at
// 1, one ahead of a reflector's, so that the two kinds differ.
#ifndef KUBECANARY_AGENT_STAMP_PATH_H
#define KUBECANARY_AGENT_STAMP_PATH_H

#include "lib/base.h"

enum stamp_path_way { STAMP_PATH_FORWARD, STAMP_PATH_BACKWARD };
#define STAMP_PATH_WAYS 2
const char *stamp_path_way_name(enum stamp_path_way w); // "forward", "backward"

struct stamp_path { // what is kept when a reload changes the shape; behind it counters by flow, sessions,
                    // ring
    uint64_t lost[STAMP_PATH_WAYS];
    uint32_t base;     // the engine's seq of the first probe in this shape
    uint32_t next;     // of the next one
    uint32_t old_base; // of the shape before: its answers may still come
    uint16_t slots;    // 0: nothing has begun
    uint8_t flows;
    uint8_t old_flows; // 0: there was none
};

// The bytes that it takes: fixed (32 + 28 * flows) and for each slot of the engine's ring.
size_t stamp_path_fixed(unsigned flows);
#define STAMP_PATH_SLOT 8

// To be called when a reload may have changed the number of bytes, before anything else is: p is as the
// engine left it.
void stamp_path_fit(struct stamp_path *p, unsigned flows, uint16_t slots);
// A probe begins; p is zero at first. seq: the engine's, one after the other. Counts what its place in the
// ring held before. Sets the session's number, and returns the flow.
unsigned stamp_path_begin(struct stamp_path *p, unsigned flows, uint16_t slots, uint32_t seq,
                          uint32_t *ret_number);
// Its error estimate as sent, so that a changed one is seen.
void stamp_path_set_error(struct stamp_path *p, uint32_t seq, uint16_t error);
bool stamp_path_error_is(const struct stamp_path *p, uint32_t seq,
                         uint16_t error); // true if seq is not known
// It never left.
void stamp_path_failed(struct stamp_path *p, uint32_t seq);
// Somebody on the way refused it.
void stamp_path_refused(struct stamp_path *p, uint32_t seq);
// Its answer was corrupt, and says that number of the reflector's.
void stamp_path_corrupt(struct stamp_path *p, uint32_t seq, uint32_t reflector);
// It was answered, with that number of the reflector's; duplicates too.
void stamp_path_answered(struct stamp_path *p, uint32_t seq, uint32_t reflector);

// The engine's seq of a session's number: 0, 1 or 2 candidates.
unsigned stamp_path_seq(const struct stamp_path *p, unsigned flow, uint32_t number, uint32_t ret[static 2]);
// Probes of a flow that were not answered, of those that have left the ring. 0 for a flow that there is not.
uint64_t stamp_path_flow_lost(const struct stamp_path *p, unsigned flow);

#endif
