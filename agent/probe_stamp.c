// SPDX-License-Identifier: Apache-2.0
// Test packets out, answers, stamps and ICMP errors in.
#include "agent/probe_stamp.h"

#include <errno.h>
#include <string.h>

#include "agent/padding.h"
#include "agent/stamp_clock.h"
#include "agent/stamp_wire.h"

#define CHUNK 32
#define UDP_HEADER 8
// Of a timestamp's fraction, random: all below 2^-16 s. The error estimate says so.
#define RANDOM_BITS UINT64_C(0xffff)
#define RANDOM_NS 15259

struct sending { // one of the probes to be sent: its pair's part
    uint32_t number;
    uint16_t ssid;
    uint8_t flow;
};

struct flows { // the sockets of one family and kind
    int fd[LIMIT_STAMP_FLOWS];
    unsigned n_open; // from 0 on
    unsigned n_needed;
    bool tx_stamps;
};

// Two kinds of sockets: those whose packets may be fragmented, and those whose may not.
#define KINDS 2

struct probe_stamp {
    struct engine *en;
    struct sock_opts opts;
    struct flows flows[KINDS][FAMILIES]; // [may not be fragmented]
    struct err err[FAMILIES];            // of what was opened last
    struct padding padding;
    uint16_t error;  // estimate, of what is sent
    uint64_t since;  // when the plan came into force, as a timestamp of STAMP
    uint32_t *index; // pairs of the plan that are STAMP, by family and address
    size_t n_index, index_room;
    struct sending *sending;
    size_t sending_room;
    // of the drain under way
    const struct sock_clock *clock;
    uint64_t now_ns;
    unsigned kind;
    enum family family;
    unsigned flow;
};

struct probe_stamp *probe_stamp_new(struct engine *en, const struct sock_opts *o, struct err *e)
{
    struct probe_stamp *p = calloc(1, sizeof(*p));
    if (!p) {
        err_set(e, ENOMEM, "no memory for the STAMP probe");
        return NULL;
    }
    p->en = en;
    p->opts = *o;
    return p;
}

void probe_stamp_free(struct probe_stamp *p)
{
    if (!p)
        return;
    for (unsigned i = 0; i < KINDS * FAMILIES; i++) {
        struct flows *x = &p->flows[i / FAMILIES][i % FAMILIES];
        for (unsigned k = 0; k < x->n_open; k++)
            base_cleanup_fd(&x->fd[k]);
    }
    padding_release(&p->padding);
    free(p->index);
    free(p->sending);
    free(p);
}

bool probe_stamp_ready(const struct probe_stamp *p, enum family f, const struct err **ret)
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        const struct flows *x = &p->flows[kind][f];
        if (x->n_open >= x->n_needed)
            continue;
        if (ret)
            *ret = &p->err[f];
        return false;
    }
    return true;
}

// --- a new plan ----------------------------------------------------------------------------------

static const struct plan_probe *probe_of(const struct plan *plan, size_t i)
{
    return &plan->probes[plan->pairs[i].probe];
}

static const struct addr *address_of(const struct plan *plan, size_t i)
{
    return &plan->dests[plan->pairs[i].dest].addr[plan->pairs[i].family];
}

const struct stamp_path *probe_stamp_path(const struct engine *en, size_t i)
{
    return probe_of(engine_plan(en), i)->type == SPEC_STAMP ? engine_own(en, i).bytes : NULL;
}

static int grow(void *array, size_t *room, size_t need, size_t item)
{
    void **slot = array;
    void *more = need > *room ? reallocarray(*slot, need, item) : *slot;
    if (need > *room) {
        if (!more)
            return -ENOMEM;
        *slot = more;
        *room = need;
    }
    return 0;
}

int probe_stamp_reserve(struct probe_stamp *p, const struct plan *plan, size_t burst, struct err *e)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->n_pairs; i++)
        n += probe_of(plan, i)->type == SPEC_STAMP;
    if (n && (grow(&p->index, &p->index_room, n, sizeof(*p->index)) < 0 ||
              grow(&p->sending, &p->sending_room, burst, sizeof(*p->sending)) < 0))
        return err_set(e, ENOMEM, "no memory for %zu STAMP pairs", n);
    return padding_reserve(&p->padding, plan, SPEC_STAMP, e);
}

static void open_sockets(struct probe_stamp *p, unsigned kind, enum family f)
{
    struct flows *x = &p->flows[kind][f];
    p->opts.dont_fragment = kind;
    for (unsigned i = 0; i < x->n_open; i++)
        sock_set_burst(x->fd[i], p->opts.burst, p->opts.payload);
    while (x->n_open < x->n_needed) {
        int fd = sock_udp(f, &p->opts, &x->tx_stamps, &p->err[f]);
        if (fd < 0) {
            err_at(&p->err[f], "STAMP %s", addr_family_name(f));
            return;
        }
        x->fd[x->n_open++] = fd;
    }
}

