// SPDX-License-Identifier: Apache-2.0
// Names to addresses by c-ares, on the program's loop and without a thread: hosts file, servers, search list
// and ndots as the C library reads them from /etc/hosts and /etc/resolv.conf. Each name is asked for again
// when its TTL has passed, within bounds and with some jitter, and for itself: one that does not resolve
// holds up no other. The log has a line when a name stops to resolve, and one when it does again. Without
// names nothing of c-ares is there.
#ifndef KUBECANARY_AGENT_RESOLVE_H
#define KUBECANARY_AGENT_RESOLVE_H

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/limits.h"
#include "lib/loop.h"

struct resolve;

enum resolve_state {
    RESOLVE_PENDING, // never answered yet
    RESOLVE_DONE,    // there are addresses
    RESOLVE_FAILED,  // the last look-up found none: no such name, no address that a host can have
                     // (addr_not_a_host), or no server that answers
};

struct resolve_opts {
    const char *resolvconf; // NULL: /etc/resolv.conf
    uint64_t random;        // seed of the jitter
    uint64_t ttl_min_ns;    // 0: LIMIT_HOST_TTL_MIN_NS (tests are in a hurry)
    int timeout_ms;         // of one server, before the next is tried; 0: 2 s
};

// What is known of some name has changed. Called from the loop, never from within resolve_want.
typedef void resolve_changed_fn(void *arg);

struct resolve *resolve_new(struct loop *l, const struct resolve_opts *o, resolve_changed_fn *fn, void *arg,
                            struct err *e); // NULL on failure; o may be NULL
void resolve_free(struct resolve *r);       // takes NULL

// The names that are of interest from now on. What is known of those that stay is kept, new ones are asked
// for, the others are forgotten. On failure (ENOMEM, or c-ares cannot be set up) everything is as before, but
// for new names that may be asked for already.
MUST_USE int resolve_want(struct resolve *r, const char *const *names, size_t n, struct err *e);

// *ret[*ret_n]: the addresses of a name in the order of RFC 6724 (c-ares), at most LIMIT_HOST_ADDRESSES; but
// the first of the time before stays in front for as long as it is among them, so that names that turn their
// addresses do not turn us. Valid until the loop goes on. PENDING for a name that is not wanted.
enum resolve_state resolve_get(const struct resolve *r, const char *name, const struct addr **ret,
                               size_t *ret_n);

#endif
