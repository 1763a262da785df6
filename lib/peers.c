// SPDX-License-Identifier: Apache-2.0
// The list of peers: adding, sorting, finding, reading a slice and writing one.
#include "lib/peers.h"

#include <errno.h>
#include <string.h>

#include "lib/yamlout.h"

static const char *const state_names[PEER_STATES] = {
    [PEER_READY] = "Ready",
    [PEER_PENDING] = "Pending",
    [PEER_NOT_READY] = "NotReady",
    [PEER_LEAVING] = "Leaving",
};

const char *peer_state_name(enum peer_state s)
{
    return state_names[s];
}

enum peer_state peer_host_state(const struct peer *p)
{
    return p->has_host_state ? (enum peer_state)p->host_state : p->state;
}

const char *peers_not_an_address(const struct addr *a)
{
    const char *why = addr_not_a_host(a);
    if (why || !a->set)
        return why;
    if (addr_is_loopback(a))
        return "is a loopback address, each host's own";
    return addr_is_link_local(a) ? "is a link-local address, each link's own" : NULL;
}

static void peers_cut(struct peers *p, size_t n)
{
    for (; p->n > n; p->n--) {
        free(p->list[p->n - 1].node);
        free(p->list[p->n - 1].zone);
    }
}

void peers_release(struct peers *p)
{
    peers_cut(p, 0);
    free(p->list);
    *p = (struct peers){0};
}

int peers_add(struct peers *p, const struct peer *peer, struct err *e)
{
    if (p->n >= LIMIT_PEERS)
        return err_set(e, E2BIG, "more than %d peers", LIMIT_PEERS);
    if ((p->n & (p->n - 1)) == 0) { // the room is always a power of two, so it is full at one
        struct peer *list = reallocarray(p->list, p->n ? p->n * 2 : 1, sizeof(*list));
        if (!list)
            return err_set(e, ENOMEM, "no memory for the peers");
        p->list = list;
    }
    struct peer copy = *peer;
    copy.node = strdup(peer->node);
    copy.zone = strdup(peer->zone ? peer->zone : "");
    if (!copy.node || !copy.zone) {
        free(copy.node);
        free(copy.zone);
        return err_set(e, ENOMEM, "no memory for the peers");
    }
    p->list[p->n++] = copy;
    return 0;
}

static int by_node(const void *a, const void *b)
{
    return strcmp(((const struct peer *)a)->node, ((const struct peer *)b)->node);
}

int peers_sort(struct peers *p, struct err *e)
{
    if (p->n > 1)
        qsort(p->list, p->n, sizeof(*p->list), by_node);
    for (size_t i = 1; i < p->n; i++) {
        if (strcmp(p->list[i - 1].node, p->list[i].node) == 0)
            return err_set(e, EEXIST, "node %s is there twice", p->list[i].node);
    }
    return 0;
}

