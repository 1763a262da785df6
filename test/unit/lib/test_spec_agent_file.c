// SPDX-License-Identifier: Apache-2.0
// agent.yaml both ways; what a person may leave out; what is refused, with the path.
#include "lib/spec_agent_file.h"

#include <errno.h>

#include "lib/spec_table.h"
#include "test/unit/check.h"

static int parse(const char *text, struct spec_agent_file *f, struct err *e)
{
    CLEANUP_DOC struct doc *d = NULL;
    int r = doc_parse(text, strlen(text), &d, e);
    return r < 0 ? r : spec_agent_file_parse(doc_root(d), f, e);
}

static const char whole[] =
    "generation: 3\n"
    "fleet: mesh\n"
    "paused: true\n"
    "networks: [Pod]\n"
    "ipFamilies: [IPv4, IPv6]\n"
    "topology: {type: Full}\n"
    "probes:\n"
    "- {name: icmp, type: ICMP, interval: 1s, timeout: 1s}\n"
    "- {name: tcp, type: TCP, interval: 5s, timeout: 1s500ms}\n"
    "- {name: udp, type: STAMP, flows: 8, dscp: 46, interval: 200ms, timeout: 1s}\n"
    "- {name: plain, type: STAMP, payloadBytes: 1472, dontFragment: true, interval: 200ms, timeout: 1s}\n"
    "targets:\n"
    "- {name: gateway, type: ICMP, address: 192.0.2.1, interval: 1s, timeout: 1s}\n"
    "- {name: web, type: TCP, address: \"2001:db8::2\", port: 443, interval: 5s, timeout: 1s}\n"
    "- {name: resolver, type: DNS, server: 10.96.0.10, port: 53, query: a.example, recordType: A, transport: UDP, "
    "expect: {rcode: [NoError]}, interval: 5s, timeout: 1s}\n"
    "- {name: mail, type: DNS, server: \"2001:db8::3\", port: 5353, query: a.example, recordType: MX, transport: TCP, "
    "expect: {rcode: [NoError, Refused], answer: [\"10 b.example\", \"20 c.example\"]}, interval: 5s, timeout: 1s}\n"
    "- {name: page, type: HTTP, url: \"http://a.example/\", interval: 5s, timeout: 1s}\n"
    "- {name: api, type: HTTP, url: \"https://b.example/?x\", method: HEAD, ipFamily: IPv6, followRedirects: true, "
    "caBundle: \"-----BEGIN CERTIFICATE-----\\u000aMAcwADAAAwEA\\u000a-----END CERTIFICATE-----\\u000a\", "
    "expect: {status: [200, 401]}, interval: 5s, timeout: 1s}\n"
    "- {name: own, type: HTTP, url: \"https://c.example\", insecureSkipVerify: true, interval: 5s, timeout: 1s}\n"
    "metrics: {rttBucketsMicroseconds: [50, 100], seriesLimit: 50000, scrapeInterval: 30s, compression: Gzip}\n"
    "ports: {http: 9961, tcp: 9962, peer: 9963, stamp: 9964}\n";

static void test_both_ways(void)
{
    CLEANUP_SPEC_AGENT_FILE struct spec_agent_file f = {0};
    CLEANUP_BUF struct buf b = {.max = 100000};
    struct err e = {0};
    CHECK_INT(parse(whole, &f, &e), 0);
    CHECK_INT(f.generation, 3);
    CHECK_INT(f.spec.metrics.compression, SPEC_COMPRESSION_GZIP);
    CHECK_INT(f.spec.mesh.n_probes, 4);
    CHECK_INT(f.spec.mesh.probes[2].type, SPEC_STAMP);
    CHECK_INT(f.spec.mesh.probes[2].flows, 8);
    CHECK_INT(f.spec.mesh.probes[2].dscp, 46);
    CHECK_INT(f.spec.mesh.probes[3].payload, 1472);
    CHECK(f.spec.mesh.probes[3].dont_fragment && !f.spec.mesh.probes[2].dont_fragment);
    CHECK_INT(f.spec.mesh.probes[1].timeout_ns, 1500 * NS_PER_MS);
    CHECK_INT(f.spec.n_targets, 7);
    CHECK_INT(f.spec.targets[1].port, 443);
    CHECK_INT(f.spec.targets[2].type, SPEC_DNS);
    CHECK_INT(f.spec.targets[3].record_type, DNS_MX);
    CHECK_INT(f.spec.targets[3].expect.rcodes, 1u << DNS_NOERROR | 1u << DNS_REFUSED);
    CHECK_STR(f.spec.targets[3].expect.answers[1], "20 c.example");
    const struct spec_target *t = &f.spec.targets[5];
    CHECK(t->method == SPEC_METHOD_HEAD && t->follow && !t->insecure && f.spec.targets[6].insecure);
    CHECK_STR(t->ca_bundle, "-----BEGIN CERTIFICATE-----\nMAcwADAAAwEA\n-----END CERTIFICATE-----\n");
    CHECK_INT(t->expect.n_statuses, 2);
    CHECK_INT(t->expect.statuses[1], 401);
    CHECK_INT(f.spec.metrics.n_buckets, 2);
    CHECK(f.paused && f.spec.paused && f.spec.mesh.present);
    spec_agent_file_render(&f, &b);
    CHECK_STR(buf_text(&b), whole);
}

