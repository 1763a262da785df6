// SPDX-License-Identifier: Apache-2.0
// The agents' messages with packets of the input's choice: this file has its own peer_sock, so that peer_link
// and presence run as they are. No answer without a question and none longer; nobody is taken for leaving
// who was not asked, with that nonce, and answered so from where it was asked.
#include <sys/eventfd.h>

#include "agent/peer_link.h"
#include "agent/peer_sock.h"
#include "test/fuzz/fuzz.h"
#include "test/unit/agent/files.h"

#define ASKED_MAX 16

static struct {
    struct fuzz_input in;
    int fd[2][FAMILIES]; // of our own, of the open port
    struct {
        struct addr to;
        uint64_t nonce;
    } asked[ASKED_MAX];
    size_t n_asked;
    uint64_t packets, queries, answers;
    bool may_leave; // such an answer was delivered
} net;

int peer_sock_open(enum family f, const struct addr *addr UNUSED, uint16_t port, struct err *e UNUSED)
{
    net.fd[port != 0][f] = eventfd(1, EFD_CLOEXEC);
    return net.fd[port != 0][f];
}

static struct addr some_address(uint64_t which)
{
    static const char *const texts[] = {"192.0.2.2", "2001:db8::2", "192.0.2.3", "192.0.2.9", "198.18.0.2"};
    return files_addr(texts[which % ARRAY_LEN(texts)]);
}

// n2 has an agent in each network.
static uint64_t some_agent(uint64_t which)
{
    static const char *const nodes[] = {"n2", "n3", "n9", "n2"};
    return peer_wire_agent(nodes[which % 4], which % 4 == 3 ? SPEC_NETWORK_NODE : SPEC_NETWORK_POD);
}

// A message of ours with fields of the input's choice, or any bytes.
static size_t make_message(unsigned kind, const struct addr *from, uint8_t out[static PEER_SOCK_DATA])
{
    size_t len;
    if (kind & 1) {
        const uint8_t *bytes = fuzz_take_bytes(&net.in, fuzz_take(&net.in, 1) % PEER_SOCK_DATA, &len);
        if (len > 0)
            memcpy(out, bytes, len);
        return len;
    }
    struct peer_wire m = {.kind = (kind >> 1) % PEER_WIRE_KINDS,
                          .leaving = kind >> 7,
                          .fleet = peer_wire_fleet(kind & 64 ? "other" : ""),
                          .agent = some_agent(fuzz_take(&net.in, 1)),
                          .nonce = fuzz_take(&net.in, 1)};
    if (net.n_asked && m.nonce & 1)
        m.nonce = net.asked[m.nonce / 2 % MIN(net.n_asked, (size_t)ASKED_MAX)].nonce;
    peer_wire_write(out, &m);
    net.queries += m.kind == PEER_WIRE_QUERY;
    for (size_t i = 0; i < MIN(net.n_asked, (size_t)ASKED_MAX); i++)
        if (m.kind == PEER_WIRE_ANSWER && m.leaving && m.nonce == net.asked[i].nonce &&
            addr_equal(from, &net.asked[i].to))
            net.may_leave = true;
    return PEER_WIRE_BYTES;
}

size_t peer_sock_read(int fd UNUSED, size_t max, peer_sock_fn *fn, void *arg)
{
    size_t n = 0;
    for (; n < max && net.in.len > 0; n++) {
        uint8_t bytes[PEER_SOCK_DATA] = {0};
        unsigned kind = (unsigned)fuzz_take(&net.in, 1);
        struct addr from = some_address(fuzz_take(&net.in, 1)), to = from;
        struct peer_wire m;
        size_t len = make_message(kind, &from, bytes);
        uint8_t *copy = malloc(len ? len : 1);
        memcpy(copy, bytes, len);
        net.queries += kind & 1 && peer_wire_read(copy, len, &m) && m.kind == PEER_WIRE_QUERY;
        struct peer_sock_packet p = {.data = copy, .len = len, .from = from, .to = to, .port = 9963};
        net.packets++;
        fn(&p, arg);
        free(copy);
    }
    return n;
}

