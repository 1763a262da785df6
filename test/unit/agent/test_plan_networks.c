// SPDX-License-Identifier: Apache-2.0
// Plans of fleets with an agent in each network on every node.
#include "test/unit/check.h"

#include "agent/plan.h"
#include "test/unit/agent/files.h"

static struct files f;
static struct plan *plan;

static void release(void)
{
    plan_free(plan);
    plan = NULL;
    files_release(&f);
}

static const struct addr *address(size_t i)
{
    return &plan->dests[plan->pairs[i].dest].addr[plan->pairs[i].family];
}

// As list, with the label `network`.
static const char *networks(const struct plan *p)
{
    static char out[4096];
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < p->n_pairs; i++) {
        const struct plan_pair *r = &p->pairs[i];
        const struct plan_dest *d = &p->dests[r->dest];
        n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s%s/%s/%u", i ? " " : "", r->gone ? "-" : "",
                              d->name, plan_network(p, (enum spec_network)d->network), r->family ? 6 : 4);
    }
    return out;
}

static int build_in(const char *node, enum spec_network network, struct plan **next)
{
    struct err e = {0};
    int r = plan_build(&f.file, &f.peers, node, network, plan, 1000, next, &e);
    plan_free(plan);
    plan = r == 0 ? *next : NULL;
    return r;
}

static void both_networks(void)
{
    files_three_nodes(&f);
    f.file.spec.mesh.networks = 1u << SPEC_NETWORK_POD | 1u << SPEC_NETWORK_NODE;
    files_host(&f, "n1", "198.18.0.1", "2001:db8:1::1", PEER_READY);
    files_host(&f, "n2", "198.18.0.2", NULL, PEER_READY);
    files_host(&f, "n3", "198.18.0.3", "2001:db8:1::3", PEER_READY);
    files_target(&f, "gateway", SPEC_ICMP, "192.0.2.9", 0);
}

// An agent probes both agents of a peer, each at its own addresses, and neither of its own node.
static void test_both_networks(void)
{
    struct plan *next;
    both_networks();
    CHECK_INT(build_in("n1", SPEC_NETWORK_POD, &next), 0);
    CHECK_STR(networks(plan),
              "n2/Pod/4 n2/Pod/6 n2/PodToNode/4 n3/Pod/4 n3/PodToNode/4 n3/PodToNode/6 gateway/Pod/4");
    struct addr host = files_addr("198.18.0.2");
    CHECK(addr_equal(address(2), &host));
    CHECK(plan->dests[plan->pairs[0].dest].name == plan->dests[plan->pairs[2].dest].name);
    CHECK_INT(plan->packets_per_ks, 7000);
    CHECK_INT(plan->coverage[SPEC_NETWORK_POD], 2);
    CHECK_INT(plan->coverage[SPEC_NETWORK_NODE], 2);
    struct err e;
    CHECK_INT(plan_prune(plan, 1, &next, &e), 0);
    CHECK_STR(networks(next), networks(plan));
    for (size_t i = 0; i < plan->n_pairs; i++)
        CHECK_INT(plan_compare(plan, i, next, i), 0);
    CHECK(plan_compare(plan, 0, next, 2) < 0 && plan_compare(plan, 2, next, 0) > 0);
    CHECK(next->networks == plan->networks && next->coverage[SPEC_NETWORK_NODE] == 2);
    plan_free(next);
    plan_free(plan);
    plan = NULL;
    CHECK_INT(build_in("n1", SPEC_NETWORK_NODE, &next), 0);
    CHECK_STR(networks(plan),
              "n2/NodeToPod/4 n2/NodeToPod/6 n2/Node/4 n3/NodeToPod/4 n3/Node/4 n3/Node/6 gateway/Node/4");
    release();
}

