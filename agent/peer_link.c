// SPDX-License-Identifier: Apache-2.0
// One timer for what is to be said next, one for the pause after a flood.
#include "agent/peer_link.h"

#include <errno.h>

#include <sys/random.h>

#include "agent/hints.h"
#include "agent/peer_rate.h"
#include "agent/peer_sock.h"

// The open port, everybody's, for what others begin; and one of our own, that the kernel chose, for what we
// begin. If both had the same number, then behind an address translation (a pod's packets that leave with its
// node's address) what others send to the agent of the node would look like answers to the pod's.
enum side { DOOR, OWN };
#define SIDES 2

struct peer_door {
    uint16_t port;
    int fd[SIDES][FAMILIES]; // -1: no such family
    struct loop_fd watch[SIDES][FAMILIES];
};

struct peer_link {
    struct loop *loop;
    struct presence *presence;
    enum spec_network network;
    const char *node_name;
    uint64_t agent, fleet;  // as they are on the wire
    struct peer_door *door; // borrowed; NULL: none yet
    struct loop_timer timer, pause;
    bool paused, leaving;
    struct hints hints;
    struct peer_link_stats stats;
    struct peer_rate rate;
};

static void on_readable(struct loop_fd *fd, uint32_t events, void *arg);

// --- out -----------------------------------------------------------------------------------------

static void say(struct peer_link *k, enum peer_wire_kind kind, uint64_t nonce, const struct addr *to,
                uint16_t port, const struct addr *from)
{
    uint8_t bytes[PEER_WIRE_BYTES];
    const struct peer_wire m = {
        .kind = kind, .leaving = k->leaving, .fleet = k->fleet, .agent = k->agent, .nonce = nonce};
    int fd = k->door->fd[kind == PEER_WIRE_ANSWER ? DOOR : OWN][to->family];
    if (fd < 0)
        return;
    peer_wire_write(bytes, &m);
    k->stats.sent[kind] += peer_sock_send(fd, to, port, from, bytes, sizeof(bytes));
}

static void tell(struct peer_link *k, uint64_t now_ns)
{
    struct addr to[LIMIT_PEER_HINTS];
    size_t n = hints_due(&k->hints, now_ns, to);
    for (size_t i = 0; i < n; i++)
        say(k, PEER_WIRE_HINT, 0, &to[i], k->door->port, NULL);
}

static void ask(struct peer_link *k, uint64_t now_ns)
{
    struct presence_question q[LIMIT_PEER_QUESTIONS];
    size_t n = presence_due(k->presence, now_ns, q);
    for (size_t i = 0; i < n; i++)
        say(k, PEER_WIRE_QUERY, q[i].nonce, &q[i].to, k->door->port, NULL);
}

static void on_timer(struct loop_timer *t UNUSED, void *arg)
{
    peer_link_wake(arg);
}

// Says what is due, and arms the timer for what comes next. A paused fleet says nothing by itself.
void peer_link_wake(struct peer_link *k)
{
    struct err e;
    uint64_t now = loop_now(k->loop), next = UINT64_MAX;
    if (k->door && !k->paused) {
        k->leaving ? tell(k, now) : ask(k, now);
        next = k->leaving ? hints_next(&k->hints) : presence_next(k->presence);
    }
    loop_timer_cancel(k->loop, &k->timer);
    // It can fail for want of memory only; then the next message or plan arms it.
    if (next != UINT64_MAX && loop_timer_set(k->loop, &k->timer, MAX(next, now + 1), on_timer, k, &e) < 0)
        return;
}

void peer_link_leave(struct peer_link *k)
{
    k->leaving = true;
    hints_start(&k->hints, loop_now(k->loop));
    peer_link_wake(k);
}

// --- in ------------------------------------------------------------------------------------------

static void answer(struct peer_link *k, const struct peer_wire *m, const struct peer_sock_packet *p)
{
    bool known = hints_knows(&k->hints, &p->from);
    if (!peer_rate_allow(&k->rate, &p->from, known, loop_now(k->loop))) {
        k->stats.limited++;
        return;
    }
    k->stats.received[PEER_WIRE_QUERY]++;
    say(k, PEER_WIRE_ANSWER, m->nonce, &p->from, p->port, &p->to);
    hints_asked(&k->hints, &p->from);
    presence_heard(k->presence, m->agent, m->leaving, loop_now(k->loop));
}

static void on_packet(const struct peer_sock_packet *p, void *arg)
{
    struct peer_link *k = arg;
    struct peer_wire m;
    uint64_t now = loop_now(k->loop);
    bool known = true;
    if (!peer_wire_read(p->data, p->len, &m)) {
        k->stats.malformed++;
        return;
    }
    if (m.fleet != k->fleet) {
        k->stats.foreign++;
        return;
    }
    switch (m.kind) {
    case PEER_WIRE_QUERY: answer(k, &m, p); return;
    case PEER_WIRE_HINT: known = presence_heard(k->presence, m.agent, m.leaving, now); break;
    case PEER_WIRE_ANSWER:
        known = presence_answered(k->presence, m.agent, &p->from, m.nonce, m.leaving, now);
        break;
    }
    if (known)
        k->stats.received[m.kind]++;
    else
        k->stats.unmatched++;
}

