// SPDX-License-Identifier: Apache-2.0
// How large a fleet is: the families are those of the networks that it is in.
#include "operator/extent.h"

#include "test/unit/check.h"

static struct addr address(const char *text)
{
    struct addr a = {0};
    return addr_parse(text, &a) == 0 ? a : (struct addr){0};
}

// Pods with IPv4 alone on hosts that have both, as is common.
static void families_by_network(void)
{
    static const struct {
        unsigned networks, families;
    } cases[] = {
        {1u << SPEC_NETWORK_POD, FAMILY_BIT(FAMILY_IPV4)},
        {1u << SPEC_NETWORK_NODE, FAMILY_BIT(FAMILY_IPV4) | FAMILY_BIT(FAMILY_IPV6)},
        {1u << SPEC_NETWORK_POD | 1u << SPEC_NETWORK_NODE, FAMILY_BIT(FAMILY_IPV4) | FAMILY_BIT(FAMILY_IPV6)},
    };
    CLEANUP_PEERS struct peers peers = {0};
    struct err e;
    char node[] = "n1", zone[] = "a";
    struct peer peer = {.node = node, .zone = zone};
    peer.pod[FAMILY_IPV4] = address("10.0.0.1");
    peer.host[FAMILY_IPV4] = address("192.0.2.1");
    peer.host[FAMILY_IPV6] = address("2001:db8::1");
    CHECK_INT(peers_add(&peers, &peer, &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct extent have;
        CHECK_INT(extent_of_peers(&peers, cases[i].networks, &have, &e), 0);
        CHECK_INT(have.families, cases[i].families);
        CHECK_INT(have.size.nodes, 1);
    }
}

static const struct check_case cases[] = {{"families by network", families_by_network}};
CHECK_MAIN(cases)
