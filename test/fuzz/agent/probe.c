// SPDX-License-Identifier: Apache-2.0
// ICMP and STAMP probes with a network of the input's choice behind them: this file has its own sock and
// stamp_clock, so that probe_icmp, probe_stamp, stamp_path and the engine run as they are, on a virtual
// clock. Packets are made up, or made of what was sent: answered, bent, doubled, refused. Whatever comes,
// each probe ends in one result, and no more of them are answered than there were answers.
#include "agent/probe_icmp.h"
#include "agent/probe_stamp.h"
#include "agent/stamp_clock.h"
#include "agent/stamp_wire.h"
#include "agent/wire.h"
#include "test/fuzz/fuzz.h"
#include "test/unit/agent/files.h"

#define SENT_MAX 64
#define PACKET_MAX 128
#define SOCKETS 96
#define ICMP_HEADER 8

struct packet { // that was sent
    int fd;
    struct addr to;
    uint16_t port;
    size_t len;
    uint8_t data[PACKET_MAX];
};

static struct {
    uint64_t now_ns, random;
    size_t n_sent; // in all; the last SENT_MAX are kept
    struct packet sent[SENT_MAX];
    bool icmp[SOCKETS]; // by descriptor - FIRST_FD
    uint8_t family[SOCKETS];
    int n_sockets;
    // What the next drain of `fd` brings.
    int fd;
    const struct sock_packet *packet;
    const struct sock_error *error;
    uint64_t delivered, begun;
} net;

// Descriptors that close() refuses.
#define FIRST_FD 100000

// --- the network ---------------------------------------------------------------------------------

uint64_t sock_now(void)
{
    return net.now_ns;
}

bool sock_clock_sample(struct sock_clock *c)
{
    c->valid = true;
    return false;
}

bool sock_clock_update(struct sock_clock *c UNUSED, uint64_t mono_ns UNUSED, uint64_t real_ns UNUSED,
                       uint64_t doubt_ns UNUSED)
{
    return false;
}

uint64_t sock_clock_convert(const struct sock_clock *c UNUSED, uint64_t real_ns)
{
    return real_ns;
}

static int open_socket(bool icmp, enum family f, bool *ret_tx_stamps)
{
    FUZZ_CHECK(net.n_sockets < SOCKETS);
    net.icmp[net.n_sockets] = icmp;
    net.family[net.n_sockets] = (uint8_t)f;
    *ret_tx_stamps = true;
    return FIRST_FD + net.n_sockets++;
}

int sock_ping(enum family f, const struct sock_opts *o UNUSED, bool *ret_tx_stamps, struct err *e UNUSED)
{
    return open_socket(true, f, ret_tx_stamps);
}

int sock_udp(enum family f, const struct sock_opts *o UNUSED, bool *ret_tx_stamps, struct err *e UNUSED)
{
    return open_socket(false, f, ret_tx_stamps);
}

int sock_set_whole(int fd UNUSED, enum family f UNUSED, bool whole UNUSED, struct err *e UNUSED)
{
    return 0;
}

void sock_set_burst(int fd UNUSED, size_t burst UNUSED, size_t payload UNUSED)
{
}

void sock_send(int fd, struct sock_out *out, size_t n, bool one_by_one UNUSED)
{
    for (size_t i = 0; i < n; i++) {
        struct packet *p = &net.sent[net.n_sent++ % SENT_MAX];
        FUZZ_CHECK(out[i].len + out[i].more_len <= PACKET_MAX);
        *p = (struct packet){
            .fd = fd, .to = out[i].to, .port = out[i].port, .len = out[i].len + out[i].more_len};
        memcpy(p->data, out[i].data, out[i].len);
        if (out[i].more_len)
            memcpy(p->data + out[i].len, out[i].more, out[i].more_len);
        out[i].err = 0;
        out[i].sent_ns = net.now_ns;
    }
}

