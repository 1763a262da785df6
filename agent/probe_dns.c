// SPDX-License-Identifier: Apache-2.0
// Queries under way: a table of sockets, one each.
#include "agent/probe_dns.h"

#include <errno.h>
#include <poll.h>

#include "agent/dns_wire.h"
#include "agent/sock_tcp.h"

#define PREFIX 2     // of a message over TCP: its length (RFC 1035 4.2.2)
#define STRANGERS 16 // packets that are not the answer, read from one socket in one tick
#define ERRORS 32    // of one socket's error queue, likewise
#define TRIES 4      // an error that the socket holds comes out of whichever call is next
#define LOW_WATER PREFIX

enum stage { FREE, UDP, CONNECTING, READING };

struct asking {
    struct engine_token token;
    uint64_t give_up_ns;
    struct plan *plan; // held, so that a reload leaves the question as it was asked
    const struct plan_probe *probe;
    struct addr to;
    uint16_t port, id;
    uint8_t stage;     // enum stage
    uint64_t held_ns;  // from the receipt of an answer that was cut to the connect
    struct loop_fd fd; // TCP
    struct probe_dns *owner;
};

struct probe_dns {
    struct loop *loop;
    struct engine *en;
    struct sock_opts opts;
    size_t n;            // slots that were ever used
    size_t open;         // that are in use
    struct pollfd *fds;  // UDP; fd -1: none in this slot
    struct asking *list; // LIMIT_DNS_IN_FLIGHT; they stay where they are, for the loop
    uint8_t *message;    // the one that is read just now
    struct sock_clock tcp_clock;
    const struct sock_clock *clock; // of the read under way
    uint64_t now_ns;
};

struct probe_dns *probe_dns_new(struct loop *l, struct engine *en, const struct sock_opts *o, struct err *e)
{
    struct probe_dns *p = calloc(1, sizeof(*p));
    if (!p) {
        err_set(e, ENOMEM, "no memory for the DNS probe");
        return NULL;
    }
    p->loop = l;
    p->en = en;
    p->opts = *o;
    return p;
}

static void close_socket(struct asking *a)
{
    struct probe_dns *p = a->owner;
    struct pollfd *udp = &p->fds[a - p->list];
    loop_fd_del(p->loop, &a->fd);
    int fd = a->stage == UDP ? udp->fd : a->fd.fd;
    udp->fd = -1;
    a->fd = (struct loop_fd){.fd = -1};
    if (fd >= 0)
        close(fd);
}

static void finish(struct asking *a)
{
    struct probe_dns *p = a->owner;
    close_socket(a);
    plan_free(a->plan);
    a->plan = NULL;
    a->stage = FREE;
    p->open--;
}

void probe_dns_free(struct probe_dns *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++)
        if (p->list[i].stage != FREE)
            finish(&p->list[i]);
    free(p->fds);
    free(p->list);
    free(p->message);
    free(p);
}

size_t probe_dns_open(const struct probe_dns *p)
{
    return p->open;
}

int probe_dns_reserve(struct probe_dns *p, const struct plan *plan, struct err *e)
{
    bool needed = false;
    for (size_t i = 0; i < plan->n_probes; i++)
        needed = needed || plan->probes[i].type == SPEC_DNS;
    if (!needed || p->message)
        return 0;
    // Memory that no query has touched costs nothing.
    p->fds = p->fds ? p->fds : calloc(LIMIT_DNS_IN_FLIGHT, sizeof(*p->fds));
    p->list = p->list ? p->list : calloc(LIMIT_DNS_IN_FLIGHT, sizeof(*p->list));
    p->message = p->fds && p->list ? malloc(PREFIX + DNS_WIRE_MESSAGE_MAX) : NULL;
    return p->message ? 0 : err_set(e, ENOMEM, "no memory for DNS queries");
}

const struct dns_counts *probe_dns_counts(const struct engine *en, size_t i)
{
    const struct plan *plan = engine_plan(en);
    return plan->probes[plan->pairs[i].probe].type == SPEC_DNS ? engine_own(en, i).bytes : NULL;
}

