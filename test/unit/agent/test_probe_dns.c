// SPDX-License-Identifier: Apache-2.0
// DNS probes against a server that does as it is told, over this host's own stack, in a network namespace.
#include "test/unit/check.h"

#include <fcntl.h>
#include <netinet/in.h>

#include "agent/probe_dns.h"
#include "agent/prober.h"
#include "test/unit/agent/netns.h"

// What the server does with a query.
enum act {
    ANSWER,        // 192.0.2.1 and 192.0.2.2
    NXDOMAIN,      // RCODE 3
    STRANGE_RCODE, // RCODE 9
    EMPTY,         // NoError without a record
    SILENT,
    LATE,           // ANSWER, after LATE_AFTER
    OTHER_ID_FIRST, // a spoofed answer, then ANSWER
    OTHER_QUESTION,
    SHORT,  // the id and one byte
    QUERY,  // the query itself
    CUT,    // TC over UDP; over TCP ANSWER
    HANGUP, // TC over UDP; over TCP the end of the connection
    BROKEN, // TC over UDP; over TCP half an answer, then the end
    CUT_ALWAYS,
    DRIBS, // TC over UDP; over TCP one byte at a time
};

#define LATE_AFTER (250 * NS_PER_MS) // more than a probe of it waits

struct server {
    struct loop *l;
    enum act act;
    uint16_t port;
    struct loop_fd udp, listener;
    struct loop_timer late;
    struct sockaddr_in6 late_to;
    uint8_t late_text[512];
    size_t late_len;
    unsigned udp_queries, tcp_queries;
    struct client *clients;
};

struct client {
    struct client *next;
    struct loop_fd fd;
    struct loop_timer timer;
    struct server *s;
    uint8_t text[600];
    size_t len, sent;
};

static const uint8_t records[] = {
    0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 1, // by the name of the question
    0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 2,
};

// The answer to a query of n bytes, in its place; its length.
static size_t answer(uint8_t *text, size_t n, enum act act, bool tcp)
{
    text[2] |= 0x80;
    switch (act) {
    case NXDOMAIN: text[3] = 3; return n;
    case STRANGE_RCODE: text[3] = 9; return n;
    case EMPTY: return n;
    case SHORT: return 3;
    case QUERY: text[2] &= 0x7f; return n;
    case OTHER_QUESTION: text[13] ^= 1; break;
    case CUT_ALWAYS: text[2] |= 2; return n;
    case CUT:
    case HANGUP:
    case BROKEN:
    case DRIBS:
        if (!tcp) {
            text[2] |= 2;
            return n;
        }
        break;
    case ANSWER:
    case SILENT:
    case LATE:
    case OTHER_ID_FIRST: break;
    }
    text[7] = 2;
    memcpy(text + n, records, sizeof(records));
    return n + sizeof(records);
}

static void on_late(struct loop_timer *t UNUSED, void *arg)
{
    struct server *s = arg;
    (void)sendto(s->udp.fd, s->late_text, s->late_len, 0, (struct sockaddr *)&s->late_to, sizeof(s->late_to));
}

