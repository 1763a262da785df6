// SPDX-License-Identifier: Apache-2.0
// The ring of one pair's probes.
#include "agent/flight.h"

#include <assert.h>

// A stamp may seem to be this much before our own reading of the clock: the two clocks are read one after the
// other. Encoded so that 0 is "none".
#define TX_BEFORE_NS (1 * NS_PER_MS)

static struct flight_slot *slot_of(struct flight *f, uint32_t seq)
{
    return &f->slots[seq & (uint32_t)(f->n_slots - 1)];
}

uint16_t flight_slots_for(const struct plan_probe *r)
{
    uint64_t need = (r->timeout_ns + r->grace_ns) / r->interval_ns + 2;
    uint16_t n = 2;
    while (n < need && n < 0x8000)
        n = (uint16_t)(n * 2);
    return n;
}

size_t flight_own_size(const struct plan_probe *r, uint16_t n_slots)
{
    return ALIGN8((size_t)r->own_fixed + (size_t)r->own_slot * n_slots);
}

size_t flight_size(uint16_t n_slots, size_t n_bounds, size_t own)
{
    size_t bytes = sizeof(struct flight) + n_slots * sizeof(struct flight_slot) + stats_size(n_bounds);
    return own ? ALIGN8(bytes) + own : bytes;
}

struct flight *flight_new(uint16_t n_slots, size_t n_bounds, size_t own)
{
    struct flight *f = calloc(1, flight_size(n_slots, n_bounds, own));
    if (!f)
        return NULL;
    f->n_slots = n_slots;
    flight_stats(f)->n_buckets = (uint32_t)n_bounds;
    return f;
}

struct stats *flight_stats(const struct flight *f)
{
    return (struct stats *)(uintptr_t)(f->slots + f->n_slots);
}

void *flight_own(const struct flight *f)
{
    struct stats *s = flight_stats(f);
    return (uint8_t *)s + ALIGN8(stats_size(s->n_buckets));
}

void flight_move(struct flight *to, const struct flight *from, size_t own)
{
    const void *from_own = own ? flight_own(from) : NULL;
    void *to_own = own ? flight_own(to) : NULL;
    uint32_t n = MIN(to->n_slots, from->n_slots);
    assert(flight_window(from) <= to->n_slots);
    for (uint32_t seq = from->seq_next - n; seq != from->seq_next; seq++)
        *slot_of(to, seq) = from->slots[seq & (uint32_t)(from->n_slots - 1)];
    uint16_t n_slots = to->n_slots;
    memcpy(to, from, sizeof(*to));
    to->n_slots = n_slots;

    struct stats *t = flight_stats(to);
    const struct stats *s = flight_stats(from);
    uint32_t n_buckets = t->n_buckets;
    bool same = n_buckets == s->n_buckets;
    memcpy(t, s, same ? stats_size(n_buckets) : offsetof(struct stats, buckets));
    t->n_buckets = n_buckets;
    if (!same)
        stats_reset_rtt(t);
    if (own)
        memcpy(to_own, from_own, own);
}

struct flight_slot *flight_begin(struct flight *f, uint64_t cookie, uint64_t now_ns, uint32_t *ret_seq)
{
    struct flight_slot *s = slot_of(f, f->seq_next);
    if (s->state == FLIGHT_FLYING)
        return NULL;
    *s = (struct flight_slot){.cookie = cookie, .sent_ns = now_ns, .state = FLIGHT_FLYING};
    *ret_seq = f->seq_next++;
    stats_begin(flight_stats(f));
    return s;
}

struct flight_slot *flight_find(struct flight *f, uint32_t seq, uint64_t cookie)
{
    if (f->seq_next - 1 - seq >= f->n_slots)
        return NULL;
    struct flight_slot *s = slot_of(f, seq);
    return s->state != FLIGHT_FREE && s->cookie == cookie ? s : NULL;
}

void flight_settle(struct flight *f, uint64_t now_ns, uint64_t wait_ns)
{
    for (; f->seq_old != f->seq_next; f->seq_old++) {
        struct flight_slot *s = slot_of(f, f->seq_old);
        if (s->state != FLIGHT_FLYING)
            continue;
        if (s->sent_ns + wait_ns > now_ns)
            return;
        s->state = FLIGHT_ENDED;
        stats_end(flight_stats(f), STATS_LOST);
    }
}

bool flight_overtaken(const struct flight *f, uint32_t seq, unsigned step)
{
    for (uint64_t k = (uint64_t)step; k < f->seq_next - seq; k += step)
        if (f->slots[(seq + (uint32_t)k) & (uint32_t)(f->n_slots - 1)].state == FLIGHT_ANSWERED)
            return true;
    return false;
}

uint64_t flight_deadline(const struct flight *f, uint64_t wait_ns)
{
    if (f->seq_old == f->seq_next)
        return UINT64_MAX;
    return f->slots[f->seq_old & (uint32_t)(f->n_slots - 1)].sent_ns + wait_ns;
}

void flight_tx_set(struct flight_slot *s, uint64_t tx_ns)
{
    uint64_t since = tx_ns + TX_BEFORE_NS - s->sent_ns;
    s->tx = tx_ns + TX_BEFORE_NS > s->sent_ns && since <= UINT32_MAX ? (uint32_t)since : 0;
}

uint64_t flight_tx(const struct flight_slot *s)
{
    return s->tx ? s->sent_ns + s->tx - TX_BEFORE_NS : 0;
}