// The counters of a query's pair; NULL: the pair has left the plan.
static struct dns_counts *counts_of(const struct asking *a)
{
    size_t pair;
    const struct engine *en = a->owner->en;
    return engine_find(en, &a->token, &pair) ? engine_own(en, pair).bytes : NULL;
}

// --- out -----------------------------------------------------------------------------------------

// It never left, for this errno.
static void failed(struct asking *a, int err)
{
    engine_send_failed(a->owner->en, &a->token, err);
    finish(a);
}

static void refused_or_failed(struct asking *a, int err)
{
    if (sock_tcp_refused(err))
        engine_unreachable(a->owner->en, &a->token, reason_connection(err));
    else if (err != ETIMEDOUT) // the kernel gave up before us: the engine will, in time
        engine_send_failed(a->owner->en, &a->token, err);
    finish(a);
}

static void question_of(const struct asking *a, struct dns_wire_question *ret)
{
    ret->id = a->id;
    ret->type = a->probe->record;
    if (dns_text_name(a->probe->query, ret->name) < 0)
        ret->name[0] = 0; // it was checked with the spec
}

static void on_tcp(struct loop_fd *h, uint32_t events, void *arg);

// Begins the query over TCP. Ends the probe if that cannot be.
static void start_tcp(struct asking *a)
{
    struct probe_dns *p = a->owner;
    struct sockaddr_storage to;
    struct err e;
    const int low = LOW_WATER;
    socklen_t len = addr_sockaddr(&a->to, a->port, &to);
    int fd = sock_tcp_open((enum family)a->to.family);
    a->stage = CONNECTING;
    a->fd = (struct loop_fd){.fd = fd};
    if (fd < 0) {
        failed(a, -fd);
        return;
    }
    if (!p->opts.no_rx_stamps)
        sock_tcp_stamp(fd);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
    if (connect(fd, (struct sockaddr *)&to, len) != 0 && errno != EINPROGRESS) {
        // As for TCP probes: only a refusal is this host's own answer; the rest never left.
        if (errno == ECONNREFUSED)
            refused_or_failed(a, errno);
        else
            failed(a, errno);
        return;
    }
    if (loop_fd_add(p->loop, &a->fd, fd, EPOLLOUT, on_tcp, a, &e) < 0) {
        a->fd.fd = fd;
        failed(a, ENOMEM);
    }
}

// A negative errno if there is none.
static int open_udp(struct probe_dns *p, const struct asking *a, bool *ret_tx_stamps)
{
    struct sockaddr_storage to;
    struct err e;
    socklen_t len = addr_sockaddr(&a->to, a->port, &to);
    CLEANUP_FD int fd = sock_udp((enum family)a->to.family, &p->opts, ret_tx_stamps, &e);
    if (fd < 0)
        return fd;
    if (connect(fd, (struct sockaddr *)&to, len) != 0)
        return -errno;
    return TAKE_FD(fd);
}

static void start_udp(struct asking *a)
{
    struct probe_dns *p = a->owner;
    uint8_t query[DNS_WIRE_QUERY_MAX];
    struct dns_wire_question q;
    bool tx_stamps;
    struct pollfd *udp = &p->fds[a - p->list];
    a->stage = UDP;
    question_of(a, &q);
    *udp = (struct pollfd){.fd = open_udp(p, a, &tx_stamps), .events = POLLIN};
    struct sock_out out = {.to = a->to, .port = a->port, .data = query, .len = dns_wire_query(query, &q)};
    if (udp->fd >= 0)
        sock_send(udp->fd, &out, 1, true);
    if (udp->fd >= 0 && out.err == 0) {
        engine_sent(p->en, &a->token, out.sent_ns);
        return;
    }
    failed(a, udp->fd < 0 ? -udp->fd : out.err);
}

static struct asking *free_slot(struct probe_dns *p)
{
    for (size_t i = 0; p->list && i < LIMIT_DNS_IN_FLIGHT; i++) {
        if (i == p->n)
            p->fds[p->n++].fd = -1;
        if (p->list[i].stage == FREE)
            return &p->list[i];
    }
    return NULL;
}