size_t sock_drain(int fd, size_t max UNUSED, sock_packet_fn *packet, sock_error_fn *error, void *arg)
{
    if (fd != net.fd)
        return 0;
    if (net.packet)
        packet(net.packet, arg);
    if (net.error)
        error(net.error, arg);
    return 1;
}

uint64_t stamp_clock_real(void)
{
    return net.now_ns;
}

uint16_t stamp_clock_error(uint64_t least_ns)
{
    return stamp_wire_error(true, least_ns);
}

static void fill_random(uint64_t *out, size_t n, void *arg UNUSED)
{
    for (size_t i = 0; i < n; i++) {
        net.random = net.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        out[i] = net.random ^ net.random >> 29;
    }
}

// --- the agent -----------------------------------------------------------------------------------

struct agent {
    struct files files;
    struct engine *engine;
    struct probe_icmp *icmp;
    struct probe_stamp *stamp;
    struct sock_clock clock;
};

static void apply(struct agent *a)
{
    struct err e;
    struct plan *p;
    if (plan_build(&a->files.file, &a->files.peers, "n1", SPEC_NETWORK_POD, engine_plan(a->engine),
                   net.now_ns, &p, &e) < 0 ||
        probe_icmp_reserve(a->icmp, p, &e) < 0 || probe_stamp_reserve(a->stamp, p, LIMIT_BURST, &e) < 0 ||
        engine_apply(a->engine, p, net.now_ns, &e) < 0)
        fuzz_fail(__FILE__, __LINE__, "a plan in force: %s", e.msg);
    probe_icmp_apply(a->icmp);
    probe_stamp_apply(a->stamp);
}

static void start(struct agent *a)
{
    static const struct sock_opts plain;
    struct err e;
    struct spec_mesh *m = &a->files.file.spec.mesh;
    memset(&net, 0, sizeof(net));
    net.now_ns = 1000 * NS_PER_S;
    net.fd = -1;
    files_init(&a->files);
    m->probes[1] = (struct spec_probe){.name = "udp",
                                       .type = SPEC_STAMP,
                                       .interval_ns = 200 * NS_PER_MS,
                                       .timeout_ns = NS_PER_S,
                                       .flows = 2};
    m->n_probes = 2;
    files_peer(&a->files, "n1", "", "192.0.2.1", NULL, PEER_READY);
    files_peer(&a->files, "n2", "", "192.0.2.2", "2001:db8::2", PEER_READY);
    files_peer(&a->files, "n3", "", "192.0.2.3", NULL, PEER_READY);
    a->engine = engine_new(fill_random, NULL, &e);
    a->icmp = probe_icmp_new(a->engine, &plain, &e);
    a->stamp = probe_stamp_new(a->engine, &plain, &e);
    FUZZ_CHECK(a->engine && a->icmp && a->stamp);
    sock_clock_sample(&a->clock);
    apply(a);
}

static void stop(struct agent *a)
{
    probe_stamp_free(a->stamp);
    probe_icmp_free(a->icmp);
    engine_free(a->engine);
    files_release(&a->files);
}

static void drain(struct agent *a)
{
    probe_icmp_drain(a->icmp, &a->clock, net.now_ns);
    probe_stamp_drain(a->stamp, &a->clock, net.now_ns);
    net.fd = -1;
}

static void tick(struct agent *a, uint64_t ns)
{
    static struct engine_send due[LIMIT_BURST];
    net.now_ns += ns;
    drain(a);
    size_t n = engine_due(a->engine, net.now_ns, due, engine_burst(a->engine));
    probe_icmp_send(a->icmp, due, n);
    probe_stamp_send(a->stamp, due, n);
    net.begun += n;
}