// The rows to an agent follow that agent's state. Those of a network that the fleet gives up are gone.
static void test_both_networks_change(void)
{
    struct plan *next;
    both_networks();
    f.peers.list[1].state = PEER_LEAVING;
    files_host(&f, "n3", "198.18.0.3", NULL, PEER_PENDING);
    CHECK_INT(build_in("n1", SPEC_NETWORK_POD, &next), 0);
    CHECK_STR(networks(plan), "n2/PodToNode/4 n3/Pod/4 gateway/Pod/4");
    CHECK_INT(plan->peers[SPEC_NETWORK_POD][PEER_LEAVING], 1);
    CHECK_INT(plan->peers[SPEC_NETWORK_POD][PEER_READY], 1);
    CHECK_INT(plan->peers[SPEC_NETWORK_NODE][PEER_READY], 1);
    CHECK_INT(plan->peers[SPEC_NETWORK_NODE][PEER_PENDING], 1);
    CHECK_INT(plan->coverage[SPEC_NETWORK_POD], 1);
    f.peers.list[1].state = PEER_READY;
    CHECK_INT(build_in("n1", SPEC_NETWORK_POD, &next), 0);
    CHECK_STR(networks(plan), "n2/Pod/4 n2/Pod/6 n2/PodToNode/4 n3/Pod/4 gateway/Pod/4");
    f.file.spec.mesh.networks = 1u << SPEC_NETWORK_POD;
    CHECK_INT(build_in("n1", SPEC_NETWORK_POD, &next), 0);
    CHECK_STR(networks(plan), "n2/Pod/4 n2/Pod/6 -n2/PodToNode/4 n3/Pod/4 gateway/Pod/4");
    CHECK_INT(plan->peers[SPEC_NETWORK_NODE][PEER_READY], 0);
    plan_free(plan);
    plan = NULL;
    // A fleet of the network Node alone: its agents' state is `state`, as no other is said.
    f.file.spec.mesh.networks = 1u << SPEC_NETWORK_NODE;
    f.peers.list[1].has_host_state = false;
    f.peers.list[1].state = PEER_NOT_READY;
    files_host(&f, "n3", "198.18.0.3", NULL, PEER_READY);
    CHECK_INT(build_in("n1", SPEC_NETWORK_NODE, &next), 0);
    CHECK_STR(networks(plan), "n3/Node/4 gateway/Node/4");
    release();
}

static uint64_t dice(uint64_t sides)
{
    static uint64_t x = 7;
    x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (x >> 33) % sides;
}

#define AGENTS 24 // two on each of twelve nodes

static void random_fleet(void)
{
    files_init(&f);
    f.file.spec.mesh.networks = 1u << SPEC_NETWORK_POD | 1u << SPEC_NETWORK_NODE;
    f.file.spec.mesh.topology =
        (struct spec_topology){.type = (enum spec_topology_type)dice(3), .degree = (uint16_t)(1 + dice(5))};
    for (unsigned i = 0; i < AGENTS / 2; i++) {
        char name[8], zone[] = "a", pod[32], host[32];
        snprintf(name, sizeof(name), "n%02u", i);
        zone[0] = (char)('a' + dice(3));
        snprintf(pod, sizeof(pod), "192.0.2.%u", i);
        snprintf(host, sizeof(host), "198.18.0.%u", i);
        files_peer(&f, name, zone, pod, NULL, dice(4) ? PEER_READY : PEER_PENDING);
        files_host(&f, name, host, NULL, dice(4) ? PEER_READY : PEER_LEAVING);
    }
}

static bool leads_to(const struct plan *p, const char *node, unsigned network)
{
    for (size_t i = 0; i < p->n_pairs; i++) {
        const struct plan_dest *d = &p->dests[p->pairs[i].dest];
        if (strcmp(d->name, node) == 0 && d->network == network)
            return true;
    }
    return false;
}

static void check_random_fleet(void)
{
    struct plan *all[AGENTS] = {NULL};
    struct err e;
    for (unsigned i = 0; i < AGENTS; i++)
        CHECK_INT(plan_build(&f.file, &f.peers, f.peers.list[i / 2].node, (enum spec_network)(i % 2), NULL, 0,
                             &all[i], &e),
                  0);
    for (unsigned i = 0; i < AGENTS; i++) {
        const struct peer *to = &f.peers.list[i / 2];
        size_t coverage[SPEC_NETWORKS] = {0, 0};
        bool ready = (i % 2 ? peer_host_state(to) : to->state) == PEER_READY;
        for (unsigned k = 0; k < AGENTS; k++) {
            const struct peer *from = &f.peers.list[k / 2];
            bool leads = leads_to(all[k], to->node, i % 2);
            coverage[k % 2] += leads && (k % 2 ? peer_host_state(from) : from->state) == PEER_READY;
            CHECK(!leads || (ready && k / 2 != i / 2));
            if (ready && leads != leads_to(all[k ^ 1], to->node, i % 2)) // both agents of a node alike
                CHECK(false);
        }
        for (unsigned n = 0; ready && n < SPEC_NETWORKS; n++)
            CHECK_INT(all[i]->coverage[n], coverage[n]);
    }
    for (unsigned i = 0; i < AGENTS; i++)
        plan_free(all[i]);
}

// Fleets of any kind: who probes an agent is what it counts, nobody probes who is not Ready, or at home.
static void test_both_networks_at_random(void)
{
    for (unsigned i = 0; i < 200; i++) {
        random_fleet();
        check_random_fleet();
        release();
    }
}

static const struct check_case cases[] = {
    {"both networks", test_both_networks},
    {"changes", test_both_networks_change},
    {"any fleet", test_both_networks_at_random},
};
CHECK_MAIN(cases)
