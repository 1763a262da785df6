// SPDX-License-Identifier: Apache-2.0
// The reflector against sockets of this test, on the loopback of a network namespace: answers byte for byte,
// and what must not be answered.
#include "test/unit/check.h"

#include "agent/reflect_stamp.h"
#include "agent/stamp_wire.h"
#include "lib/limits.h"
#include "test/unit/agent/netns.h"

static struct loop *l;
static struct reflect_stamp *r;
static struct sockaddr_storage to[FAMILIES];
static int fd[FAMILIES];
static struct reflect_stamp_stats stats;

static int client(enum family f, const char *text, uint16_t port)
{
    struct addr a;
    struct sockaddr_storage sa;
    int s = socket(f == FAMILY_IPV4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
    if (addr_parse(text, &a) != 0 || bind(s, (struct sockaddr *)&sa, addr_sockaddr(&a, port, &sa)) != 0 ||
        setsockopt(s, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on)) != 0 ||
        setsockopt(s, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) != 0)
        printf("    no socket on %s: %s\n", text, strerror(errno));
    return s;
}

static void stop(void)
{
    reflect_stamp_free(r);
    loop_free(l);
    for (unsigned f = 0; f < FAMILIES; f++)
        base_cleanup_fd(&fd[f]);
    r = NULL;
    l = NULL;
}

static bool start(void)
{
    static const char *const address[] = {"127.0.0.1", "::1"};
    struct err e = {0};
    struct addr any = {0}, a;
    if (l)
        stop();
    l = loop_new(&e);
    r = reflect_stamp_new(l, &any, 0, 42, &e);
    if (!r) {
        printf("    %s\n", e.msg);
        return false;
    }
    for (unsigned f = 0; f < FAMILIES; f++) {
        fd[f] = client((enum family)f, address[f], 0);
        if (addr_parse(address[f], &a) == 0)
            addr_sockaddr(&a, reflect_stamp_port(r), &to[f]);
    }
    return true;
}

static const struct reflect_stamp_stats *now(void)
{
    reflect_stamp_stats(r, &stats);
    return &stats;
}

static uint64_t refused(void)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < REFLECT_STAMP_REFUSALS; i++)
        n += now()->refused[i];
    return n;
}

// Sends, and lets the reflector see it: every packet is answered or counted.
static bool give(int s, const struct sockaddr_storage *where, const uint8_t *data, size_t len)
{
    uint64_t before = now()->answered + refused();
    struct err e;
    socklen_t size = where->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (sendto(s, data, len, 0, (const struct sockaddr *)where, size) != (ssize_t)len) {
        printf("    %s\n", strerror(errno));
        return false;
    }
    for (int i = 0; i < 100 && now()->answered + refused() == before; i++)
        if (loop_once(l, 50 * NS_PER_MS, &e) != 0)
            return false;
    return now()->answered + refused() == before + 1;
}

// What came back: its length, 0 if nothing did (on loopback it is there once it was sent).
static size_t taken(int s, uint8_t *buf, size_t size)
{
    ssize_t n = recv(s, buf, size, MSG_DONTWAIT);
    return n > 0 ? (size_t)n : 0;
}

static const struct stamp_wire_query query = {
    .seq = 7, .time = UINT64_C(0xe8fe6f8040001234), .error = 0x9001, .ssid = 5};

static void test_answers(void)
{
    CHECK(start());
    for (unsigned f = 0; f < FAMILIES; f++) {
        for (uint32_t i = 0; i < 3; i++) {
            uint8_t data[STAMP_WIRE_BYTES], back[STAMP_WIRE_BYTES + 1];
            struct stamp_wire_query q = query;
            q.seq += 10 * i;
            stamp_wire_put_query(data, &q);
            CHECK(give(fd[f], &to[f], data, sizeof(data)));
            CHECK_INT(taken(fd[f], back, sizeof(back)), STAMP_WIRE_BYTES);
            struct stamp_wire_answer a = {0};
            CHECK_INT(stamp_wire_get_answer(back, sizeof(data), &a), 0);
            CHECK_INT(a.seq, i); // its own number
            CHECK_INT(a.sender.seq, q.seq);
            CHECK(a.sender.time == q.time && a.sender.error == q.error);
            CHECK_INT(a.ssid, 5);
            CHECK_INT(a.ttl, 64);
            CHECK(a.error != 0 && (a.error & 0xff) != 0 && !(a.error & 0x4000));
            CHECK(a.received <= a.time && a.received >> 32 > 0xe8fe6f80);
            CHECK(stamp_wire_held(&a) < 5 * NS_PER_S);
            for (unsigned k = 38; k < STAMP_WIRE_BYTES; k++)
                CHECK_INT(back[k], k == 40 ? 64 : 0);
        }
    }
    CHECK_INT(now()->answered, 6);
    CHECK_INT(now()->sessions, 2);
    CHECK_INT(refused() + now()->stateless, 0);
}

