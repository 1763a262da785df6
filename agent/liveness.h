// SPDX-License-Identifier: Apache-2.0
// Whether a helper is there, as far as it shows: by whatever it says, and by the answer that it owes to a
// question. The question is sent by the caller, who may fail at that: time for the answer begins when it is
// with the helper. From that it follows what a probe that nobody answered says of its target, and when the
// helper hangs. Pure: times come from the caller (CLOCK_MONOTONIC in ns), and messages go through it.
#ifndef KUBECANARY_AGENT_LIVENESS_H
#define KUBECANARY_AGENT_LIVENESS_H

#include "lib/base.h"

// Who has not answered for so long hangs. Longer than it takes to start on a busy node.
#define LIVENESS_HUNG_NS (10 * NS_PER_S)

struct liveness {      // zero-initialised, for each helper anew
    uint64_t heard_ns; // when it said something last
    uint64_t owes_ns;  // since when it owes an answer to the question, or room for it; 0: neither
    bool asked;        // the question is with it
};

// When a helper has to be heard of for the sake of one probe: in the second half of the probe's time, or in
// the last two ticks if these are more. If it was not, it was not there, and nothing is known of the target.
struct liveness_chance {
    uint64_t since_ns;
    uint64_t until_ns; // the probe's end
};
// Of a probe that was sent at sent_ns and ends at until_ns, which is not before.
struct liveness_chance liveness_chance(uint64_t sent_ns, uint64_t until_ns, uint64_t tick_ns);
// Whether the helper has been heard of by now, at the probe's end: who was not answered was lost.
bool liveness_shown(const struct liveness *l, const struct liveness_chance *c);

// The helper has to show itself for that probe: if it is time, and it has not, it is to be asked.
void liveness_needed(struct liveness *l, const struct liveness_chance *c, uint64_t now_ns);
// Whether a question is to be sent: one at a time. True until one was sent: if there was no room for it, it
// is to be tried again.
bool liveness_asks(const struct liveness *l);
void liveness_asked(struct liveness *l, uint64_t now_ns); // it was sent
void liveness_heard(struct liveness *l, uint64_t now_ns); // it said something, an answer or anything else
// It has not answered for LIVENESS_HUNG_NS; or has read nothing for so long, so that nobody could ask.
bool liveness_hangs(const struct liveness *l, uint64_t now_ns);

#endif
