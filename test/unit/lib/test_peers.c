// SPDX-License-Identifier: Apache-2.0
// Peers: slices both ways, order, duplicates, bounds, and the number of slices as a fleet grows and shrinks.
#include "lib/peers.h"

#include <errno.h>
#include <stdlib.h>

#include "test/unit/check.h"

static int parse(const char *text, struct peers *p, unsigned *slice, unsigned *slices, struct err *e)
{
    CLEANUP_DOC struct doc *d = NULL;
    int r = doc_parse(text, strlen(text), &d, e);
    return r < 0 ? r : peers_parse(doc_root(d), slice, slices, p, e);
}

static const char two[] =
    "slice: 0\n"
    "slices: 1\n"
    "peers:\n"
    "- {node: n1, zone: a, pod: [192.0.2.7, \"2001:db8::7\"], host: [198.18.0.11], state: Ready}\n"
    "- {node: \"10\", state: Leaving}\n";

static void test_both_ways(void)
{
    CLEANUP_PEERS struct peers p = {0};
    CLEANUP_BUF struct buf b = {.max = 10000};
    struct err e = {0};
    unsigned slice = 9, slices = 9;
    char text[ADDR_TEXT_MAX];
    CHECK_INT(parse(two, &p, &slice, &slices, &e), 0);
    CHECK_INT(slice, 0);
    CHECK_INT(slices, 1);
    CHECK_INT(peers_sort(&p, &e), 0);
    CHECK_INT(p.n, 2);
    CHECK_STR(p.list[0].node, "10");
    CHECK_STR(p.list[0].zone, "");
    CHECK_INT(p.list[0].state, PEER_LEAVING);
    CHECK_INT(p.list[0].pod[FAMILY_IPV4].set, 0);
    const struct peer *n1 = peers_find(&p, "n1");
    CHECK(n1 != NULL);
    CHECK_STR(addr_text(&n1->pod[FAMILY_IPV6], text), "2001:db8::7");
    CHECK_STR(addr_text(&n1->host[FAMILY_IPV4], text), "198.18.0.11");
    CHECK(peers_find(&p, "n2") == NULL);
    peers_render(&p, 0, 1, &b);
    CHECK_STR(
        buf_text(&b),
        "slice: 0\nslices: 1\npeers:\n"
        "- {node: \"10\", state: Leaving}\n"
        "- {node: n1, zone: a, pod: [192.0.2.7, \"2001:db8::7\"], host: [198.18.0.11], state: Ready}\n");
}

// The Node network's agent has a state of its own only where it is said, wherever on the line that is; only
// one that differs is written.
static void test_host_state(void)
{
    static const struct {
        const char *line, *written;
        enum peer_state pod, host;
    } cases[] = {
        {"{node: a, state: Leaving}", "state: Leaving}", PEER_LEAVING, PEER_LEAVING},
        {"{node: a}", "state: Ready}", PEER_READY, PEER_READY},
        {"{node: a, state: Pending, hostState: null}", "state: Pending}", PEER_PENDING, PEER_PENDING},
        {"{node: a, hostState: Ready, state: Leaving}", "state: Leaving, hostState: Ready}", PEER_LEAVING,
         PEER_READY},
        {"{node: a, hostState: NotReady}", "state: Ready, hostState: NotReady}", PEER_READY, PEER_NOT_READY},
        {"{node: a, hostState: Pending, state: Pending}", "state: Pending}", PEER_PENDING, PEER_PENDING},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_PEERS struct peers p = {0};
        CLEANUP_BUF struct buf b = {.max = 1000};
        struct err e = {0};
        unsigned slice, slices;
        char text[100];
        snprintf(text, sizeof(text), "peers: [%s]", cases[i].line);
        CHECK_INT(parse(text, &p, &slice, &slices, &e), 0);
        CHECK_INT(p.list[0].state, cases[i].pod);
        CHECK_INT(peer_host_state(&p.list[0]), cases[i].host);
        peers_render(&p, 0, 1, &b);
        snprintf(text, sizeof(text), "slice: 0\nslices: 1\npeers:\n- {node: a, %s\n", cases[i].written);
        CHECK_STR(buf_text(&b), text);
    }
}

