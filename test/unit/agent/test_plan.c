// SPDX-License-Identifier: Apache-2.0
#include "test/unit/check.h"

#include <errno.h>

#include "agent/plan.h"

#include "agent/dns_counts.h"
#include "agent/http_counts.h"
#include "lib/topo.h"
#include "test/unit/agent/files.h"

static struct files f;
static struct plan *plan;

static int build(const char *node, const struct plan *old, uint64_t now, struct plan **ret)
{
    struct err e = {0};
    int r = plan_build(&f.file, &f.peers, node, SPEC_NETWORK_POD, old, now, ret, &e);
    if (r != 0)
        printf("    %s\n", e.msg);
    return r;
}

// "probe>destination/family" of each pair, a '-' before those that are gone.
static const char *list(const struct plan *p)
{
    static char out[4096];
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < p->n_pairs; i++) {
        const struct plan_pair *r = &p->pairs[i];
        n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s%s>%s/%u", i ? " " : "", r->gone ? "-" : "",
                              p->probes[r->probe].name, p->dests[r->dest].name, r->family ? 6 : 4);
    }
    return out;
}

static void release(void)
{
    plan_free(plan);
    plan = NULL;
    files_release(&f);
}

static void test_mesh(void)
{
    files_three_nodes(&f);
    f.file.spec.mesh.n_probes = 2;
    files_target(&f, "web", SPEC_TCP, "192.0.2.9", 443);
    files_target(&f, "gateway", SPEC_ICMP, "2001:db8::9", 0);
    CHECK_INT(build("n1", NULL, 0, &plan), 0);
    CHECK_STR(list(plan),
              "icmp>n2/4 icmp>n2/6 tcp>n2/4 tcp>n2/6 icmp>n3/4 tcp>n3/4 icmp>gateway/6 tcp>web/4");
    CHECK_INT(plan->n_live, 8);
    CHECK_STR(plan->node, "n1");
    CHECK_STR(plan->zone, "a");
    CHECK_STR(plan_network(plan, plan->network), "Pod");
    CHECK_INT(plan->generation, 3);
    CHECK_INT(plan->bounds_ns[1], 1000000);
    CHECK_STR(plan->dests[plan->pairs[4].dest].zone, "b");
    CHECK_INT(plan->probes[plan->pairs[2].probe].port, 9962);
    CHECK_INT(plan->probes[plan->pairs[7].probe].port, 443);
    CHECK(plan->dests[plan->pairs[7].dest].target);
    // 3 x icmp/s + 3 x tcp/5s x 3 packets + a target each
    CHECK_INT(plan->packets_per_ks, 3000 + 1800 + 1000 + 3000);
    CHECK_INT(plan->min_interval_ns, NS_PER_S);
    CHECK_INT(plan->coverage[SPEC_NETWORK_POD], 2);
    CHECK_INT(plan->peers[SPEC_NETWORK_POD][PEER_READY], 2);
    release();
}

// A DNS target's question goes with its probe, through pruning too; its counters are the engine's to keep.
static void test_dns(void)
{
    static char first[] = "10 a.example", second[] = "20 b.example";
    static char *answers[] = {first, second};
    files_init(&f);
    f.file.spec.mesh.present = false;
    files_target(&f, "gateway", SPEC_ICMP, "2001:db8::9", 0);
    files_target(&f, "mail", SPEC_DNS, "192.0.2.9", 53);
    struct spec_target *t = &f.targets[1];
    t->server = t->address;
    t->record_type = DNS_MX;
    t->transport = SPEC_TRANSPORT_TCP;
    t->expect = (struct spec_expect){
        .present = true, .rcodes = 1u << DNS_NOERROR, .n_answers = 2, .answers = answers};
    snprintf(t->query, sizeof(t->query), "example");
    CHECK_INT(build("n1", NULL, 0, &plan), 0);
    CHECK_STR(list(plan), "icmp>gateway/6 dns>mail/4");
    CHECK_INT(plan->packets_per_ks, 1000 + 5000);
    struct plan *again = NULL;
    struct err e;
    CHECK_INT(plan_prune(plan, 1, &again, &e), 0);
    plan_free(plan);
    plan = again;
    memset(t->query, 0, sizeof(t->query)); // nothing given is kept by reference
    const struct plan_probe *r = &plan->probes[plan->pairs[1].probe];
    CHECK(r->tcp && r->port == 53 && r->record == DNS_MX && r->rcodes == 1u << DNS_NOERROR);
    CHECK_STR(r->query, "example");
    CHECK_INT(r->n_answers, 2);
    CHECK_STR(r->answers[1], "20 b.example");
    CHECK(r->answers[0] != first);
    CHECK_INT(r->own_fixed, sizeof(struct dns_counts));
    f.file.spec.n_targets = 1; // the target goes, and its series stay for a while
    CHECK_INT(build("n1", plan, 2, &again), 0);
    CHECK_INT(again->n_live, 1);
    CHECK_INT(again->n_pairs, 2);
    plan_free(again);
    release();
}

