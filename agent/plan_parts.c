// SPDX-License-Identifier: Apache-2.0
// One list for each kind of part, with room for all that the builder said it would add.
#include "agent/plan_parts.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "agent/dns_counts.h"
#include "agent/http_counts.h"
#include "agent/plan_text.h"
#include "agent/plan_zone.h"
#include "agent/stamp_path.h"

int plan_parts_no_memory(struct err *e)
{
    return err_set(e, ENOMEM, "no memory for the plan");
}

void plan_parts_cleanup(struct plan **p)
{
    plan_free(*p);
}

struct plan *plan_parts_new(const struct plan_room *room)
{
    struct plan *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->refs = 1;
    p->room = *room;
    p->gone_until_ns = UINT64_MAX;
    p->pairs = calloc(room->pairs + 1, sizeof(*p->pairs));
    p->dests = calloc(room->dests + 1, sizeof(*p->dests));
    p->probes = calloc(room->probes + 1, sizeof(*p->probes));
    p->answers = calloc(room->answers + 1, sizeof(*p->answers));
    p->https = calloc(room->https + 1, sizeof(*p->https));
    p->hosts = calloc(room->hosts + 1, sizeof(*p->hosts));
    if (!p->pairs || !p->dests || !p->probes || !p->answers || !p->https || !p->hosts) {
        plan_free(p);
        return NULL;
    }
    return p;
}

int plan_parts_names(struct plan *p, const char *fleet, const char *node, const char *zone)
{
    p->fleet = plan_text_add(p, fleet);
    p->node = plan_text_add(p, node);
    p->zone = plan_text_add(p, zone);
    return p->fleet && p->node && p->zone ? 0 : -ENOMEM;
}

// The bundle that many targets have in common stands once.
static const char *ca_add(struct plan *p, const char *ca)
{
    const struct plan_http *last = p->n_https ? &p->https[p->n_https - 1] : NULL;
    return last && strcmp(last->ca, ca) == 0 ? last->ca : plan_text_add(p, ca);
}

static const struct plan_http *http_add(struct plan *p, const struct plan_http *as)
{
    struct plan_http h = *as;
    assert(p->n_https < p->room.https);
    h.url = plan_text_add(p, as->url);
    h.ca = ca_add(p, as->ca);
    if (!h.url || !h.ca)
        return NULL;
    p->https[p->n_https] = h;
    return &p->https[p->n_https++];
}

static size_t own_fixed(const struct plan_probe *r)
{
    switch (r->type) {
    case SPEC_ICMP:
    case SPEC_TCP: return 0;
    case SPEC_STAMP: return stamp_path_fixed(r->flows);
    case SPEC_DNS: return sizeof(struct dns_counts);
    case SPEC_HTTP: return sizeof(struct http_own);
    }
    return 0;
}

int plan_parts_probe(struct plan *p, const char *name, const struct plan_probe *as)
{
    struct plan_probe *r = &p->probes[p->n_probes];
    assert(p->n_probes < p->room.probes && p->n_answers + as->n_answers <= p->room.answers);
    *r = *as;
    r->payload = MAX(r->payload, (uint16_t)spec_probe_payload_min(r->type));
    r->grace_ns = spec_grace_ns(r->interval_ns, r->timeout_ns);
    r->own_fixed = (uint16_t)own_fixed(r);
    r->own_slot = r->type == SPEC_STAMP ? STAMP_PATH_SLOT : 0;
    r->name = plan_text_add(p, name);
    r->query = as->query ? plan_text_add(p, as->query) : NULL;
    r->answers = p->answers + p->n_answers;
    r->http = as->http ? http_add(p, as->http) : NULL;
    if (!r->name || (as->query && !r->query) || (as->http && !r->http))
        return -ENOMEM;
    for (unsigned i = 0; i < as->n_answers; i++) {
        p->answers[p->n_answers] = plan_text_add(p, as->answers[i]);
        if (!p->answers[p->n_answers++])
            return -ENOMEM;
    }
    p->n_probes++;
    return 0;
}

// The agents of one node stand one after the other, and share its name.
static const char *name_add(struct plan *p, const char *name)
{
    const char *last = p->n_dests ? p->dests[p->n_dests - 1].name : NULL;
    return last && strcmp(last, name) == 0 ? last : plan_text_add(p, name);
}

