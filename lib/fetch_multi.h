// SPDX-License-Identifier: Apache-2.0
// libcurl's multi handle on the loop: its sockets and its one timer join ours. Whoever owns it adds and
// removes easy handles; this file tells when one is done. Knows no request and no option of one.
#ifndef KUBECANARY_LIB_FETCH_MULTI_H
#define KUBECANARY_LIB_FETCH_MULTI_H

#include <curl/curl.h>

#include "lib/err.h"
#include "lib/loop.h"

// A handle is done: to be removed (curl_multi_remove_handle) by the callee. Handles may be added and removed
// here.
typedef void fetch_multi_done_fn(CURL *easy, CURLcode code, void *arg);
// libcurl has returned: what its own callbacks (header, data) wanted to add or remove can be done now.
typedef void fetch_multi_settle_fn(void *arg);

struct fetch_multi { // the owner reads curl and inside
    CURLM *curl;
    bool inside; // libcurl is on the stack: nothing may be added or removed now
    struct loop *loop;
    struct loop_timer timer;
    fetch_multi_done_fn *on_done;
    fetch_multi_settle_fn *on_settle; // may be NULL
    void *arg;
};

// Initialises libcurl too. ENOMEM. The struct must not move afterwards.
MUST_USE int fetch_multi_init(struct fetch_multi *m, struct loop *l, fetch_multi_done_fn *on_done,
                              fetch_multi_settle_fn *on_settle, void *arg, struct err *e);
// After all handles were removed, and not from inside a callback; takes a zeroed struct.
void fetch_multi_release(struct fetch_multi *m);

#endif
