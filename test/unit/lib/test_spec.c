// SPDX-License-Identifier: Apache-2.0
// The spec: what is read, what is there when nothing is said, what a fleet costs. What is refused stands in
// test/golden.
#include "lib/spec_check.h"
#include "lib/spec_http.h"

#include <errno.h>

#include "test/unit/check.h"

static int parse(const char *text, struct spec *s, struct err *e)
{
    CLEANUP_DOC struct doc *d = NULL;
    int r = doc_parse(text, strlen(text), &d, e);
    return r < 0 ? r : spec_parse(doc_root(d), s, e);
}

static void test_defaults(void)
{
    CLEANUP_SPEC struct spec s = {0};
    struct err e = {0};
    CHECK_INT(parse("{mesh: {probes: [{name: icmp, type: ICMP}]}}", &s, &e), 0);
    CHECK(!s.paused && s.mesh.present && s.alerting.enabled);
    CHECK_INT(s.mesh.networks, 1u << SPEC_NETWORK_POD);
    CHECK_INT(s.mesh.families, FAMILY_BIT(FAMILY_IPV4) | FAMILY_BIT(FAMILY_IPV6));
    CHECK_INT(s.mesh.probes[0].interval_ns, NS_PER_S);
    CHECK_INT(s.mesh.probes[0].timeout_ns, NS_PER_S);
    CHECK_INT(s.n_targets, 0);
    CHECK_INT(s.placement.n_tolerations, 1);
    CHECK_STR(s.placement.tolerations[0].op, "Exists");
    CHECK(s.placement.tolerations[0].key == NULL);
    CHECK_STR(s.placement.max_unavailable, "10%");
    CHECK_STR(s.agent.resources.memory_limit, "16Mi");
    CHECK_STR(s.agent.resources.cpu_limit, "");
    CHECK_INT(s.metrics.n_buckets, 11);
    CHECK_INT(s.metrics.rtt_buckets_us[10], 1000000);
    CHECK_INT(s.metrics.scrape_interval_ns, 15 * NS_PER_S);
    CHECK_INT(s.alerting.window_ns, 120 * NS_PER_S);
    CHECK_INT(s.budget_packets_per_second, 500);
}

static void test_no_mesh(void)
{
    CLEANUP_SPEC struct spec s = {0};
    struct err e = {0};
    CHECK_INT(parse("{mesh: null, targets: [{name: a, type: TCP, address: '2001:db8::1', port: 1}]}", &s, &e),
              0);
    CHECK(!s.mesh.present);
    CHECK_INT(s.mesh.n_probes, 0);
    CHECK_INT(s.mesh.networks, 1u << SPEC_NETWORK_POD); // where the agents that probe the targets run
    CHECK_INT(s.targets[0].port, 1);
    CHECK_INT(s.targets[0].address.family, FAMILY_IPV6);
}

