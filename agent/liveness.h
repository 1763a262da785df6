// SPDX-License-Identifier: Apache-2.0
// Whether a helper is there, as far as it shows: by whatever it says, and by the answer that it owes to a
// question. From that it follows what a probe that nobody answered says of its target, and when the helper
// hangs. Pure: times come from the caller (CLOCK_MONOTONIC in ns), and messages go through it.
#ifndef KUBECANARY_AGENT_LIVENESS_H
#define KUBECANARY_AGENT_LIVENESS_H

#include "lib/base.h"

// Who has not answered for so long hangs. Longer than it takes to start on a busy node.
#define LIVENESS_HUNG_NS (10 * NS_PER_S)

struct liveness {      // zero-initialised, for each helper anew
    uint64_t heard_ns; // when it said something last
    uint64_t asked_ns; // it was asked then whether it is there, and has said nothing since; 0: not
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

// Whether it has to be asked for that probe: nothing was heard of it in time yet, and no question is open.
bool liveness_asks(const struct liveness *l, const struct liveness_chance *c, uint64_t now_ns);
void liveness_asked(struct liveness *l, uint64_t now_ns); // it was
void liveness_heard(struct liveness *l, uint64_t now_ns); // it said something, an answer or anything else
bool liveness_hangs(const struct liveness *l, uint64_t now_ns);

#endif