static void send_one(struct probe_dns *p, const struct engine_send *s)
{
    struct asking *a = free_slot(p);
    struct plan *plan = engine_plan(p->en);
    engine_sent(p->en, &s->token, sock_now());
    if (!a) {
        engine_send_failed(p->en, &s->token, EMFILE);
        return;
    }
    *a = (struct asking){.token = s->token,
                         .give_up_ns = s->give_up_ns,
                         .plan = plan_hold(plan),
                         .probe = &plan->probes[plan->pairs[s->pair].probe],
                         .to = s->to,
                         .port = s->port,
                         .id = (uint16_t)s->token.cookie, // random
                         .fd = {.fd = -1},
                         .owner = p};
    p->open++;
    if (a->probe->tcp)
        start_tcp(a);
    else
        start_udp(a);
}

void probe_dns_send(struct probe_dns *p, const struct engine_send *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i].type == SPEC_DNS)
            send_one(p, &s[i]);
}

// --- answers -------------------------------------------------------------------------------------

static bool has_records(const struct asking *a, const struct dns_wire_question *q,
                        const struct dns_wire_reply *r)
{
    bool all = r->n > 0;
    for (unsigned i = 0; all && i < a->probe->n_answers; i++) {
        uint8_t record[DNS_RECORD_MAX];
        int len = dns_text_record(q->type, a->probe->answers[i], record);
        all = len >= 0 && dns_wire_has(r, q, record, (size_t)len);
    }
    return all;
}

// Ends the probe by a whole answer, or by what cannot be read (reply NULL).
static void conclude(struct asking *a, const struct dns_wire_question *q, const struct dns_wire_reply *reply,
                     uint64_t rx_ns)
{
    struct probe_dns *p = a->owner;
    unsigned rcode = reply ? MIN(reply->rcode, (unsigned)DNS_RCODES) : 0;
    bool mismatch = reply && rcode == DNS_NOERROR && !has_records(a, q, reply);
    struct engine_reply r = {.now_ns = p->now_ns,
                             .rx_ns = rx_ns,
                             .held_ns = a->held_ns,
                             .corrupt = !reply,
                             .unexpected = mismatch || !(a->probe->rcodes & (1u << rcode))};
    struct dns_counts *c = counts_of(a);
    if (engine_reply(p->en, &a->token, &r) && c && reply) {
        c->replies[rcode]++;
        c->mismatches += mismatch;
    }
    finish(a);
}

// Asks again over TCP. The time until now is the first answer's, and what we took to come back to it is not.
static void ask_again(struct asking *a, uint64_t rx_ns)
{
    struct dns_counts *c = counts_of(a);
    if (c)
        c->truncated++;
    close_socket(a);
    uint64_t now = sock_now();
    a->held_ns = rx_ns && rx_ns < now ? now - rx_ns : 0;
    start_tcp(a);
}

static void take(struct asking *a, const uint8_t *data, size_t len, uint64_t real_ns)
{
    struct probe_dns *p = a->owner;
    struct dns_wire_question q;
    struct dns_wire_reply reply;
    uint64_t rx_ns = sock_clock_convert(p->clock, real_ns);
    bool udp = a->stage == UDP;
    question_of(a, &q);
    enum dns_wire_kind kind = dns_wire_read(data, len, &q, &reply);
    if (kind == DNS_WIRE_FOREIGN && udp)
        engine_agent(p->en)->unmatched++;
    else if (kind == DNS_WIRE_REPLY && reply.truncated && udp)
        ask_again(a, rx_ns);
    else
        conclude(a, &q, kind == DNS_WIRE_REPLY && !reply.truncated ? &reply : NULL, rx_ns);
}

// --- in, UDP -------------------------------------------------------------------------------------

static void on_error(const struct sock_error *k, void *arg)
{
    struct asking *a = arg;
    struct probe_dns *p = a->owner;
    if (a->stage != UDP)
        return;
    if (k->stamp) { // this socket sent nothing else
        uint64_t tx = sock_clock_convert(p->clock, k->real_ns);
        if (tx)
            engine_tx(p->en, &a->token, tx);
    } else if (reason_icmp_ends((enum family)a->to.family, k->type, k->code, false)) {
        engine_unreachable(p->en, &a->token, reason_icmp((enum family)a->to.family, k->type, k->code));
        finish(a);
    }
}