static void test_everything(void)
{
    static const char text[] =
        "paused: true\n"
        "placement: {nodeSelector: {a: b, c: ''}, tolerations: [], priorityClassName: high, updateStrategy: {maxUnavailable: 3}}\n"
        "mesh: {networks: [Pod], ipFamilies: [IPv6], topology: {type: Full}, probes: [{name: t, type: TCP, interval: 1m30s}]}\n"
        "agent:\n"
        "  allocator: {type: Jemalloc, narenas: 4, conf: 'tcache:false', variable: JE_MALLOC_CONF}\n"
        "  image: registry.example.com/agent:1\n"
        "  resources: {requests: {cpu: 1, memory: 1Mi}, limits: {cpu: 1.5, memory: ''}}\n"
        "  env: [{name: A, value: '1'}]\n"
        "metrics: {rttBucketsMicroseconds: [7], seriesLimit: 1000, scrapeInterval: 1s}\n"
        "alerting: {enabled: false, lossPercent: 100, for: 0s, window: 10s}\n"
        "budget: {packetsPerSecond: 1}\n";
    CLEANUP_SPEC struct spec s = {0};
    struct err e = {0};
    CHECK_INT(parse(text, &s, &e), 0);
    CHECK(s.paused && !s.alerting.enabled);
    CHECK_INT(s.placement.n_selector, 2);
    CHECK_STR(s.placement.selector[0].key, "a");
    CHECK_STR(s.placement.selector[1].value, "");
    CHECK_INT(s.placement.n_tolerations, 0);
    CHECK_STR(s.placement.max_unavailable, "3");
    CHECK_INT(s.mesh.families, FAMILY_BIT(FAMILY_IPV6));
    CHECK_INT(s.mesh.probes[0].interval_ns, 90 * NS_PER_S);
    CHECK_INT(s.agent.allocator.options[SPEC_OPTION_NARENAS].number, 4);
    CHECK(!s.agent.allocator.options[SPEC_OPTION_TCACHE].set);
    CHECK_STR(s.agent.allocator.variable, "JE_MALLOC_CONF");
    CHECK_STR(s.agent.resources.cpu_limit, "1.5");
    CHECK_STR(s.agent.resources.memory_limit, "");
    CHECK_STR(s.agent.env[0].value, "1");
    CHECK_INT(s.metrics.n_buckets, 1);
    CHECK_INT(s.alerting.loss_percent, 100);
    CHECK_INT(s.alerting.for_ns, 0);
}

