// SPDX-License-Identifier: Apache-2.0
// Woken by each packet and not by the tick: what it holds back is the sender's lateness. T2 is the kernel's
// stamp, T3 is read just before the answer goes, packet by packet.
#include "agent/reflect_stamp.h"

#include <errno.h>
#include <string.h>

#include "agent/sock.h"
#include "agent/sock_reflect.h"
#include "agent/stamp_clock.h"
#include "agent/stamp_session.h"
#include "agent/stamp_wire.h"
#include "lib/limits.h"

#define PORT_MIN 1024                  // senders have ports from here on (RFC 8762 4.1)
#define CLOCK_AGAIN_NS (16 * NS_PER_S) // how long an error estimate is good for
#define CLOCK_LEAST_NS (1 * NS_PER_US) // nothing here is closer than that

// What is read and answered, one packet after the other; pages of it are there only after packets that long.
static uint8_t packet[LIMIT_PROBE_PAYLOAD];

struct reflect_stamp {
    struct loop *loop;
    struct loop_fd watch[FAMILIES];
    int fd[FAMILIES];
    uint16_t port;
    uint16_t error;
    uint64_t error_until_ns;
    uint64_t seed;
    size_t n_sessions, n_sources;
    struct stamp_session *sessions;
    struct reflect_stamp_stats stats;
};

const char *reflect_stamp_refusal_name(enum reflect_stamp_refusal r)
{
    static const char *const names[REFLECT_STAMP_REFUSALS] = {"short",   "long",        "form", "port",
                                                              "address", "source_rate", "rate", "send"};
    return names[r];
}

// Whether a packet may be answered, but for rates; otherwise *ret says why not.
static bool is_well_formed(const struct reflect_stamp *r, const struct sock_reflect_packet *k,
                           enum reflect_stamp_refusal *ret)
{
    *ret = k->len < STAMP_WIRE_BYTES                  ? REFLECT_STAMP_SHORT
           : k->cut                                   ? REFLECT_STAMP_LONG
           : k->port < PORT_MIN || k->port == r->port ? REFLECT_STAMP_PORT
           : !k->to.set || !k->direct                 ? REFLECT_STAMP_ADDRESS
           : !stamp_wire_is_query(k->data)            ? REFLECT_STAMP_FORM
                                                      : REFLECT_STAMP_REFUSALS;
    return *ret == REFLECT_STAMP_REFUSALS;
}

static bool is_admitted(struct reflect_stamp *r, const struct sock_reflect_packet *k, uint64_t now_ns,
                        enum reflect_stamp_refusal *ret)
{
    enum stamp_session_verdict v = stamp_session_admit(r->sessions, &k->from, now_ns);
    *ret = v == STAMP_SESSION_SOURCE_RATE ? REFLECT_STAMP_SOURCE_RATE : REFLECT_STAMP_RATE;
    return v == STAMP_SESSION_ADMITTED;
}

// The answer is written over the packet.
static bool answer(struct reflect_stamp *r, int fd, const struct sock_reflect_packet *k, uint64_t now_ns)
{
    struct stamp_wire_query q;
    if (stamp_wire_get_query(k->data, k->len, &q) != 0)
        return false;
    struct stamp_wire_answer a = {
        .seq = q.seq, .error = r->error, .ssid = q.ssid, .sender = q, .ttl = k->ttl};
    bool stateful = stamp_session_number(r->sessions, &k->from, k->port, q.ssid, now_ns, &a.seq);
    uint64_t real = stamp_clock_real();
    a.received = stamp_wire_ntp(k->real_ns ? k->real_ns : real);
    a.time = stamp_wire_ntp(real);
    stamp_wire_put_answer(packet, &a);
    if (sock_reflect_answer(fd, k, packet, k->len, q.ssid & STAMP_WIRE_WHOLE) != 0)
        return false;
    r->stats.answered++;
    r->stats.stateless += !stateful;
    return true;
}

static void on_packets(struct loop_fd *watch, uint32_t events UNUSED, void *arg)
{
    struct reflect_stamp *r = arg;
    uint64_t now = loop_now(r->loop);
    if (now >= r->error_until_ns) {
        r->error = stamp_clock_error(CLOCK_LEAST_NS);
        r->error_until_ns = now + CLOCK_AGAIN_NS;
    }
    struct sock_reflect_packet k;
    for (int i = 0; i < LIMIT_STAMP_BATCH; i++) {
        if (!sock_reflect_read(watch->fd, packet, sizeof(packet), &k))
            return;
        enum reflect_stamp_refusal why;
        if (!is_well_formed(r, &k, &why) || !is_admitted(r, &k, now, &why))
            r->stats.refused[why]++;
        else if (!answer(r, watch->fd, &k, now))
            r->stats.refused[REFLECT_STAMP_SEND]++;
    }
}

// A family that this host does not have is left out, unless it was asked for by its address.
static int open_all(struct reflect_stamp *r, const struct addr *addr, uint16_t port, struct err *e)
{
    unsigned n = 0;
    r->port = port;
    for (unsigned f = 0; f < FAMILIES; f++) {
        if (addr->set && addr->family != f)
            continue;
        int fd = sock_reflect_open((enum family)f, addr, r->port, &r->port, e);
        if (fd < 0 && (addr->set || (fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL)))
            return fd;
        if (fd < 0)
            continue;
        r->fd[f] = fd;
        sock_set_burst(fd, LIMIT_BURST, 0);
        int added = loop_fd_add(r->loop, &r->watch[f], fd, EPOLLIN, on_packets, r, e);
        if (added < 0)
            return added;
        n++;
    }
    return n ? 0 : -e->code;
}

struct reflect_stamp *reflect_stamp_new(struct loop *l, const struct addr *addr, uint16_t port, uint64_t seed,
                                        struct err *e)
{
    struct reflect_stamp *r = calloc(1, sizeof(*r));
    if (!r) {
        err_set(e, ENOMEM, "no memory for the STAMP reflector");
        return NULL;
    }
    r->loop = l;
    r->seed = seed;
    for (unsigned f = 0; f < FAMILIES; f++)
        r->fd[f] = -1;
    r->sessions = stamp_session_new(0, 0, seed, e);
    if (!r->sessions || open_all(r, addr, port, e) < 0) {
        reflect_stamp_free(r);
        return NULL;
    }
    return r;
}

void reflect_stamp_free(struct reflect_stamp *r)
{
    if (!r)
        return;
    for (unsigned f = 0; f < FAMILIES; f++) {
        loop_fd_del(r->loop, &r->watch[f]);
        base_cleanup_fd(&r->fd[f]);
    }
    stamp_session_free(r->sessions);
    free(r);
}

uint16_t reflect_stamp_port(const struct reflect_stamp *r)
{
    return r->port;
}

int reflect_stamp_expect(struct reflect_stamp *r, size_t sessions, size_t sources, struct err *e)
{
    if (stamp_session_bytes(sessions, sources) <= stamp_session_bytes(r->n_sessions, r->n_sources))
        return 0;
    sessions = MAX(sessions, r->n_sessions);
    sources = MAX(sources, r->n_sources);
    struct stamp_session *t = stamp_session_new(sessions, sources, r->seed, e);
    if (!t)
        return -e->code;
    stamp_session_copy(t, r->sessions);
    stamp_session_free(r->sessions);
    r->sessions = t;
    r->n_sessions = sessions;
    r->n_sources = sources;
    return 0;
}

void reflect_stamp_stats(const struct reflect_stamp *r, struct reflect_stamp_stats *ret)
{
    *ret = r->stats;
    ret->sessions = stamp_session_count(r->sessions);
}
