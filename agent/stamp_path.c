// SPDX-License-Identifier: Apache-2.0
// Probes leave the ring in the order in which they were sent; by then it is known how they ended. A number of
// the reflector's that no answer brought is a loss on the way back, whichever probe had it: what overtakes
// what does not change how many there are. So nothing is told of single probes, only sums of which both terms
// are certain, and both follow from one promise, that no packet reaches the reflector after one that was sent
// a reach later. Every reach a mark is set: `mark` is the highest number that has left, `lost` the losses so
// far. A reach later
// - all probes with numbers up to the mark have left: those numbers that nobody brought were lost on the way
//   back;
// - the probes that leave from now on have higher numbers than all that were lost before the mark: as many of
//   these as exceed the numbers missing below were lost on the way there.
// What is still missing or lost then is told by one of the next marks, as soon as it is certain.
#include "agent/stamp_path.h"

#include <string.h>

#define LONGEST (UINT32_C(1) << 31) // probes after which numbers begin at 1 again

#define COPIES 13

enum state { EMPTY, SENT, ANSWERED, REFUSED, CORRUPT };

struct entry {
    uint32_t number; // the reflector's, the lowest of them
    uint16_t error;
    uint16_t state : 3;     // enum state
    uint16_t more : COPIES; // bit i: number + 1 + i was the probe's too, which was doubled on its way there
};

// Per flow, so small. Counts that are too large stay at their maximum.
struct session {
    uint32_t mark;            // the reflector's highest number when the mark was set
    uint32_t high;            // and now
    uint32_t missing;         // numbers up to the mark that nobody brought so far
    uint32_t lost : 29;       // probes before the mark that are lost and not told
    uint32_t open : 1;        // there was an answer
    uint32_t behind : 1;      // the last answer's number had been there before
    uint32_t stateful : 1;    // the reflector's numbers are its own
    uint32_t lost_after : 10; // as lost, of those since the mark
    uint32_t seen_after : 12; // numbers above the mark that were brought
    uint32_t wait : 10;       // probes until the next mark
};
#define LOST_MAX ((UINT32_C(1) << 29) - 1)
#define SEEN_MAX ((1u << 12) - 1)
#define REACH_MAX ((1u << 10) - 1)

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

// In probes of one flow: as far as the ring reaches.
static unsigned reach(const struct stamp_path *p)
{
    return MIN(MAX((unsigned)p->slots / p->flows, 1u), REACH_MAX);
}

static uint32_t highest(const struct entry *e)
{
    return e->more ? e->number + 32 - (uint32_t)__builtin_clz(e->more) : e->number;
}

// The numbers of an entry up to `top`.
static unsigned numbers_up_to(const struct entry *e, uint32_t top)
{
    unsigned n = (int32_t)(e->number - top) <= 0;
    for (unsigned i = 0; i < COPIES; i++)
        n += (e->more >> i & 1) && (int32_t)(e->number + 1 + i - top) <= 0;
    return n;
}

// Begins anew at a number: what was lost before is told for neither way.
static void open_at(const struct stamp_path *p, struct session *s, uint32_t number)
{
    *s = (struct session){
        .mark = number, .high = number, .open = 1, .stateful = s->stateful, .wait = reach(p) & REACH_MAX};
}

static void see(struct session *s, uint32_t number)
{
    if ((int32_t)(number - s->mark) <= 0) {
        s->missing -= s->missing > 0;
        return;
    }
    if (s->seen_after < SEEN_MAX)
        s->seen_after++;
    if ((int32_t)(number - s->high) > 0)
        s->high = number;
}

static void leave_answered(const struct stamp_path *p, struct session *s, uint32_t seq, const struct entry *e)
{
    uint32_t ours = (seq - p->base) / p->flows + 1;
    s->stateful |= e->number != ours || e->more;
    // A number that was there already: one may be some copy that was long under way, two in a row are a
    // reflector that began again.
    bool behind = (int32_t)(e->number - s->mark) <= 0 && s->missing == 0, again = behind && s->behind;
    if (!s->open || !s->stateful || again) {
        open_at(p, s, highest(e));
        return;
    }
    s->behind = behind;
    if (behind)
        return;
    see(s, e->number);
    for (unsigned i = 0; i < COPIES; i++)
        if (e->more >> i & 1)
            see(s, e->number + 1 + i);
}

// An answer that was corrupt brought a number too: the one that it says, if that can be. Every number that it
// skips must have been somebody's.
static void leave_corrupt(const struct stamp_path *p, struct session *s, const struct entry *e)
{
    uint32_t lost = (uint32_t)s->lost + s->lost_after, ahead = e->number - s->high;
    if (!s->open)
        return;
    if ((int32_t)(e->number - s->high) <= 0 || ahead <= lost + p->slots + 2 * reach(p))
        see(s, e->number);
}

