// SPDX-License-Identifier: Apache-2.0
// A program that the agent starts beside itself and talks to over a SOCK_SEQPACKET pair, which is its
// descriptor 3: started when it is wanted, started again with back-off when it ends by itself or was
// condemned, ended when it is wanted no more or when the agent ends, in whatever way. Knows nothing of what
// is said. Logs when it starts and ends, and by whom: this is where that is decided.
#ifndef KUBECANARY_AGENT_HELPER_H
#define KUBECANARY_AGENT_HELPER_H

#include "lib/err.h"
#include "lib/loop.h"

#define HELPER_BACKOFF_MIN_NS (1 * NS_PER_S)
#define HELPER_BACKOFF_MAX_NS (60 * NS_PER_S) // and who ran for so long begins at the shortest again
#define HELPER_STOP_NS (2 * NS_PER_S)         // so long it may take to see that its socket is closed

struct helper;

// It has ended, or is about to be: its descriptor is closed afterwards. What it said last can still be read.
typedef void helper_gone_fn(void *arg);

// name: of a program in the folder of our own, no path ("kubecanary-http"). Takes SIGCHLD
// of the loop.
struct helper *helper_new(struct loop *l, const char *name, helper_gone_fn *on_gone, void *arg,
                          struct err *e);
void helper_free(struct helper *h); // ends it and waits for that; after the loop's last run; takes NULL

// From now on it is wanted or not. It is started at once, unless the last one is still ending; what fails
// about that is logged, and tried again.
void helper_want(struct helper *h, bool wanted);
// Its socket, non-blocking; -1: it is not running.
int helper_fd(const struct helper *h);
// It said what cannot be, or says nothing any more: it is killed, and started again like one that ended by
// itself.
void helper_condemn(struct helper *h, const struct err *why);

struct helper_stats {
    bool wanted, running;
    uint64_t restarts;   // times that it was started again because it had ended by itself, or was condemned
    uint64_t backoff_ns; // how long the next start would be put off, if it ended now
};
struct helper_stats helper_stats(const struct helper *h);

#endif