static void listen_for(struct peer_link *k, uint32_t events)
{
    struct err e;
    for (unsigned i = 0; i < SIDES * FAMILIES; i++) {
        unsigned s = i / FAMILIES, f = i % FAMILIES;
        if (k->door->fd[s][f] >= 0 && loop_fd_mod(k->loop, &k->door->watch[s][f], events, &e) < 0)
            return; // it cannot fail for a descriptor that is watched
    }
}

static void on_pause_over(struct loop_timer *t UNUSED, void *arg)
{
    listen_for(arg, EPOLLIN);
}

static void on_readable(struct loop_fd *fd, uint32_t events UNUSED, void *arg)
{
    struct peer_link *k = arg;
    struct err e;
    size_t n = peer_sock_read(fd->fd, LIMIT_PEER_BATCH, on_packet, k);
    // The timer first: sockets that nothing would wake again must not be silenced.
    if (n >= LIMIT_PEER_BATCH && loop_timer_set(k->loop, &k->pause, loop_now(k->loop) + LIMIT_PEER_PAUSE_NS,
                                                on_pause_over, k, &e) == 0)
        listen_for(k, 0);
    peer_link_wake(k);
}

// --- life ----------------------------------------------------------------------------------------

struct peer_link *peer_link_new(struct loop *l, const char *node, enum spec_network network,
                                struct presence *ps, struct err *e)
{
    struct peer_link *k = calloc(1, sizeof(*k));
    uint64_t key = 0;
    if (!k) {
        err_set(e, ENOMEM, "no memory for the peers' messages");
        return NULL;
    }
    k->loop = l;
    k->presence = ps;
    k->network = network;
    k->node_name = node;
    k->agent = peer_wire_agent(node, network);
    k->fleet = peer_wire_fleet("");
    // Without it sources could at worst choose whom to share a bucket with.
    if (getrandom(&key, sizeof(key), GRND_NONBLOCK) != sizeof(key))
        key = loop_now(l);
    peer_rate_init(&k->rate, key);
    return k;
}

void peer_link_free(struct peer_link *k)
{
    if (!k)
        return;
    loop_timer_cancel(k->loop, &k->timer);
    loop_timer_cancel(k->loop, &k->pause);
    hints_release(&k->hints);
    free(k);
}

static int door_open_side(struct peer_link *k, struct peer_door *d, enum side s, enum family f,
                          const struct addr *addr, struct err *e)
{
    int fd = peer_sock_open(f, addr, s == DOOR ? d->port : 0, e);
    if (fd < 0)
        return fd;
    d->fd[s][f] = fd;
    return loop_fd_add(k->loop, &d->watch[s][f], fd, EPOLLIN, on_readable, k, e);
}

// The sockets that this host allows. An error if it allows none, or refuses one for another reason than that
// it has no such family.
static int door_open(struct peer_link *k, struct peer_door *d, const struct addr *addr, struct err *e)
{
    unsigned open = 0;
    for (unsigned f = 0; f < FAMILIES; f++) {
        if (addr->set && addr->family != f)
            continue;
        int r = door_open_side(k, d, DOOR, (enum family)f, addr, e);
        if (r < 0 && (addr->set || (r != -EAFNOSUPPORT && r != -EADDRNOTAVAIL)))
            return r;
        if (r < 0)
            continue;
        r = door_open_side(k, d, OWN, (enum family)f, addr, e);
        if (r < 0)
            return r;
        open++;
    }
    return open > 0 ? 0 : -e->code;
}

struct peer_door *peer_link_open(struct peer_link *k, const struct addr *addr, uint16_t port, struct err *e)
{
    struct peer_door *d = calloc(1, sizeof(*d));
    if (!d) {
        err_set(e, ENOMEM, "no memory for the peers' sockets");
        return NULL;
    }
    *d = (struct peer_door){.port = port, .fd = {{-1, -1}, {-1, -1}}};
    if (door_open(k, d, addr, e) == 0)
        return d;
    peer_link_close(k, d);
    return NULL;
}

void peer_link_close(struct peer_link *k, struct peer_door *d)
{
    if (!d)
        return;
    for (unsigned i = 0; i < SIDES * FAMILIES; i++) {
        loop_fd_del(k->loop, &d->watch[i / FAMILIES][i % FAMILIES]);
        base_cleanup_fd(&d->fd[i / FAMILIES][i % FAMILIES]);
    }
    loop_defer(k->loop, free, d);
    if (k->door == d)
        k->door = NULL;
}

uint16_t peer_link_port(const struct peer_door *d)
{
    return d->port;
}

void peer_link_use(struct peer_link *k, struct peer_door *d)
{
    k->door = d;
}

int peer_link_apply(struct peer_link *k, const struct spec_agent_file *file, const struct peers *peers,
                    struct err *e)
{
    int r = hints_set(&k->hints, file, peers, k->node_name, k->network, e);
    if (r < 0)
        return r;
    k->fleet = peer_wire_fleet(file->fleet);
    k->paused = file->paused;
    return 0;
}

const struct peer_link_stats *peer_link_stats(const struct peer_link *k)
{
    return &k->stats;
}
