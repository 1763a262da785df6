// SPDX-License-Identifier: Apache-2.0
// Echo requests out, echo replies, stamps and ICMP errors in.
#include "agent/probe_icmp.h"

#include <errno.h>
#include <string.h>

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "agent/padding.h"
#include "agent/wire.h"
#include "lib/log.h"

#define HEADER 8 // of an ICMP echo, both families: type, code, checksum, id, sequence
#define CHUNK 32
// Errors that quote too little of our packet to name it are looked up through all pairs: so many in one tick.
#define SEARCHES 64

// A socket that is missing and wanted is tried again so often: somebody may have let our group in since.
#define AGAIN_NS (5 * NS_PER_S)

struct probe_icmp {
    struct engine *en;
    struct sock_opts opts;
    int fd[FAMILIES]; // -1: not open
    bool tx_stamps[FAMILIES];
    bool whole[FAMILIES];        // what it sends now may be no fragments
    bool unable[FAMILIES];       // it could not be set so
    struct err err[FAMILIES];    // why it is not open, or unable
    bool needed;                 // the plan has probes that may be no fragments
    bool missed[FAMILIES];       // it was wanted and not there, and the log knows
    uint64_t again_ns[FAMILIES]; // when it may be tried again
    struct padding padding;
    // of the drain under way
    const struct sock_clock *clock;
    uint64_t now_ns;
    enum family family;
    unsigned searches;
};

static void open_one(struct probe_icmp *p, enum family f)
{
    if (p->fd[f] >= 0)
        return;
    p->fd[f] = sock_ping(f, &p->opts, &p->tx_stamps[f], &p->err[f]);
    p->whole[f] = false;
    if (p->fd[f] < 0)
        err_at(&p->err[f], "ICMP %s", addr_family_name(f));
}

// Probes want to be sent. False: there is no socket for them, now either.
static bool open_again(struct probe_icmp *p, enum family f)
{
    if (p->fd[f] < 0 && sock_now() >= p->again_ns[f]) {
        p->again_ns[f] = sock_now() + AGAIN_NS;
        open_one(p, f);
    }
    bool missing = p->fd[f] < 0;
    if (missing != p->missed[f]) {
        p->missed[f] = missing;
        char text[sizeof(struct err)];
        if (missing)
            log_warn("no ICMP socket", LOG_STR("error", err_text(&p->err[f], text, sizeof(text))));
        else
            log_info("ICMP socket open", LOG_STR("family", addr_family_name(f)));
    }
    return !missing;
}

// Sets the socket for the probes that come next. False: it cannot be.
static bool set_whole(struct probe_icmp *p, enum family f, bool whole)
{
    if (p->whole[f] == whole)
        return true;
    p->unable[f] = sock_set_whole(p->fd[f], f, whole, &p->err[f]) < 0;
    if (p->unable[f])
        err_at(&p->err[f], "ICMP %s", addr_family_name(f));
    else
        p->whole[f] = whole;
    return !p->unable[f];
}

struct probe_icmp *probe_icmp_new(struct engine *en, const struct sock_opts *o, struct err *e)
{
    struct probe_icmp *p = calloc(1, sizeof(*p));
    if (!p) {
        err_set(e, ENOMEM, "no memory for the ICMP probe");
        return NULL;
    }
    p->en = en;
    p->opts = *o;
    p->opts.dont_fragment = false;
    for (unsigned f = 0; f < FAMILIES; f++) {
        p->fd[f] = -1;
        open_one(p, (enum family)f);
    }
    return p;
}

void probe_icmp_free(struct probe_icmp *p)
{
    if (!p)
        return;
    for (unsigned f = 0; f < FAMILIES; f++)
        base_cleanup_fd(&p->fd[f]);
    padding_release(&p->padding);
    free(p);
}

int probe_icmp_reserve(struct probe_icmp *p, const struct plan *plan, struct err *e)
{
    return padding_reserve(&p->padding, plan, SPEC_ICMP, e);
}