static void test_refused(void)
{
    static const struct {
        const char *text, *path;
    } cases[] = {
        {"{}", "peers"},
        {"peers: {}", "peers"},
        {"peers: [x]", "peers[0]"},
        {"peers: [{zone: a}]", "peers[0].node"},
        {"peers: [{node: a}, {node: b, pod: [192.0.2.300]}]", "peers[1].pod[0]"},
        {"peers: [{node: b, pod: [192.0.2.1, 192.0.2.2]}]", "peers[0].pod[1]"},
        {"peers: [{node: b, host: 192.0.2.1}]", "peers[0].host"},
        {"peers: [{node: b, state: ready}]", "peers[0].state"},
        {"peers: [{node: b, hostState: []}]", "peers[0].hostState"},
        {"peers: [{node: b, colour: red}]", "peers[0].colour"},
        {"{peers: [], slice: 1, slices: 1}", "slice"},
        {"{peers: [], slices: 129}", "slices"},
        {"{peers: [], slices: \"1\"}", "slices"},
        {"{peers: [], more: 1}", "more"},
        {"{peers: [], \"\": 1}", "\"\""},
        {"{peers: [], \"a\\nb\": 1}", "a b"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_PEERS struct peers p = {0};
        struct err e = {0};
        unsigned slice, slices;
        CHECK_INT(peers_add(&p, &(struct peer){.node = (char[]){"x"}, .zone = (char[]){""}}, &e), 0);
        CHECK_INT(parse(cases[i].text, &p, &slice, &slices, &e), -EINVAL);
        CHECK_STR(e.path, cases[i].path);
        CHECK_INT(p.n, 1); // as before
    }
}

// Addresses that no other host is reached by: a peer there would be measured, and well, wherever it is.
static void test_addresses(void)
{
    static const struct {
        const char *pod, *why; // NULL: taken
    } cases[] = {
        {"0.0.0.0", "line 3: 0.0.0.0 is the unspecified address"},
        {"224.0.0.1", "line 3: 224.0.0.1 is a multicast address"},
        {"255.255.255.255", "line 3: 255.255.255.255 is the broadcast address"},
        {"240.0.0.1", "line 3: 240.0.0.1 is a reserved address (240.0.0.0/4)"},
        {"127.0.0.1", "line 3: 127.0.0.1 is a loopback address, each host's own"},
        {"127.255.0.2", "line 3: 127.255.0.2 is a loopback address, each host's own"},
        {"\"::\"", "line 3: :: is the unspecified address"},
        {"\"::1\"", "line 3: ::1 is a loopback address, each host's own"},
        {"\"ff02::1\"", "line 3: ff02::1 is a multicast address"},
        {"\"fe80::1\"", "line 3: fe80::1 is a link-local address, which needs an interface"},
        {"\"::ffff:192.0.2.1\"", "line 3: must be an IP address, is ::ffff:192.0.2.1"},
        {"192.0.2.300", "line 3: must be an IP address, is 192.0.2.300"},
        {"[]", "line 3: must be an IP address, is no scalar"},
        {"169.254.1.1", "line 3: 169.254.1.1 is a link-local address, each link's own"},
        {"169.254.255.255", "line 3: 169.254.255.255 is a link-local address, each link's own"},
        {"169.253.255.255", NULL},
        {"169.255.0.0", NULL},
        {"\"fd00::1\"", NULL},
        {"126.255.255.255", NULL},
        {"128.0.0.1", NULL},
        {"\"::2\"", NULL},
    };
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        CLEANUP_PEERS struct peers p = {0};
        struct err e = {0};
        unsigned slice, slices;
        const char *field = i % 2 ? "host" : "pod", *why = cases[i / 2].why;
        char text[200], path[32];
        snprintf(text, sizeof(text), "peers:\n- {node: a}\n- {node: b, %s: [%s]}\n", field, cases[i / 2].pod);
        snprintf(path, sizeof(path), "peers[1].%s[0]", field);
        CHECK_INT(parse(text, &p, &slice, &slices, &e), why ? -EINVAL : 0);
        CHECK_STR(e.msg, why ? why : "");
        CHECK_STR(e.path, why ? path : "");
    }
}

static void test_twice(void)
{
    CLEANUP_PEERS struct peers p = {0};
    struct err e = {0};
    unsigned slice, slices;
    CHECK_INT(parse("peers: [{node: b}, {node: a}, {node: b}]", &p, &slice, &slices, &e), 0);
    CHECK_INT(peers_sort(&p, &e), -EEXIST);
    CHECK_CONTAINS(e.msg, "node b ");
}

static int add_many(struct peers *p, unsigned n, struct err *e)
{
    int r = 0;
    for (unsigned i = 0; i < n && r == 0; i++) {
        char name[32];
        snprintf(name, sizeof(name), "node-%05u", i);
        r = peers_add(p, &(struct peer){.node = name, .zone = NULL}, e);
    }
    return r;
}

static void test_slices_part(void)
{
    CLEANUP_PEERS struct peers p = {0}, back = {0};
    struct err e = {0};
    CHECK_INT(add_many(&p, 1000, &e), 0);
    for (unsigned i = 0; i < 8; i++) {
        CLEANUP_BUF struct buf b = {.max = 1 << 20};
        unsigned slice, slices;
        size_t before = back.n;
        peers_render(&p, i, 8, &b);
        CHECK_INT(parse(buf_text(&b), &back, &slice, &slices, &e), 0);
        CHECK_INT(slice, i);
        CHECK_INT(slices, 8);
        CHECK(back.n - before > 60); // 125 on average
        for (size_t j = before; j < back.n; j++)
            CHECK_INT(peers_slice_of(back.list[j].node, 8), i);
    }
    CHECK_INT(back.n, 1000);
    CHECK_INT(peers_sort(&back, &e), 0); // each exactly once
}

static void test_bound(void)
{
    CLEANUP_PEERS struct peers p = {0};
    struct err e = {0};
    CHECK_INT(add_many(&p, LIMIT_PEERS, &e), 0);
    CHECK_INT(peers_add(&p, &(struct peer){.node = (char[]){"x"}}, &e), -E2BIG);
    CHECK_INT(p.n, LIMIT_PEERS);
}

static void test_slices_for(void)
{
    CHECK_INT(peers_slices_for(0, 0), 1);
    CHECK_INT(peers_slices_for(128, 1), 1);
    CHECK_INT(peers_slices_for(129, 1), 2);
    CHECK_INT(peers_slices_for(300, 0), 4);
    CHECK_INT(peers_slices_for(200, 4), 4); // no way back at once
    CHECK_INT(peers_slices_for(128, 4), 4);
    CHECK_INT(peers_slices_for(127, 4), 2);
    CHECK_INT(peers_slices_for(0, 128), 1);
    CHECK_INT(peers_slices_for(LIMIT_PEERS, 1), 128);
    CHECK_INT(peers_slices_for(1000000, 1), LIMIT_SLICES);
}

static const struct check_case cases[] = {
    {"both ways", test_both_ways},
    {"refused slices", test_refused},
    {"addresses of no other host", test_addresses},
    {"a node twice", test_twice},
    {"slices are a partition", test_slices_part},
    {"the bound", test_bound},
    {"number of slices", test_slices_for},
    {"the other agent's state", test_host_state},
};
CHECK_MAIN(cases)