static void on_udp(struct loop_fd *h, uint32_t events UNUSED, void *arg)
{
    struct server *s = arg;
    uint8_t text[600];
    struct sockaddr_in6 from;
    socklen_t len = sizeof(from);
    struct err e;
    ssize_t n = recvfrom(h->fd, text, 512, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
    if (n <= 12 || s->act == SILENT)
        return;
    s->udp_queries++;
    size_t size = answer(text, (size_t)n, s->act, false);
    if (s->act == OTHER_ID_FIRST) {
        text[0] ^= 1;
        (void)sendto(h->fd, text, size, 0, (struct sockaddr *)&from, len);
        text[0] ^= 1;
    }
    if (s->act != LATE) {
        (void)sendto(h->fd, text, size, 0, (struct sockaddr *)&from, len);
        return;
    }
    memcpy(s->late_text, text, size);
    s->late_len = size;
    s->late_to = from;
    if (loop_timer_set(s->l, &s->late, loop_now(s->l) + LATE_AFTER, on_late, s, &e) < 0)
        printf("    %s\n", e.msg);
}

static void client_free(struct client *c)
{
    for (struct client **at = &c->s->clients; *at; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    loop_fd_del(c->s->l, &c->fd);
    loop_timer_cancel(c->s->l, &c->timer);
    close(c->fd.fd);
    free(c);
}

static void on_drib(struct loop_timer *t, void *arg)
{
    struct client *c = arg;
    struct err e;
    if (send(c->fd.fd, c->text + c->sent++, 1, MSG_NOSIGNAL) < 0 || c->sent == c->len ||
        loop_timer_set(c->s->l, t, loop_now(c->s->l) + NS_PER_MS, on_drib, c, &e) < 0)
        client_free(c);
}

static void on_client(struct loop_fd *h, uint32_t events UNUSED, void *arg)
{
    struct client *c = arg;
    ssize_t n = recv(h->fd, c->text, 512, MSG_DONTWAIT);
    if (n <= 14 || c->s->act == HANGUP) {
        client_free(c);
        return;
    }
    c->s->tcp_queries++;
    size_t size = answer(c->text + 2, (size_t)n - 2, c->s->act, true);
    c->text[0] = (uint8_t)(size >> 8);
    c->text[1] = (uint8_t)size;
    c->len = 2 + size;
    if (c->s->act == DRIBS) {
        loop_fd_del(c->s->l, &c->fd);
        c->fd.fd = h->fd;
        on_drib(&c->timer, c);
        return;
    }
    (void)send(h->fd, c->text, c->s->act == BROKEN ? c->len / 2 : c->len, MSG_NOSIGNAL);
    if (c->s->act == BROKEN)
        client_free(c);
}

static void on_connection(struct loop_fd *h, uint32_t events UNUSED, void *arg)
{
    struct server *s = arg;
    struct err e;
    int fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct client *c = calloc(1, sizeof(*c));
    c->s = s;
    c->next = s->clients;
    s->clients = c;
    if (fd < 0 || loop_fd_add(s->l, &c->fd, fd, EPOLLIN, on_client, c, &e) < 0)
        printf("    no connection\n");
}

// UDP and TCP on one port, of both families.
static bool server_start(struct server *s, struct loop *l, enum act act)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6};
    socklen_t len = sizeof(a);
    struct err e;
    int udp = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0),
        tcp = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *s = (struct server){.l = l, .act = act};
    bool ok = bind(udp, (struct sockaddr *)&a, len) == 0 &&
              getsockname(udp, (struct sockaddr *)&a, &len) == 0 &&
              bind(tcp, (struct sockaddr *)&a, len) == 0 && listen(tcp, 16) == 0;
    s->port = ntohs(a.sin6_port);
    return ok && loop_fd_add(l, &s->udp, udp, EPOLLIN, on_udp, s, &e) == 0 &&
           loop_fd_add(l, &s->listener, tcp, EPOLLIN, on_connection, s, &e) == 0;
}

static void server_stop(struct server *s)
{
    while (s->clients)
        client_free(s->clients);
    loop_timer_cancel(s->l, &s->late);
    loop_fd_del(s->l, &s->udp);
    loop_fd_del(s->l, &s->listener);
    close(s->udp.fd);
    close(s->listener.fd);
}

// --- the agent -----------------------------------------------------------------------------------

static struct spec_agent_file file;
static struct spec_target targets[2];
static struct peers no_peers;
static char *wanted[1];

static void add_target(const char *name, const char *server, uint16_t port, bool tcp)
{
    struct spec_target *t = &targets[file.spec.n_targets++];
    *t = (struct spec_target){.type = SPEC_DNS,
                              .port = port,
                              .record_type = DNS_A,
                              .transport = tcp ? SPEC_TRANSPORT_TCP : SPEC_TRANSPORT_UDP,
                              .query = "www.Example.com.",
                              .expect = {.rcodes = 1u << DNS_NOERROR}};
    snprintf(t->name, sizeof(t->name), "%s", name);
    if (addr_parse(server, &t->server) != 0)
        printf("    bad address %s\n", server);
}

static void reset(void)
{
    memset(&file, 0, sizeof(file));
    file.spec.targets = targets;
    file.spec.metrics.n_buckets = 1;
    file.spec.metrics.rtt_buckets_us[0] = 1000;
}

struct fixture {
    struct loop *l;
    struct prober *p;
    struct server s;
};

// Where an answer is to come, a probe waits longer than a machine under load stands still: server and agent
// share this thread. Where none is, as short as may be, for that only has to pass. An answer of many steps
// gets fewer probes at a time, so that there is room for all that are under way.
#define PATIENT (15 * NS_PER_S)
#define SHORT_WAIT (200 * NS_PER_MS)

static void pace(enum act act, bool tcp)
{
    bool unanswered = act == SILENT || act == LATE || (act == QUERY && !tcp);
    for (size_t i = 0; i < file.spec.n_targets; i++) {
        targets[i].timeout_ns = unanswered ? SHORT_WAIT : PATIENT;
        targets[i].interval_ns = (act == DRIBS ? 200 : 20) * NS_PER_MS;
    }
}