static void test_topology(void)
{
    static const struct {
        const char *text;
        enum spec_topology_type type;
        unsigned degree;
    } cases[] = {
        {"{mesh: {probes: [{name: i, type: ICMP}]}}", SPEC_FULL, 0},
        {"{mesh: {topology: {type: Sampled}, probes: [{name: i, type: ICMP}]}}", SPEC_SAMPLED, 20},
        {"{mesh: {topology: {type: Sampled, degree: 3}, probes: [{name: i, type: ICMP}]}}", SPEC_SAMPLED, 3},
        {"{mesh: {topology: {type: Zonal, degree: 1000}, probes: [{name: i, type: ICMP}]}}", SPEC_ZONAL,
         1000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_SPEC struct spec s = {0};
        struct err e = {0};
        CHECK_INT(parse(cases[i].text, &s, &e), 0);
        CHECK_INT(s.mesh.topology.type, cases[i].type);
        CHECK_INT(s.mesh.topology.degree, cases[i].degree);
    }
}

// A refused spec leaves the result alone, and frees what it had (the sanitizer sees to that).
static void test_failure_leaves_result(void)
{
    struct spec s = {.budget_packets_per_second = 77};
    struct err e = {0};
    CHECK_INT(
        parse(
            "{mesh: {probes: [{name: a, type: ICMP}]}, agent: {env: [{name: A}, {name: A}]}, targets: [{name: x, type: ICMP, "
            "address: 192.0.2.1}], placement: {nodeSelector: {a: b}, tolerations: [{key: a}]}}",
            &s, &e),
        -EINVAL);
    CHECK_INT(s.budget_packets_per_second, 77);
    CHECK_STR(e.path, "spec.agent.env[1].name");
    CHECK_INT(spec_parse(NULL, &s, &e), -EINVAL);
    CHECK_STR(e.path, "spec");
}

// A fleet of one zone.
static const struct spec_scale *scale(size_t nodes, unsigned families)
{
    static struct spec_scale one;
    one = (struct spec_scale){.size = {.nodes = nodes,
                                       .largest_zone = nodes,
                                       .zones = 1,
                                       .neighbours = (uint64_t)nodes * (nodes - 1)},
                              .families = families};
    return &one;
}

static void test_forecast(void)
{
    CLEANUP_SPEC struct spec s = {0};
    struct err e = {0};
    struct spec_load load;
    CHECK_INT(
        parse("{mesh: {probes: [{name: i, type: ICMP, interval: 1s}, {name: t, type: TCP, interval: 5s}]}, "
              "targets: [{name: a, type: ICMP, address: 192.0.2.1, interval: 2s}]}",
              &s, &e),
        0);
    spec_forecast(&s, scale(5, 2), &load);
    CHECK_INT(load.pairs, 4 * 2 * 2 + 1);
    CHECK_INT(load.probes_per_ks, 8 * 1000 + 8 * 200 + 500);
    CHECK_INT(load.packets_per_ks, 8 * 1000 + 8 * 600 + 500);
    uint64_t two_families = load.series;
    spec_forecast(&s, scale(5, 1), &load);
    CHECK_INT(load.pairs, 4 * 2 + 1);
    CHECK(load.series < two_families);
    spec_forecast(&s, scale(1, 2), &load); // nobody to probe but the target
    CHECK_INT(load.pairs, 1);
    spec_forecast(&s, scale(5000, 2), &load);
    CHECK(load.series > s.metrics.series_limit); // pair counters are not given up
    spec_forecast(&s, scale(600, 2), &load);
    CHECK_INT(load.series, s.metrics.series_limit); // histograms are
    spec_forecast_fleet(&s, scale(5, 2), &load);
    CHECK_INT(load.pairs, 5 * (4 * 2 * 2 + 1));
    CHECK_INT(load.probes_per_ks, 5 * (8 * 1000 + 8 * 200 + 500));
    CHECK_INT(load.packets_per_ks, 5 * (8 * 1000 + 8 * 600 + 500));
    CHECK_INT(load.series, 5 * two_families);
    spec_forecast_fleet(&s, scale(600, 2), &load);
    CHECK_INT(load.series, 600 * s.metrics.series_limit);
}

// Two agents a node, each of which probes both addresses of a peer; a target is probed by both.
static void test_forecast_networks(void)
{
    CLEANUP_SPEC struct spec one = {0};
    CLEANUP_SPEC struct spec both = {0};
    struct err e = {0};
    struct spec_load a, b;
    CHECK_INT(parse("{mesh: {networks: [Node], probes: [{name: i, type: ICMP}]}, "
                    "targets: [{name: a, type: ICMP, address: 192.0.2.1}], budget: {packetsPerSecond: 16}}",
                    &one, &e),
              0);
    CHECK_INT(parse("{mesh: {networks: [Pod, Node], probes: [{name: i, type: ICMP}]}, "
                    "targets: [{name: a, type: ICMP, address: 192.0.2.1}], budget: {packetsPerSecond: 16}}",
                    &both, &e),
              0);
    CHECK_INT(one.mesh.networks, 1u << SPEC_NETWORK_NODE);
    CHECK_INT(both.mesh.networks, 1u << SPEC_NETWORK_POD | 1u << SPEC_NETWORK_NODE);
    spec_forecast(&one, scale(5, 2), &a);
    spec_forecast(&both, scale(5, 2), &b);
    CHECK_INT(a.pairs, 4 * 2 + 1);
    CHECK_INT(b.pairs, 4 * 2 * 2 + 1);
    CHECK_INT(b.packets_per_ks, 17000);
    CHECK(spec_check_budget(&one, scale(5, 2), &e) == 0);
    CHECK_INT(spec_check_budget(&both, scale(5, 2), &e), -EDQUOT); // the budget is one agent's
    CHECK_CONTAINS(e.msg, "each of 10 agents would send 17 packets");
    spec_forecast_fleet(&one, scale(5, 2), &a);
    spec_forecast_fleet(&both, scale(5, 2), &b);
    CHECK_INT(a.pairs, 5 * (4 * 2 + 1));
    CHECK_INT(b.pairs, 2 * 5 * (4 * 2 * 2 + 1));
    CHECK_INT(b.packets_per_ks, 2 * 5 * 17000);
    CHECK_INT(b.series, 2 * 5 * (140 + 17 * (10 + 14) + (4 + 1) * (9 + 16)));
    both.metrics.series_limit = 300; // histograms by zone, and by network
    spec_forecast(&both, scale(5, 2), &b);
    CHECK_INT(b.series, 140 + 17 * 10 + 2 * 2 * 14 + (4 + 1) * (9 + 16));
}

// A STAMP pair has two series more, and one for each of several flows; its reflector answers as often as it
// asks.
static void test_forecast_stamp(void)
{
    CLEANUP_SPEC struct spec plain = {0};
    CLEANUP_SPEC struct spec s = {0};
    struct err e = {0};
    struct spec_load icmp, load;
    CHECK_INT(parse("{mesh: {probes: [{name: i, type: ICMP}, {name: k, type: ICMP, interval: 200ms}]}}",
                    &plain, &e),
              0);
    CHECK_INT(
        parse("{mesh: {probes: [{name: i, type: STAMP}, {name: k, type: STAMP, interval: 200ms, flows: 8}]}}",
              &s, &e),
        0);
    spec_forecast(&plain, scale(5, 2), &icmp);
    spec_forecast(&s, scale(5, 2), &load);
    CHECK_INT(load.pairs, icmp.pairs);
    CHECK_INT(load.probes_per_ks, icmp.probes_per_ks);
    CHECK_INT(load.packets_per_ks, 2 * icmp.packets_per_ks);
    CHECK_INT(load.series, icmp.series + 8 * 2 * 2 + 8 * 8);
    s.metrics.series_limit = 1000;
    spec_forecast(&s, scale(50, 2), &load); // past the limit flows are given up too, ways are not
    uint64_t pairs = UINT64_C(49) * 2 * 2;
    CHECK_INT(load.series,
              140 + pairs * (10 + 2) + 2 * 2 * 14 + 2 * 2 * (9 + 16)); // two probes, two families, one zone
}

// A payload that may be fragmented counts for as many packets as it may be.
static void test_forecast_payload(void)
{
    static const struct {
        const char *more;
        uint64_t times;
    } cases[] = {{"payloadBytes: 1224", 1},
                 {"payloadBytes: 1225", 2},
                 {"payloadBytes: 9000", 8},
                 {"payloadBytes: 9000, dontFragment: true", 1},
                 {"dontFragment: true", 1}};
    CLEANUP_SPEC struct spec plain = {0};
    struct err e = {0};
    struct spec_load least, load;
    CHECK_INT(parse("{mesh: {probes: [{name: i, type: ICMP}, {name: u, type: STAMP}]}}", &plain, &e), 0);
    spec_forecast(&plain, scale(5, 2), &least);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_SPEC struct spec s = {0};
        char text[200];
        snprintf(text, sizeof(text),
                 "{mesh: {probes: [{name: i, type: ICMP, %s}, {name: u, type: STAMP, %s}]}}", cases[i].more,
                 cases[i].more);
        CHECK_INT(parse(text, &s, &e), 0);
        spec_forecast(&s, scale(5, 2), &load);
        CHECK_INT(load.packets_per_ks, cases[i].times * least.packets_per_ks);
    }
}

