// SPDX-License-Identifier: Apache-2.0
// A table of the peers' agents, sorted by the hash of their names. Looking through all of them happens only
// when something is due: in a fleet at rest never.
#include "agent/presence.h"

#include <errno.h>

#include "agent/peer_wire.h"

// How often a peer is asked: while it is new, after somebody said something of it (so many times), while it
// leaves; and never more often than GAP. A nonce serves for so long, so that a slow answer still finds it;
// but what was asked before something was heard says nothing of that.
#define ASK_PENDING_NS (1 * NS_PER_S)
#define ASK_HEARD_NS (250 * NS_PER_MS)
#define ASK_HEARD_TIMES 4
#define ASK_LEAVING_NS (2 * NS_PER_S)
#define GAP_NS (200 * NS_PER_MS)
#define NONCE_NS (2 * NS_PER_S)
#define WINDOW_NS (100 * NS_PER_MS)

struct presence_peer {
    uint64_t agent;              // peer_wire_agent
    uint64_t nonce[FAMILIES];    // of the question that is open; 0: none
    uint64_t until_ns[FAMILIES]; // PENDING: the end of patience; LEAVING: the longest silence
    uint64_t asked_ns;
    uint64_t nonce_ns;       // when the nonces were made
    uint64_t next_ns;        // next question; UINT64_MAX: none
    uint32_t dest;           // in the plan, where its addresses are
    uint8_t families;        // FAMILY_BIT(f) of those that it is probed in
    uint8_t state[FAMILIES]; // enum presence_state
    uint8_t tries;           // questions left because something was heard; ASK_HEARD_TIMES: not asked since
};

static bool is_probed(const struct presence_peer *p, unsigned f)
{
    return p->families & FAMILY_BIT(f);
}

struct presence {
    struct presence_change in_force;
    presence_random_fn *random;
    void *random_arg;
    bool changed;
    uint64_t next_ns;   // the earliest next_ns
    uint64_t settle_ns; // the earliest until_ns
    size_t turn;        // who is asked first, so that nobody is starved by others
    uint64_t window_ns;
    size_t window_n; // questions since
    struct presence_stats stats;
};

struct presence *presence_new(presence_random_fn *random, void *arg, struct err *e)
{
    struct presence *ps = calloc(1, sizeof(*ps));
    if (!ps) {
        err_set(e, ENOMEM, "no memory for the peers' presence");
        return NULL;
    }
    ps->random = random;
    ps->random_arg = arg;
    ps->next_ns = ps->settle_ns = UINT64_MAX;
    return ps;
}

void presence_change_release(struct presence_change *c)
{
    free(c->list);
    free(c->held);
    plan_free(c->plan);
    *c = (struct presence_change){0};
}

void presence_free(struct presence *ps)
{
    if (!ps)
        return;
    presence_change_release(&ps->in_force);
    free(ps);
}

size_t presence_memory(const struct plan *p)
{
    return (p->n_dests + 1) * (sizeof(struct presence_peer) + 1);
}

const struct presence_stats *presence_stats(const struct presence *ps)
{
    return &ps->stats;
}

// --- a new plan ----------------------------------------------------------------------------------

static int by_agent(const void *a, const void *b)
{
    const struct presence_peer *x = a, *y = b;
    return (x->agent > y->agent) - (x->agent < y->agent);
}

static struct presence_peer *find(const struct presence_change *c, uint64_t agent)
{
    const struct presence_peer key = {.agent = agent};
    return c->n ? bsearch(&key, c->list, c->n, sizeof(key), by_agent) : NULL;
}

// The pairs of one destination stand together.
static void fill(struct presence_change *c, const struct plan *p)
{
    for (size_t i = 0; i < p->n_pairs; i++) {
        const struct plan_pair *pair = &p->pairs[i];
        const struct plan_dest *d = &p->dests[pair->dest];
        if (pair->gone || d->target)
            continue;
        if (c->n == 0 || c->list[c->n - 1].dest != pair->dest)
            c->list[c->n++] = (struct presence_peer){
                .agent = peer_wire_agent(d->name, (enum spec_network)d->network), .dest = pair->dest};
        c->list[c->n - 1].families |= (uint8_t)FAMILY_BIT(pair->family);
    }
    if (c->n)
        qsort(c->list, c->n, sizeof(*c->list), by_agent);
}

static const struct addr *addr_of(const struct presence_change *c, const struct presence_peer *p, unsigned f)
{
    return &c->plan->dests[p->dest].addr[f];
}

