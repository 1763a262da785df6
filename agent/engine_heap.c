// SPDX-License-Identifier: Apache-2.0
// A binary heap: the first is the pair whose next event is the earliest.
#include "agent/engine_heap.h"

bool engine_heap_sending(const struct engine *en, const struct flight *f)
{
    return !en->stopped && !en->plan->paused && !f->held && !en->plan->pairs[f->index].gone;
}

void engine_heap_skip(const struct engine *en, struct flight *f, uint64_t now_ns)
{
    uint64_t interval = engine_heap_probe(en, f)->interval_ns;
    if (f->next_ns < now_ns)
        f->next_ns += (now_ns - f->next_ns + interval - 1) / interval * interval;
}

uint64_t engine_heap_patience(const struct engine *en, const struct plan_probe *r)
{
    uint64_t ticks = 2 * engine_tick_ns(en);
    return r->timeout_ns + (r->grace_ns > ticks ? r->grace_ns - ticks : 0);
}

uint64_t engine_heap_event(const struct engine *en, const struct flight *f)
{
    uint64_t give_up = flight_deadline(f, engine_heap_patience(en, engine_heap_probe(en, f)));
    return engine_heap_sending(en, f) ? MIN(f->next_ns, give_up) : give_up;
}

static void sift_down(struct engine *en, size_t i)
{
    struct engine_event x = en->heap[i];
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= en->n_heap)
            break;
        if (c + 1 < en->n_heap && en->heap[c + 1].at_ns < en->heap[c].at_ns)
            c++;
        if (x.at_ns <= en->heap[c].at_ns)
            break;
        en->heap[i] = en->heap[c];
        i = c;
    }
    en->heap[i] = x;
}

void engine_heap_fill(struct engine *en)
{
    en->n_heap = 0;
    for (size_t i = 0; i < en->plan->n_pairs; i++) {
        uint64_t at = engine_heap_event(en, en->flights[i]);
        if (at != UINT64_MAX)
            en->heap[en->n_heap++] = (struct engine_event){at, en->flights[i]};
    }
    for (size_t i = en->n_heap / 2; i > 0; i--)
        sift_down(en, i - 1);
}

void engine_heap_update_first(struct engine *en, uint64_t at_ns)
{
    if (at_ns == UINT64_MAX)
        en->heap[0] = en->heap[--en->n_heap];
    else
        en->heap[0].at_ns = at_ns;
    if (en->n_heap > 0)
        sift_down(en, 0);
}