// What is there if nothing is said of a DNS target, and what it costs.
static void test_dns(void)
{
    CLEANUP_SPEC struct spec plain = {0};
    CLEANUP_SPEC struct spec s = {0};
    struct err e = {0};
    struct spec_load icmp, load;
    CHECK_INT(
        parse(
            "{targets: [{name: a, type: ICMP, address: 192.0.2.1}, {name: b, type: ICMP, address: 192.0.2.2}]}",
            &plain, &e),
        0);
    CHECK_INT(parse("{targets: [{name: a, type: DNS, server: 192.0.2.1, query: A.example.}, "
                    "{name: b, type: DNS, server: 192.0.2.1, query: a.example, transport: TCP}]}",
                    &s, &e),
              0);
    const struct spec_target *t = &s.targets[0];
    CHECK_INT(t->port, 53);
    CHECK_INT(t->record_type, DNS_A);
    CHECK_INT(t->transport, SPEC_TRANSPORT_UDP);
    CHECK_INT(t->expect.rcodes, 1u << DNS_NOERROR);
    CHECK_INT(t->expect.n_answers, 0);
    CHECK_STR(t->query, "A.example.");
    CHECK(spec_target_address(t)->set && !t->address.set);
    spec_forecast(&plain, scale(5, 2), &icmp);
    spec_forecast(&s, scale(5, 2), &load);
    CHECK_INT(load.pairs, icmp.pairs);
    CHECK_INT(load.packets_per_ks, 1000 + 5 * 1000);
    CHECK_INT(load.series, icmp.series + 2 * (1 + 7 + 2) +
                               1); // of failures a reason; unexpected; response codes; mismatches, cut ones
}

