// SPDX-License-Identifier: Apache-2.0
// HTTP requests in our loop: libcurl's multi interface by socket and timer callbacks. Streams bodies to the
// caller, bounds sizes and times, keeps credentials out of errors. Knows no Kubernetes. Not linked into the
// agent.
//
// HTTP/1.1 only: one connection a request under way, so that a stalled stream delays nobody else. No
// redirects, no proxies (neither from the environment), TLS 1.2 at least. A dead peer is noticed by
// keep-alive and TCP_USER_TIMEOUT within 45 s, and by the request's own time. Threads: none, when libcurl was
// built with c-ares or the host is an address or "localhost"; else one for each look-up.
#ifndef KUBECANARY_LIB_FETCH_H
#define KUBECANARY_LIB_FETCH_H

#include "lib/err.h"
#include "lib/loop.h"

#define FETCH_CONNECT_NS (10 * NS_PER_S) // TCP and TLS together

struct fetch;     // a pool of connections on one loop
struct fetch_req; // one request under way

struct fetch_tls { // all optional (NULL); PEM text, copied. Without a CA the system's store decides, if
                   // libcurl has one.
    const char *ca;
    const char *cert;
    const char *key;
    const char *server_name; // SNI and verification name
    bool insecure;
};

struct fetch_opts {
    const char *method;         // "GET", "PATCH" ...
    const char *url;            // http or https
    const char *const *headers; // "Name: value", NULL-terminated; may be NULL
    const char *body;           // copied; NULL: none
    size_t body_len;
    uint64_t timeout_ns; // of the whole request; required
    size_t max_body;     // decoded bytes; more is an error (streams: 0 = no bound on the sum)
};

struct fetch_result {
    int status;        // HTTP status; 0: no answer (see err)
    int retry_after_s; // -1: none, or not in seconds
    bool tls_failed;   // the handshake failed: certificates may have changed
    // When status is 0 or the transfer broke off (then err.code != 0 although a status may be there). Codes:
    // ETIMEDOUT, ECONNREFUSED (could not connect), EKEYREJECTED (TLS), E2BIG (over max_body), ECANCELED
    // (on_data said so), EPIPE (ended too early), EIO (the rest).
    struct err err;
};

// on_data: a piece of the body as it arrives; return 0, or -1 to abort. on_done: exactly once, never from
// inside fetch_start, and not after fetch_cancel; req is gone afterwards. Both may start and cancel requests,
// but not free the fetch.
typedef int fetch_data_fn(int status, const char *data, size_t len, void *arg);
typedef void fetch_done_fn(const struct fetch_result *r, void *arg);

// user_agent is copied. NULL on failure.
struct fetch *fetch_new(struct loop *l, const struct fetch_tls *tls, const char *user_agent, struct err *e);
// New credentials: later requests open new connections with them. Not for the requests under way.
MUST_USE int fetch_set_tls(struct fetch *f, const struct fetch_tls *tls, struct err *e);
void fetch_free(
    struct fetch *f); // cancels what is under way (no on_done); takes NULL; not from inside a callback of f
// on_data may be NULL. NULL on failure (EINVAL: bad URL; ENOMEM).
struct fetch_req *fetch_start(struct fetch *f, const struct fetch_opts *o, fetch_data_fn *on_data,
                              fetch_done_fn *on_done, void *arg, struct err *e);
void fetch_cancel(struct fetch_req *r); // no callback any more; takes NULL

#endif