static void read_udp(struct asking *a)
{
    struct probe_dns *p = a->owner;
    int fd = p->fds[a - p->list].fd;
    unsigned errors = 0;
    for (unsigned i = 0; i < STRANGERS && a->stage == UDP; i++) {
        uint64_t real_ns;
        ssize_t n = sock_recv(fd, p->message, DNS_WIRE_MESSAGE_MAX, 0, &real_ns);
        sock_drain_errors(fd, ERRORS, on_error, a);
        if (a->stage == UDP && n >= 0)
            take(a, p->message, (size_t)n, real_ns);
        else if (n == -EAGAIN || (n < 0 && ++errors == TRIES))
            return;
    }
}

void probe_dns_drain(struct probe_dns *p, const struct sock_clock *c, uint64_t now_ns)
{
    p->clock = c;
    p->now_ns = now_ns;
    if (p->open == 0 || poll(p->fds, p->n, 0) < 0)
        return;
    for (size_t i = 0; i < p->n; i++) {
        struct asking *a = &p->list[i];
        if (a->stage == UDP && p->fds[i].revents)
            read_udp(a);
        if (a->stage != FREE && a->give_up_ns <= now_ns)
            finish(a);
    }
}

// --- in, TCP -------------------------------------------------------------------------------------

static void on_connected(struct asking *a)
{
    struct probe_dns *p = a->owner;
    uint8_t query[PREFIX + DNS_WIRE_QUERY_MAX];
    struct dns_wire_question q;
    struct err e;
    int err = sock_tcp_error(a->fd.fd);
    if (err) {
        refused_or_failed(a, err);
        return;
    }
    question_of(a, &q);
    size_t len = dns_wire_query(query + PREFIX, &q);
    query[0] = (uint8_t)(len >> 8);
    query[1] = (uint8_t)len;
    ssize_t n = send(a->fd.fd, query, PREFIX + len, MSG_NOSIGNAL);
    a->stage = READING;
    if (n < 0)
        refused_or_failed(a, errno == EPIPE ? ECONNRESET : errno);
    else if ((size_t)n != PREFIX + len || loop_fd_mod(p->loop, &a->fd, EPOLLIN | EPOLLRDHUP, &e) < 0)
        failed(a, ENOBUFS);
}

// Looks at what has come; it stays in the kernel until it is whole, and nobody is woken before.
static void read_tcp(struct asking *a, bool closed)
{
    struct probe_dns *p = a->owner;
    uint64_t real_ns;
    ssize_t n = sock_recv(a->fd.fd, p->message, PREFIX + DNS_WIRE_MESSAGE_MAX, MSG_PEEK, &real_ns);
    if (n == -EAGAIN && !closed)
        return;
    if (n <= 0) { // it hung up without a word
        refused_or_failed(a, n == 0 || n == -EAGAIN ? ECONNRESET : (int)-n);
        return;
    }
    int want = n >= PREFIX ? PREFIX + (p->message[0] << 8 | p->message[1]) : PREFIX;
    if (n >= PREFIX && n >= want)
        take(a, p->message + PREFIX, (size_t)want - PREFIX, real_ns);
    else if (closed || setsockopt(a->fd.fd, SOL_SOCKET, SO_RCVLOWAT, &want, sizeof(want)) != 0)
        conclude(a, NULL, NULL, 0);
}

static void on_tcp(struct loop_fd *h UNUSED, uint32_t events, void *arg)
{
    struct asking *a = arg;
    struct probe_dns *p = a->owner;
    p->now_ns = loop_refresh(p->loop);
    // Not on the tick: the clocks' offset of the last one may be old.
    (void)sock_clock_sample(&p->tcp_clock);
    p->clock = &p->tcp_clock;
    if (a->stage == CONNECTING)
        on_connected(a);
    else if (a->stage == READING)
        read_tcp(a, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}
