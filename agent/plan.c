// SPDX-License-Identifier: Apache-2.0
// Building a plan: the live pairs of the files, then those of the plan before that are gone, sorted by name.
#include "agent/plan.h"

#include <assert.h>
#include <errno.h>

#include "agent/dns_counts.h"
#include "agent/http_counts.h"
#include "agent/plan_text.h"
#include "agent/plan_zone.h"
#include "agent/stamp_path.h"
#include "lib/spec_http.h"
#include "lib/topo.h"

struct plan *plan_hold(struct plan *p)
{
    p->refs++;
    return p;
}

void plan_free(struct plan *p)
{
    if (!p || --p->refs > 0)
        return;
    plan_text_free(p);
    free(p->pairs);
    free(p->dests);
    free(p->probes);
    free(p->zones);
    free(p->answers);
    free(p->https);
    free(p->hosts);
    free(p);
}

static void plan_cleanup(struct plan **p)
{
    plan_free(*p);
}

static int compare_rows(const struct plan *a, const struct plan_pair *x, const struct plan *b,
                        const struct plan_pair *y)
{
    const struct plan_dest *d = &a->dests[x->dest], *f = &b->dests[y->dest];
    if (d->target != f->target)
        return d->target ? 1 : -1;
    int c = d == f ? 0 : strcmp(d->name, f->name);
    if (c == 0 && d != f)
        c = strcmp(d->address, f->address);
    if (c == 0)
        c = strcmp(a->probes[x->probe].name, b->probes[y->probe].name);
    return c ? c : (int)x->family - (int)y->family;
}

int plan_compare(const struct plan *a, size_t i, const struct plan *b, size_t j)
{
    return compare_rows(a, &a->pairs[i], b, &b->pairs[j]);
}

size_t plan_bytes(const struct plan *p)
{
    size_t bytes = sizeof(*p) + (p->n_pairs + 1) * sizeof(*p->pairs) + (p->n_dests + 1) * sizeof(*p->dests) +
                   (p->n_probes + 1) * sizeof(*p->probes) + (p->n_zones + 1) * sizeof(*p->zones) +
                   (p->n_answers + 1) * sizeof(*p->answers) + (p->n_https + 1) * sizeof(*p->https) +
                   (p->n_hosts + 1) * sizeof(*p->hosts);
    return bytes + plan_text_bytes(p);
}

static int by_row(const void *a, const void *b, void *arg)
{
    return compare_rows(arg, a, arg, b);
}

// --- the parts -----------------------------------------------------------------------------------

static int no_memory(struct err *e)
{
    return err_set(e, ENOMEM, "no memory for the plan");
}

// An empty plan with room for so much. Names may be NULL for "".
static struct plan *plan_alloc(size_t pairs, size_t dests, size_t probes, size_t answers, size_t https,
                               size_t hosts)
{
    struct plan *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->refs = 1;
    p->gone_until_ns = UINT64_MAX;
    p->pairs = calloc(pairs + 1, sizeof(*p->pairs));
    p->dests = calloc(dests + 1, sizeof(*p->dests));
    p->probes = calloc(probes + 1, sizeof(*p->probes));
    p->answers = calloc(answers + 1, sizeof(*p->answers));
    p->https = calloc(https + 1, sizeof(*p->https));
    p->hosts = calloc(hosts + 1, sizeof(*p->hosts));
    if (!p->pairs || !p->dests || !p->probes || !p->answers || !p->https || !p->hosts) {
        plan_free(p);
        return NULL;
    }
    return p;
}

static int set_names(struct plan *p, const char *fleet, const char *node, const char *zone)
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
    case SPEC_HTTP: return sizeof(struct http_counts);
    }
    return 0;
}