static void add_http(const char *name, const char *url, const char *ca)
{
    files_target(&f, name, SPEC_HTTP, "192.0.2.9", 0);
    struct spec_target *t = &f.targets[f.file.spec.n_targets - 1];
    t->address = (struct addr){0};
    t->url = (char *)(uintptr_t)url;
    t->ca_bundle = (char *)(uintptr_t)ca;
    t->expect.n_statuses = ca ? 2 : 0;
    t->expect.statuses[0] = 200;
    t->expect.statuses[1] = 401;
}

// What an HTTP target is asked goes with its probe; a bundle, however long, stands once for those in a row.
static void test_http(void)
{
    static char ca[LIMIT_HTTP_CA + 1];
    memset(ca, 'x', LIMIT_HTTP_CA);
    files_init(&f);
    f.file.spec.mesh.present = false;
    add_http("api", "https://[2001:db8::1]/", ca);
    add_http("api2", "https://192.0.2.1/", ca);
    add_http("page", "http://a.example/", NULL);
    CHECK_INT(build("n1", NULL, 0, &plan), 0);
    CHECK_STR(list(plan), "http>api/6 http>api2/4 http>page/4");
    CHECK_INT(plan->packets_per_ks, 3 * 10000);
    struct plan *again = NULL;
    struct err e;
    CHECK_INT(plan_prune(plan, 1, &again, &e), 0);
    plan_free(plan);
    plan = again;
    memset(ca, 'y', LIMIT_HTTP_CA); // nothing given is kept by reference
    const struct plan_http *h[3];
    for (size_t i = 0; i < 3; i++)
        h[i] = plan->probes[plan->pairs[i].probe].http;
    CHECK_STR(h[0]->url, "https://[2001:db8::1]/");
    CHECK(h[0]->ca == h[1]->ca && h[0]->ca[0] == 'x' && h[0]->ca_len == LIMIT_HTTP_CA && h[2]->ca_len == 0);
    CHECK(!h[0]->any_family && !h[1]->any_family && h[2]->any_family);
    CHECK(h[0]->n_statuses == 2 && h[0]->statuses[1] == 401 && h[2]->n_statuses == 0);
    CHECK(plan_bytes(plan) > LIMIT_HTTP_CA && plan_bytes(plan) < 2 * LIMIT_HTTP_CA);
    CHECK_INT(plan->probes[plan->pairs[0].probe].own_fixed, sizeof(struct http_own));
    CHECK_INT(HTTP_COUNTS_WORDS, HTTP_COUNTS_CLASSES + HTTP_WIRE_PHASES + HTTP_WIRE_OUTCOMES + 2); // as shown
    f.file.spec.n_targets = 2; // one goes, and its series stay for a while, with their labels
    CHECK_INT(build("n1", plan, 2, &again), 0);
    CHECK_INT(again->n_live, 2);
    CHECK(again->pairs[2].gone && again->probes[again->pairs[2].probe].http->any_family);
    plan_free(again);
    release();
}

// What a name's addresses are, for test_names. n < 0: not known yet.
struct known {
    int n;
    struct addr list[3];
};

static bool lookup(const char *host, const struct addr **ret, size_t *ret_n, void *arg)
{
    const struct known *k = (const struct known *)arg + (host[0] - 'a'); // of "a" and "b"
    *ret = k->list;
    *ret_n = k->n > 0 ? (size_t)k->n : 0;
    return k->n >= 0;
}

static bool resolve(const struct known *k, uint64_t now)
{
    struct plan *next;
    struct err e;
    if (plan_resolve(plan, lookup, (void *)(uintptr_t)k, now, &next, &e) != 0)
        return false;
    plan_free(plan);
    plan = next;
    return true;
}

static const struct addr *address(size_t i)
{
    return &plan->dests[plan->pairs[i].dest].addr[plan->pairs[i].family];
}

static void named_target(struct spec_target *t, const char *host, enum spec_addresses addresses)
{
    t->address = (struct addr){0};
    t->addresses = addresses;
    snprintf(t->host, sizeof(t->host), "%s", host);
}