void probe_icmp_apply(struct probe_icmp *p)
{
    const struct plan *plan = engine_plan(p->en);
    p->opts.burst = engine_burst(p->en);
    p->opts.payload = padding_payload(plan, SPEC_ICMP);
    p->needed = false;
    for (size_t i = 0; i < plan->n_probes; i++)
        p->needed = p->needed || (plan->probes[i].type == SPEC_ICMP && plan->probes[i].dont_fragment);
    for (unsigned f = 0; f < FAMILIES; f++) {
        p->unable[f] = false;
        if (p->fd[f] < 0)
            continue;
        sock_set_burst(p->fd[f], p->opts.burst, p->opts.payload);
        if (p->needed)
            set_whole(p, (enum family)f, true); // known before the first probe: readiness asks for it
    }
}

bool probe_icmp_ready(const struct probe_icmp *p, enum family f, const struct err **ret)
{
    bool ready = p->fd[f] >= 0 && !p->unable[f];
    if (!ready && ret)
        *ret = &p->err[f];
    return ready;
}

// --- out -----------------------------------------------------------------------------------------

struct chunk {
    size_t n;
    const struct engine_send *from[CHUNK];
    struct sock_out out[CHUNK];
    uint8_t data[CHUNK][HEADER + WIRE_PAYLOAD];
};

static const struct plan_probe *probe_of(const struct probe_icmp *p, size_t pair)
{
    const struct plan *plan = engine_plan(p->en);
    return &plan->probes[plan->pairs[pair].probe];
}

static void chunk_add(const struct probe_icmp *p, struct chunk *c, enum family f, const struct engine_send *s)
{
    uint8_t *d = c->data[c->n];
    size_t payload = probe_of(p, s->pair)->payload;
    memset(d, 0, HEADER); // id and checksum are the kernel's
    d[0] = f == FAMILY_IPV4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
    d[6] = (uint8_t)(s->token.seq >> 8);
    d[7] = (uint8_t)s->token.seq;
    wire_write(d + HEADER, &s->token, payload);
    c->from[c->n] = s;
    c->out[c->n++] = (struct sock_out){.to = s->to,
                                       .data = d,
                                       .len = HEADER + WIRE_PAYLOAD,
                                       .more = p->padding.bytes,
                                       .more_len = payload - WIRE_PAYLOAD};
}

static void chunk_flush(struct probe_icmp *p, bool whole, enum family f, struct chunk *c)
{
    bool able = open_again(p, f) && set_whole(p, f, whole);
    if (able)
        sock_send(p->fd[f], c->out, c->n, !p->tx_stamps[f]);
    for (size_t i = 0; i < c->n; i++) {
        if (able && c->out[i].err == 0)
            engine_sent(p->en, &c->from[i]->token, c->out[i].sent_ns);
        else
            engine_send_failed(p->en, &c->from[i]->token, able ? c->out[i].err : p->err[f].code);
    }
    c->n = 0;
}

static void send_kind(struct probe_icmp *p, bool whole, enum family f, const struct engine_send *s, size_t n)
{
    struct chunk c;
    c.n = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i].type != SPEC_ICMP || s[i].to.family != f || probe_of(p, s[i].pair)->dont_fragment != whole)
            continue;
        chunk_add(p, &c, f, &s[i]);
        if (c.n == CHUNK)
            chunk_flush(p, whole, f, &c);
    }
    if (c.n > 0)
        chunk_flush(p, whole, f, &c);
}

void probe_icmp_send(struct probe_icmp *p, const struct engine_send *s, size_t n)
{
    for (unsigned f = 0; f < FAMILIES; f++) {
        bool first = p->needed && p->whole[f]; // as it is set: that spares every other change
        send_kind(p, first, (enum family)f, s, n);
        if (p->needed)
            send_kind(p, !first, (enum family)f, s, n);
    }
}

// --- in ------------------------------------------------------------------------------------------

// Whether what follows the token, as far as it is there, is what was sent.
static bool is_padding(const struct probe_icmp *p, const struct sock_packet *k)
{
    size_t head = HEADER + WIRE_PAYLOAD, have = MIN(k->len, (size_t)SOCK_DATA);
    return have <= head ||
           (have - head <= p->padding.n && memcmp(k->data + head, p->padding.bytes, have - head) == 0);
}