// Another SSID or port is another session; extensions come back as they were, never more than was sent.
static void test_sessions_and_length(void)
{
    CHECK(start());
    uint8_t data[LIMIT_PROBE_PAYLOAD] = {0}, back[2 * LIMIT_PROBE_PAYLOAD];
    static const size_t lengths[] = {STAMP_WIRE_BYTES, 45, 48, 100, 1000, LIMIT_PROBE_PAYLOAD};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct stamp_wire_query q = query;
        q.ssid = (uint16_t)(i % 2);
        stamp_wire_put_query(data, &q);
        for (size_t k = STAMP_WIRE_BYTES; k < sizeof(data); k++)
            data[k] = (uint8_t)k;
        CHECK(give(fd[0], &to[0], data, lengths[i]));
        CHECK_INT(taken(fd[0], back, sizeof(back)), lengths[i]);
        CHECK_INT(back[3], i / 2);
        CHECK(memcmp(back + STAMP_WIRE_BYTES, data + STAMP_WIRE_BYTES, lengths[i] - STAMP_WIRE_BYTES) == 0);
    }
    int other = client(FAMILY_IPV4, "127.0.0.1", 0);
    CHECK(give(other, &to[0], data, STAMP_WIRE_BYTES));
    CHECK_INT(taken(other, back, sizeof(back)), STAMP_WIRE_BYTES);
    CHECK_INT(back[3], 0);
    close(other);
    CHECK_INT(now()->sessions, 3);
    // The table grows, and numbers go on.
    struct err e;
    CHECK_INT(reflect_stamp_expect(r, 5000, 1000, &e), 0);
    CHECK_INT(reflect_stamp_expect(r, 10, 10, &e), 0);
    CHECK_INT(now()->sessions, 3);
    CHECK(give(fd[0], &to[0], data, STAMP_WIRE_BYTES));
    CHECK_INT(taken(fd[0], back, sizeof(back)), STAMP_WIRE_BYTES);
    CHECK_INT(back[3], 3);
}

static void refuse(int s, const struct sockaddr_storage *where, const uint8_t *data, size_t len,
                   enum reflect_stamp_refusal why)
{
    uint8_t back[STAMP_WIRE_BYTES];
    uint64_t before = now()->refused[why];
    CHECK(give(s, where, data, len));
    CHECK_INT(taken(s, back, sizeof(back)), 0);
    CHECK_INT(now()->refused[why], before + 1);
}

static void test_refusals(void)
{
    CHECK(start());
    uint8_t data[LIMIT_PROBE_PAYLOAD + 1] = {0};
    stamp_wire_put_query(data, &query);
    for (size_t len = 0; len < STAMP_WIRE_BYTES && !check_failed; len++)
        refuse(fd[0], &to[0], data, len, REFLECT_STAMP_SHORT);
    refuse(fd[0], &to[0], data, sizeof(data), REFLECT_STAMP_LONG);
    for (unsigned i = 16; i < STAMP_WIRE_BYTES && !check_failed; i++) {
        data[i] = 0x80;
        refuse(fd[0], &to[0], data, STAMP_WIRE_BYTES, REFLECT_STAMP_FORM);
        data[i] = 0;
    }
    struct stamp_wire_answer a = {.seq = 1, .received = 1, .time = 2, .sender = query, .ttl = 64};
    uint8_t answer[STAMP_WIRE_BYTES];
    stamp_wire_put_answer(answer, &a);
    refuse(fd[1], &to[1], answer, sizeof(answer), REFLECT_STAMP_FORM);
    static const uint16_t ports[] = {7, 53, 862, 1023};
    for (size_t i = 0; i < ARRAY_LEN(ports) && !check_failed; i++) {
        int s = client(FAMILY_IPV4, "127.0.0.1", ports[i]);
        refuse(s, &to[0], data, STAMP_WIRE_BYTES, REFLECT_STAMP_PORT);
        close(s);
    }
    CHECK_INT(now()->answered, 0);
    CHECK_INT(now()->sessions, 0);
}