static void test_names(void)
{
    struct known k[2] = {{.n = -1}, {.n = -1}};
    files_init(&f);
    f.file.spec.mesh.present = false;
    files_target(&f, "fixed", SPEC_ICMP, "2001:db8::9", 0);
    files_target(&f, "one", SPEC_TCP, "192.0.2.1", 80);
    files_target(&f, "some", SPEC_ICMP, "192.0.2.1", 0);
    named_target(&f.targets[1], "a", SPEC_ADDRESSES_FIRST);
    named_target(&f.targets[2], "b", SPEC_ADDRESSES_ALL);
    CHECK_INT(build("n1", NULL, 0, &plan), 0);
    CHECK_STR(list(plan), "icmp>fixed/6"); // not known yet is not unresolved
    CHECK(resolve(k, 1));
    CHECK_STR(list(plan), "icmp>fixed/6");
    k[0] = (struct known){2, {files_addr("2001:db8::1"), files_addr("192.0.2.7")}};
    k[1] = (struct known){3, {files_addr("192.0.2.8"), files_addr("2001:db8::8"), files_addr("192.0.2.9")}};
    CHECK(resolve(k, 2));
    CHECK_STR(list(plan), "icmp>fixed/6 tcp>one/6 icmp>some/4 icmp>some/4 icmp>some/6");
    CHECK_STR(plan->dests[plan->pairs[1].dest].address, "");
    CHECK_STR(plan->dests[plan->pairs[3].dest].address, "192.0.2.9");
    CHECK(plan->probes[plan->pairs[1].probe].port == 80 && plan->probes[plan->pairs[1].probe].named);
    CHECK_INT(plan->packets_per_ks, 1000 + 3000 + 3 * 1000);
    k[0].list[0] = files_addr("2001:db8::2"); // another address: the same row
    k[1] = (struct known){1, {files_addr("192.0.2.9")}};
    CHECK(resolve(k, 3));
    CHECK_INT(plan->n_pairs, 5);
    CHECK_INT(plan->n_live, 3); // of the others the series stay for a while
    CHECK(addr_equal(address(1), &k[0].list[0]));
    k[0].n = k[1].n = 0; // no address
    CHECK(resolve(k, 4));
    CHECK_INT(plan->n_live, 3);
    CHECK(!plan->pairs[1].gone && !address(1)->set && plan->pairs[1].family == FAMILY_IPV6);
    struct plan *next;
    struct err e;
    CHECK_INT(plan_prune(plan, 1000 * NS_PER_S, &next, &e), 0);
    plan_free(plan);
    plan = next;
    CHECK_STR(list(plan), "icmp>fixed/6 tcp>one/6 icmp>some/4"); // unresolved, each in its family of before
    CHECK_INT(plan->n_hosts, 2);
    k[0].n = 1;
    CHECK(resolve(k, 1001 * NS_PER_S));
    CHECK_STR(list(plan), "icmp>fixed/6 tcp>one/6 icmp>some/4");
    CHECK(address(1)->set && !address(2)->set);
    // A reload that keeps the names keeps the rows.
    CHECK_INT(build("n1", plan, 1002 * NS_PER_S, &next), 0);
    plan_free(plan);
    plan = next;
    CHECK(resolve(k, 1002 * NS_PER_S));
    CHECK_STR(list(plan), "icmp>fixed/6 tcp>one/6 icmp>some/4");
    CHECK_INT(plan->n_live, 3);
    release();
}

static void test_stamp(void)
{
    files_three_nodes(&f);
    f.file.spec.mesh.n_probes = 2;
    f.file.spec.mesh.probes[0].type = SPEC_STAMP;
    f.file.spec.mesh.probes[1].type = SPEC_STAMP;
    f.file.spec.mesh.probes[1].flows = 8;
    f.file.spec.mesh.probes[1].dscp = 46;
    CHECK_INT(build("n1", NULL, 0, &plan), 0);
    static const unsigned flows[] = {1, 8}, dscp[] = {0, 46}, own[] = {32 + 28, 32 + 8 * 28};
    for (unsigned i = 0; i < 2; i++) {
        const struct plan_probe *r = &plan->probes[i];
        CHECK_INT(r->port, 9964);
        CHECK_INT(r->flows, flows[i]);
        CHECK_INT(r->dscp, dscp[i]);
        CHECK_INT(r->own_fixed, own[i]);
        CHECK_INT(r->own_slot, 8);
    }
    CHECK(plan->probes[0].payload == 44 && !plan->probes[0].dont_fragment);
    CHECK_INT(plan->packets_per_ks, 2 * (3000 + 600)); // a probe, and an answer to a peer's
    release();
}

