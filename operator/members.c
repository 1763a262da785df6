// SPDX-License-Identifier: Apache-2.0
// Joins Pods with Nodes into peers.
#include "operator/members.h"

#include <errno.h>
#include <string.h>

struct collect {
    const struct store *store;
    const char *namespace;
    const char *fleet;
    const struct agent_sets *sets;     // NULL: whichever
    const struct members_known *known; // NULL: everybody is
    struct candidate *list;            // Pods of the fleet that have a node
    size_t n;
};

struct candidate {
    const struct store_pod *pod;
    enum spec_network network;
};

// A label alone makes no member: the Pod's controller must be the fleet's DaemonSet, or, while that is gone
// (somebody deleted it), at least some controller.
static bool is_ours(const struct collect *c, const struct store_pod *pod, struct agent_set *ret)
{
    if (!agent_sets_of_pod(pod, ret))
        return false;
    const struct store_child *set = agent_sets_child(c->store, c->namespace, c->fleet, ret);
    return set ? strcmp(set->meta.uid, pod->meta.owner_uid) == 0 : pod->meta.owner_uid[0] != '\0';
}

static bool belongs(const struct collect *c, const struct store_pod *pod, struct agent_set *ret)
{
    return strcmp(pod->meta.fleet, c->fleet) == 0 && strcmp(pod->meta.namespace, c->namespace) == 0 &&
           is_ours(c, pod, ret);
}

bool members_is_member(const struct store *s, const char *namespace, const char *fleet,
                       const struct store_pod *pod)
{
    const struct collect c = {.store = s, .namespace = namespace, .fleet = fleet};
    struct agent_set of;
    return belongs(&c, pod, &of);
}

static uint64_t hash_of(const char *node)
{
    return base_hash(BASE_HASH_INIT, node, strlen(node));
}