// At most so many numbers above the mark were lost on the way back by probes that do not come after the mark.
// False: no answer says so.
static bool missing_after(const struct stamp_path *p, const struct session *s, uint32_t seq, int64_t *ret)
{
    bool any = false;
    uint32_t least = 0, brought = 0; // of what has not left; the one that leaves is in seen_after
    for (uint32_t k = seq; (int32_t)(p->next - k) > 0; k += p->flows) {
        const struct entry *e = entry_of(p, k);
        if (e->state != ANSWERED)
            continue;
        least = !any || (int32_t)(e->number - least) < 0 ? e->number : least;
        any = true;
        brought += k != seq ? numbers_up_to(e, s->high) : 0;
    }
    if (!any || (int32_t)(least - s->mark) <= 0)
        return false;
    uint32_t top = (int32_t)(least - 1 - s->high) > 0 ? least - 1 : s->high;
    *ret = (int64_t)(top - s->mark) - s->seen_after - brought;
    return true;
}

static void tell(struct stamp_path *p, enum stamp_path_way way, struct session *s, uint32_t n)
{
    uint32_t before = MIN(n, (uint32_t)s->lost);
    p->lost[way] += n;
    s->lost = (s->lost - before) & LOST_MAX;
    s->lost_after = (s->lost_after - (n - before)) & REACH_MAX;
}

// The last mark is a reach ago, and seq leaves: says what is certain, and sets the next.
static void mark(struct stamp_path *p, struct session *s, uint32_t seq)
{
    int64_t next = (int64_t)(s->high - s->mark) - s->seen_after, at_most = 0;
    uint32_t lost = (uint32_t)s->lost + s->lost_after;
    if (next < 0 || s->missing > lost + p->slots) { // numbers that are not of one reflector
        s->stateful = s->stateful && next < 0;
        open_at(p, s, s->high);
        return;
    }
    // More of them than losses: one of two answers to a doubled probe was lost.
    tell(p, STAMP_PATH_BACKWARD, s, MIN(s->missing, lost));
    if (missing_after(p, s, seq, &at_most) && at_most < s->lost)
        tell(p, STAMP_PATH_FORWARD, s, s->lost - (uint32_t)MAX(at_most, 0));
    s->missing = (uint32_t)next;
    s->mark = s->high;
    s->lost = MIN((uint32_t)s->lost + s->lost_after, LOST_MAX) & LOST_MAX;
    s->lost_after = 0;
    s->seen_after = 0;
    s->wait = reach(p) & REACH_MAX;
}

// The probe's place is needed: how it ended is known.
static void leave(struct stamp_path *p, uint32_t seq)
{
    unsigned flow = flow_of(p, seq);
    struct session *s = session_of(p, flow);
    struct entry *e = entry_of(p, seq);
    bool due = s->open && --s->wait == 0;
    switch ((enum state)e->state) {
    case SENT:
        flow_lost(p)[flow]++;
        s->lost_after = (s->lost_after + s->open) & REACH_MAX;
        break;
    case ANSWERED: leave_answered(p, s, seq, e); break;
    case CORRUPT: leave_corrupt(p, s, e); break;
    case REFUSED:
    case EMPTY: break;
    }
    if (due && s->wait == 0) // it did not begin anew
        mark(p, s, seq);
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

static void set_state(struct stamp_path *p, uint32_t seq, enum state state, uint32_t number)
{
    struct entry *e = find(p, seq);
    if (e && e->state == SENT) {
        e->state = state & 7;
        e->number = number;
    }
}

void stamp_path_failed(struct stamp_path *p, uint32_t seq)
{
    set_state(p, seq, EMPTY, 0);
}

void stamp_path_refused(struct stamp_path *p, uint32_t seq)
{
    set_state(p, seq, REFUSED, 0);
}

void stamp_path_corrupt(struct stamp_path *p, uint32_t seq, uint32_t reflector)
{
    set_state(p, seq, CORRUPT, reflector);
}

void stamp_path_answered(struct stamp_path *p, uint32_t seq, uint32_t reflector)
{
    struct entry *e = find(p, seq);
    if (!e || e->state != ANSWERED) {
        set_state(p, seq, ANSWERED, reflector);
        return;
    }
    // The probe was doubled on its way there, not the answer on its way back, if the number is another one.
    uint32_t above = reflector - e->number, below = e->number - reflector;
    uint32_t more = e->more;
    if (above > 0 && above <= COPIES) {
        more |= UINT32_C(1) << (above - 1);
    } else if (below > 0 && below <= COPIES && (more << below) >> COPIES == 0) {
        more = more << below | UINT32_C(1) << (below - 1);
        e->number = reflector;
    }
    e->more = more & ((1u << COPIES) - 1);
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