const struct peer *peers_find(const struct peers *p, const char *node)
{
    size_t low = 0, high = p->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(node, p->list[mid].node);
        if (order == 0)
            return &p->list[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

// --- reading
// ------------------------------------------------------------------------------------------------------

static int at_field(struct err *e, const char *path)
{
    return err_at(e, "%s", path[0] ? path : "\"\"");
}

// Text of a scalar of at most max bytes.
static int read_text(const struct doc_node *n, size_t max, const char **ret, struct err *e)
{
    if (n->kind != DOC_SCALAR)
        err_set(e, EINVAL, "must be a string");
    else if (strlen(n->text) > max)
        err_set(e, EINVAL, "must have at most %zu bytes", max);
    else {
        *ret = n->text;
        return 0;
    }
    return at_field(e, n->key);
}

static int read_addresses(const struct doc_node *seq, struct addr ret[static FAMILIES], struct err *e)
{
    size_t i = 0;
    if (seq->kind != DOC_SEQ) {
        err_set(e, EINVAL, "must be a list of addresses");
        return at_field(e, seq->key);
    }
    for (const struct doc_node *n = seq->first; n; n = n->next, i++) {
        struct addr a;
        const char *text = n->kind == DOC_SCALAR ? n->text : "no scalar", *why;
        if (n->kind != DOC_SCALAR || addr_parse(text, &a) < 0)
            err_set(e, EINVAL, "line %u: must be an IP address, is %s", n->line, text);
        else if ((why = peers_not_an_address(&a)))
            err_set(e, EINVAL, "line %u: %s %s", n->line, text, why);
        else if (ret[a.family].set)
            err_set(e, EINVAL, "line %u: a second %s address", n->line, addr_family_name(a.family));
        else {
            ret[a.family] = a;
            continue;
        }
        return err_at(e, "%s[%zu]", seq->key, i);
    }
    return 0;
}

static int read_state(const struct doc_node *n, enum peer_state *ret, struct err *e)
{
    for (unsigned i = 0; n->kind == DOC_SCALAR && i < PEER_STATES; i++) {
        if (strcmp(n->text, state_names[i]) == 0) {
            *ret = (enum peer_state)i;
            return 0;
        }
    }
    err_set(e, EINVAL, "must be one of Ready, Pending, NotReady, Leaving");
    return at_field(e, n->key);
}

static int read_peer_field(const struct doc_node *n, struct peer *p, const char **node, const char **zone,
                           struct err *e)
{
    if (strcmp(n->key, "node") == 0)
        return read_text(n, LIMIT_NAME, node, e);
    if (doc_is_null(n))
        return 0;
    if (strcmp(n->key, "zone") == 0)
        return read_text(n, LIMIT_LABEL, zone, e);
    if (strcmp(n->key, "pod") == 0)
        return read_addresses(n, p->pod, e);
    if (strcmp(n->key, "host") == 0)
        return read_addresses(n, p->host, e);
    if (strcmp(n->key, "state") == 0)
        return read_state(n, &p->state, e);
    if (strcmp(n->key, "hostState") == 0) {
        enum peer_state host = PEER_READY;
        int r = read_state(n, &host, e);
        p->has_host_state = true;
        p->host_state = (uint8_t)host;
        return r;
    }
    err_set(e, EINVAL, "unknown field");
    return at_field(e, n->key);
}

static int read_peer(const struct doc_node *map, struct peers *list, struct err *e)
{
    const char *node = "", *zone = "";
    struct peer p = {.state = PEER_READY};
    if (map->kind != DOC_MAP)
        return err_set(e, EINVAL, "must be a map");
    for (const struct doc_node *n = map->first; n; n = n->next) {
        int r = read_peer_field(n, &p, &node, &zone, e);
        if (r < 0)
            return r;
    }
    if (node[0] == '\0') {
        err_set(e, EINVAL, "is required");
        return at_field(e, "node");
    }
    struct peer with_text = p;
    CLEANUP_FREE char *node_copy = strdup(node);
    CLEANUP_FREE char *zone_copy = strdup(zone);
    if (!node_copy || !zone_copy)
        return err_set(e, ENOMEM, "no memory for the peers");
    with_text.node = node_copy;
    with_text.zone = zone_copy;
    return peers_add(list, &with_text, e);
}

static int read_list(const struct doc_node *seq, struct peers *p, struct err *e)
{
    size_t i = 0, before = p->n;
    if (doc_is_null(seq))
        return 0;
    if (seq->kind != DOC_SEQ) {
        err_set(e, EINVAL, "must be a list");
        return at_field(e, "peers");
    }
    for (const struct doc_node *n = seq->first; n; n = n->next, i++) {
        int r = read_peer(n, p, e);
        if (r < 0) {
            peers_cut(p, before);
            return err_at(e, "peers[%zu]", i);
        }
    }
    return 0;
}

static int read_number(const struct doc_node *n, uint64_t min, uint64_t max, uint64_t *ret, struct err *e)
{
    if (n->kind == DOC_SCALAR && !n->quoted && base_parse_u64(n->text, min, max, ret) == 0)
        return 0;
    err_set(e, EINVAL, "must be a number from %llu to %llu", (unsigned long long)min,
            (unsigned long long)max);
    return at_field(e, n->key);
}

int peers_parse(const struct doc_node *root, unsigned *ret_slice, unsigned *ret_slices, struct peers *p,
                struct err *e)
{
    uint64_t slice = 0, slices = 1;
    const struct doc_node *list = NULL;
    if (!root || root->kind != DOC_MAP)
        return err_set(e, EINVAL, "must be a map with the key peers");
    for (const struct doc_node *n = root->first; n; n = n->next) {
        int r = 0;
        if (strcmp(n->key, "slice") == 0)
            r = read_number(n, 0, LIMIT_SLICES - 1, &slice, e);
        else if (strcmp(n->key, "slices") == 0)
            r = read_number(n, 1, LIMIT_SLICES, &slices, e);
        else if (strcmp(n->key, "peers") == 0)
            list = n;
        else {
            err_set(e, EINVAL, "unknown field");
            r = at_field(e, n->key);
        }
        if (r < 0)
            return r;
    }
    if (slice >= slices || !list) {
        err_set(e, EINVAL, list ? "must be less than slices" : "is required");
        return at_field(e, list ? "slice" : "peers");
    }
    int r = read_list(list, p, e);
    if (r < 0)
        return r;
    *ret_slice = (unsigned)slice;
    *ret_slices = (unsigned)slices;
    return 0;
}

// --- writing
// ------------------------------------------------------------------------------------------------------

static void write_addresses(const char *key, const struct addr list[static FAMILIES], struct buf *out)
{
    const char *before = "";
    if (!list[FAMILY_IPV4].set && !list[FAMILY_IPV6].set)
        return;
    buf_fmt(out, ", %s: [", key);
    for (unsigned f = 0; f < FAMILIES; f++) {
        char text[ADDR_TEXT_MAX];
        if (!list[f].set)
            continue;
        buf_str(out, before);
        yamlout_text(out, addr_text(&list[f], text));
        before = ", ";
    }
    buf_char(out, ']');
}

static void write_peer(const struct peer *p, struct buf *out)
{
    buf_str(out, "- {node: ");
    yamlout_text(out, p->node);
    if (p->zone[0]) {
        buf_str(out, ", zone: ");
        yamlout_text(out, p->zone);
    }
    write_addresses("pod", p->pod, out);
    write_addresses("host", p->host, out);
    buf_fmt(out, ", state: %s", state_names[p->state]);
    if (peer_host_state(p) != p->state)
        buf_fmt(out, ", hostState: %s", state_names[peer_host_state(p)]);
    buf_str(out, "}\n");
}

void peers_render(const struct peers *p, unsigned slice, unsigned slices, struct buf *out)
{
    bool any = false;
    buf_fmt(out, "slice: %u\nslices: %u\npeers:", slice, slices);
    for (size_t i = 0; i < p->n; i++) {
        if (peers_slice_of(p->list[i].node, slices) != slice)
            continue;
        if (!any)
            buf_char(out, '\n');
        any = true;
        write_peer(&p->list[i], out);
    }
    if (!any)
        buf_str(out, " []\n");
}

unsigned peers_slice_of(const char *node, unsigned slices)
{
    return slices < 2 ? 0 : (unsigned)(base_hash(BASE_HASH_INIT, node, strlen(node)) % slices);
}

unsigned peers_slices_for(size_t n, unsigned now)
{
    unsigned k = 1;
    while (k < now && k < LIMIT_SLICES)
        k *= 2;
    while (k < LIMIT_SLICES && n > (size_t)PEERS_SLICE_FULL * k)
        k *= 2;
    while (k > 1 && n < (size_t)PEERS_SLICE_THIN * k)
        k /= 2;
    return k;
}
