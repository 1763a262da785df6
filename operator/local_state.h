// SPDX-License-Identifier: Apache-2.0
// The state directory of the local backend: one that is empty, or that it made itself, and that no other
// process uses. What a former run left there is removed; nothing of anybody else's ever is.
#ifndef KUBECANARY_OPERATOR_LOCAL_STATE_H
#define KUBECANARY_OPERATOR_LOCAL_STATE_H

#include <limits.h>

#include "lib/err.h"

struct local_state {    // zero-initialised before first use
    char dir[PATH_MAX]; // absolute
    bool own;           // removed by release
    int lock;           // 1 + descriptor of the file that marks and locks the directory; 0: none
};

// given: made if absent; NULL: a new one below TMPDIR. EEXIST: not empty and not ours; EBUSY: another process
// uses it.
MUST_USE int local_state_init(struct local_state *s, const char *given, struct err *e);
void local_state_release(struct local_state *s);

#endif
