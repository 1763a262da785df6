// SPDX-License-Identifier: Apache-2.0
// HTTP requests in our loop: libcurl's multi interface by socket and timer callbacks. Streams bodies to the caller, bounds sizes and times,
// keeps credentials out of errors. Knows no Kubernetes. Not linked into the agent.
#ifndef KUBECANARY_LIB_FETCH_H
#define KUBECANARY_LIB_FETCH_H

#include "lib/err.h"
#include "lib/loop.h"

struct fetch;     // a pool of connections on one loop
struct fetch_req; // one request under way

struct fetch_tls { // all optional (NULL); PEM text, copied
    const char *ca;
    const char *cert;
    const char *key;
    const char *server_name; // SNI and verification name
    bool insecure;
};

struct fetch_opts {
    const char *method;        // "GET", "PATCH" ...
    const char *url;
    const char *const *headers; // "Name: value", NULL-terminated; may be NULL
    const char *body;          // copied; NULL: none
    size_t body_len;
    uint64_t timeout_ns;       // of the whole request; required
    size_t max_body;           // decoded bytes; more is an error (streams: 0 = no bound on the sum)
};

struct fetch_result {
    int status;        // HTTP status; 0: no answer (see err)
    int retry_after_s; // -1: none
    struct err err;    // when status is 0 or the transfer broke off (then err.code != 0 although a status may be there)
};

// on_data: a piece of the body as it arrives; return 0, or -1 to abort. on_done: exactly once, also after fetch_cancel is NOT called; req is gone afterwards.
typedef int fetch_data_fn(int status, const char *data, size_t len, void *arg);
typedef void fetch_done_fn(const struct fetch_result *r, void *arg);

struct fetch *fetch_new(struct loop *l, const struct fetch_tls *tls, const char *user_agent, struct err *e);
// New credentials: later requests open new connections with them.
MUST_USE int fetch_set_tls(struct fetch *f, const struct fetch_tls *tls, struct err *e);
void fetch_free(struct fetch *f); // cancels what is under way (no on_done)
struct fetch_req *fetch_start(struct fetch *f, const struct fetch_opts *o, fetch_data_fn *on_data, fetch_done_fn *on_done, void *arg, struct err *e);
void fetch_cancel(struct fetch_req *r); // no callback any more; takes NULL

#endif
