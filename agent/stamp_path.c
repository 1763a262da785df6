// SPDX-License-Identifier: Apache-2.0
// Probes leave the ring in the order in which they were sent. Losses collect in their session until an answer
// closes the stretch: then all of the reflector's numbers since the last one that closed are either seen or
// lost on the way back, and that must add up. Where it does not (yet), the stretch goes on.
#include "agent/stamp_path.h"

#include <string.h>

// Answers that a stretch may have before it is given up, uncounted: packets do not overtake each other that
// far, so its numbers are not of one reflector.
#define PATIENCE 32

#define LONGEST (UINT32_C(1) << 31) // probes after which numbers begin at 1 again

enum state { EMPTY, SENT, ANSWERED, SPOILT, SPOILT_ANSWERED };

struct entry {
    uint32_t number; // the reflector's, the highest of them
    uint16_t error;
    uint8_t state; // enum state
    uint8_t again; // duplicates with numbers of their own, just before this one
};

struct session {
    uint32_t closed; // the reflector's highest number when the last stretch closed
    uint32_t high;   // and now
    uint32_t seen;   // numbers seen in this stretch
    uint32_t lost;   // probes lost in this stretch
    uint8_t answers; // that have not closed it
    bool open;       // there was an answer
    bool behind;     // the last answer's number was before `closed`
    bool stateful;   // the reflector's numbers are its own
};

const char *stamp_path_way_name(enum stamp_path_way w)
{
    return w == STAMP_PATH_FORWARD ? "forward" : "backward";
}

size_t stamp_path_fixed(unsigned flows)
{
    return sizeof(struct stamp_path) + flows * (sizeof(uint64_t) + sizeof(struct session));
}

static uint64_t *flow_lost(const struct stamp_path *p)
{
    return (uint64_t *)(uintptr_t)(p + 1);
}

static struct session *session_of(const struct stamp_path *p, unsigned flow)
{
    return (struct session *)(uintptr_t)(flow_lost(p) + p->flows) + flow;
}

static struct entry *entry_of(const struct stamp_path *p, uint32_t seq)
{
    struct entry *ring = (struct entry *)(uintptr_t)session_of(p, p->flows);
    _Static_assert(sizeof(*ring) == STAMP_PATH_SLOT, "as published");
    return &ring[seq & (uint32_t)(p->slots - 1)];
}

static unsigned flow_of(const struct stamp_path *p, uint32_t seq)
{
    return (seq - p->base) % p->flows;
}

// The entry of a probe that is in the ring; NULL otherwise.
static struct entry *find(const struct stamp_path *p, uint32_t seq)
{
    if (p->slots == 0 || p->next - 1 - seq >= p->slots || p->next - seq > p->next - p->base)
        return NULL;
    return entry_of(p, seq);
}

// A new shape: the counters stay, what was under way is not known any more.
static void shape(struct stamp_path *p, unsigned flows, uint16_t slots, uint32_t seq)
{
    unsigned keep = MIN(p->flows, flows);
    if (p->next != p->base) { // nothing is on its way from a shape in which nothing has begun
        p->old_base = p->base;
        p->old_flows = p->flows;
    }
    if (p->next != seq) // of what was skipped nothing is known
        p->old_flows = 0;
    p->base = p->next = seq;
    p->flows = (uint8_t)flows;
    p->slots = slots;
    uint8_t *from = (uint8_t *)(flow_lost(p) + keep);
    memset(from, 0, (size_t)((uint8_t *)(entry_of(p, 0) + slots) - from));
}

static void close_at(struct session *s, uint32_t number)
{
    s->closed = s->high = number;
    s->seen = s->lost = 0;
    s->answers = 0;
    s->behind = false;
    s->open = true;
}

// Whether a later probe of the flow was answered with a number up to high: then the losses so far cannot be
// told from what it overtook.
static bool overtaken(const struct stamp_path *p, uint32_t seq, uint32_t high)
{
    for (uint32_t k = seq + p->flows; (int32_t)(p->next - k) > 0; k += p->flows) {
        const struct entry *e = entry_of(p, k);
        if (e->state == ANSWERED && (int32_t)(e->number - high) < 0)
            return true;
    }
    return false;
}

// Of a stretch's losses so many were on the way back.
static void tell(struct stamp_path *p, struct session *s, uint32_t back)
{
    p->lost[STAMP_PATH_BACKWARD] += back;
    p->lost[STAMP_PATH_FORWARD] += s->lost - back;
    close_at(s, s->high);
}

