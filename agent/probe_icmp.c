// SPDX-License-Identifier: Apache-2.0
// Echo requests out, echo replies, stamps and ICMP errors in.
#include "agent/probe_icmp.h"

#include <errno.h>
#include <string.h>

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "agent/wire.h"

#define HEADER 8 // of an ICMP echo, both families: type, code, checksum, id, sequence
#define CHUNK 32
// Errors that quote too little of our packet to name it are looked up through all pairs: so many in one tick.
#define SEARCHES 64

struct probe_icmp {
    struct engine *en;
    struct sock_opts opts;
    int fd[FAMILIES];
    bool tx_stamps[FAMILIES];
    struct err err[FAMILIES];
    // of the drain under way
    const struct sock_clock *clock;
    uint64_t now_ns;
    enum family family;
    unsigned searches;
};

struct probe_icmp *probe_icmp_new(struct engine *en, const struct sock_opts *o, struct err *e)
{
    struct probe_icmp *p = calloc(1, sizeof(*p));
    if (!p) {
        err_set(e, ENOMEM, "no memory for the ICMP probe");
        return NULL;
    }
    p->en = en;
    p->opts = *o;
    for (unsigned f = 0; f < FAMILIES; f++) {
        p->fd[f] = sock_ping((enum family)f, o, &p->tx_stamps[f], &p->err[f]);
        if (p->fd[f] < 0)
            err_at(&p->err[f], "ICMP %s", addr_family_name((enum family)f));
    }
    return p;
}

void probe_icmp_free(struct probe_icmp *p)
{
    if (!p)
        return;
    for (unsigned f = 0; f < FAMILIES; f++)
        base_cleanup_fd(&p->fd[f]);
    free(p);
}

bool probe_icmp_ready(const struct probe_icmp *p, enum family f, const struct err **ret)
{
    if (p->fd[f] < 0 && ret)
        *ret = &p->err[f];
    return p->fd[f] >= 0;
}

void probe_icmp_set_burst(struct probe_icmp *p, size_t burst)
{
    for (unsigned f = 0; f < FAMILIES; f++)
        if (p->fd[f] >= 0)
            sock_set_burst(p->fd[f], burst);
}

// --- out -----------------------------------------------------------------------------------------

struct chunk {
    size_t n;
    const struct engine_send *from[CHUNK];
    struct sock_out out[CHUNK];
    uint8_t data[CHUNK][HEADER + WIRE_PAYLOAD];
};

static void chunk_add(struct chunk *c, enum family f, const struct engine_send *s)
{
    uint8_t *d = c->data[c->n];
    memset(d, 0, HEADER); // id and checksum are the kernel's
    d[0] = f == FAMILY_IPV4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
    d[6] = (uint8_t)(s->token.seq >> 8);
    d[7] = (uint8_t)s->token.seq;
    wire_write(d + HEADER, &s->token);
    c->from[c->n] = s;
    c->out[c->n++] = (struct sock_out){.to = s->to, .data = d, .len = HEADER + WIRE_PAYLOAD};
}

static void chunk_flush(struct probe_icmp *p, enum family f, struct chunk *c)
{
    if (p->fd[f] >= 0)
        sock_send(p->fd[f], c->out, c->n, !p->tx_stamps[f]);
    for (size_t i = 0; i < c->n; i++) {
        if (p->fd[f] >= 0 && c->out[i].err == 0)
            engine_sent(p->en, &c->from[i]->token, c->out[i].sent_ns);
        else
            engine_send_failed(p->en, &c->from[i]->token);
    }
    c->n = 0;
}

void probe_icmp_send(struct probe_icmp *p, const struct engine_send *s, size_t n)
{
    for (unsigned f = 0; f < FAMILIES; f++) {
        struct chunk c;
        c.n = 0;
        for (size_t i = 0; i < n; i++) {
            if (s[i].type != SPEC_ICMP || s[i].to.family != f)
                continue;
            chunk_add(&c, (enum family)f, &s[i]);
            if (c.n == CHUNK)
                chunk_flush(p, (enum family)f, &c);
        }
        if (c.n > 0)
            chunk_flush(p, (enum family)f, &c);
    }
}

// --- in ------------------------------------------------------------------------------------------

static void on_packet(const struct sock_packet *k, void *arg)
{
    struct probe_icmp *p = arg;
    uint8_t reply = p->family == FAMILY_IPV4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    if (k->len < HEADER || k->data[0] != reply)
        return;
    struct engine_token t[2];
    bool intact;
    unsigned n = wire_read(k->data + HEADER, k->len - HEADER, t, &intact);
    struct engine_reply r = {
        .now_ns = p->now_ns, .rx_ns = sock_clock_convert(p->clock, k->real_ns), .corrupt = !intact};
    for (unsigned i = 0; i < n; i++)
        if (engine_reply(p->en, &t[i], &r))
            return;
    engine_agent(p->en)->unmatched++;
}

static void on_stamp(struct probe_icmp *p, const struct sock_error *k)
{
    struct engine_token t[2];
    bool intact = false;
    if (k->len >= WIRE_PAYLOAD)
        wire_read(k->data + k->len - WIRE_PAYLOAD, WIRE_PAYLOAD, t, &intact);
    uint64_t tx = sock_clock_convert(p->clock, k->real_ns);
    if (intact && tx)
        engine_tx(p->en, &t[0], tx);
}

static void on_error(const struct sock_error *k, void *arg)
{
    struct probe_icmp *p = arg;
    if (k->stamp) {
        on_stamp(p, k);
        return;
    }
    // EMSGSIZE is a router's wish for smaller packets; ours are small, and the next one goes another way.
    if (k->len < HEADER || k->err == 0 || k->err == EMSGSIZE)
        return;
    struct engine_token t[2];
    bool intact;
    unsigned n = wire_read(k->data + HEADER, k->len - HEADER, t, &intact);
    for (unsigned i = 0; i < n; i++)
        if (engine_unreachable(p->en, &t[i]))
            return;
    if (n == 0 && p->searches < SEARCHES) {
        p->searches++;
        if (engine_unreachable_at(p->en, &k->to, (uint16_t)(k->data[6] << 8 | k->data[7])))
            return;
    }
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