bool peer_sock_send(int fd, const struct addr *to, uint16_t port, const struct addr *from UNUSED,
                    const uint8_t *data, size_t len)
{
    struct peer_wire m;
    FUZZ_CHECK(len == PEER_WIRE_BYTES && peer_wire_read(data, len, &m));
    FUZZ_CHECK(fd == net.fd[m.kind == PEER_WIRE_ANSWER][to->family] && port == 9963);
    if (m.kind == PEER_WIRE_ANSWER)
        net.answers++;
    if (m.kind == PEER_WIRE_QUERY) {
        struct addr nobody = some_address(3);
        FUZZ_CHECK(!addr_equal(to, &nobody) && m.nonce != 0);
        net.asked[net.n_asked % ASKED_MAX].to = *to;
        net.asked[net.n_asked++ % ASKED_MAX].nonce = m.nonce;
    }
    FUZZ_CHECK(m.kind != PEER_WIRE_HINT); // it does not leave
    return true;
}

static void fill_random(uint64_t *out, size_t n, void *arg)
{
    uint64_t *state = arg;
    for (size_t i = 0; i < n; i++)
        out[i] = *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
}

static void check(const struct peer_link *k, const struct presence *ps)
{
    size_t count[PRESENCE_STATES];
    const struct peer_link_stats *s = peer_link_stats(k);
    uint64_t all = s->malformed + s->foreign + s->unmatched + s->limited;
    for (unsigned i = 0; i < PEER_WIRE_KINDS; i++)
        all += s->received[i];
    FUZZ_CHECK(all == net.packets);
    FUZZ_CHECK(net.answers <= net.queries && net.answers == s->sent[PEER_WIRE_ANSWER]);
    for (unsigned i = 0; i < SPEC_NETWORKS; i++) {
        presence_count(ps, (enum spec_network)i, count);
        FUZZ_CHECK(net.may_leave || count[PRESENCE_LEAVING] == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct files f;
    struct err e;
    struct plan *p;
    struct presence_change c = {0};
    uint64_t random = 1;
    memset(&net, 0, sizeof(net));
    net.in = (struct fuzz_input){data, len};
    files_init(&f);
    files_peer(&f, "n1", "", "192.0.2.1", NULL, PEER_READY);
    files_peer(&f, "n2", "", "192.0.2.2", "2001:db8::2", PEER_READY);
    files_peer(&f, "n3", "", "192.0.2.3", NULL, PEER_READY);
    files_host(&f, "n2", "198.18.0.2", NULL, PEER_READY);
    f.file.spec.mesh.networks |= 1u << SPEC_NETWORK_NODE;
    struct loop *l = loop_new(&e);
    struct presence *ps = presence_new(fill_random, &random, &e);
    struct peer_link *k = peer_link_new(l, "n1", SPEC_NETWORK_POD, ps, &e);
    FUZZ_CHECK(k && plan_build(&f.file, &f.peers, "n1", SPEC_NETWORK_POD, NULL, loop_now(l), &p, &e) == 0);
    FUZZ_CHECK(presence_prepare(ps, p, loop_now(l), &c, &e) == 0);
    presence_commit(ps, &c);
    FUZZ_CHECK(peer_link_apply(k, &f.file, &f.peers, &e) == 0);
    struct peer_door *door = peer_link_open(k, &(struct addr){0}, 9963, &e);
    FUZZ_CHECK(door);
    peer_link_use(k, door);
    peer_link_wake(k);
    while (net.in.len > 0) {
        FUZZ_CHECK(loop_once(l, NS_PER_S, &e) == 0);
        check(k, ps);
    }
    peer_link_close(k, door);
    peer_link_free(k);
    presence_free(ps);
    plan_free(p);
    (void)loop_once(l, 0, &e); // what was deferred
    loop_free(l);
    files_release(&f);
    return 0;
}