// What is there if nothing is said of an HTTP target, over which families it is probed, and what it costs.
static void test_http(void)
{
    CLEANUP_SPEC struct spec plain = {0};
    CLEANUP_SPEC struct spec s = {0};
    struct err e = {0};
    struct spec_load icmp, load;
    CHECK_INT(parse("{targets: [{name: a, type: ICMP, address: 192.0.2.1}]}", &plain, &e), 0);
    CHECK_INT(parse("{targets: [{name: a, type: HTTP, url: 'http://a.example'}]}", &s, &e), 0);
    const struct spec_target *t = &s.targets[0];
    CHECK(t->method == SPEC_METHOD_UNSET && t->ip_family == SPEC_IP_FAMILY_UNSET && !t->ca_bundle);
    CHECK(!t->follow && !t->insecure && !t->expect.n_statuses && !t->expect.rcodes && !t->port);
    spec_forecast(&plain, scale(5, 2), &icmp);
    spec_forecast(&s, scale(5, 2), &load);
    CHECK_INT(load.pairs, icmp.pairs);
    CHECK_INT(load.packets_per_ks, 10000);
    // unexpected; five phases; classes; errors; dates; six reasons less
    CHECK_INT(load.series, icmp.series + 1 + 2 * 5 + 6 + 10 + 2 - 6);
}

static void test_http_families(void)
{
    static const struct {
        const char *target;
        unsigned families;
    } cases[] = {
        {"url: 'http://a.example/'", FAMILY_BIT(FAMILY_IPV4) | FAMILY_BIT(FAMILY_IPV6)},
        {"url: 'http://a.example/', ipFamily: IPv6", FAMILY_BIT(FAMILY_IPV6)},
        {"url: 'http://a.example/', ipFamily: IPv4", FAMILY_BIT(FAMILY_IPV4)},
        {"url: 'http://192.0.2.1:80?[::1]'", FAMILY_BIT(FAMILY_IPV4)},
        {"url: 'https://[2001:db8::1]:8443/192.0.2.1'", FAMILY_BIT(FAMILY_IPV6)},
        {"url: 'https://[2001:db8::1]', ipFamily: IPv6", FAMILY_BIT(FAMILY_IPV6)},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_SPEC struct spec s = {0};
        struct err e = {0};
        char text[256];
        snprintf(text, sizeof(text), "{targets: [{name: a, type: HTTP, %s}]}", cases[i].target);
        CHECK_INT(parse(text, &s, &e), 0);
        CHECK_INT(spec_http_families(&s.targets[0]), cases[i].families);
    }
}

// All bundles are in one ConfigMap.
#define CA "-----BEGIN CERTIFICATE-----\\nMAcwADAAAwEA\\n-----END CERTIFICATE-----\\n"

static void test_http_bundles(void)
{
    CLEANUP_SPEC struct spec s = {0};
    CLEANUP_BUF struct buf b = {.max = 1 << 20};
    struct err e = {0};
    const size_t n = LIMIT_HTTP_CA_ALL / LIMIT_HTTP_CA;
    for (size_t more = 0; more < 2; more++) {
        buf_reset(&b);
        buf_str(&b, "{targets: [");
        for (size_t i = 0; i < n + more; i++)
            buf_fmt(&b, "{name: t%zu, type: HTTP, url: 'https://a/%zu', caBundle: \"" CA "%0*d\"},", i, i,
                    (int)(LIMIT_HTTP_CA - 67), 0); // what follows is a comment
        buf_str(&b, "]}");
        CHECK_INT(parse(buf_text(&b), &s, &e), more ? -EINVAL : 0);
    }
    CHECK_STR(e.path, "spec.targets[16].caBundle");
}