// Only Ready peers are probed; the others are counted. Ourselves are neither.
static void test_states(void)
{
    files_three_nodes(&f);
    files_peer(&f, "n4", "a", "192.0.2.4", NULL, PEER_LEAVING);
    files_peer(&f, "n5", "a", "192.0.2.5", NULL, PEER_NOT_READY);
    files_peer(&f, "n6", "a", NULL, NULL, PEER_PENDING);
    CHECK_INT(build("n1", NULL, 0, &plan), 0);
    CHECK_STR(list(plan), "icmp>n2/4 icmp>n2/6 icmp>n3/4");
    CHECK_INT(plan->peers[SPEC_NETWORK_POD][PEER_READY], 2);
    CHECK_INT(plan->peers[SPEC_NETWORK_POD][PEER_LEAVING], 1);
    CHECK_INT(plan->peers[SPEC_NETWORK_POD][PEER_NOT_READY], 1);
    CHECK_INT(plan->peers[SPEC_NETWORK_POD][PEER_PENDING], 1);
    CHECK_INT(plan->coverage[SPEC_NETWORK_POD], 2);
    release();
}

// Ten nodes, three probes each: as lib/topo has it, whatever the states; coverage is of Ready ones.
static void test_sampled(void)
{
    const struct spec_topology sampled = {.type = SPEC_SAMPLED, .degree = 3};
    CLEANUP_TOPO struct topo t = {0};
    struct err e = {0};
    uint8_t roles[10];
    files_init(&f);
    f.file.spec.mesh.topology = sampled;
    for (unsigned i = 0; i < 10; i++) {
        char name[8], address[16];
        snprintf(name, sizeof(name), "n%u", i);
        snprintf(address, sizeof(address), "192.0.2.%u", i + 1);
        files_peer(&f, name, "a", address, NULL, i == 2 || i == 7 ? PEER_NOT_READY : PEER_READY);
    }
    CHECK_INT(topo_init(&t, &sampled, &f.peers, &e), 0);
    for (size_t i = 0; i < 10; i++) {
        size_t n_pairs = 0, coverage = 0;
        topo_choose(&t, f.peers.list[i].node, roles);
        CHECK_INT(build(f.peers.list[i].node, NULL, 0, &plan), 0);
        for (size_t j = 0; j < 10; j++) {
            bool ready = f.peers.list[j].state == PEER_READY;
            coverage += ready && (roles[j] & TOPO_PROBED_BY);
            if (!ready || !(roles[j] & TOPO_PROBES))
                continue;
            CHECK(n_pairs < plan->n_pairs);
            CHECK_STR(plan->dests[plan->pairs[n_pairs++].dest].name, f.peers.list[j].node);
        }
        CHECK_INT(plan->n_pairs, n_pairs);
        CHECK_INT(plan->coverage[SPEC_NETWORK_POD], coverage);
        CHECK_INT(plan->peers[SPEC_NETWORK_POD][PEER_NOT_READY], 2 - (i == 2 || i == 7));
        plan_free(plan);
        plan = NULL;
    }
    release();
}

static void test_families_and_networks(void)
{
    files_three_nodes(&f);
    f.file.spec.mesh.families = FAMILY_BIT(FAMILY_IPV6);
    CHECK_INT(build("n1", NULL, 0, &plan), 0);
    CHECK_STR(list(plan), "icmp>n2/6");
    plan_free(plan);
    f.file.spec.mesh.networks = 1u << SPEC_NETWORK_NODE;
    CHECK_INT(build("n1", NULL, 0, &plan), 0);
    CHECK_STR(list(plan), "");
    plan_free(plan);
    f.file.spec.mesh.present = false;
    files_target(&f, "gateway", SPEC_ICMP, "192.0.2.9", 0);
    CHECK_INT(build("elsewhere", NULL, 0, &plan), 0);
    CHECK_STR(list(plan), "icmp>gateway/4");
    CHECK_STR(plan->zone, "");
    release();
}

// Two scrapes, and timeout and grace of what may be in flight.
#define GONE_NS (2 * 15 * NS_PER_S + 2 * NS_PER_S)

