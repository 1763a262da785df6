// SPDX-License-Identifier: Apache-2.0
// Joins Pods with Nodes into peers.
#include "operator/members.h"

#include <errno.h>
#include <string.h>

#include "operator/agent_sets.h"

struct collect {
    const struct store *store;
    const char *namespace;
    const char *fleet;
    struct candidate *list; // Pods of the fleet that have a node
    size_t n;
    const struct members_known *known; // NULL: everybody is
};

struct candidate {
    const struct store_pod *pod;
    const struct store_node *node; // NULL: unknown
    enum peer_state state;
};

// A label alone makes no member: the Pod's controller must be the fleet's DaemonSet, or, while that is gone
// (somebody deleted it), at least some controller.
static bool is_ours(const struct collect *c, const struct store_pod *pod)
{
    struct agent_set of;
    if (!agent_sets_of_pod(pod, &of))
        return false;
    const struct store_child *set = agent_sets_child(c->store, c->namespace, c->fleet, &of);
    return set ? strcmp(set->meta.uid, pod->meta.owner_uid) == 0 : pod->meta.owner_uid[0] != '\0';
}

static bool belongs(const struct collect *c, const struct store_pod *pod)
{
    return strcmp(pod->meta.fleet, c->fleet) == 0 && strcmp(pod->meta.namespace, c->namespace) == 0 &&
           pod->node[0] && is_ours(c, pod);
}

bool members_is_member(const struct store *s, const char *namespace, const char *fleet,
                       const struct store_pod *pod)
{
    const struct collect c = {.store = s, .namespace = namespace, .fleet = fleet};
    return belongs(&c, pod);
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

static enum peer_state state_of(const struct collect *c, const struct store_pod *pod,
                                const struct store_node *node)
{
    if (pod->meta.deleting || (node && node->leaving))
        return PEER_LEAVING;
    if (node && !node->ready)
        return PEER_NOT_READY;
    return pod->ready && members_is_known(c->known, pod) ? PEER_READY : PEER_PENDING;
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
    if (!belongs(c, pod))
        return 0;
    const struct store_node *node = store_node(c->store, pod->node);
    c->list[c->n++] = (struct candidate){.pod = pod, .node = node, .state = state_of(c, pod, node)};
    return 0;
}

// By node, the readier Pod of a node first.
static int compare(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int r = strcmp(x->pod->node, y->pod->node);
    return r ? r : rank(y->state) - rank(x->state);
}

static int add_peer(struct peers *peers, const struct candidate *at, struct err *e)
{
    char zone[LIMIT_LABEL + 1] = "", name[LIMIT_NAME + 1];
    struct peer peer = {.node = name, .zone = zone, .state = at->state};
    memcpy(name, at->pod->node, sizeof(name));
    memcpy(peer.pod, at->pod->ip, sizeof(peer.pod));
    if (at->node) {
        memcpy(zone, at->node->zone, sizeof(zone));
        memcpy(peer.host, at->node->host, sizeof(peer.host));
    }
    return peers_add(peers, &peer, e);
}

int members_collect(const struct store *s, const char *namespace, const char *fleet,
                    const struct members_known *known, struct peers *ret, struct err *e)
{
    CLEANUP_PEERS struct peers peers = {0};
    CLEANUP_FREE struct candidate *list = calloc(store_count(s, STORE_POD) + 1, sizeof(*list));
    struct collect c = {.store = s, .namespace = namespace, .fleet = fleet, .list = list, .known = known};
    if (!list)
        return err_set(e, ENOMEM, "no memory for the members of fleet %s", fleet);
    store_each(s, STORE_POD, collect_pod, &c);
    qsort(list, c.n, sizeof(*list), compare);
    for (size_t i = 0; i < c.n; i++) {
        if (i > 0 && strcmp(list[i].pod->node, list[i - 1].pod->node) == 0)
            continue;
        int r = add_peer(&peers, &list[i], e);
        if (r < 0)
            return r;
    }
    int r = peers_sort(&peers, e);
    if (r < 0)
        return r;
    *ret = peers;
    peers = (struct peers){0};
    return 0;
}