static void test_topologies(void)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"topology: {type: Full}", "topology: {type: Full}\n"},
        {"topology: {type: Sampled, degree: 5}", "topology: {type: Sampled, degree: 5}\n"},
        {"topology: {type: Zonal}", "topology: {type: Zonal, degree: 20}\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_SPEC_AGENT_FILE struct spec_agent_file f = {0};
        CLEANUP_BUF struct buf b = {.max = 100000};
        struct err e = {0};
        CHECK_INT(parse(cases[i].in, &f, &e), 0);
        spec_agent_file_render(&f, &b);
        CHECK_CONTAINS(buf_text(&b), cases[i].out);
    }
}

static void test_by_hand(void)
{
    CLEANUP_SPEC_AGENT_FILE struct spec_agent_file f = {0};
    struct err e = {0};
    CHECK_INT(parse("probes: [{name: icmp, type: ICMP}]", &f, &e), 0);
    CHECK_INT(f.ports.http, SPEC_PORT_HTTP);
    CHECK_INT(f.ports.tcp, SPEC_PORT_TCP);
    CHECK_INT(f.ports.peer, SPEC_PORT_PEER);
    CHECK_INT(f.ports.stamp, SPEC_PORT_STAMP);
    CHECK_INT(f.spec.mesh.families, FAMILY_BIT(FAMILY_IPV4) | FAMILY_BIT(FAMILY_IPV6));
    CHECK_INT(f.spec.mesh.networks, 1u << SPEC_NETWORK_POD);
    CHECK_INT(f.spec.mesh.probes[0].interval_ns, NS_PER_S);
    CHECK_INT(f.spec.metrics.n_buckets, 11);
    CHECK(!f.paused);
}

static void test_refused(void)
{
    static const struct {
        const char *text, *path;
    } cases[] = {
        {"[]", ""},
        {"probes: [{name: icmp, type: ICMP, interval: 5ms}]", "probes[0].interval"},
        {"probes: [{name: a, type: ICMP}, {name: a, type: TCP}]", "probes[1].name"},
        {"targets: [{name: a, type: TCP, address: 192.0.2.1}]", "targets[0].port"},
        {"generation: -1", "generation"},
        {"fleet: 10", "fleet"},
        {"ports: {http: 0}", "ports.http"},
        {"ports: {peer: 65536}", "ports.peer"},
        {"ports: {https: 1}", "ports.https"},
        {"ports: {stamp: 862}", "ports.stamp"},
        {"ports: {tcp: 9961}", "ports.tcp"},
        {"ports: {peer: 9964}", "ports.stamp"},
        {"probes: [{name: a, type: ICMP}, {name: b, type: TCP, flows: 2}]", "probes[1].flows"},
        {"probes: [{name: a, type: ICMP, payloadBytes: 55}]", "probes[0].payloadBytes"},
        {"probes: [{name: a, type: STAMP, payloadBytes: 43}]", "probes[0].payloadBytes"},
        {"probes: [{name: a, type: STAMP, payloadBytes: 9001}]", "probes[0].payloadBytes"},
        {"probes: [{name: a, type: TCP, payloadBytes: 100}]", "probes[0].payloadBytes"},
        {"probes: [{name: a, type: TCP, dontFragment: true}]", "probes[0].dontFragment"},
        {"targets: [{name: a, type: HTTP, url: \"https://a/\", caBundle: \"-----BEGIN CERTIFICATE-----\\nAAAA\\n"
         "-----END CERTIFICATE-----\"}]",
         "targets[0].caBundle"},
        {"mesh: {}", "mesh"},
        {"topology: {type: Full, degree: 5}", "topology.degree"},
        {"topology: {type: Sampled, degree: 0}", "topology.degree"},
        {"metrics: {rttBucketsMicroseconds: [2, 1]}", "metrics.rttBucketsMicroseconds[1]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_SPEC_AGENT_FILE struct spec_agent_file f = {0};
        struct err e = {0};
        CHECK_INT(parse(cases[i].text, &f, &e), -EINVAL);
        CHECK_STR(e.path, cases[i].path);
    }
}

// The sections that agent.yaml can have are in its table whole, and no others.
static void table(void)
{
    const struct spec_table *t = &spec_table_file, *all = &spec_table_all;
    unsigned long there = 1ul << SPEC_SECTION_FILE;
    for (size_t round = 0; round < t->n; round++)
        for (size_t i = 0; i < all->n; i++)
            if (all->fields[i].sub && (there & 1ul << all->fields[i].section))
                there |= 1ul << all->fields[i].sub;
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++) {
        if (!(there & 1ul << all->fields[i].section))
            continue;
        CHECK(n < t->n);
        CHECK_STR(t->fields[n++].path, all->fields[i].path);
    }
    CHECK_INT(n, t->n);
    CHECK(n < all->n);
}

static const struct check_case cases[] = {{"both ways", test_both_ways},
                                          {"topologies", test_topologies},
                                          {"by hand", test_by_hand},
                                          {"refused files", test_refused},
                                          {"table", table}};
CHECK_MAIN(cases)
