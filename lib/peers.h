// SPDX-License-Identifier: Apache-2.0
// The peers of a fleet and the slices (peers-NN.yaml) that carry them from the operator to the agents. Pure:
// text in, values out, and back. A node's slice follows from a hash of its name, so that one node's change
// rewrites one slice.
#ifndef KUBECANARY_LIB_PEERS_H
#define KUBECANARY_LIB_PEERS_H

#include "lib/addr.h"
#include "lib/buf.h"
#include "lib/doc.h"
#include "lib/err.h"
#include "lib/limits.h"

enum peer_state { PEER_READY, PEER_PENDING, PEER_NOT_READY, PEER_LEAVING };
#define PEER_STATES 4
const char *peer_state_name(enum peer_state s); // "Ready", "Pending", "NotReady", "Leaving"

struct peer {
    char *node;                // heap, never NULL
    char *zone;                // heap, "" if unknown
    struct addr pod[FAMILIES]; // by family; set = 0: none
    struct addr host[FAMILIES];
    enum peer_state state; // of the node's agent; with two, of the one in the network Pod
    bool has_host_state;   // the one in the network Node has a state of its own:
    uint8_t host_state;    // enum peer_state; otherwise 0, see peer_host_state
};
// The state of the agent that is reached at the host's addresses. (The one at the pod's: state.)
enum peer_state peer_host_state(const struct peer *p);

struct peers { // sorted by node, no node twice
    size_t n;
    struct peer *list;
};

// Why it cannot be a peer's address, e.g. "is a multicast address" (static); NULL if it can be, or if there
// is none. addr_not_a_host's reasons, and what means another host on each node: loopback, and IPv4's
// link-local addresses, which Kubernetes takes neither for a node nor for an endpoint and which serve what a
// node has for itself (a DNS cache, a cloud's metadata).
const char *peers_not_an_address(const struct addr *a);

void peers_release(struct peers *p); // takes a zeroed struct
#define CLEANUP_PEERS CLEANUP(peers_release)
// Appends a copy; keeps no order until peers_sort. ENOMEM, E2BIG (LIMIT_PEERS).
MUST_USE int peers_add(struct peers *p, const struct peer *peer, struct err *e);
// Sorts by node; EEXIST with the name if a node is there twice.
MUST_USE int peers_sort(struct peers *p, struct err *e);
const struct peer *peers_find(const struct peers *p, const char *node); // sorted; NULL if absent

// One file: {slice, slices, peers}; `slice`/`slices` may be absent (0 of 1), as in the file that `render
// --nodes` takes. Of a peer only `node` is required; `state` is Ready if absent, `hostState` as `state`.
// Unknown fields are refused. EINVAL, E2BIG, ENOMEM. Appends the peers found to *p (not sorted); errors carry
// a path ("peers[3].pod[0]"), those of addresses a line, too. On failure *p is as before.
MUST_USE int peers_parse(const struct doc_node *root, unsigned *ret_slice, unsigned *ret_slices,
                         struct peers *p, struct err *e);
// Appends peers-NN.yaml's text with those peers whose slice is `slice` of `slices`; p sorted. `hostState` is
// there only where it differs from `state`. Same input, same bytes.
void peers_render(const struct peers *p, unsigned slice, unsigned slices, struct buf *out);
// 0 <= result < slices.
unsigned peers_slice_of(const char *node, unsigned slices);
// How many slices a fleet of n nodes has, a power of two: it doubles when they hold more than
// PEERS_SLICE_FULL nodes on average, and halves from `now` (0: none yet) only below PEERS_SLICE_THIN, so that
// a fleet that breathes does not restart its agents each time.
#define PEERS_SLICE_FULL 128
#define PEERS_SLICE_THIN 32
unsigned peers_slices_for(size_t n, unsigned now);

#endif