static bool start(struct fixture *x, enum act act, bool tcp, const struct sock_opts *o)
{
    struct err e = {0};
    x->l = loop_new(&e);
    x->p = x->l ? prober_new(x->l, "n1", SPEC_NETWORK_POD, o, &e) : NULL;
    if (!x->p || !server_start(&x->s, x->l, act)) {
        printf("    %s\n", e.msg);
        return false;
    }
    reset();
    add_target("v4", "127.0.0.1", x->s.port, tcp);
    add_target("v6", "::1", x->s.port, tcp);
    pace(act, tcp);
    return prober_apply(x->p, &file, &no_peers, &e) == 0;
}

static void finish(struct fixture *x)
{
    prober_free(x->p);
    server_stop(&x->s);
    loop_free(x->l);
}

static const struct stats *st(const struct fixture *x, size_t i)
{
    return engine_stats(prober_engine(x->p), i);
}

static const struct dns_counts *counts(const struct fixture *x, size_t i)
{
    return probe_dns_counts(prober_engine(x->p), i);
}

// Until both targets have `n` results of one kind; false: they have others, or 20 s have passed.
static bool run_until(struct fixture *x, enum stats_result r, uint64_t n)
{
    struct err e;
    for (uint64_t end = sock_now() + 20 * NS_PER_S; sock_now() < end;) {
        bool done = true;
        for (size_t i = 0; i < prober_plan(x->p)->n_pairs; i++) {
            const struct stats *s = st(x, i);
            for (enum stats_result k = 0; k < STATS_RESULTS; k++) {
                if (!stats_consistent(s) || (k != r && s->results[k])) {
                    printf("    %s of target %zu\n", stats_result_name(k), i);
                    return false;
                }
            }
            done = done && s->results[r] >= n;
        }
        if (done)
            return true;
        if (loop_once(x->l, NS_PER_S, &e) != 0)
            return false;
    }
    return false;
}

static const struct {
    const char *what;
    enum act act;
    bool tcp;
    enum stats_result result;
    unsigned rcode; // counted; DNS_RCODES + 1: none
    bool mismatch, truncated;
} cases_of_answers[] = {
    {"the records", ANSWER, false, STATS_RECEIVED, DNS_NOERROR, false, false},
    {"the records, over TCP", ANSWER, true, STATS_RECEIVED, DNS_NOERROR, false, false},
    {"no such name", NXDOMAIN, false, STATS_UNEXPECTED, DNS_NXDOMAIN, false, false},
    {"no such name, over TCP", NXDOMAIN, true, STATS_UNEXPECTED, DNS_NXDOMAIN, false, false},
    {"a response code without a name", STRANGE_RCODE, false, STATS_UNEXPECTED, DNS_RCODES, false, false},
    {"no record", EMPTY, false, STATS_UNEXPECTED, DNS_NOERROR, true, false},
    {"nothing", SILENT, false, STATS_LOST, DNS_RCODES + 1, false, false},
    {"a spoofed one first", OTHER_ID_FIRST, false, STATS_RECEIVED, DNS_NOERROR, false, false},
    {"another question's", OTHER_QUESTION, false, STATS_CORRUPT, DNS_RCODES + 1, false, false},
    {"three bytes", SHORT, false, STATS_CORRUPT, DNS_RCODES + 1, false, false},
    {"three bytes, over TCP", SHORT, true, STATS_CORRUPT, DNS_RCODES + 1, false, false},
    {"the query itself", QUERY, false, STATS_LOST, DNS_RCODES + 1, false, false},
    {"the query itself, over TCP", QUERY, true, STATS_CORRUPT, DNS_RCODES + 1, false, false},
    {"one that was cut", CUT, false, STATS_RECEIVED, DNS_NOERROR, false, true},
    {"one that was cut, then nothing", HANGUP, false, STATS_UNREACHABLE, DNS_RCODES + 1, false, true},
    {"one that was cut, then a broken one", BROKEN, false, STATS_CORRUPT, DNS_RCODES + 1, false, true},
    {"one that was cut, then byte by byte", DRIBS, false, STATS_RECEIVED, DNS_NOERROR, false, true},
    {"cut ones only", CUT_ALWAYS, false, STATS_CORRUPT, DNS_RCODES + 1, false, true},
};