static void check(const struct agent *a)
{
    const struct plan *p = engine_plan(a->engine);
    const struct failures *f = engine_failures(a->engine);
    uint64_t sent = 0, answered = 0, doubled = 0, unreachable = 0;
    for (size_t i = 0; i < f->n; i++)
        for (unsigned k = 0; k < REASONS; k++)
            unreachable += f->rows[i].unreachable[k];
    for (size_t i = 0; i < p->n_pairs; i++) {
        const struct stats *s = engine_stats(a->engine, i);
        const struct stamp_path *path = probe_stamp_path(a->engine, i);
        FUZZ_CHECK(stats_consistent(s));
        sent += s->sent;
        unreachable -= s->results[STATS_UNREACHABLE];
        answered += s->results[STATS_RECEIVED] + s->results[STATS_LATE] + s->results[STATS_CORRUPT] +
                    s->results[STATS_UNREACHABLE];
        doubled += s->duplicates;
        if (path)
            FUZZ_CHECK(path->lost[STAMP_PATH_FORWARD] + path->lost[STAMP_PATH_BACKWARD] <=
                       s->results[STATS_LOST]);
    }
    FUZZ_CHECK(sent == net.begun && unreachable == 0);
    FUZZ_CHECK(answered + doubled + engine_agent_stats(a->engine)->unmatched <= net.delivered);
}

// --- what comes ----------------------------------------------------------------------------------

static struct addr some_address(unsigned which)
{
    static const char *const texts[] = {"192.0.2.2", "2001:db8::2", "192.0.2.3", "192.0.2.9"};
    return files_addr(texts[which % ARRAY_LEN(texts)]);
}

static void deliver(struct agent *a, int fd, const struct sock_packet *p, const struct sock_error *e)
{
    net.fd = fd;
    net.packet = p;
    net.error = e;
    net.delivered++;
    drain(a);
}

// Bytes of the input's own, in memory that is exactly as long.
static void made_up(struct agent *a, struct fuzz_input *in)
{
    int fd = FIRST_FD + (int)(fuzz_take(in, 1) % (uint64_t)net.n_sockets);
    struct addr from = some_address((unsigned)fuzz_take(in, 1));
    uint16_t port = (uint16_t)fuzz_take(in, 2);
    uint8_t type = (uint8_t)fuzz_take(in, 1), code = (uint8_t)fuzz_take(in, 1);
    bool error = type & 1;
    size_t want = fuzz_take(in, 1), len;
    const uint8_t *bytes = fuzz_take_bytes(in, want, &len);
    uint8_t *copy = malloc(len ? len : 1);
    if (len > 0)
        memcpy(copy, bytes, len);
    struct sock_packet p = {.data = copy, .len = len, .from = from, .port = port, .real_ns = net.now_ns};
    struct sock_error e = {.data = copy,
                           .len = len,
                           .type = type,
                           .code = code,
                           .err = port & 0xff,
                           .to = from,
                           .port = port,
                           .stamp = port >> 15};
    deliver(a, fd, error ? NULL : &p, error ? &e : NULL);
    free(copy);
}

static const struct packet *pick(struct fuzz_input *in)
{
    size_t back = fuzz_take(in, 1), kept = MIN(net.n_sent, (size_t)SENT_MAX);
    return kept ? &net.sent[(net.n_sent - 1 - back % kept) % SENT_MAX] : NULL;
}

// One byte of a copy in the heap bent, its end cut off or something behind it, as the input says.
static uint8_t *bend(struct fuzz_input *in, const uint8_t *data, size_t *len)
{
    size_t at = fuzz_take(in, 1), more = fuzz_take(in, 1) % 8;
    uint8_t with = (uint8_t)fuzz_take(in, 1);
    size_t size = more < 4 ? *len - more : *len + more;
    uint8_t *copy = calloc(size, 1);
    memcpy(copy, data, MIN(size, *len));
    copy[at % size] ^= with;
    *len = size;
    return copy;
}