static void test_budget(void)
{
    CLEANUP_SPEC struct spec s = {0};
    struct err e = {0};
    CHECK_INT(
        parse("{mesh: {probes: [{name: i, type: ICMP, interval: 1s}, {name: t, type: TCP, interval: 2s}]}, "
              "budget: {packetsPerSecond: 100}}",
              &s, &e),
        0);
    CHECK_INT(spec_check_budget(&s, scale(41, 1), &e), 0); // 40 + 60: exactly
    CHECK_INT(spec_check_budget(&s, scale(42, 1), &e), -EDQUOT);
    CHECK_INT(e.code, EDQUOT);
    CHECK_STR(e.path, "spec.mesh.probes[1].interval");
    CHECK_CONTAINS(e.msg, "103 packets a second");
    CHECK_INT(spec_check_budget(&s, scale(41, 2), &e), -EDQUOT);
}

// What a budget refuses as a full mesh it has room for by the sample; zones count by the largest.
static void test_budget_of_topologies(void)
{
    CLEANUP_SPEC struct spec s = {0};
    struct err e = {0};
    struct spec_scale large = {{5000, 1700, 3, 3 * 1667 * 1666}, 2};
    struct spec_load load;
    CHECK_INT(parse("{mesh: {topology: {type: Sampled}, probes: [{name: i, type: ICMP}, "
                    "{name: t, type: TCP, interval: 5s}]}, "
                    "targets: [{name: a, type: ICMP, address: 192.0.2.1}]}",
                    &s, &e),
              0);
    CHECK_INT(spec_check_budget(&s, &large, &e), 0);
    spec_forecast(&s, &large, &load);
    CHECK_INT(load.pairs, 20 * 2 * 2 + 1);
    CHECK_INT(load.packets_per_ks, 40 * 1000 + 40 * 600 + 1000);
    CHECK_INT(load.series, 140 + 81 * 24 + 2 * (25 + 26) + 25);
    spec_forecast_fleet(&s, &large, &load);
    CHECK_INT(load.pairs, 5000 * 81);
    CHECK_INT(load.packets_per_ks, 5000 * 65000);
    CHECK_INT(load.series, 5000 * (140 + 81 * 24 + 2 * (25 + 26) + 25));
    s.mesh.topology.type = SPEC_ZONAL;
    spec_forecast(&s, &large, &load);
    CHECK_INT(load.pairs, (1699 + 20) * 2 * 2 + 1);
    spec_forecast_fleet(&s, &large, &load);
    CHECK_INT(load.pairs, (3 * 1667 * 1666 + 5000 * 20) * 4 + 5000);
    CHECK_INT(spec_check_budget(&s, &large, &e), -EDQUOT);
    CHECK_CONTAINS(e.msg, "each of 1700 agents of the largest zone would send 5502 packets a second");
    large.size.largest_zone = 100;
    CHECK_INT(spec_check_budget(&s, &large, &e), 0);
}

static const struct check_case cases[] = {
    {"topology", test_topology},
    {"budget of topologies", test_budget_of_topologies},
    {"defaults", test_defaults},
    {"no mesh", test_no_mesh},
    {"every field", test_everything},
    {"failure", test_failure_leaves_result},
    {"forecast", test_forecast},
    {"forecast of two networks", test_forecast_networks},
    {"HTTP", test_http},
    {"HTTP: families", test_http_families},
    {"HTTP: bundles", test_http_bundles},
    {"DNS targets", test_dns},
    {"budget", test_budget},
    {"forecast of STAMP", test_forecast_stamp},
    {"forecast of payloads", test_forecast_payload},
};
CHECK_MAIN(cases)