struct plan_dest *plan_parts_dest(struct plan *p, const char *name, const char *zone,
                                  enum spec_network network, bool target)
{
    struct plan_dest d = {.name = name_add(p, name),
                          .zone = plan_text_zone(p, zone),
                          .address = "",
                          .target = target,
                          .network = (uint8_t)network};
    if (!d.name || !d.zone)
        return NULL;
    assert(p->n_dests < p->room.dests);
    p->dests[p->n_dests] = d;
    return &p->dests[p->n_dests++];
}

static struct plan_pair *pair_add(struct plan *p, size_t dest, size_t probe, enum family f)
{
    assert(p->n_pairs < p->room.pairs);
    p->pairs[p->n_pairs] =
        (struct plan_pair){.dest = (uint32_t)dest, .probe = (uint16_t)probe, .family = (uint8_t)f};
    return &p->pairs[p->n_pairs++];
}

void plan_parts_gone(struct plan *p, size_t dest, size_t probe, enum family f, uint64_t until_ns)
{
    struct plan_pair *pair = pair_add(p, dest, probe, f);
    pair->gone = true;
    pair->gone_until_ns = until_ns;
    p->gone_until_ns = MIN(p->gone_until_ns, until_ns);
}

void plan_parts_pair(struct plan *p, size_t dest, size_t probe, enum family f)
{
    const struct plan_probe *r = &p->probes[probe];
    (void)pair_add(p, dest, probe, f);
    p->n_live++;
    p->packets_per_ks += 1000 * NS_PER_S *
                         spec_probe_packets(r->type, r->tcp ? SPEC_TRANSPORT_TCP : SPEC_TRANSPORT_UDP) /
                         r->interval_ns * spec_probe_fragments(r->payload, r->dont_fragment);
    if (p->min_interval_ns == 0 || r->interval_ns < p->min_interval_ns)
        p->min_interval_ns = r->interval_ns;
}

int plan_parts_host(struct plan *p, const char *target, const char *host, size_t probe, bool all)
{
    struct plan_host h = {plan_text_add(p, target), plan_text_add(p, host), (uint16_t)probe, all};
    if (!h.target || !h.host)
        return -ENOMEM;
    assert(p->n_hosts < p->room.hosts);
    p->hosts[p->n_hosts++] = h;
    return 0;
}

// --- the end -------------------------------------------------------------------------------------

int plan_parts_compare(const struct plan *a, const struct plan_pair *x, const struct plan *b,
                       const struct plan_pair *y)
{
    const struct plan_dest *d = &a->dests[x->dest], *f = &b->dests[y->dest];
    if (d->target != f->target)
        return d->target ? 1 : -1;
    int c = d == f ? 0 : strcmp(d->name, f->name);
    if (c == 0 && d != f)
        c = strcmp(d->address, f->address);
    if (c == 0 && d != f)
        c = (int)d->network - (int)f->network;
    if (c == 0)
        c = strcmp(a->probes[x->probe].name, b->probes[y->probe].name);
    return c ? c : (int)x->family - (int)y->family;
}

static int by_row(const void *a, const void *b, void *arg)
{
    return plan_parts_compare(arg, a, arg, b);
}

void plan_parts_sort(struct plan *p)
{
    qsort_r(p->pairs, p->n_pairs, sizeof(*p->pairs), by_row, p);
}

int plan_parts_finish(struct plan *p)
{
    plan_parts_sort(p);
    void *pairs = reallocarray(p->pairs, p->n_pairs + 1, sizeof(*p->pairs));
    void *dests = reallocarray(p->dests, p->n_dests + 1, sizeof(*p->dests));
    void *probes = reallocarray(p->probes, p->n_probes + 1, sizeof(*p->probes));
    p->pairs = pairs ? pairs : p->pairs;
    p->dests = dests ? dests : p->dests;
    p->probes = probes ? probes : p->probes;
    p->room.pairs = p->n_pairs;
    p->room.dests = p->n_dests;
    p->room.probes = p->n_probes;
    return plan_zone_fill(p);
}