// Whether it comes from where the probe went: whoever else answers, however well, is not the one that was
// asked.
static bool is_from(const struct probe_icmp *p, const struct sock_packet *k, const struct engine_token *t)
{
    const struct plan *plan = engine_plan(p->en);
    size_t i;
    return engine_find(p->en, t, &i) &&
           addr_equal(&plan->dests[plan->pairs[i].dest].addr[p->family], &k->from);
}

static void on_packet(const struct sock_packet *k, void *arg)
{
    struct probe_icmp *p = arg;
    uint8_t reply = p->family == FAMILY_IPV4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    if (k->len < HEADER || k->data[0] != reply)
        return;
    struct engine_token t[2];
    bool intact;
    unsigned n = wire_read(k->data + HEADER, k->len - HEADER, t, &intact);
    struct engine_reply r = {.now_ns = p->now_ns,
                             .rx_ns = sock_clock_convert(p->clock, k->real_ns),
                             .corrupt = !intact || !is_padding(p, k)};
    for (unsigned i = 0; i < n; i++)
        if (is_from(p, k, &t[i]) && engine_reply(p->en, &t[i], &r))
            return;
    engine_agent(p->en)->unmatched++;
}

// A frame of ours that ends with a payload of so many bytes.
static bool on_frame(struct probe_icmp *p, const struct sock_error *k, size_t payload, uint64_t tx_ns)
{
    struct engine_token t[2];
    bool intact = false;
    size_t at = k->len - payload;
    if (k->len >= payload && at + WIRE_PAYLOAD <= SOCK_DATA)
        wire_read(k->data + at, payload, t, &intact);
    if (intact)
        engine_tx(p->en, &t[0], tx_ns);
    return intact;
}

static void on_stamp(struct probe_icmp *p, const struct sock_error *k)
{
    const struct plan *plan = engine_plan(p->en);
    uint64_t tx = sock_clock_convert(p->clock, k->real_ns);
    bool found = tx == 0 || on_frame(p, k, WIRE_PAYLOAD, tx);
    for (size_t i = 0; !found && i < plan->n_probes; i++)
        if (plan->probes[i].type == SPEC_ICMP && plan->probes[i].payload != WIRE_PAYLOAD)
            found = on_frame(p, k, plan->probes[i].payload, tx);
}

// Whether an error of this kind ends the probe that it names.
static bool is_ended(const struct probe_icmp *p, const struct sock_error *k, const struct engine_token *t)
{
    size_t i;
    bool whole = !engine_find(p->en, t, &i) || probe_of(p, i)->dont_fragment;
    return reason_icmp_ends(p->family, k->type, k->code, whole);
}

static void on_error(const struct sock_error *k, void *arg)
{
    struct probe_icmp *p = arg;
    if (k->stamp) {
        on_stamp(p, k);
        return;
    }
    if (k->len < HEADER || !reason_icmp_ends(p->family, k->type, k->code, true))
        return;
    struct engine_token t[2];
    bool intact;
    enum reason reason = reason_icmp(p->family, k->type, k->code);
    unsigned n = wire_read(k->data + HEADER, k->len - HEADER, t, &intact);
    if (n == 0 && p->searches < SEARCHES) {
        p->searches++;
        n = engine_find_at(p->en, &k->to, (uint16_t)(k->data[6] << 8 | k->data[7]), &t[0]);
    }
    for (unsigned i = 0; i < n; i++)
        if (!is_ended(p, k, &t[i]) || engine_unreachable(p->en, &t[i], reason))
            return;
    engine_agent(p->en)->unmatched++;
}

void probe_icmp_drain(struct probe_icmp *p, const struct sock_clock *c, uint64_t now_ns)
{
    p->clock = c;
    p->now_ns = now_ns;
    p->searches = 0;
    for (unsigned f = 0; f < FAMILIES; f++) {
        p->family = (enum family)f;
        if (p->fd[f] >= 0)
            sock_drain(p->fd[f], LIMIT_DRAIN, on_packet, on_error, p);
    }
}
