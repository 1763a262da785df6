// SPDX-License-Identifier: Apache-2.0
// The probes of one pair: a ring of those in flight and lately ended, behind it the pair's counters, and
// behind those the bytes that the probe's type keeps for itself, in one block of memory. A slot is named by
// seq modulo the ring's size and believed only with its cookie. Knows no schedule and no other pair.
#ifndef KUBECANARY_AGENT_FLIGHT_H
#define KUBECANARY_AGENT_FLIGHT_H

#include "agent/plan.h"
#include "agent/stats.h"

enum flight_state {
    FLIGHT_FREE,     // never used
    FLIGHT_FLYING,   // sent, not ended
    FLIGHT_ANSWERED, // received, late or unexpected: another answer is a duplicate
    FLIGHT_CORRUPT,  // likewise
    FLIGHT_ENDED,    // ended without an answer: a late one is nobody's
};

struct flight_slot {
    uint64_t cookie;
    uint64_t sent_ns; // our clock, just before it was handed to the kernel
    uint32_t tx;      // kernel's stamp of sending, relative to sent_ns; see flight_tx_set
    uint8_t state;    // enum flight_state
};

struct flight {
    uint64_t next_ns; // when the next probe is due (the engine's)
    uint32_t id;      // in the engine's table
    uint32_t index;   // in the plan's pairs
    uint32_t seq_next;
    uint32_t seq_old; // everything before has ended
    uint16_t n_slots; // a power of two
    bool held;        // no probe is begun for now (the engine's)
    struct flight_slot slots[];
};

// The slots that a probe of this kind needs: (timeout + grace) / interval + 2, up to a power of two.
uint16_t flight_slots_for(const struct plan_probe *r);
// Bytes of the probe's type itself with so many slots; a multiple of 8.
size_t flight_own_size(const struct plan_probe *r, uint16_t n_slots);
struct flight *flight_new(uint16_t n_slots, size_t n_bounds,
                          size_t own); // zeroed; NULL without memory; free() frees it
// 32 + 24 * n_slots + stats_size(n_bounds); with bytes of the type's own that rounded up to 8, and those.
// With four slots and 11 or 23 bounds this just fills one of the musl allocator's size classes, 240 or 288
// with the 4 bytes that each allocation costs there.
size_t flight_size(uint16_t n_slots, size_t n_bounds, size_t own);
struct stats *flight_stats(const struct flight *f);
void *flight_own(const struct flight *f);                    // only if there are any
static inline uint32_t flight_window(const struct flight *f) // probes from the oldest in flight on
{
    return f->seq_next - f->seq_old;
}

// Moves everything that fits from one block to another: counters, ring (to has room for flight_window(from)),
// schedule, id. The buckets only if both have as many. Of the type's own bytes the first `own`, which both
// have.
void flight_move(struct flight *to, const struct flight *from, size_t own);

// Begins a probe at now_ns and returns its slot; NULL if its slot is still in flight. *ret_seq: its number.
struct flight_slot *flight_begin(struct flight *f, uint64_t cookie, uint64_t now_ns, uint32_t *ret_seq);
// The slot of a token, NULL if it is none of ours.
struct flight_slot *flight_find(struct flight *f, uint32_t seq, uint64_t cookie);
// Ends as lost whatever was sent at or before now_ns - wait_ns.
void flight_settle(struct flight *f, uint64_t now_ns, uint64_t wait_ns);
// Whether a later probe was answered before this one, of those that are `step` further on, twice that, and so
// on. Not by one that is corrupt.
bool flight_overtaken(const struct flight *f, uint32_t seq, unsigned step);
// When the oldest in flight is to be settled; UINT64_MAX: nothing is in flight (that this end of the ring
// knows of).
uint64_t flight_deadline(const struct flight *f, uint64_t wait_ns);

void flight_tx_set(struct flight_slot *s, uint64_t tx_ns);
uint64_t flight_tx(const struct flight_slot *s); // 0: no stamp

#endif
