// SPDX-License-Identifier: Apache-2.0
// Addresses: what parses, what does not, and that text, value and socket address agree.
#include "lib/addr.h"

#include <errno.h>

#include "test/unit/check.h"

static void test_text(void)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"2001:db8::7", "2001:db8::7"},
        {"2001:DB8:0:0:0:0:0:7", "2001:db8::7"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, // RFC 5952, 4.2.2: one group of zeros stays
        {"::", "::"},
        {"::1", "::1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr a;
        char text[ADDR_TEXT_MAX];
        CHECK_INT(addr_parse(cases[i].in, &a), 0);
        CHECK_STR(addr_text(&a, text), cases[i].out);
    }
}

static void test_refused(void)
{
    static const char *const cases[] = {
        "",           "192.0.2",    "192.0.2.1.",       "192.0.2.256", "192.0.2.01",
        " 192.0.2.1", "192.0.2.1 ", "::ffff:192.0.2.1", "fe80::1%1",   "[::1]",
        "node-1",     "1:2:3",      "192.0.2.1:80"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr a = {.family = 77};
        CHECK_INT(addr_parse(cases[i], &a), -EINVAL);
        CHECK_INT(a.family, 77);
    }
}

static void test_sockaddr(void)
{
    static const char *const cases[] = {"192.0.2.1", "2001:db8::7"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr a, back;
        struct sockaddr_storage sa;
        uint16_t port = 0;
        CHECK_INT(addr_parse(cases[i], &a), 0);
        CHECK_INT(addr_sockaddr(&a, 9961, &sa), i ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
        CHECK_INT(addr_from_sockaddr((struct sockaddr *)&sa, &back, &port), 0);
        CHECK(addr_equal(&a, &back));
        CHECK_INT(port, 9961);
    }
    struct sockaddr unix_address = {.sa_family = AF_UNIX};
    struct addr a;
    uint16_t port;
    CHECK_INT(addr_from_sockaddr(&unix_address, &a, &port), -EAFNOSUPPORT);
}

static void test_equal(void)
{
    struct addr none = {0}, a, b;
    CHECK_INT(addr_parse("192.0.2.1", &a), 0);
    CHECK_INT(addr_parse("192.0.2.2", &b), 0);
    CHECK(addr_equal(&a, &a));
    CHECK(!addr_equal(&a, &b));
    CHECK(!addr_equal(&a, &none));
    CHECK(addr_equal(&none, &none));
}

static void test_listen(void)
{
    static const struct {
        const char *in, *address;
        int r, port;
    } cases[] = {
        {":9961", "", 0, 9961},
        {"[::]:9961", "", 0, 9961},
        {"0.0.0.0:1", "0.0.0.0", 0, 1},
        {"[::1]:65535", "::1", 0, 65535},
        {"127.0.0.1:0", "127.0.0.1", 0, 0},
        {"9961", NULL, -EINVAL, 0},
        {":", NULL, -EINVAL, 0},
        {":65536", NULL, -EINVAL, 0},
        {":-1", NULL, -EINVAL, 0},
        {"::1:80", NULL, -EINVAL, 0},
        {"[127.0.0.1]:80", NULL, -EINVAL, 0},
        {"[]:80", NULL, -EINVAL, 0},
        {"[::1:80", NULL, -EINVAL, 0},
        {"[::1]", NULL, -EINVAL, 0},
        {"localhost:80", NULL, -EINVAL, 0},
        {"", NULL, -EINVAL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr a;
        uint16_t port = 0;
        char text[ADDR_TEXT_MAX];
        CHECK_INT(addr_parse_listen(cases[i].in, &a, &port), cases[i].r);
        if (cases[i].r == 0) {
            CHECK_STR(addr_text(&a, text), cases[i].address);
            CHECK_INT(port, cases[i].port);
        }
    }
}

static void test_not_a_host(void)
{
    static const struct {
        const char *in, *why;
    } cases[] = {
        {"0.0.0.0", "unspecified"},
        {"::", "unspecified"},
        {"224.0.0.0", "multicast"},
        {"239.255.255.255", "multicast"},
        {"ff02::1", "multicast"},
        {"255.255.255.255", "broadcast"},
        {"240.0.0.0", "reserved"},
        {"255.255.255.254", "reserved"},
        {"fe80::1", "link-local"},
        {"febf:ffff::", "link-local"},
        {"0.0.0.1", NULL},
        {"127.0.0.1", NULL},
        {"::1", NULL},
        {"169.254.20.10", NULL}, // where a node-local DNS cache listens
        {"223.255.255.255", NULL},
        {"fec0::1", NULL},
        {"fe7f::1", NULL},
        {"feff::1", NULL},
        {"fd00::1", NULL},
        {"e000::1", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr a;
        CHECK_INT(addr_parse(cases[i].in, &a), 0);
        const char *why = addr_not_a_host(&a);
        if (cases[i].why)
            CHECK_CONTAINS(why, cases[i].why);
        else
            CHECK(!why);
    }
    CHECK(!addr_not_a_host(&(struct addr){0}));
}

static void test_link_local(void)
{
    static const char *const texts[] = {"169.254.0.0", "169.254.255.255", "fe80::1",
                                        "febf::1",     "169.253.255.255", "169.255.0.0",
                                        "fe7f::1",     "fec0::1",         "a9fe::"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct addr a;
        CHECK_INT(addr_parse(texts[i], &a), 0);
        CHECK_INT(addr_is_link_local(&a), i < 4);
    }
    CHECK(!addr_is_link_local(&(struct addr){0}));
}

static void test_loopback(void)
{
    static const char *const texts[] = {"127.0.0.1", "127.255.255.255", "::1", "126.0.0.1", "128.0.0.1",
                                        "::2",       "7f00::1"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct addr a;
        CHECK_INT(addr_parse(texts[i], &a), 0);
        CHECK_INT(addr_is_loopback(&a), i < 3);
    }
    CHECK(!addr_is_loopback(&(struct addr){.bytes = {127}}));
}

static const struct check_case cases[] = {
    {"text and back", test_text}, {"refused texts", test_refused}, {"socket addresses", test_sockaddr},
    {"equality", test_equal},     {"--listen", test_listen},       {"no single host", test_not_a_host},
    {"loopback", test_loopback},  {"link-local", test_link_local},
};
CHECK_MAIN(cases)
