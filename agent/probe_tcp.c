// SPDX-License-Identifier: Apache-2.0
// Connects under way: a table of descriptors, polled on the tick.
// Why not by the loop: an EPOLLOUT for each connect is a wake-up each, and a wake-up costs more than the
// probe; the kernel's own measure of the handshake (tcpi_rtt, microseconds, from the SYN's stamp to the
// SYN-ACK's) is there whenever we look.
#include "agent/probe_tcp.h"

#include <errno.h>
#include <poll.h>

#include <netinet/tcp.h>

#include "agent/flight.h"
#include "agent/sock.h"
#include "agent/sock_tcp.h"

struct connecting {
    struct engine_token token;
    uint64_t give_up_ns;
    enum family family;
};

struct probe_tcp {
    struct engine *en;
    size_t n, room;
    struct pollfd *fds;
    struct connecting *list;
};

struct probe_tcp *probe_tcp_new(struct engine *en, struct err *e)
{
    struct probe_tcp *p = calloc(1, sizeof(*p));
    if (!p)
        err_set(e, ENOMEM, "no memory for the TCP probe");
    else
        p->en = en;
    return p;
}

void probe_tcp_free(struct probe_tcp *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++)
        close(p->fds[i].fd);
    free(p->fds);
    free(p->list);
    free(p);
}

// What the plan may have under way at once, beside what is under way now. It only grows.
int probe_tcp_reserve(struct probe_tcp *p, const struct plan *plan, struct err *e)
{
    size_t need = p->n;
    for (size_t i = 0; i < plan->n_pairs && need < LIMIT_TCP_IN_FLIGHT; i++) {
        const struct plan_probe *r = &plan->probes[plan->pairs[i].probe];
        need += r->type == SPEC_TCP && !plan->pairs[i].gone ? flight_slots_for(r) : 0;
    }
    need = MIN(need, (size_t)LIMIT_TCP_IN_FLIGHT);
    if (need <= p->room)
        return 0;
    struct pollfd *fds = reallocarray(p->fds, need, sizeof(*fds));
    if (fds)
        p->fds = fds;
    struct connecting *list = fds ? reallocarray(p->list, need, sizeof(*list)) : NULL;
    if (!list)
        return err_set(e, ENOMEM, "no memory for the TCP probe");
    p->list = list;
    p->room = need;
    return 0;
}

// --- out -----------------------------------------------------------------------------------------

static void send_one(struct probe_tcp *p, const struct engine_send *s)
{
    enum family family = (enum family)s->to.family;
    CLEANUP_FD int fd = p->n < p->room ? sock_tcp_open(family) : -EMFILE;
    struct sockaddr_storage to;
    socklen_t len = addr_sockaddr(&s->to, s->port, &to);
    engine_sent(p->en, &s->token, sock_now());
    if (fd < 0) {
        engine_send_failed(p->en, &s->token, -fd);
        return;
    }
    sock_tcp_keep_errors(fd, family);
    // Refused at once happens on this host only, where the answer is there before connect returns. Everything
    // else that fails at once is of our own making: no route, no free port, no memory.
    if (connect(fd, (struct sockaddr *)&to, len) != 0 && errno != EINPROGRESS) {
        if (errno == ECONNREFUSED)
            engine_unreachable(p->en, &s->token, sock_tcp_reason(fd, family, ECONNREFUSED));
        else
            engine_send_failed(p->en, &s->token, errno);
        return;
    }
    p->fds[p->n] = (struct pollfd){.fd = TAKE_FD(fd), .events = POLLOUT};
    p->list[p->n++] = (struct connecting){s->token, s->give_up_ns, family};
}

void probe_tcp_send(struct probe_tcp *p, const struct engine_send *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i].type == SPEC_TCP)
            send_one(p, &s[i]);
}

// --- in ------------------------------------------------------------------------------------------

// The handshake's time in ns; 0 if the kernel has none to give: after a lost SYN it cannot tell which one was
// answered, and our own clock is near enough.
static uint64_t handshake_ns(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);
    memset(&info, 0, sizeof(info));
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 || info.tcpi_total_retrans > 0)
        return 0;
    return info.tcpi_rtt * NS_PER_US;
}

static void finished(struct probe_tcp *p, const struct connecting *c, int fd, uint64_t now_ns)
{
    int err = sock_tcp_error(fd);
    if (err == 0)
        engine_reply(p->en, &c->token, &(struct engine_reply){.now_ns = now_ns, .rtt_ns = handshake_ns(fd)});
    else if (sock_tcp_refused(err))
        engine_unreachable(p->en, &c->token, sock_tcp_reason(fd, c->family, err));
    else if (err != ETIMEDOUT) // the kernel gave up before us: the engine will, in time
        engine_send_failed(p->en, &c->token, err);
}

void probe_tcp_drain(struct probe_tcp *p, uint64_t now_ns)
{
    if (p->n == 0 || poll(p->fds, p->n, 0) < 0)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (p->fds[i].revents)
            finished(p, &p->list[i], p->fds[i].fd, now_ns);
        if (p->fds[i].revents || p->list[i].give_up_ns <= now_ns) {
            close(p->fds[i].fd);
            continue;
        }
        p->fds[kept] = p->fds[i];
        p->list[kept++] = p->list[i];
    }
    p->n = kept;
}
