// SPDX-License-Identifier: Apache-2.0
// The clockwork of the probes: when each is due, which answer belongs to which, and how each ends. Time and
// randomness come from the caller and packets go through it, so that a virtual clock and a simulated network
// can drive it; it holds no descriptor and allocates only in engine_apply. All times are CLOCK_MONOTONIC in
// ns.
//
// One tick of the caller: read everything the network has (engine_tx, engine_reply, engine_unreachable), then
// engine_tick. In this order no answer that came before `now` is taken for lost.
#ifndef KUBECANARY_AGENT_ENGINE_H
#define KUBECANARY_AGENT_ENGINE_H

#include "agent/engine_apply.h"
#include "agent/failures.h"
#include "agent/plan.h"
#include "agent/stats.h"
#include "agent/zone_rtt.h"
#include "lib/addr.h"
#include "lib/err.h"

struct engine;

// Names one probe. The cookie is random: an answer with another one belongs to nothing, however well id and
// seq fit.
struct engine_token {
    uint32_t id;  // of the pair, for as long as the pair lives, over reloads
    uint32_t seq; // of the probe in its pair
    uint64_t cookie;
};

struct engine_send {
    struct engine_token token;
    uint32_t pair; // index in the plan
    enum spec_probe_type type;
    struct addr to;
    uint16_t port;
    uint64_t give_up_ns; // after this no answer counts: when to close a descriptor
};

struct engine_reply {
    uint64_t now_ns;  // when it was read
    uint64_t rx_ns;   // the kernel's stamp of receipt, on our clock; 0: none
    uint64_t rtt_ns;  // measured already, by the kernel itself (TCP); 0: not
    bool user_rtt;    // by another program, not by the kernel (HTTP)
    uint64_t held_ns; // how long the far end kept it, by its own word: no part of the RTT; 0: not said
    bool corrupt;     // the bytes around the token are not ours
    bool unexpected;  // it is whole, and not what was to be expected; its time is not counted
};

// Fills out[n] with random bits: getrandom, or a test's generator.
typedef void engine_random_fn(uint64_t *out, size_t n, void *arg);

// Pair i of the plan in force ended a probe as unreachable (why: reason_name) or with an error of sending
// (why: reason_error_name).
typedef void engine_failure_fn(size_t i, enum stats_result r, const char *why, void *arg);

struct engine *engine_new(engine_random_fn *random, void *arg, struct err *e); // NULL on failure
void engine_free(struct engine *e);                                            // takes NULL

// The plan in force; NULL before the first.
struct plan *engine_plan(const struct engine *en);
// The counters of pair i of that plan. Valid until the next engine_apply.
const struct stats *engine_stats(const struct engine *en, size_t i);
// What the pairs that are no longer there had counted, by the zones of that plan.
const struct zone_rtt *engine_gone(const struct engine *en);
// Why probes failed, by probe, network and family of that plan; the sums are the pairs' own, and of those
// that went.
const struct failures *engine_failures(const struct engine *en);
// Who is told of each failure; may not call back.
void engine_on_failure(struct engine *en, engine_failure_fn *fn, void *arg);
// What a probe's type keeps of pair i for itself: plan_probe.own_fixed + own_slot * slots bytes, aligned for
// uint64_t. Zero at first, and there as long as the pair is. A reload that changes their number keeps the
// first ones that fit and leaves the rest zero, so what must stay stands first, with the shape that it was
// made for. Valid until the next engine_apply.
struct engine_own {
    void *bytes;
    uint32_t id;    // engine_token.id of the pair
    uint16_t slots; // the ring's: once probe seq + slots is begun, probe seq has ended
};
struct engine_own engine_own(const struct engine *en, size_t i);
struct stats_agent *engine_agent(struct engine *en);
const struct stats_agent *engine_agent_stats(const struct engine *en);
// The bytes that a plan and the engine's part of it take from the heap, counters and probes in flight
// included, the allocator's overhead aside. A pair of the mesh with b bounds takes 16 (plan) + 32 (engine) +
// 32 + 24 * slots + stats_size(b) bytes, where slots is the power of two that holds (timeout + grace) /
// interval + 2 probes: 336 with 24 bounds, 284 with 11, at 1 s and 1 s. A STAMP pair takes 32 + 28 * flows +
// 8 * slots more, rounded up to 8. A destination takes 64 and its names, which stand in chunks of 2 KiB (the
// two agents of a node share them); a zone, by probe, network and family, 24 + 8 * (b + 2); a probe, network
// and family, 296. Published in the docs, held by a test.
size_t engine_memory(const struct plan *p);
// Whether a probe is remembered, in flight or ended; *ret_pair: the index of its pair in the engine's plan.
bool engine_find(const struct engine *en, const struct engine_token *t, size_t *ret_pair);
// The ICMP probe in flight that an error means which quotes only the first bytes of our packet: destination
// and the low 16 bits of seq. Looks through all pairs; false, and *ret as it was, unless exactly one fits.
bool engine_find_at(const struct engine *en, const struct addr *to, uint16_t seq, struct engine_token *ret);
// Probes in flight over all pairs.
uint64_t engine_in_flight(const struct engine *en);
// No probe is begun any more; those in flight end as they will.
void engine_stop(struct engine *en);