// What was known of it, if that is of any use.
static void carry_over(const struct presence_change *c, struct presence_peer *p,
                       const struct presence_change *before, uint64_t now_ns)
{
    const struct presence_peer *old = before->paused ? NULL : find(before, p->agent);
    p->next_ns = UINT64_MAX;
    if (old) {
        p->asked_ns = old->asked_ns;
        p->nonce_ns = old->nonce_ns;
        p->next_ns = old->next_ns;
        p->tries = old->tries;
    }
    for (unsigned f = 0; f < FAMILIES; f++) {
        if (!is_probed(p, f))
            continue;
        if (old && is_probed(old, f) && addr_equal(addr_of(before, old, f), addr_of(c, p, f))) {
            p->state[f] = old->state[f];
            p->nonce[f] = old->nonce[f];
            p->until_ns[f] = old->until_ns[f];
        } else {
            p->state[f] = PRESENCE_PENDING;
            p->until_ns[f] = now_ns + LIMIT_PEER_PATIENCE_NS;
            p->next_ns = now_ns;
        }
    }
}

int presence_prepare(const struct presence *ps, struct plan *p, uint64_t now_ns, struct presence_change *ret,
                     struct err *e)
{
    CLEANUP(presence_change_release)
    struct presence_change c = {.list = calloc(p->n_dests + 1, sizeof(*c.list)),
                                .held = calloc(p->n_dests + 1, 1),
                                .plan = plan_hold(p),
                                .paused = p->paused};
    if (!c.list || !c.held)
        return err_set(e, ENOMEM, "no memory for the presence of %zu peers", p->n_dests);
    fill(&c, p);
    for (size_t i = 0; i < c.n; i++) {
        if (c.paused)
            c.list[i].next_ns = UINT64_MAX; // PRESENCE_ACTIVE is 0
        else
            carry_over(&c, &c.list[i], &ps->in_force, now_ns);
    }
    *ret = c;
    c = (struct presence_change){0};
    return 0;
}

static bool is_waiting(const struct presence_peer *p, unsigned f)
{
    return is_probed(p, f) && p->state[f] != PRESENCE_ACTIVE;
}

// What follows from a peer's states.
static void update(struct presence *ps, const struct presence_peer *p)
{
    uint8_t held = 0;
    for (unsigned f = 0; f < FAMILIES; f++) {
        if (!is_waiting(p, f))
            continue;
        held |= (uint8_t)FAMILY_BIT(f);
        ps->settle_ns = MIN(ps->settle_ns, p->until_ns[f]);
    }
    ps->changed |= ps->in_force.held[p->dest] != held;
    ps->in_force.held[p->dest] = held;
    ps->next_ns = MIN(ps->next_ns, p->next_ns);
}

void presence_commit(struct presence *ps, struct presence_change *c)
{
    presence_change_release(&ps->in_force);
    ps->in_force = *c;
    *c = (struct presence_change){0};
    ps->turn = 0;
    ps->next_ns = ps->settle_ns = UINT64_MAX;
    for (size_t i = 0; i < ps->in_force.n; i++)
        update(ps, &ps->in_force.list[i]);
    ps->changed = true;
}

// --- states --------------------------------------------------------------------------------------

static bool is_leaving(const struct presence_peer *p)
{
    for (unsigned f = 0; f < FAMILIES; f++)
        if (is_probed(p, f) && p->state[f] == PRESENCE_LEAVING)
            return true;
    return false;
}

static bool is_pending(const struct presence_peer *p)
{
    for (unsigned f = 0; f < FAMILIES; f++)
        if (is_probed(p, f) && p->state[f] == PRESENCE_PENDING)
            return true;
    return false;
}

// When it is to be asked again, having been asked at asked_ns.
static void plan_next(struct presence_peer *p)
{
    p->next_ns = p->tries > 0    ? p->asked_ns + ASK_HEARD_NS
                 : is_pending(p) ? p->asked_ns + ASK_PENDING_NS
                 : is_leaving(p) ? p->asked_ns + ASK_LEAVING_NS
                                 : UINT64_MAX;
}

static void expire(struct presence *ps, struct presence_peer *p, uint64_t now_ns)
{
    bool any = false;
    for (unsigned f = 0; f < FAMILIES; f++) {
        if (!is_waiting(p, f) || p->until_ns[f] > now_ns)
            continue;
        ps->stats.expired[p->state[f]]++;
        p->state[f] = PRESENCE_ACTIVE;
        any = true;
    }
    if (any)
        plan_next(p);
    update(ps, p);
}

bool presence_settle(struct presence *ps, uint64_t now_ns)
{
    if (ps->settle_ns <= now_ns) {
        ps->settle_ns = UINT64_MAX;
        for (size_t i = 0; i < ps->in_force.n; i++)
            expire(ps, &ps->in_force.list[i], now_ns);
    }
    bool changed = ps->changed;
    ps->changed = false;
    return changed;
}

const uint8_t *presence_held(const struct presence *ps)
{
    return ps->in_force.held;
}