static void leave_answered(struct stamp_path *p, struct session *s, uint32_t seq, const struct entry *e)
{
    uint32_t ours = (seq - p->base) / p->flows + 1;
    s->stateful = s->stateful || e->number != ours || e->again;
    // One number from before the stretch was overtaken; two in a row are a reflector that began again.
    bool behind = (int32_t)(e->number - s->closed) <= 0, again = behind && s->behind;
    if (!s->open || !s->stateful || again) {
        close_at(s, e->number);
        return;
    }
    s->behind = behind;
    if (behind)
        return;
    s->seen += 1 + (uint32_t)e->again;
    if ((int32_t)(e->number - s->high) > 0)
        s->high = e->number;
    int64_t back = (int64_t)(int32_t)(s->high - s->closed) - s->seen, lost = s->lost;
    if (back >= 0 && back <= lost && (lost == 0 || !overtaken(p, seq, s->high))) {
        tell(p, s, (uint32_t)back);
    } else if (++s->answers >= PATIENCE) {
        // A few too many or too few: an answer that was both overtaken and lost stands in another stretch.
        // Otherwise the numbers are not of one reflector, which has to show again that they are its own.
        if (back >= -(int64_t)p->slots && back <= lost + p->slots)
            tell(p, s, (uint32_t)MIN(MAX(back, 0), lost));
        else
            s->stateful = false;
        close_at(s, s->high);
    }
}

// The probe's place is needed: how it ended is known.
static void leave(struct stamp_path *p, uint32_t seq)
{
    unsigned flow = flow_of(p, seq);
    struct session *s = session_of(p, flow);
    struct entry *e = entry_of(p, seq);
    switch ((enum state)e->state) {
    case SENT:
        flow_lost(p)[flow]++;
        s->lost++;
        break;
    case ANSWERED: leave_answered(p, s, seq, e); break;
    case SPOILT_ANSWERED: s->seen++; break; // one of its numbers, whichever
    case SPOILT:
    case EMPTY: break;
    }
    *e = (struct entry){0};
}

void stamp_path_fit(struct stamp_path *p, unsigned flows, uint16_t slots)
{
    if (p->slots && (p->flows != flows || p->slots != slots))
        shape(p, flows, slots, p->next);
}

unsigned stamp_path_begin(struct stamp_path *p, unsigned flows, uint16_t slots, uint32_t seq,
                          uint32_t *ret_number)
{
    if (p->flows != flows || p->slots != slots || p->next != seq || seq - p->base >= LONGEST)
        shape(p, flows, slots, seq);
    if (seq - p->base >= slots)
        leave(p, seq - slots);
    *entry_of(p, seq) = (struct entry){.state = SENT};
    p->next = seq + 1;
    *ret_number = (seq - p->base) / flows + 1;
    return flow_of(p, seq);
}

void stamp_path_set_error(struct stamp_path *p, uint32_t seq, uint16_t error)
{
    struct entry *e = find(p, seq);
    if (e)
        e->error = error;
}

bool stamp_path_error_is(const struct stamp_path *p, uint32_t seq, uint16_t error)
{
    const struct entry *e = find(p, seq);
    return !e || e->error == error;
}

static void set_state(struct stamp_path *p, uint32_t seq, enum state state)
{
    struct entry *e = find(p, seq);
    if (e && e->state == SENT)
        e->state = (uint8_t)state;
}

void stamp_path_failed(struct stamp_path *p, uint32_t seq)
{
    set_state(p, seq, EMPTY);
}

void stamp_path_spoilt(struct stamp_path *p, uint32_t seq, bool answered)
{
    set_state(p, seq, answered ? SPOILT_ANSWERED : SPOILT);
}

void stamp_path_answered(struct stamp_path *p, uint32_t seq, uint32_t reflector)
{
    struct entry *e = find(p, seq);
    if (e && e->state == SENT) {
        e->state = ANSWERED;
        e->number = reflector;
    } else if (e && e->state == ANSWERED && e->number - reflector > e->again && e->again < UINT8_MAX) {
        // The probe was doubled on its way there, not the answer on its way back: it has several numbers, one
        // after the other, and this one is new.
        e->again++;
        if ((int32_t)(reflector - e->number) > 0)
            e->number = reflector;
    }
}

// Whether so many probes had that number in that flow among them: exactly that, not modulo 2^32.
static bool in_shape(uint32_t number, unsigned flow, unsigned flows, uint32_t begun)
{
    return number > 0 && flow < flows && (uint64_t)(number - 1) * flows + flow < begun;
}

unsigned stamp_path_seq(const struct stamp_path *p, unsigned flow, uint32_t number, uint32_t ret[static 2])
{
    unsigned n = 0;
    if (in_shape(number, flow, p->flows, p->next - p->base))
        ret[n++] = p->base + (number - 1) * p->flows + flow;
    if (in_shape(number, flow, p->old_flows, p->base - p->old_base))
        ret[n++] = p->old_base + (number - 1) * p->old_flows + flow;
    return n;
}

uint64_t stamp_path_flow_lost(const struct stamp_path *p, unsigned flow)
{
    return flow < p->flows ? flow_lost(p)[flow] : 0;
}