// held[i]: FAMILY_BIT(f) of each family in which destination i of the plan is not to be probed for now; as
// many as the plan has destinations. Probes in flight end as they will. One that is let go on is due at its
// own phase, with nothing to make up for. New pairs of a plan are not held: to be called after engine_apply.
void engine_hold(struct engine *en, const uint8_t *held, uint64_t now_ns);

// How often the caller should tick: 100 ms up to 10 probes a second, 50 ms to 2,000, 20 ms beyond; never
// longer than half the shortest interval, but at least 5 ms. 1 s with nothing to do.
uint64_t engine_tick_ns(const struct engine *en);

// Ends what waited too long, and begins what is due: at most max probes. Fewer: nothing is left that was due.
// As many: what is left comes first at the next call, of the same tick or a later one. A moment that was
// missed by more than an interval is skipped and counted, never made up for in a burst. Returns how many it
// put into out; each is counted as sent and is to be sent now.
size_t engine_due(struct engine *en, uint64_t now_ns, struct engine_send *out, size_t max);
// All of that for one tick: begins at most engine_burst probes, in pieces of at most `room`, for which out
// has room, and hands each piece to send. What waited too long ends, of those pairs too that are due again
// and have to wait for the next tick.
typedef void engine_send_fn(struct engine_send *s, size_t n, void *arg);
void engine_tick(struct engine *en, uint64_t now_ns, struct engine_send *out, size_t room,
                 engine_send_fn *send, void *arg);
// How many are to be begun at most in one tick under this plan: its share, with room to catch up.
size_t engine_burst(const struct engine *en);

// Whether a probe is in flight; until when it is: the first tick after that takes it for lost.
bool engine_waits(const struct engine *en, const struct engine_token *t, uint64_t *ret_sent_ns,
                  uint64_t *ret_until_ns);

// The probe is known by another cookie from now on, which t takes: for packets that have no room for the
// engine's own. To be called before anything else is said of the probe; as hard to guess as the caller can
// make it.
void engine_rename(struct engine *en, struct engine_token *t, uint64_t cookie);
// It was handed to the kernel at sent_ns (our clock, read just before).
void engine_sent(struct engine *en, const struct engine_token *t, uint64_t sent_ns);
// It could not be sent, for there is no address to send it to.
void engine_unresolved(struct engine *en, const struct engine_token *t);
// It could not be sent, for this errno. Whether that ended it: false if it had ended already.
bool engine_send_failed(struct engine *en, const struct engine_token *t, int err);
// The kernel stamped its transmission.
void engine_tx(struct engine *en, const struct engine_token *t, uint64_t tx_ns);
// It was answered. True if it was the first answer or a duplicate of a probe that is remembered (at least the
// last two of a pair); a caller without another candidate counts `unmatched` otherwise.
bool engine_reply(struct engine *en, const struct engine_token *t, const struct engine_reply *r);
// The network or the destination refused it. True as above.
bool engine_unreachable(struct engine *en, const struct engine_token *t, enum reason reason);

#endif
