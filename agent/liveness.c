// SPDX-License-Identifier: Apache-2.0
#include "agent/liveness.h"

struct liveness_chance liveness_chance(uint64_t sent_ns, uint64_t until_ns, uint64_t tick_ns)
{
    uint64_t time = until_ns - sent_ns;
    return (struct liveness_chance){.since_ns = until_ns - MAX(time / 2, MIN(2 * tick_ns, time)),
                                    .until_ns = until_ns};
}

bool liveness_shown(const struct liveness *l, const struct liveness_chance *c)
{
    return l->heard_ns >= c->since_ns;
}

void liveness_needed(struct liveness *l, const struct liveness_chance *c, uint64_t now_ns)
{
    if (!l->owes_ns && !liveness_shown(l, c) && c->since_ns <= now_ns)
        l->owes_ns = now_ns;
}

bool liveness_asks(const struct liveness *l)
{
    return l->owes_ns && !l->asked;
}

void liveness_asked(struct liveness *l, uint64_t now_ns)
{
    l->owes_ns = now_ns;
    l->asked = true;
}

void liveness_heard(struct liveness *l, uint64_t now_ns)
{
    *l = (struct liveness){.heard_ns = now_ns};
}

bool liveness_hangs(const struct liveness *l, uint64_t now_ns)
{
    return l->owes_ns && now_ns - l->owes_ns >= LIVENESS_HUNG_NS;
}