// Two reflectors with the same port do not answer each other.
static void test_own_port(void)
{
    CHECK(start());
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
    struct addr a;
    struct sockaddr_storage sa;
    uint8_t data[STAMP_WIRE_BYTES];
    stamp_wire_put_query(data, &query);
    uint16_t port = reflect_stamp_port(r);
    reflect_stamp_free(r);
    CHECK_INT(addr_parse("127.0.0.1", &a), 0);
    struct err e;
    r = reflect_stamp_new(l, &a, port, 42, &e);
    CHECK(r != NULL);
    CHECK_INT(addr_parse("127.0.0.2", &a), 0);
    CHECK_INT(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    CHECK_INT(bind(s, (struct sockaddr *)&sa, addr_sockaddr(&a, port, &sa)), 0);
    refuse(s, &to[0], data, sizeof(data), REFLECT_STAMP_PORT);
    close(s);
}

static void test_broadcast(void)
{
    CHECK(start());
    uint8_t data[STAMP_WIRE_BYTES];
    stamp_wire_put_query(data, &query);
    struct addr a;
    struct sockaddr_storage where;
    CHECK_INT(addr_parse("127.255.255.255", &a), 0);
    addr_sockaddr(&a, reflect_stamp_port(r), &where);
    refuse(fd[0], &where, data, sizeof(data), REFLECT_STAMP_ADDRESS);
}

// It answers from the address that was asked, in the class in which it was asked.
static void test_address_and_class(void)
{
    CHECK(start());
    uint8_t data[STAMP_WIRE_BYTES], back[STAMP_WIRE_BYTES];
    stamp_wire_put_query(data, &query);
    struct addr a, from;
    struct sockaddr_storage where, source;
    CHECK_INT(addr_parse("127.0.0.77", &a), 0);
    addr_sockaddr(&a, reflect_stamp_port(r), &where);
    int tos = 46 << 2 | 1;
    CHECK_INT(setsockopt(fd[0], IPPROTO_IP, IP_TOS, &tos, sizeof(tos)), 0);
    CHECK(give(fd[0], &where, data, sizeof(data)));
    uint8_t control[64];
    struct iovec iov = {back, sizeof(back)};
    struct msghdr m = {.msg_name = &source,
                       .msg_namelen = sizeof(source),
                       .msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    CHECK_INT(recvmsg(fd[0], &m, MSG_DONTWAIT), STAMP_WIRE_BYTES);
    uint16_t port;
    CHECK_INT(addr_from_sockaddr((struct sockaddr *)&source, &from, &port), 0);
    CHECK(addr_equal(&from, &a));
    CHECK_INT(port, reflect_stamp_port(r));
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    CHECK(c && c->cmsg_type == IP_TOS);
    CHECK_INT(*CMSG_DATA(c), 46 << 2);
}

// More than its share, all at once: the rest is refused, and counted.
static void test_rate(void)
{
    CHECK(start());
    uint8_t data[STAMP_WIRE_BYTES];
    stamp_wire_put_query(data, &query);
    for (unsigned i = 0; i < 3 * LIMIT_STAMP_SOURCE_RATE; i++)
        CHECK(give(fd[0], &to[0], data, sizeof(data)));
    CHECK(now()->refused[REFLECT_STAMP_SOURCE_RATE] > 0);
    CHECK(now()->answered >= LIMIT_STAMP_SOURCE_RATE);
    CHECK_INT(now()->answered + refused(), 3 * LIMIT_STAMP_SOURCE_RATE);
}

static void test_taken_port(void)
{
    CHECK(start());
    struct err e;
    struct addr any = {0};
    CHECK(reflect_stamp_new(l, &any, reflect_stamp_port(r), 1, &e) == NULL);
    CHECK_CONTAINS(e.msg, "port");
    for (unsigned i = 0; i < REFLECT_STAMP_REFUSALS; i++)
        CHECK(strlen(reflect_stamp_refusal_name((enum reflect_stamp_refusal)i)) > 0);
    stop();
}

static const struct check_case cases[] = {
    {"answers", test_answers},
    {"sessions and lengths", test_sessions_and_length},
    {"what is not answered", test_refusals},
    {"its own port", test_own_port},
    {"broadcasts", test_broadcast},
    {"address and class", test_address_and_class},
    {"too many", test_rate},
    {"a port that is taken", test_taken_port},
};
CHECK_MAIN_IN(netns_enter(), cases)
