// SPDX-License-Identifier: Apache-2.0
// One place holds, one behind the other: all pairs' struct stats, the types' own counters, the rows of
// failures, the histograms by zone.
#include "agent/snapshot.h"

#include <errno.h>
#include <string.h>

#include "agent/probe_dns.h"
#include "agent/probe_http.h"
#include "agent/probe_stamp.h"
#include "lib/limits.h"

size_t snapshot_own_words(const struct plan_probe *r)
{
    return r->type == SPEC_STAMP  ? STAMP_PATH_WAYS + (size_t)r->flows
           : r->type == SPEC_DNS  ? DNS_COUNTS_WORDS
           : r->type == SPEC_HTTP ? HTTP_COUNTS_WORDS
                                  : 0;
}

// Where the parts are in a place.
struct layout {
    size_t stride, own, failures, zones, end;
};

static struct layout layout_of(const struct plan *p, size_t n_failures, bool zones)
{
    struct layout l = {.stride = ALIGN8(stats_size(p->n_bounds))};
    size_t words = 0;
    for (size_t i = 0; i < p->n_pairs; i++)
        words += snapshot_own_words(&p->probes[p->pairs[i].probe]);
    l.own = p->n_pairs * l.stride;
    l.failures = l.own + words * sizeof(uint64_t);
    l.zones = l.failures + n_failures * sizeof(struct failures_row);
    l.end = l.zones + (zones ? zone_rtt_cells(p) * sizeof(uint64_t) : 0);
    return l;
}

size_t snapshot_bytes(const struct plan *p, size_t n_failures, bool zones)
{
    return layout_of(p, n_failures, zones).end;
}

struct scratch *snapshot_places(const struct plan *p, const struct failures *old, struct err *e)
{
    CLEANUP(failures_release) struct failures f = {0};
    if (failures_init(&f, p, old) < 0) {
        err_set(e, ENOMEM, "no memory for what scrapes need");
        return NULL;
    }
    return scratch_new(LIMIT_SCRAPES, snapshot_bytes(p, f.n, true), e);
}

// As snapshot_own_words tells.
static void copy_own(const struct engine *en, size_t i, const struct plan_probe *r, uint64_t *to)
{
    if (r->type == SPEC_DNS) {
        memcpy(to, probe_dns_counts(en, i), sizeof(struct dns_counts));
    } else if (r->type == SPEC_HTTP) {
        memcpy(to, probe_http_counts(en, i), sizeof(struct http_counts));
    } else if (r->type == SPEC_STAMP) {
        const struct stamp_path *path = probe_stamp_path(en, i);
        for (unsigned k = 0; k < STAMP_PATH_WAYS; k++)
            to[k] = path->lost[k];
        for (unsigned k = 0; k < r->flows; k++)
            to[STAMP_PATH_WAYS + k] = stamp_path_flow_lost(path, k);
    }
}

static void copy_pairs(struct snapshot *s, const struct engine *en)
{
    const size_t exact = stats_size(s->plan->n_bounds);
    uint64_t *own = s->own;
    for (size_t i = 0; i < s->plan->n_pairs; i++) {
        const struct plan_probe *r = &s->plan->probes[s->plan->pairs[i].probe];
        memcpy((uint8_t *)s->stats + i * s->stride, engine_stats(en, i), exact);
        copy_own(en, i, r, own);
        own += snapshot_own_words(r);
    }
}

static void sum_zones(struct snapshot *s, const struct engine *en)
{
    zone_rtt_carry(&s->zones, s->plan, engine_gone(en), s->plan);
    for (size_t i = 0; i < s->plan->n_pairs; i++)
        zone_rtt_add(&s->zones, s->plan, s->plan, i, engine_stats(en, i));
}

int snapshot_take(struct snapshot *ret, struct scratch *places, const struct engine *en, bool zones)
{
    struct plan *plan = engine_plan(en);
    const struct failures *failures = engine_failures(en);
    const struct layout l = layout_of(plan, failures->n, zones);
    uint8_t *place = scratch_take(places, l.end);
    if (!place)
        return -EBUSY;
    *ret = (struct snapshot){
        .scratch = places,
        .place = place,
        .plan = plan_hold(plan),
        .stats = (struct stats *)(void *)place,
        .stride = l.stride,
        .own = (uint64_t *)(void *)(place + l.own),
        .failures = {.n = failures->n, .rows = (struct failures_row *)(void *)(place + l.failures)},
        .zones = {.n = zones ? plan->n_zones : 0,
                  .n_bounds = plan->n_bounds,
                  .cells = (uint64_t *)(void *)(place + l.zones)},
    };
    copy_pairs(ret, en);
    if (failures->n > 0)
        memcpy(ret->failures.rows, failures->rows, failures->n * sizeof(*failures->rows));
    if (zones)
        sum_zones(ret, en);
    return 0;
}

void snapshot_give(struct snapshot *s)
{
    if (!s->place)
        return;
    plan_free(s->plan);
    scratch_give(s->scratch, s->place);
    *s = (struct snapshot){0};
}