static int compare_hashes(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

int members_known_set(struct members_known *k, const struct peers *p)
{
    uint64_t *hashes = calloc(p->n + 1, sizeof(*hashes));
    if (!hashes)
        return -ENOMEM;
    for (size_t i = 0; i < p->n; i++)
        hashes[i] = hash_of(p->list[i].node);
    qsort(hashes, p->n, sizeof(*hashes), compare_hashes);
    free(k->hashes);
    *k = (struct members_known){p->n, hashes};
    return 0;
}

void members_known_release(struct members_known *k)
{
    free(k->hashes);
    *k = (struct members_known){0};
}

bool members_is_known(const struct members_known *k, const struct store_pod *pod)
{
    uint64_t hash = hash_of(pod->node);
    return !k || pod->published[0] || (k->n && bsearch(&hash, k->hashes, k->n, sizeof(hash), compare_hashes));
}

// The agents of one node.
struct agents {
    const char *name;                             // the node's
    const struct store_node *node;                // NULL: unknown
    bool known;                                   // one of them is: agents are told of nodes, not of Pods
    const struct store_pod *pods[AGENT_NETWORKS]; // by enum spec_network; NULL: none
};

static enum peer_state state_of(const struct agents *a, const struct store_pod *pod)
{
    if ((pod && pod->meta.deleting) || (a->node && a->node->leaving))
        return PEER_LEAVING;
    if (a->node && !a->node->ready)
        return PEER_NOT_READY;
    return pod && pod->ready && a->known ? PEER_READY : PEER_PENDING;
}

static int rank(enum peer_state s)
{
    static const int ranks[PEER_STATES] = {
        [PEER_READY] = 3, [PEER_PENDING] = 2, [PEER_NOT_READY] = 1, [PEER_LEAVING] = 0};
    return ranks[s];
}

static int collect_pod(const void *object, void *arg)
{
    struct collect *c = arg;
    const struct store_pod *pod = object;
    struct agent_set of;
    if (pod->node[0] && belongs(c, pod, &of) && agent_sets_have(c->sets, of.network))
        c->list[c->n++] = (struct candidate){.pod = pod, .network = of.network};
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return strcmp(x->pod->node, y->pod->node);
}

// The agents of the node that the list begins with; returns how many Pods that node has. Of two Pods in one
// network (a roll) the readier counts.
static size_t take_node(const struct collect *c, const struct candidate *list, size_t n, struct agents *ret)
{
    size_t len = 0;
    *ret = (struct agents){.name = list->pod->node, .node = store_node(c->store, list->pod->node)};
    for (; len < n && strcmp(list[len].pod->node, ret->name) == 0; len++)
        ret->known |= members_is_known(c->known, list[len].pod);
    for (size_t i = 0; i < len; i++) {
        const struct store_pod **have = &ret->pods[list[i].network];
        if (!*have || rank(state_of(ret, list[i].pod)) > rank(state_of(ret, *have)))
            *have = list[i].pod;
    }
    return len;
}

// Those that an agent takes: it refuses a whole file for one that it does not.
static void take_addresses(struct addr to[static FAMILIES], const struct addr from[static FAMILIES])
{
    for (unsigned f = 0; f < FAMILIES; f++)
        if (from[f].set && !peers_not_an_address(&from[f]))
            to[f] = from[f];
}

static int add_peer(const struct collect *c, const struct agents *a, struct peers *peers, struct err *e)
{
    bool in_pod = agent_sets_have(c->sets, SPEC_NETWORK_POD),
         in_node = agent_sets_have(c->sets, SPEC_NETWORK_NODE);
    const struct store_pod *pod = a->pods[SPEC_NETWORK_POD], *host = a->pods[SPEC_NETWORK_NODE];
    char zone[LIMIT_LABEL + 1] = "", name[LIMIT_NAME + 1];
    struct peer peer = {.node = name, .zone = zone, .state = state_of(a, in_pod ? pod : host)};
    memcpy(name, (pod ? pod : host)->node, sizeof(name));
    if (in_node && state_of(a, host) != peer.state) {
        peer.has_host_state = true;
        peer.host_state = (uint8_t)state_of(a, host);
    }
    if (pod)
        take_addresses(peer.pod, pod->ip);
    if (host)
        take_addresses(peer.host, host->ip);
    if (a->node) {
        memcpy(zone, a->node->zone, sizeof(zone));
        take_addresses(peer.host, a->node->host);
    }
    return peers_add(peers, &peer, e);
}

// The Pods of these sets, by node. -ENOMEM. c->list is the caller's to free.
static int collect(struct collect *c)
{
    c->list = calloc(store_count(c->store, STORE_POD) + 1, sizeof(*c->list));
    if (!c->list)
        return -ENOMEM;
    store_each(c->store, STORE_POD, collect_pod, c);
    qsort(c->list, c->n, sizeof(*c->list), compare);
    return 0;
}

int members_collect(const struct store *s, const char *namespace, const char *fleet,
                    const struct agent_sets *sets, const struct members_known *known, struct peers *ret,
                    struct err *e)
{
    CLEANUP_PEERS struct peers peers = {0};
    struct collect c = {s, namespace, fleet, sets, known, NULL, 0};
    if (collect(&c) < 0)
        return err_set(e, ENOMEM, "no memory for the members of fleet %s", fleet);
    int r = 0;
    for (size_t i = 0; i < c.n && r == 0;) {
        struct agents agents;
        i += take_node(&c, &c.list[i], c.n - i, &agents);
        r = add_peer(&c, &agents, &peers, e);
    }
    free(c.list);
    if (r == 0)
        r = peers_sort(&peers, e);
    if (r < 0)
        return r;
    *ret = peers;
    peers = (struct peers){0};
    return 0;
}

int members_ready_nodes(const struct store *s, const char *namespace, const char *fleet,
                        const struct agent_sets *sets)
{
    struct collect c = {s, namespace, fleet, sets, NULL, NULL, 0};
    int n = 0;
    if (collect(&c) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < c.n;) {
        struct agents agents;
        bool all = true;
        i += take_node(&c, &c.list[i], c.n - i, &agents);
        for (enum spec_network k = 0; k < AGENT_NETWORKS; k++)
            all &= !agent_sets_have(sets, k) || (agents.pods[k] && agents.pods[k]->ready);
        n += all;
    }
    free(c.list);
    return n;
}