// What goes stays for a while, also over further reloads; what comes back is live at once.
static void test_gone(void)
{
    files_three_nodes(&f);
    CHECK_INT(build("n1", NULL, 0, &plan), 0);
    f.peers.list[1].state = PEER_LEAVING; // n2
    struct plan *next;
    CHECK_INT(build("n1", plan, 1000, &next), 0);
    plan_free(plan);
    plan = next;
    CHECK_STR(list(plan), "-icmp>n2/4 -icmp>n2/6 icmp>n3/4");
    CHECK_INT(plan->n_live, 1);
    CHECK_INT(plan->gone_until_ns, 1000 + GONE_NS);

    f.file.generation = 4;
    f.file.spec.metrics.compression = SPEC_COMPRESSION_GZIP;
    CHECK_INT(build("n1", plan, GONE_NS, &next), 0);
    plan_free(plan);
    plan = next;
    CHECK_STR(list(plan), "-icmp>n2/4 -icmp>n2/6 icmp>n3/4");
    CHECK_INT(plan->gone_until_ns, 1000 + GONE_NS);

    struct err e;
    CHECK_INT(plan_prune(plan, 1000 + GONE_NS, &next, &e), 0);
    CHECK_STR(list(next), "icmp>n3/4");
    CHECK_INT(next->gone_until_ns == UINT64_MAX, 1);
    CHECK_INT(next->generation, 4);
    CHECK(next->gzip);
    CHECK_INT(next->coverage[SPEC_NETWORK_POD], plan->coverage[SPEC_NETWORK_POD]);
    CHECK_INT(next->packets_per_ks, plan->packets_per_ks);
    plan_free(next);

    f.peers.list[1].state = PEER_READY;
    CHECK_INT(build("n1", plan, GONE_NS, &next), 0);
    CHECK_STR(list(next), "icmp>n2/4 icmp>n2/6 icmp>n3/4");
    plan_free(next);
    release();
}

// A row is its labels: an address, an interval, a type that changes leaves it the same row, and nothing is
// ever there twice.
static void test_key(void)
{
    files_three_nodes(&f);
    CHECK_INT(build("n1", NULL, 0, &plan), 0);
    f.peers.list[1].pod[FAMILY_IPV4] = files_addr("192.0.2.99");
    f.file.spec.mesh.probes[0].type = SPEC_TCP;
    f.file.spec.mesh.probes[0].interval_ns = 2 * NS_PER_S;
    struct plan *next;
    CHECK_INT(build("n1", plan, 0, &next), 0);
    CHECK_STR(list(next), "icmp>n2/4 icmp>n2/6 icmp>n3/4");
    for (size_t i = 0; i < 3; i++)
        CHECK_INT(plan_compare(plan, i, next, i), 0);
    CHECK(plan_compare(plan, 0, next, 1) < 0 && plan_compare(plan, 2, next, 1) > 0);
    plan_free(next);
    release();
}

static void test_hold(void)
{
    files_three_nodes(&f);
    CHECK_INT(build("n1", NULL, 0, &plan), 0);
    struct plan *held = plan_hold(plan);
    plan_free(plan);
    plan = NULL;
    CHECK_STR(held->dests[0].name, "n2");
    plan_free(held);
    plan_free(NULL);
    release();
}

static void test_too_many(void)
{
    files_init(&f);
    f.file.spec.mesh.n_probes = LIMIT_PROBES;
    for (unsigned i = 0; i < LIMIT_PROBES; i++) {
        f.file.spec.mesh.probes[i] = f.file.spec.mesh.probes[0];
        snprintf(f.file.spec.mesh.probes[i].name, sizeof(f.file.spec.mesh.probes[i].name), "p%u", i);
    }
    struct err e;
    for (unsigned i = 0; i < 5000; i++) {
        char node[16];
        snprintf(node, sizeof(node), "n%04u", i);
        struct peer p = {.node = node, .zone = (char[]){"a"}};
        p.pod[FAMILY_IPV4] = p.pod[FAMILY_IPV6] = (struct addr){.set = 1};
        p.pod[FAMILY_IPV6].family = FAMILY_IPV6;
        CHECK_INT(peers_add(&f.peers, &p, &e), 0);
    }
    CHECK_INT(peers_sort(&f.peers, &e), 0);
    CHECK_INT(plan_build(&f.file, &f.peers, "n0000", SPEC_NETWORK_POD, NULL, 0, &plan, &e), -E2BIG);
    CHECK_CONTAINS(e.msg, "79984 pairs");
    release();
}

static const struct check_case cases[] = {
    {"a mesh and targets, in order", test_mesh},
    {"only Ready peers are probed", test_states},
    {"sampled", test_sampled},
    {"families and networks", test_families_and_networks},
    {"what is gone stays for a minute", test_gone},
    {"a row is its labels", test_key},
    {"a held plan outlives its successor", test_hold},
    {"more pairs than there may be", test_too_many},
    {"names", test_names},
    {"DNS", test_dns},
    {"HTTP", test_http},
    {"STAMP", test_stamp},
};
CHECK_MAIN(cases)