static int compare_addresses(const struct addr *a, const struct addr *b)
{
    int c = (int)a->family - (int)b->family;
    return c ? c : memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static int by_address(const void *a, const void *b, void *arg)
{
    const uint32_t *x = a, *y = b;
    int c = compare_addresses(address_of(arg, *x), address_of(arg, *y));
    return c ? c : (*x > *y) - (*x < *y);
}

void probe_stamp_apply(struct probe_stamp *p)
{
    struct plan *plan = engine_plan(p->en);
    p->n_index = 0;
    p->since = stamp_wire_ntp(stamp_clock_real());
    p->opts.burst = engine_burst(p->en);
    p->opts.payload = padding_payload(plan, SPEC_STAMP);
    for (unsigned i = 0; i < KINDS * FAMILIES; i++)
        p->flows[i / FAMILIES][i % FAMILIES].n_needed = 0;
    for (size_t i = 0; i < plan->n_pairs; i++) {
        const struct plan_probe *r = probe_of(plan, i);
        if (r->type != SPEC_STAMP)
            continue;
        const struct engine_own own = engine_own(p->en, i);
        stamp_path_fit(own.bytes, r->flows, own.slots);
        p->index[p->n_index++] = (uint32_t)i;
        unsigned *needed = &p->flows[r->dont_fragment][plan->pairs[i].family].n_needed;
        if (!plan->pairs[i].gone)
            *needed = MAX(*needed, (unsigned)r->flows);
    }
    if (p->n_index)
        qsort_r(p->index, p->n_index, sizeof(*p->index), by_address, plan);
    for (unsigned i = 0; i < KINDS * FAMILIES; i++)
        open_sockets(p, i / FAMILIES, (enum family)(i % FAMILIES));
    if (p->error == 0) // one for as long as we run: it comes back with each answer
        p->error = stamp_clock_error(RANDOM_NS);
}

// --- out -----------------------------------------------------------------------------------------

struct chunk {
    size_t n;
    struct engine_token token[CHUNK];
    struct stamp_path *path[CHUNK];
    struct sock_out out[CHUNK];
    uint8_t data[CHUNK][STAMP_WIRE_BYTES + STAMP_WIRE_TLV];
};

// Never 0, and another one for each pair to the same destination, whose ids are not so far apart.
static uint16_t ssid_of(uint32_t id, const struct plan_probe *r)
{
    return (uint16_t)((id % (STAMP_WIRE_WHOLE - 1) + 1) | (r->dont_fragment ? STAMP_WIRE_WHOLE : 0));
}

static void chunk_add(struct probe_stamp *p, struct chunk *c, const struct engine_send *s,
                      const struct sending *x)
{
    struct engine_token *t = &c->token[c->n];
    *t = s->token;
    uint64_t time = stamp_wire_ntp(stamp_clock_real());
    engine_rename(p->en, t, (time & ~RANDOM_BITS) | (t->cookie & RANDOM_BITS));
    struct stamp_wire_query q = {x->number, t->cookie, p->error, x->ssid};
    stamp_wire_put_query(c->data[c->n], &q);
    c->path[c->n] = engine_own(p->en, s->pair).bytes;
    stamp_path_set_error(c->path[c->n], t->seq, p->error);
    const struct plan_probe *r = probe_of(engine_plan(p->en), s->pair);
    size_t len = STAMP_WIRE_BYTES + stamp_wire_put_padding(c->data[c->n] + STAMP_WIRE_BYTES, r->payload);
    c->out[c->n] = (struct sock_out){.to = s->to,
                                     .port = s->port,
                                     .dscp = r->dscp,
                                     .data = c->data[c->n],
                                     .len = len,
                                     .more = p->padding.bytes,
                                     .more_len = r->payload - len};
    c->n++;
}

static void chunk_flush(struct probe_stamp *p, const struct flows *x, unsigned flow, struct chunk *c)
{
    bool open = flow < x->n_open;
    if (open)
        sock_send(x->fd[flow], c->out, c->n, !x->tx_stamps);
    for (size_t i = 0; i < c->n; i++) {
        if (open && c->out[i].err == 0) {
            engine_sent(p->en, &c->token[i], c->out[i].sent_ns);
        } else {
            engine_send_failed(p->en, &c->token[i], open ? c->out[i].err : p->err[c->out[i].to.family].code);
            stamp_path_failed(c->path[i], c->token[i].seq);
        }
    }
    c->n = 0;
}

static void send_flow(struct probe_stamp *p, unsigned kind, enum family f, unsigned flow,
                      const struct engine_send *s, size_t n)
{
    const struct plan *plan = engine_plan(p->en);
    struct chunk c;
    c.n = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i].type != SPEC_STAMP || s[i].to.family != f || p->sending[i].flow != flow ||
            probe_of(plan, s[i].pair)->dont_fragment != kind)
            continue;
        chunk_add(p, &c, &s[i], &p->sending[i]);
        if (c.n == CHUNK)
            chunk_flush(p, &p->flows[kind][f], flow, &c);
    }
    if (c.n > 0)
        chunk_flush(p, &p->flows[kind][f], flow, &c);
}