static size_t make_answer(const struct packet *p, uint32_t number, uint8_t out[static PACKET_MAX])
{
    struct stamp_wire_query q;
    memcpy(out, p->data, p->len);
    if (net.icmp[p->fd - FIRST_FD]) {
        out[0] = p->to.family == FAMILY_IPV4 ? 0 : 129; // echo reply
        return p->len;
    }
    if (stamp_wire_get_query(p->data, p->len, &q) < 0)
        return p->len;
    struct stamp_wire_answer a = {.seq = number, .ssid = q.ssid, .sender = q, .time = 7, .received = 7};
    stamp_wire_put_answer(out, &a);
    return p->len;
}

static void answered(struct agent *a, struct fuzz_input *in)
{
    const struct packet *p = pick(in);
    uint8_t bytes[PACKET_MAX];
    if (!p)
        return;
    size_t len = make_answer(p, (uint32_t)fuzz_take(in, 2), bytes);
    uint8_t *copy = bend(in, bytes, &len);
    struct sock_packet answer = {
        .data = copy, .len = len, .from = p->to, .port = p->port, .real_ns = net.now_ns};
    deliver(a, p->fd, &answer, NULL);
    free(copy);
}

static void refused(struct agent *a, struct fuzz_input *in)
{
    const struct packet *p = pick(in);
    if (!p)
        return;
    size_t len = p->len;
    uint8_t *copy = bend(in, p->data, &len);
    struct sock_error error = {.data = copy,
                               .len = len,
                               .type = (uint8_t)fuzz_take(in, 1),
                               .code = (uint8_t)fuzz_take(in, 1),
                               .err = 113,
                               .to = p->to,
                               .port = p->port};
    deliver(a, p->fd, NULL, &error);
    free(copy);
}

// The stamp of a transmission: the frame's headers in front.
static void stamped(struct agent *a, struct fuzz_input *in)
{
    const struct packet *p = pick(in);
    uint8_t frame[64 + PACKET_MAX] = {0};
    if (!p)
        return;
    size_t head = net.icmp[p->fd - FIRST_FD] ? 34 : 62, len = head + p->len;
    if (head == 62) { // the destination ends where UDP's header begins
        size_t n = p->to.family == FAMILY_IPV4 ? 4 : 16;
        memcpy(frame + head - 8 - n, p->to.bytes, n);
    }
    memcpy(frame + head, p->data, p->len);
    uint8_t *copy = bend(in, frame, &len);
    struct sock_error error = {
        .stamp = true, .data = copy, .len = len, .real_ns = net.now_ns - fuzz_take(in, 4)};
    deliver(a, p->fd, NULL, &error);
    free(copy);
}

static void reload(struct agent *a, struct fuzz_input *in)
{
    struct spec_probe *udp = &a->files.file.spec.mesh.probes[1];
    udp->flows = (uint16_t)(fuzz_take(in, 1) % LIMIT_STAMP_FLOWS + 1);
    udp->timeout_ns = (fuzz_take(in, 1) + 1) * 20 * NS_PER_MS;
    unsigned more = (unsigned)fuzz_take(in, 1);
    struct spec_probe *icmp = &a->files.file.spec.mesh.probes[0];
    udp->dont_fragment = more & 1;
    icmp->dont_fragment = more & 2;
    udp->payload = (uint16_t)(STAMP_WIRE_BYTES + (more >> 2));
    icmp->payload = (uint16_t)(WIRE_PAYLOAD + (more >> 2));
    apply(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_input in = {data, len};
    struct agent a = {0};
    start(&a);
    while (in.len > 0) {
        switch (fuzz_take(&in, 1) % 8) {
        case 0: made_up(&a, &in); break;
        case 1: refused(&a, &in); break;
        case 2: stamped(&a, &in); break;
        case 3: reload(&a, &in); break;
        case 4: tick(&a, fuzz_take(&in, 2) * NS_PER_MS); break;
        case 5: tick(&a, 100 * NS_PER_MS); break;
        default: answered(&a, &in); break;
        }
        check(&a);
    }
    stop(&a);
    return 0;
}