static void check_case(struct fixture *x, size_t c)
{
    enum stats_result result = cases_of_answers[c].result;
    uint64_t unmatched = engine_agent_stats(prober_engine(x->p))->unmatched;
    CHECK(run_until(x, result, 3));
    for (size_t i = 0; i < 2; i++) {
        const struct dns_counts *d = counts(x, i);
        uint64_t n = st(x, i)->results[result];
        for (unsigned k = 0; k <= DNS_RCODES; k++)
            CHECK_INT(d->replies[k], k == cases_of_answers[c].rcode ? n : 0);
        CHECK_INT(d->mismatches, cases_of_answers[c].mismatch ? n : 0);
        CHECK(cases_of_answers[c].truncated ? d->truncated >= n : d->truncated == 0);
        CHECK_INT(stats_rtt_count(st(x, i)), result == STATS_RECEIVED ? n : 0);
    }
    bool strangers = cases_of_answers[c].act == OTHER_ID_FIRST ||
                     (cases_of_answers[c].act == QUERY && !cases_of_answers[c].tcp);
    CHECK(strangers == (engine_agent_stats(prober_engine(x->p))->unmatched > unmatched));
    CHECK(cases_of_answers[c].act == SILENT || (x->s.udp_queries > 0) == !cases_of_answers[c].tcp);
}

static void test_answers(void)
{
    for (size_t i = 0; i < ARRAY_LEN(cases_of_answers) && !check_failed; i++) {
        struct fixture x;
        CHECK(start(&x, cases_of_answers[i].act, cases_of_answers[i].tcp, NULL));
        check_case(&x, i);
        if (check_failed)
            printf("    answered with %s\n", cases_of_answers[i].what);
        finish(&x);
    }
}

static void test_late(void)
{
    struct fixture x;
    CHECK(start(&x, LATE, false, NULL));
    file.spec.n_targets = 1; // the server remembers one query
    targets[0].interval_ns = NS_PER_S;
    struct err e;
    CHECK_INT(prober_apply(x.p, &file, &no_peers, &e), 0);
    for (uint64_t end = sock_now() + 20 * NS_PER_S; st(&x, 0)->results[STATS_LATE] < 1 && sock_now() < end;)
        CHECK_INT(loop_once(x.l, NS_PER_S, &e), 0);
    CHECK(st(&x, 0)->results[STATS_LATE] >= 1);
    CHECK_INT(st(&x, 0)->results[STATS_RECEIVED], 0);
    CHECK(counts(&x, 0)->replies[DNS_NOERROR] >= 1);
    finish(&x);
}

// Records that must be there: all that are named, others may be.
static void test_expected_records(void)
{
    static char second[] = "192.0.2.2", third[] = "192.0.2.3";
    struct fixture x;
    struct err e;
    for (int right = 0; right < 2; right++) {
        CHECK(start(&x, ANSWER, false, NULL));
        wanted[0] = right ? second : third;
        for (size_t i = 0; i < 2; i++) {
            targets[i].expect.answers = wanted;
            targets[i].expect.n_answers = 1;
        }
        CHECK_INT(prober_apply(x.p, &file, &no_peers, &e), 0);
        CHECK(run_until(&x, right ? STATS_RECEIVED : STATS_UNEXPECTED, 3));
        CHECK(right ? counts(&x, 0)->mismatches == 0 : counts(&x, 0)->mismatches >= 3);
        finish(&x);
    }
}

static void test_expected_rcode(void)
{
    struct fixture x;
    struct err e;
    CHECK(start(&x, NXDOMAIN, false, NULL));
    targets[0].expect.rcodes = targets[1].expect.rcodes = 1u << DNS_NXDOMAIN | 1u << DNS_REFUSED;
    CHECK_INT(prober_apply(x.p, &file, &no_peers, &e), 0);
    CHECK(run_until(&x, STATS_RECEIVED, 3));
    CHECK_INT(counts(&x, 1)->mismatches, 0);
    finish(&x);
}

static void test_refused(void)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        struct fixture x;
        struct err e;
        CHECK(start(&x, ANSWER, tcp, NULL));
        targets[0].port = targets[1].port = 1;
        CHECK_INT(prober_apply(x.p, &file, &no_peers, &e), 0);
        CHECK(run_until(&x, STATS_UNREACHABLE, 3));
        finish(&x);
    }
}

static void test_no_route(void)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        struct fixture x;
        struct err e;
        CHECK(start(&x, ANSWER, tcp, NULL));
        CHECK_INT(addr_parse("198.18.0.1", &targets[0].server), 0);
        CHECK_INT(addr_parse("fd00::1", &targets[1].server), 0);
        CHECK_INT(prober_apply(x.p, &file, &no_peers, &e), 0);
        CHECK(run_until(&x, STATS_SEND_ERROR, 3));
        finish(&x);
    }
}