void probe_stamp_send(struct probe_stamp *p, const struct engine_send *s, size_t n)
{
    unsigned flows[KINDS][FAMILIES] = {{0}};
    for (size_t i = 0; i < n; i++) {
        if (s[i].type != SPEC_STAMP)
            continue;
        const struct plan_probe *r = probe_of(engine_plan(p->en), s[i].pair);
        struct engine_own own = engine_own(p->en, s[i].pair);
        struct sending *x = &p->sending[i];
        unsigned *most = &flows[r->dont_fragment][s[i].to.family];
        x->flow = (uint8_t)stamp_path_begin(own.bytes, r->flows, own.slots, s[i].token.seq, &x->number);
        x->ssid = ssid_of(own.id, r);
        *most = MAX(*most, (unsigned)r->flows);
    }
    for (unsigned i = 0; i < KINDS * FAMILIES; i++)
        for (unsigned flow = 0; flow < flows[i / FAMILIES][i % FAMILIES]; flow++)
            send_flow(p, i / FAMILIES, (enum family)(i % FAMILIES), flow, s, n);
}

// --- in ------------------------------------------------------------------------------------------

struct found { // a probe of ours that a packet may speak of
    size_t pair;
    struct engine_token token;
};
typedef bool found_fn(struct probe_stamp *p, const struct found *x, const void *arg);

