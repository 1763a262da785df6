// SPDX-License-Identifier: Apache-2.0
// Names and records as text, against bytes written by hand from RFC 1035 3.1 and 3.3, 2782 and 3596.
#include "test/unit/check.h"

#include <errno.h>

#include "lib/dns_text.h"

static void check_bytes(const uint8_t *got, int n, const char *want, size_t len)
{
    CHECK_INT(n, len);
    for (size_t i = 0; i < len; i++)
        CHECK_INT(got[i], (uint8_t)want[i]);
}
#define CHECK_BYTES(got, n, want) check_bytes(got, n, want, sizeof(want) - 1)

static void test_names(void)
{
    uint8_t out[DNS_NAME_MAX];
    CHECK_BYTES(out, dns_text_name(".", out), "\0");
    CHECK_BYTES(out, dns_text_name("a", out), "\1a\0");
    CHECK_BYTES(out, dns_text_name("WWW.Example.", out), "\3www\7example\0");
    CHECK_BYTES(out, dns_text_name("_sip._tcp.a-b", out), "\4_sip\4_tcp\3a-b\0");
    static const char *const bad[] = {"", "..", ".a", "a..b", "a..", "a\\.b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CHECK_INT(dns_text_name(bad[i], out), -EINVAL);
}

static void test_lengths(void)
{
    uint8_t out[DNS_NAME_MAX];
    char text[300] = "";
    memset(text, 'a', 63);
    CHECK_INT(dns_text_name(text, out), 65);
    text[63] = 'a';
    CHECK_INT(dns_text_name(text, out), -EINVAL); // a label of 64
    memset(text, 0, sizeof(text));
    for (int i = 0; i < 127; i++)
        memcpy(text + 2 * i, "a.", 2);
    CHECK_INT(dns_text_name(text, out), 255); // 127 labels of one byte: the longest there is
    text[253] = '\0';
    CHECK_INT(dns_text_name(text, out), 255);
    memcpy(text + 252, "ab", 3);
    CHECK_INT(dns_text_name(text, out), -EINVAL);
    memcpy(text + 252, "a.a", 4);
    CHECK_INT(dns_text_name(text, out), -EINVAL);
}

static void test_records(void)
{
    uint8_t out[DNS_RECORD_MAX];
    CHECK_BYTES(out, dns_text_record(DNS_A, "192.0.2.1", out), "\300\0\2\1");
    CHECK_BYTES(out, dns_text_record(DNS_AAAA, "2001:DB8::1", out),
                "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1");
    CHECK_BYTES(out, dns_text_record(DNS_CNAME, "A.b", out), "\1a\1b\0");
    CHECK_BYTES(out, dns_text_record(DNS_NS, "a.b.", out), "\1a\1b\0");
    CHECK_BYTES(out, dns_text_record(DNS_PTR, ".", out), "\0");
    CHECK_BYTES(out, dns_text_record(DNS_SOA, "ns.a", out), "\2ns\1a\0");
    CHECK_BYTES(out, dns_text_record(DNS_MX, "258 m.a", out), "\1\2\1m\1a\0");
    CHECK_BYTES(out, dns_text_record(DNS_MX, "0 .", out), "\0\0\0");
    CHECK_BYTES(out, dns_text_record(DNS_SRV, "0 65535 443 h.a.", out), "\0\0\377\377\1\273\1h\1a\0");
    CHECK_BYTES(out, dns_text_record(DNS_TXT, "v=Spf1 -all", out), "v=Spf1 -all");
    CHECK_BYTES(out, dns_text_record(DNS_TXT, "", out), "");
    static const struct {
        enum dns_type type;
        const char *text;
    } bad[] = {
        {DNS_A, "2001:db8::1"}, {DNS_A, "192.0.2"},     {DNS_AAAA, "192.0.2.1"},      {DNS_AAAA, ""},
        {DNS_MX, "m.a"},        {DNS_MX, "65536 m.a"},  {DNS_MX, "1  m.a"},           {DNS_MX, "1 "},
        {DNS_SRV, "1 2 h.a"},   {DNS_SRV, "1 2 3 4 a"}, {DNS_SRV, "1 2 0000003 h.a"}, {DNS_PTR, "a b"},
        {DNS_NS, ""},           {DNS_TYPE_UNSET, "a"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CHECK_INT(dns_text_record(bad[i].type, bad[i].text, out), -EINVAL);
}

static void test_registry(void)
{
    for (enum dns_type t = DNS_A; t <= DNS_TXT; t++)
        CHECK_INT(dns_text_by_number(dns_text_number(t)), t);
    CHECK_INT(dns_text_by_number(41), DNS_TYPE_UNSET);
    CHECK_INT(dns_text_by_number(0), DNS_TYPE_UNSET);
    CHECK_INT(dns_text_number(DNS_SRV), 33);
    CHECK_STR(dns_text_type(DNS_SOA), "SOA");
    CHECK_STR(dns_text_rcode(DNS_NXDOMAIN), "NXDomain");
    CHECK_STR(dns_text_rcode(5), "Refused");
    CHECK_STR(dns_text_rcode(6), "other");
    CHECK_STR(dns_text_rcode(15), "other");
}

static const struct check_case cases[] = {
    {"names", test_names},
    {"lengths", test_lengths},
    {"records", test_records},
    {"numbers and names of the registry", test_registry},
};
CHECK_MAIN(cases)
