// SPDX-License-Identifier: Apache-2.0
// What --check says: what is probed and what it costs, and each note when there is reason for it, and not
// otherwise.
#include "agent/forecast.h"

#include "test/unit/agent/files.h"
#include "test/unit/check.h"

static struct buf said;

// The text, which lasts until the next call; "" if there is none.
static const char *forecast(const struct files *f)
{
    struct err e = {0};
    buf_release(&said);
    buf_init(&said, LIMIT_FORECAST);
    if (forecast_text(&f->file, &f->peers, "n1", SPEC_NETWORK_POD, &said, &e) < 0)
        printf("    %s\n", e.msg);
    return buf_text(&said);
}

static void three_nodes(void)
{
    struct files f;
    files_three_nodes(&f);
    CHECK_CONTAINS(forecast(&f), "fleet , generation 3\n3 pairs, 3.000 packets a second\n");
    CHECK_CONTAINS(forecast(&f), " bytes for the plan and its counters\n");
    CHECK_CONTAINS(forecast(&f), " bytes more for each scrape under way\n");
    CHECK(!strstr(forecast(&f), "note:"));
    files_release(&f);
}

static void nobody(void)
{
    struct files f;
    files_init(&f);
    CHECK_CONTAINS(forecast(&f), "note: no peer is named n1\n");
    f.file.spec.mesh.networks = 1u << SPEC_NETWORK_NODE;
    CHECK_CONTAINS(forecast(&f), "note: the fleet has no network Pod: nobody is probed\n");
    files_release(&f);
}

// A peer in a family that the fleet has not; of the leaving ones that is nothing to wonder at.
static void peers_without_address(void)
{
    struct files f;
    files_three_nodes(&f);
    files_peer(&f, "n4", "b", NULL, NULL, PEER_LEAVING);
    CHECK(!strstr(forecast(&f), "note:"));
    files_peer(&f, "n5", "b", NULL, "2001:db8::5", PEER_READY);
    CHECK(!strstr(forecast(&f), "note:"));
    f.file.spec.mesh.families = FAMILY_BIT(FAMILY_IPV4);
    CHECK_CONTAINS(forecast(&f),
                   "note: n5 has no address in the fleet's families and networks: it is not probed "
                   "(such peers: 1)\n");
    files_release(&f);
}

// An HTTP target with so many seconds.
static void http(struct files *f, const char *name, unsigned interval, unsigned timeout)
{
    static char url[] = "http://192.0.2.80/";
    struct spec_target *t = &f->targets[f->file.spec.n_targets++];
    *t = (struct spec_target){
        .type = SPEC_HTTP, .url = url, .interval_ns = interval * NS_PER_S, .timeout_ns = timeout * NS_PER_S};
    snprintf(t->name, sizeof(t->name), "%s", name);
}

// 63 s at 3 s: 21 each. 64 are what the helper takes.
static void http_that_hangs(void)
{
    struct files f;
    files_three_nodes(&f);
    for (unsigned i = 0; i < 3; i++)
        http(&f, i ? i > 1 ? "c" : "b" : "a", 3, 60);
    CHECK(!strstr(forecast(&f), "note:"));
    http(&f, "d", 3, 2); // 4 s at 3 s: two, 1.3 on average
    CHECK_CONTAINS(forecast(&f), "note: HTTP targets that hang may have 65 requests under way at once (65 on "
                                 "average, if all of them do), ");
    f.targets[3].timeout_ns = 1 * NS_PER_S; // 2 s at 3 s
    CHECK(!strstr(forecast(&f), "note:"));
    f.targets[3].type = SPEC_TCP;
    f.targets[3].timeout_ns = 60 * NS_PER_S;
    CHECK(!strstr(forecast(&f), "note:"));
    files_release(&f);
}

static void many(struct files *f, unsigned n)
{
    files_init(f);
    for (unsigned k = 0; k < n; k++) {
        char node[32], address[32];
        snprintf(node, sizeof(node), "n%u", 1 + k);
        snprintf(address, sizeof(address), "198.18.%u.%u", k / 200, 1 + k % 200);
        files_peer(f, node, "z", address, NULL, PEER_READY);
    }
}

// 99 pairs with 10 counters each, 25 rows of why, and 140 of the agent's own; a histogram has 5.
static void series(void)
{
    struct files f;
    many(&f, 100);
    f.file.spec.metrics.series_limit = 25 + 140 + 99 * 15;
    CHECK_CONTAINS(forecast(&f), "1510 series\n");
    CHECK(!strstr(forecast(&f), "note:"));
    f.file.spec.metrics.series_limit--;
    CHECK_CONTAINS(forecast(&f), "1020 series (seriesLimit: histograms by zone, no flows)\n");
    CHECK(!strstr(forecast(&f), "note:"));
    f.file.spec.metrics.series_limit = 25 + 140 + 99 * 10 + 5;
    CHECK(!strstr(forecast(&f), "note:"));
    f.file.spec.metrics.series_limit--;
    CHECK_CONTAINS(forecast(&f), "note: 1 series more than seriesLimit (1159): counters stay whatever their "
                                 "number, the limit takes histograms only\n");
    files_release(&f);
}

static void one_address_twice(void)
{
    struct files f;
    files_three_nodes(&f);
    files_peer(&f, "n4", "a", "192.0.2.2", "2001:db8::4", PEER_READY);
    CHECK_CONTAINS(forecast(&f), "note: nodes n2 and n4 have the same address in the network Pod, 192.0.2.2: "
                                 "what is measured there is one of them (such addresses: 1)\n");
    files_peer(&f, "n5", "a", NULL, "2001:db8::1", PEER_READY); // this agent's own
    CHECK_CONTAINS(forecast(&f),
                   "note: nodes n1 and n5 have the same address in the network Pod, 2001:db8::1: ");
    CHECK_CONTAINS(forecast(&f), "(such addresses: 2)\n");
    files_release(&f);

    files_three_nodes(&f);
    files_host(&f, "n2", "192.0.2.3", NULL, PEER_READY); // n3's, in the other network
    f.file.spec.mesh.networks = 1u << SPEC_NETWORK_POD | 1u << SPEC_NETWORK_NODE;
    CHECK(!strstr(forecast(&f), "note:"));
    files_host(&f, "n3", "192.0.2.3", NULL, PEER_READY);
    CHECK_CONTAINS(forecast(&f),
                   "note: nodes n2 and n3 have the same address in the network Node, 192.0.2.3: ");
    f.file.spec.mesh.networks = 1u << SPEC_NETWORK_POD; // hosts are not probed
    CHECK(!strstr(forecast(&f), "note:"));
    files_release(&f);
    buf_release(&said);
}

static const struct check_case cases[] = {
    {"three nodes", three_nodes},
    {"nobody to probe", nobody},
    {"peers without address", peers_without_address},
    {"HTTP targets that hang", http_that_hangs},
    {"series above the limit", series},
    {"one address twice", one_address_twice},
};
CHECK_MAIN(cases)