// The first pair of the index with this address, or where it would be.
static size_t first_at(const struct probe_stamp *p, const struct addr *a)
{
    const struct plan *plan = engine_plan(p->en);
    size_t low = 0, high = p->n_index;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare_addresses(address_of(plan, p->index[middle]), a) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Calls fn for each probe of this flow to address and port (0: any) with this number, identifier (0: any) and
// time, until it takes one. False: none was taken.
static bool find(struct probe_stamp *p, const struct addr *to, uint16_t port,
                 const struct stamp_wire_query *q, found_fn *fn, const void *arg)
{
    const struct plan *plan = engine_plan(p->en);
    for (size_t k = first_at(p, to); plan && k < p->n_index; k++) {
        struct found x = {.pair = p->index[k]};
        if (compare_addresses(address_of(plan, x.pair), to) != 0)
            return false;
        struct engine_own own = engine_own(p->en, x.pair);
        const struct plan_probe *r = probe_of(plan, x.pair);
        if ((port && r->port != port) ||
            (q->ssid && ((q->ssid ^ ssid_of(own.id, r)) & (STAMP_WIRE_WHOLE - 1))))
            continue;
        uint32_t seq[2];
        unsigned n = stamp_path_seq(own.bytes, p->flow, q->seq, seq);
        for (unsigned i = 0; i < n; i++) {
            x.token = (struct engine_token){own.id, seq[i], q->time};
            if (fn(p, &x, arg))
                return true;
        }
    }
    return false;
}

struct answer {
    const struct stamp_wire_answer *wire;
    const struct sock_packet *packet;
    struct engine_reply reply;
};

// Whether an answer is as long as its probe (which, if it was begun before the plan in force, may have been
// of another length), and is beyond the base packet what was sent, as far as it is there. The first byte of
// the TLV, its flags, is the reflector's.
static bool is_whole(const struct probe_stamp *p, const struct found *x, const struct sock_packet *k)
{
    uint8_t tlv[STAMP_WIRE_TLV];
    size_t payload = probe_of(engine_plan(p->en), x->pair)->payload, have = MIN(k->len, (size_t)SOCK_DATA);
    size_t n = stamp_wire_put_padding(tlv, k->len), head = STAMP_WIRE_BYTES + n;
    if (k->len != payload && x->token.cookie >= p->since)
        return false;
    if (n > 1 && memcmp(k->data + STAMP_WIRE_BYTES + 1, tlv + 1, n - 1) != 0)
        return false;
    return have == head ||
           (have - head <= p->padding.n && memcmp(k->data + head, p->padding.bytes, have - head) == 0);
}

static bool on_answer(struct probe_stamp *p, const struct found *x, const void *arg)
{
    const struct answer *a = arg;
    struct stamp_path *path = engine_own(p->en, x->pair).bytes;
    struct engine_reply r = a->reply;
    r.corrupt = !is_whole(p, x, a->packet) || !stamp_path_error_is(path, x->token.seq, a->wire->sender.error);
    uint32_t lost = engine_stats(p->en, x->pair)->results[STATS_LOST];
    if (!engine_reply(p->en, &x->token, &r))
        return false;
    if (engine_stats(p->en, x->pair)->results[STATS_LOST] != lost)
        return true; // we were asleep: its time was over, and it stays without an answer
    if (r.corrupt)
        stamp_path_corrupt(path, x->token.seq, a->wire->seq);
    else
        stamp_path_answered(path, x->token.seq, a->wire->seq);
    return true;
}

static void on_packet(const struct sock_packet *k, void *arg)
{
    struct probe_stamp *p = arg;
    struct stamp_wire_answer wire;
    if (stamp_wire_get_answer(k->data, k->len, &wire) == 0) {
        struct stamp_wire_query q = wire.sender;
        q.ssid = wire.ssid; // 0 from a reflector that knows RFC 8762 only
        struct answer a = {
            .wire = &wire,
            .packet = k,
            .reply = {.now_ns = p->now_ns,
                      .rx_ns = sock_clock_convert(p->clock, k->real_ns),
                      .held_ns = stamp_wire_held(&wire)},
        };
        if (k->port && find(p, &k->from, k->port, &q, on_answer, &a))
            return;
    }
    engine_agent(p->en)->unmatched++;
}

static bool on_sent(struct probe_stamp *p, const struct found *x, const void *arg)
{
    const uint64_t *tx = arg;
    engine_tx(p->en, &x->token, *tx);
    return false; // whoever it is: the time tells
}

// Where the frame of a packet of ours went: the end of the IP header, which has no options.
static struct addr frame_to(enum family f, const uint8_t *end)
{
    struct addr a = {.family = (uint8_t)f, .set = 1};
    size_t n = f == FAMILY_IPV4 ? 4 : 16;
    memcpy(a.bytes, end - n, n);
    return a;
}

// A frame of ours that ends with a payload of so many bytes.
static void on_frame(struct probe_stamp *p, const struct sock_error *k, size_t payload, uint64_t tx_ns)
{
    struct stamp_wire_query q;
    size_t at = k->len - payload;
    if (k->len < payload || at < UDP_HEADER + sizeof(struct in6_addr) || at + STAMP_WIRE_BYTES > SOCK_DATA ||
        stamp_wire_get_query(k->data + at, STAMP_WIRE_BYTES, &q) != 0)
        return;
    struct addr to = frame_to(p->family, k->data + at - UDP_HEADER);
    (void)find(p, &to, 0, &q, on_sent, &tx_ns);
}

static void on_stamp(struct probe_stamp *p, const struct sock_error *k)
{
    const struct plan *plan = engine_plan(p->en);
    uint64_t tx = sock_clock_convert(p->clock, k->real_ns);
    size_t last = 0;
    for (size_t i = 0; tx && i < plan->n_probes; i++) {
        const struct plan_probe *r = &plan->probes[i];
        if (r->type != SPEC_STAMP || r->payload == last)
            continue;
        last = r->payload;
        on_frame(p, k, last, tx);
    }
}

static bool on_refusal(struct probe_stamp *p, const struct found *x, const void *arg)
{
    const struct sock_error *k = arg;
    const struct stats *s = engine_stats(p->en, x->pair);
    uint32_t in_flight = s->in_flight;
    if (!engine_unreachable(p->en, &x->token, reason_icmp(p->family, k->type, k->code)))
        return false;
    if (s->in_flight < in_flight) // otherwise it had ended already: lost is lost
        stamp_path_refused(engine_own(p->en, x->pair).bytes, x->token.seq);
    return true;
}

static void on_error(const struct sock_error *k, void *arg)
{
    struct probe_stamp *p = arg;
    if (k->stamp) {
        on_stamp(p, k);
        return;
    }
    if (!reason_icmp_ends(p->family, k->type, k->code, p->kind != 0))
        return;
    struct stamp_wire_query q;
    if (stamp_wire_get_query(k->data, k->len, &q) != 0 || !k->port ||
        !find(p, &k->to, k->port, &q, on_refusal, k))
        engine_agent(p->en)->unmatched++;
}

void probe_stamp_drain(struct probe_stamp *p, const struct sock_clock *c, uint64_t now_ns)
{
    p->clock = c;
    p->now_ns = now_ns;
    for (unsigned i = 0; i < KINDS * FAMILIES; i++) {
        p->kind = i / FAMILIES;
        p->family = (enum family)(i % FAMILIES);
        const struct flows *x = &p->flows[p->kind][p->family];
        for (p->flow = 0; p->flow < x->n_open; p->flow++)
            sock_drain(x->fd[p->flow], LIMIT_DRAIN, on_packet, on_error, p);
    }
}