// A probe of its own name; what follows from the type and the times is filled in here.
static int add_probe(struct plan *p, const char *name, const struct plan_probe *as)
{
    struct plan_probe *r = &p->probes[p->n_probes];
    *r = *as;
    r->grace_ns = MIN(r->timeout_ns, LIMIT_GRACE_NS);
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

static struct plan_dest *add_dest(struct plan *p, const char *name, const char *zone, bool target)
{
    struct plan_dest d = {
        .name = plan_text_add(p, name), .zone = plan_text_zone(p, zone), .address = "", .target = target};
    if (!d.name || !d.zone)
        return NULL;
    p->dests[p->n_dests] = d;
    return &p->dests[p->n_dests++];
}

static void add_pair(struct plan *p, size_t dest, size_t probe, enum family f)
{
    const struct plan_probe *r = &p->probes[probe];
    p->pairs[p->n_pairs++] =
        (struct plan_pair){.dest = (uint32_t)dest, .probe = (uint16_t)probe, .family = (uint8_t)f};
    p->n_live++;
    p->packets_per_ks += 1000 * NS_PER_S *
                         spec_probe_packets(r->type, r->tcp ? SPEC_TRANSPORT_TCP : SPEC_TRANSPORT_UDP) /
                         r->interval_ns;
    if (p->min_interval_ns == 0 || r->interval_ns < p->min_interval_ns)
        p->min_interval_ns = r->interval_ns;
}

// --- what the files say --------------------------------------------------------------------------

static int add_peer(struct plan *p, const struct peer *peer, unsigned families, size_t n_probes)
{
    const struct addr *addr = p->network == SPEC_NETWORK_NODE ? peer->host : peer->pod;
    struct plan_dest *d = add_dest(p, peer->node, peer->zone ? peer->zone : "", false);
    if (!d)
        return -ENOMEM;
    for (unsigned f = 0; f < FAMILIES; f++) {
        d->addr[f] = addr[f];
        if (!addr[f].set || !(families & FAMILY_BIT(f)))
            continue;
        for (size_t i = 0; i < n_probes; i++)
            add_pair(p, p->n_dests - 1, i, (enum family)f);
    }
    return 0;
}

// The peers' part of the files, and what each peer is to this node (enum topo_role).
struct mesh {
    const struct peers *peers;
    uint8_t *roles;
    size_t n_probed; // Ready ones that this node probes
    bool probing;    // this network is probed at all
};

static void mesh_release(struct mesh *m)
{
    free(m->roles);
}

static int mesh_init(struct mesh *m, const struct spec_mesh *spec, const struct peers *peers,
                     const char *node, enum spec_network network, struct err *e)
{
    CLEANUP_TOPO struct topo t = {0};
    m->peers = peers;
    m->probing = spec->present && (spec->networks & (1u << network));
    m->roles = calloc(peers->n + 1, sizeof(*m->roles));
    if (!m->roles)
        return no_memory(e);
    if (!m->probing)
        return 0;
    int r = topo_init(&t, &spec->topology, peers, e);
    if (r < 0)
        return r;
    topo_choose(&t, node, m->roles);
    for (size_t i = 0; i < peers->n; i++)
        m->n_probed += (m->roles[i] & TOPO_PROBES) && peers->list[i].state == PEER_READY;
    return 0;
}

static int add_mesh(struct plan *p, const struct spec_agent_file *file, const struct mesh *mesh)
{
    const struct spec_mesh *m = &file->spec.mesh;
    for (size_t i = 0; mesh->probing && i < m->n_probes; i++) {
        const struct spec_probe *r = &m->probes[i];
        struct plan_probe as = {.type = r->type, .interval_ns = r->interval_ns, .timeout_ns = r->timeout_ns};
        if (r->type == SPEC_TCP)
            as.port = file->ports.tcp;
        if (r->type == SPEC_STAMP) {
            as.port = file->ports.stamp;
            as.flows = (uint8_t)MAX(r->flows, 1);
            as.dscp = (uint8_t)r->dscp;
        }
        if (add_probe(p, r->name, &as) != 0)
            return -ENOMEM;
    }
    for (size_t i = 0; i < mesh->peers->n; i++) {
        const struct peer *peer = &mesh->peers->list[i];
        if (strcmp(peer->node, p->node) == 0)
            continue;
        p->peers[peer->state]++;
        if (peer->state != PEER_READY)
            continue;
        p->coverage += (mesh->roles[i] & TOPO_PROBED_BY) != 0;
        if ((mesh->roles[i] & TOPO_PROBES) && add_peer(p, peer, m->families, m->n_probes) != 0)
            return -ENOMEM;
    }
    return 0;
}

static int add_http_target(struct plan *p, const struct spec_target *t)
{
    unsigned families = spec_http_families(t);
    enum family f = families == FAMILY_BIT(FAMILY_IPV6) ? FAMILY_IPV6 : FAMILY_IPV4;
    struct plan_http h = {.url = t->url,
                          .ca = t->ca_bundle ? t->ca_bundle : "",
                          .ca_len = t->ca_bundle ? strlen(t->ca_bundle) : 0,
                          .head = t->method == SPEC_METHOD_HEAD,
                          .follow = t->follow,
                          .insecure = t->insecure,
                          .any_family = families != FAMILY_BIT(f),
                          .n_statuses = (uint8_t)t->expect.n_statuses};
    for (size_t i = 0; i < t->expect.n_statuses; i++)
        h.statuses[i] = (uint16_t)t->expect.statuses[i];
    const struct plan_probe as = {.type = SPEC_HTTP,
                                  .target = true,
                                  .http = &h,
                                  .interval_ns = t->interval_ns,
                                  .timeout_ns = t->timeout_ns};
    if (!add_dest(p, t->name, "", true) || add_probe(p, spec_probe_type_label(SPEC_HTTP), &as) != 0)
        return -ENOMEM;
    add_pair(p, p->n_dests - 1, p->n_probes - 1, f);
    return 0;
}

static int add_host(struct plan *p, const char *target, const char *host, size_t probe, bool all)
{
    struct plan_host h = {plan_text_add(p, target), plan_text_add(p, host), (uint16_t)probe, all};
    if (!h.target || !h.host)
        return -ENOMEM;
    p->hosts[p->n_hosts++] = h;
    return 0;
}

static int add_targets(struct plan *p, const struct spec *s)
{
    for (size_t i = 0; i < s->n_targets; i++) {
        const struct spec_target *t = &s->targets[i];
        if (t->type == SPEC_HTTP) {
            if (add_http_target(p, t) != 0)
                return -ENOMEM;
            continue;
        }
        struct plan_probe as = {.type = t->type,
                                .port = t->port,
                                .target = true,
                                .interval_ns = t->interval_ns,
                                .timeout_ns = t->timeout_ns};
        const struct addr *to = spec_target_address(t);
        if (t->type == SPEC_DNS) {
            as.tcp = t->transport == SPEC_TRANSPORT_TCP;
            as.rcodes = (uint8_t)t->expect.rcodes;
            as.record = t->record_type;
            as.query = t->query;
            as.n_answers = (uint8_t)t->expect.n_answers;
            as.answers = (const char *const *)t->expect.answers;
        }
        as.named = t->host[0] != '\0';
        if (add_probe(p, spec_probe_type_label(t->type), &as) != 0)
            return -ENOMEM;
        if (as.named) {
            if (add_host(p, t->name, t->host, p->n_probes - 1, t->addresses == SPEC_ADDRESSES_ALL) != 0)
                return -ENOMEM;
            continue;
        }
        struct plan_dest *d = add_dest(p, t->name, "", true);
        if (!d)
            return -ENOMEM;
        d->addr[to->family] = *to;
        add_pair(p, p->n_dests - 1, p->n_probes - 1, (enum family)to->family);
    }
    return 0;
}

// --- what is carried along from the plan before --------------------------------------------------

struct carry { // where the old plan's destinations and probes are in the new one, + 1
    uint32_t *dests;
    uint32_t *probes;
};

static void carry_release(struct carry *c)
{
    free(c->dests);
    free(c->probes);
}

// Adds the old plan's pair i with its names. until_ns 0: live.
static int carry_pair(struct plan *p, struct carry *c, const struct plan *old, size_t i, uint64_t until_ns)
{
    const struct plan_pair *o = &old->pairs[i];
    const struct plan_dest *od = &old->dests[o->dest];
    const struct plan_probe *op = &old->probes[o->probe];
    if (!c->dests[o->dest]) {
        struct plan_dest *d = add_dest(p, od->name, od->zone, od->target);
        if (!d)
            return -ENOMEM;
        d->address = od->address[0] ? plan_text_add(p, od->address) : "";
        if (!d->address)
            return -ENOMEM;
        memcpy(d->addr, od->addr, sizeof(d->addr));
        c->dests[o->dest] = (uint32_t)p->n_dests;
    }
    if (!c->probes[o->probe]) {
        if (add_probe(p, op->name, op) != 0)
            return -ENOMEM;
        c->probes[o->probe] = (uint32_t)p->n_probes;
    }
    size_t dest = c->dests[o->dest] - 1, probe = c->probes[o->probe] - 1;
    if (until_ns == 0) {
        add_pair(p, dest, probe, (enum family)o->family);
        return 0;
    }
    p->pairs[p->n_pairs++] = (struct plan_pair){until_ns, (uint32_t)dest, (uint16_t)probe, o->family, true};
    p->gone_until_ns = MIN(p->gone_until_ns, until_ns);
    return 0;
}

// What of the old plan's live pairs stays live, where the new one lacks them: none, as new files were read;
// all; all but those of names. The others are gone from now on.
enum stay { STAY_NONE, STAY_ALL, STAY_UNNAMED };

// Until when the old plan's pair i, which p lacks, is to be kept: 0 as a live one, UINT64_MAX not at all.
static uint64_t keep_until(const struct plan *p, const struct plan *old, size_t i, enum stay stay,
                           uint64_t now_ns)
{
    const struct plan_pair *o = &old->pairs[i];
    const struct plan_probe *r = &old->probes[o->probe];
    if (o->gone && o->gone_until_ns <= now_ns)
        return UINT64_MAX;
    if (stay == STAY_ALL || (stay == STAY_UNNAMED && !r->named))
        return o->gone_until_ns;
    if (p->n_pairs >= LIMIT_PAIRS || p->n_probes >= UINT16_MAX)
        return UINT64_MAX; // no room: what is gone goes at once
    return o->gone ? o->gone_until_ns : now_ns + r->timeout_ns + r->grace_ns + p->gone_ns;
}

static int carry_over(struct plan *p, const struct plan *old, enum stay stay, uint64_t now_ns)
{
    CLEANUP(carry_release)
    struct carry c = {calloc(old->n_dests + 1, sizeof(uint32_t)),
                      calloc(old->n_probes + 1, sizeof(uint32_t))};
    if (!c.dests || !c.probes)
        return -ENOMEM;
    size_t n_sorted = p->n_pairs, j = 0;
    for (size_t i = 0; i < old->n_pairs; i++) {
        while (j < n_sorted && plan_compare(p, j, old, i) < 0)
            j++;
        if (j < n_sorted && plan_compare(p, j, old, i) == 0)
            continue;
        uint64_t until = keep_until(p, old, i, stay, now_ns);
        if (until != UINT64_MAX && carry_pair(p, &c, old, i, until) != 0)
            return -ENOMEM;
    }
    return 0;
}

// Sorts, and gives back the room that was not needed. -ENOMEM.
static int finish(struct plan *p)
{
    qsort_r(p->pairs, p->n_pairs, sizeof(*p->pairs), by_row, p);
    void *pairs = reallocarray(p->pairs, p->n_pairs + 1, sizeof(*p->pairs));
    void *dests = reallocarray(p->dests, p->n_dests + 1, sizeof(*p->dests));
    void *probes = reallocarray(p->probes, p->n_probes + 1, sizeof(*p->probes));
    p->pairs = pairs ? pairs : p->pairs;
    p->dests = dests ? dests : p->dests;
    p->probes = probes ? probes : p->probes;
    return plan_zone_fill(p);
}

// --- building ------------------------------------------------------------------------------------

static int fill(struct plan *p, const struct spec_agent_file *file, const struct mesh *mesh, const char *node)
{
    const struct peer *self = peers_find(mesh->peers, node);
    if (set_names(p, file->fleet, node, self && self->zone ? self->zone : "") != 0)
        return -ENOMEM;
    p->generation = file->generation;
    p->paused = file->paused;
    p->network_name = spec_network_name(p->network);
    p->series_limit = file->spec.metrics.series_limit;
    p->gone_ns = 2 * file->spec.metrics.scrape_interval_ns;
    p->n_bounds = file->spec.metrics.n_buckets;
    for (size_t i = 0; i < p->n_bounds; i++)
        p->bounds_ns[i] = file->spec.metrics.rtt_buckets_us[i] * NS_PER_US;
    if (add_mesh(p, file, mesh) != 0)
        return -ENOMEM;
    return add_targets(p, &file->spec);
}

int plan_build(const struct spec_agent_file *file, const struct peers *peers, const char *node,
               enum spec_network network, const struct plan *old, uint64_t now_ns, struct plan **ret,
               struct err *e)
{
    size_t n_targets = file->spec.n_targets, n_probes = file->spec.mesh.n_probes, n_answers = 0, n_https = 0;
    for (size_t i = 0; i < n_targets; i++) {
        n_answers += file->spec.targets[i].expect.n_answers;
        n_https += file->spec.targets[i].type == SPEC_HTTP;
    }
    CLEANUP(mesh_release) struct mesh mesh = {0};
    int r = mesh_init(&mesh, &file->spec.mesh, peers, node, network, e);
    if (r < 0)
        return r;
    size_t n_pairs = mesh.n_probed * FAMILIES * n_probes + n_targets;
    CLEANUP(plan_cleanup)
    struct plan *p =
        plan_alloc(n_pairs + (old ? old->n_pairs : 0), mesh.n_probed + n_targets + (old ? old->n_dests : 0),
                   n_probes + n_targets + (old ? old->n_probes : 0), n_answers + (old ? old->n_answers : 0),
                   n_https + (old ? old->n_https : 0), n_targets);
    if (!p)
        return no_memory(e);
    p->network = network;
    if (fill(p, file, &mesh, node) != 0)
        return no_memory(e);
    if (p->n_live > LIMIT_PAIRS)
        return err_set(e, E2BIG, "%zu pairs to probe, at most %d are possible", p->n_live, LIMIT_PAIRS);
    qsort_r(p->pairs, p->n_pairs, sizeof(*p->pairs), by_row, p);
    if ((old && carry_over(p, old, STAY_NONE, now_ns) != 0) || finish(p) != 0)
        return no_memory(e);
    *ret = TAKE_PTR(p);
    return 0;
}

// Everything but pairs and what they lead to.
static int copy_head(struct plan *p, const struct plan *old)
{
    if (set_names(p, old->fleet, old->node, old->zone) != 0)
        return -ENOMEM;
    p->generation = old->generation;
    p->paused = old->paused;
    p->network = old->network;
    p->network_name = old->network_name;
    p->series_limit = old->series_limit;
    p->gone_ns = old->gone_ns;
    p->n_bounds = old->n_bounds;
    memcpy(p->bounds_ns, old->bounds_ns, sizeof(p->bounds_ns));
    memcpy(p->peers, old->peers, sizeof(p->peers));
    p->coverage = old->coverage;
    for (size_t i = 0; i < old->n_hosts; i++) {
        const struct plan_host *h = &old->hosts[i];
        const struct plan_probe *r = &old->probes[h->probe];
        if (add_probe(p, r->name, r) != 0 || add_host(p, h->target, h->host, p->n_probes - 1, h->all) != 0)
            return -ENOMEM;
    }
    return 0;
}

static struct plan *plan_like(const struct plan *old, size_t pairs)
{
    CLEANUP(plan_cleanup)
    struct plan *p = plan_alloc(old->n_pairs + pairs, old->n_dests + pairs, old->n_probes + old->n_hosts,
                                old->n_answers, old->n_https, old->n_hosts);
    return p && copy_head(p, old) == 0 ? TAKE_PTR(p) : NULL;
}

// The family in which a name was probed last; IPv4 if it never was.
static enum family family_of(const struct plan *old, const char *target)
{
    enum family f = FAMILY_IPV4;
    for (size_t i = 0; i < old->n_pairs; i++) {
        const struct plan_dest *d = &old->dests[old->pairs[i].dest];
        if (d->target && old->probes[old->pairs[i].probe].named && strcmp(d->name, target) == 0) {
            f = (enum family)old->pairs[i].family;
            if (!old->pairs[i].gone)
                break;
        }
    }
    return f;
}

// a NULL: the name has no address.
static int add_named(struct plan *p, const struct plan_host *h, const struct addr *a, enum family f)
{
    char text[ADDR_TEXT_MAX];
    struct plan_dest *d = add_dest(p, h->target, "", true);
    if (!d)
        return -ENOMEM;
    if (a)
        d->addr[f] = *a;
    if (a && h->all)
        d->address = plan_text_add(p, addr_text(a, text));
    if (!d->address)
        return -ENOMEM;
    add_pair(p, p->n_dests - 1, h->probe, f);
    return 0;
}

static int add_hosts(struct plan *p, const struct plan *old, plan_lookup_fn *lookup, void *arg)
{
    for (size_t i = 0; i < p->n_hosts; i++) {
        const struct plan_host *h = &p->hosts[i];
        const struct addr *list;
        size_t n;
        if (!lookup(h->host, &list, &n, arg))
            continue;
        if (n == 0 && add_named(p, h, NULL, family_of(old, h->target)) != 0)
            return -ENOMEM;
        n = MIN(n, h->all ? (size_t)LIMIT_HOST_ADDRESSES : 1);
        for (size_t k = 0; k < n; k++)
            if (add_named(p, h, &list[k], (enum family)list[k].family) != 0)
                return -ENOMEM;
    }
    return 0;
}

int plan_resolve(const struct plan *old, plan_lookup_fn *lookup, void *arg, uint64_t now_ns,
                 struct plan **ret, struct err *e)
{
    CLEANUP(plan_cleanup) struct plan *p = plan_like(old, old->n_hosts * LIMIT_HOST_ADDRESSES);
    if (!p || add_hosts(p, old, lookup, arg) != 0)
        return no_memory(e);
    qsort_r(p->pairs, p->n_pairs, sizeof(*p->pairs), by_row, p);
    if (carry_over(p, old, STAY_UNNAMED, now_ns) != 0 || finish(p) != 0)
        return no_memory(e);
    if (p->n_live > LIMIT_PAIRS)
        return err_set(e, E2BIG, "%zu pairs to probe, at most %d are possible", p->n_live, LIMIT_PAIRS);
    *ret = TAKE_PTR(p);
    return 0;
}

int plan_prune(const struct plan *old, uint64_t now_ns, struct plan **ret, struct err *e)
{
    CLEANUP(plan_cleanup) struct plan *p = plan_like(old, 0);
    if (!p || carry_over(p, old, STAY_ALL, now_ns) != 0 || finish(p) != 0)
        return no_memory(e);
    *ret = TAKE_PTR(p);
    return 0;
}