void presence_count(const struct presence *ps, enum spec_network network, size_t ret[static PRESENCE_STATES])
{
    memset(ret, 0, PRESENCE_STATES * sizeof(*ret));
    for (size_t i = 0; i < ps->in_force.n; i++) {
        const struct presence_peer *p = &ps->in_force.list[i];
        bool probed = false;
        if (ps->in_force.plan->dests[p->dest].network != network)
            continue;
        for (unsigned f = 0; f < FAMILIES; f++)
            probed |= is_probed(p, f) && p->state[f] == PRESENCE_ACTIVE;
        ret[probed ? PRESENCE_ACTIVE : is_leaving(p) ? PRESENCE_LEAVING : PRESENCE_PENDING]++;
    }
}

// --- questions -----------------------------------------------------------------------------------

// Whether something was heard that no question was about yet.
static bool heard_since(const struct presence_peer *p)
{
    return p->tries == ASK_HEARD_TIMES;
}

static size_t ask(struct presence *ps, struct presence_peer *p, uint64_t now_ns,
                  struct presence_question *out)
{
    size_t n = 0;
    bool open = p->nonce[FAMILY_IPV4] || p->nonce[FAMILY_IPV6];
    bool fresh = !open || now_ns - p->nonce_ns >= NONCE_NS || (heard_since(p) && !is_pending(p));
    for (unsigned f = 0; f < FAMILIES; f++) {
        if (!is_probed(p, f))
            continue;
        if (fresh || p->nonce[f] == 0) {
            ps->random(&p->nonce[f], 1, ps->random_arg);
            p->nonce[f] += p->nonce[f] == 0;
        }
        out[n++] = (struct presence_question){*addr_of(&ps->in_force, p, f), p->nonce[f]};
    }
    p->nonce_ns = fresh ? now_ns : p->nonce_ns;
    p->asked_ns = now_ns;
    p->tries = (uint8_t)(p->tries - (p->tries > 0));
    plan_next(p);
    return n;
}

size_t presence_due(struct presence *ps, uint64_t now_ns, struct presence_question *out)
{
    size_t n = 0, count = ps->in_force.n, begin = ps->turn;
    if (now_ns < ps->next_ns || count == 0)
        return 0;
    if (now_ns - ps->window_ns >= WINDOW_NS) {
        ps->window_ns = now_ns;
        ps->window_n = 0;
    }
    ps->next_ns = UINT64_MAX;
    for (size_t k = 0; k < count; k++) {
        struct presence_peer *p = &ps->in_force.list[(begin + k) % count];
        bool due = p->next_ns <= now_ns;
        if (due && ps->window_n + n + FAMILIES <= LIMIT_PEER_QUESTIONS) {
            n += ask(ps, p, now_ns, out + n);
            ps->turn = (begin + k + 1) % count;
            due = false;
        }
        ps->next_ns = MIN(ps->next_ns, due ? ps->window_ns + WINDOW_NS : p->next_ns);
    }
    ps->window_n += n;
    return n;
}

uint64_t presence_next(const struct presence *ps)
{
    return ps->next_ns;
}

// --- what comes ----------------------------------------------------------------------------------

bool presence_heard(struct presence *ps, uint64_t agent, bool leaving, uint64_t now_ns)
{
    struct presence_peer *p = find(&ps->in_force, agent);
    if (!p)
        return false;
    if (ps->in_force.paused || (!is_pending(p) && is_leaving(p) == leaving))
        return true;
    p->tries = ASK_HEARD_TIMES;
    p->next_ns = MIN(p->next_ns, MAX(now_ns, p->asked_ns + GAP_NS));
    ps->next_ns = MIN(ps->next_ns, p->next_ns);
    return true;
}

static void leaves(struct presence_peer *p, uint64_t now_ns)
{
    for (unsigned f = 0; f < FAMILIES; f++) {
        p->state[f] = is_probed(p, f) ? PRESENCE_LEAVING : PRESENCE_ACTIVE;
        p->until_ns[f] = now_ns + LIMIT_PEER_SILENCE_NS;
    }
}

// It answers at this address. At another one that was left it has yet to.
static void stays(struct presence_peer *p, unsigned family, uint64_t now_ns)
{
    p->state[family] = PRESENCE_ACTIVE;
    for (unsigned f = 0; f < FAMILIES; f++) {
        if (!is_probed(p, f) || p->state[f] != PRESENCE_LEAVING)
            continue;
        p->state[f] = PRESENCE_PENDING;
        p->until_ns[f] = now_ns + LIMIT_PEER_PATIENCE_NS;
    }
}

bool presence_answered(struct presence *ps, uint64_t agent, const struct addr *from, uint64_t nonce,
                       bool leaving, uint64_t now_ns)
{
    struct presence_peer *p = find(&ps->in_force, agent);
    unsigned f = from->family;
    if (!p || nonce == 0 || p->nonce[f] != nonce || !addr_equal(addr_of(&ps->in_force, p, f), from))
        return false;
    p->nonce[f] = 0;
    p->tries = heard_since(p) ? p->tries : 0;
    if (leaving)
        leaves(p, now_ns);
    else
        stays(p, f, now_ns);
    plan_next(p);
    update(ps, p);
    return true;
}