// A reload asks something else from now on; the answers to what was asked before are right all the same.
static void test_reload_in_flight(void)
{
    struct fixture x;
    struct err e;
    CHECK(start(&x, LATE, false, NULL));
    file.spec.n_targets = 1;
    targets[0].interval_ns = NS_PER_S;
    targets[0].timeout_ns = PATIENT;
    CHECK_INT(prober_apply(x.p, &file, &no_peers, &e), 0);
    for (uint64_t end = sock_now() + 20 * NS_PER_S; x.s.udp_queries < 1 && sock_now() < end;)
        CHECK_INT(loop_once(x.l, NS_PER_S, &e), 0);
    snprintf(targets[0].query, sizeof(targets[0].query), "another");
    CHECK_INT(prober_apply(x.p, &file, &no_peers, &e), 0);
    for (uint64_t end = sock_now() + 20 * NS_PER_S;
         st(&x, 0)->results[STATS_RECEIVED] < 1 && sock_now() < end;)
        CHECK_INT(loop_once(x.l, NS_PER_S, &e), 0);
    CHECK(st(&x, 0)->results[STATS_RECEIVED] >= 1);
    CHECK_INT(st(&x, 0)->results[STATS_CORRUPT], 0);
    finish(&x);
}

static void stamped(const struct sock_opts *o, bool tcp, enum stats_stamp want)
{
    struct fixture x;
    CHECK(start(&x, ANSWER, tcp, o));
    CHECK(run_until(&x, STATS_RECEIVED, 10));
    const struct stats_agent *a = engine_agent_stats(prober_engine(x.p));
    uint64_t all = a->stamps[0] + a->stamps[1] + a->stamps[2];
    // The kernel may switch its stamps on only after the first packets.
    CHECK(a->stamps[want] + 6 >= all && a->stamps[want] > 0);
    finish(&x);
}

static void test_stamps(void)
{
    stamped(NULL, false, STATS_STAMP_KERNEL);
    stamped(NULL, true, STATS_STAMP_KERNEL_RX);
    stamped(&(struct sock_opts){.no_tx_stamps = true}, false, STATS_STAMP_KERNEL_RX);
    stamped(&(struct sock_opts){.no_tx_stamps = true, .no_rx_stamps = true}, false, STATS_STAMP_USER);
    stamped(&(struct sock_opts){.no_tx_stamps = true, .no_rx_stamps = true}, true, STATS_STAMP_USER);
}

static int descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

// More queries in flight than there is room for: the rest ends at once, and nothing is left open.
static void test_full(void)
{
    struct loop *l;
    struct err e;
    int before = descriptors();
    l = loop_new(&e);
    struct sock_opts o = {0};
    struct engine *en = NULL;
    struct fixture x;
    CHECK(start(&x, SILENT, false, NULL));
    CHECK(run_until(&x, STATS_LOST, 2));
    en = (struct engine *)(uintptr_t)prober_engine(x.p);
    struct probe_dns *p = probe_dns_new(x.l, en, &o, &e);
    CHECK(p && probe_dns_reserve(p, prober_plan(x.p), &e) == 0);
    struct engine_send s = {
        .pair = 0, .type = SPEC_DNS, .to = targets[0].server, .port = x.s.port, .give_up_ns = 1};
    for (int i = 0; i < LIMIT_DNS_IN_FLIGHT + 10; i++)
        probe_dns_send(p, &s, 1);
    CHECK_INT(probe_dns_open(p), LIMIT_DNS_IN_FLIGHT);
    struct sock_clock clock = {0};
    probe_dns_drain(p, &clock, 2);
    CHECK_INT(probe_dns_open(p), 0);
    probe_dns_send(p, &s, 1);
    CHECK_INT(probe_dns_open(p), 1);
    probe_dns_free(p);
    finish(&x);
    loop_free(l);
    CHECK_INT(descriptors(), before);
}

static const struct check_case cases[] = {
    {"answers", test_answers},
    {"late", test_late},
    {"records that must be there", test_expected_records},
    {"response codes that are expected", test_expected_rcode},
    {"a closed port is unreachable", test_refused},
    {"no route is a send error", test_no_route},
    {"a reload leaves the question in flight", test_reload_in_flight},
    {"stamps", test_stamps},
    {"no room", test_full},
};
CHECK_MAIN_IN(netns_enter(), cases)
