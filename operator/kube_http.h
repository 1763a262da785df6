// SPDX-License-Identifier: Apache-2.0
// Requests to one API server: puts server and credentials before a path, reads refused credentials again,
// collects answers and reads errors out of them (Status objects; text and HTML of proxies too). Knows no
// kinds. Nothing is repeated but a request that got 401 and for which there is another token by then: it was
// not carried out.
#ifndef KUBECANARY_OPERATOR_KUBE_HTTP_H
#define KUBECANARY_OPERATOR_KUBE_HTTP_H

#include <jansson.h>

#include "lib/fetch.h"
#include "operator/credentials.h"

struct kube_http;
struct kube_http_req;

// What page.c shows. Counters since the start.
struct kube_stats {
    uint64_t by_code[600]; // answers by HTTP status; [0]: no answer
    uint64_t watches;      // opened
    uint64_t relists;      // after the first list of each kind and namespace
    uint64_t expired;      // 410 in either form
    uint64_t events;       // of watches
    uint64_t bad_lines;    // of watches: not JSON, no event, too long
    uint64_t bad_objects;  // that the store refused
    uint64_t replays;      // after a 401
};

struct kube_http_opts {
    const char *method;
    const char *path;         // with its query
    const char *content_type; // of the body; NULL without
    const char *body;
    size_t body_len;
    uint64_t timeout_ns;
    size_t max_body; // of the answer; 0 only with on_data
};

struct kube_http_result {
    int status;        // 0: no answer
    int retry_after_s; // -1: none
    // code 0 only for a status of 2xx that arrived whole. Else msg is the server's message, path the field of
    // the first cause.
    struct err err;
    char reason[64];  // Status.reason
    char cause[64];   // reason of the first cause
    const char *body; // of a 2xx without on_data; borrowed
    size_t len;
};

typedef void kube_http_done_fn(const struct kube_http_result *r, void *arg);

// config and stats are borrowed. Reads the credentials: fails when that fails.
struct kube_http *kube_http_new(struct loop *l, const struct kubeconfig *config, const char *user_agent,
                                struct kube_stats *stats, struct err *e);
void kube_http_free(struct kube_http *h); // takes NULL; cancels everything; not from inside a callback

// on_data (may be NULL) gets the body of a 2xx as it arrives. done as with fetch_start.
struct kube_http_req *kube_http_start(struct kube_http *h, const struct kube_http_opts *o,
                                      fetch_data_fn *on_data, kube_http_done_fn *done, void *arg,
                                      struct err *e);
void kube_http_cancel(struct kube_http_req *r); // takes NULL

// Reads a Status object into status, reason, cause, err and retry_after_s of *ret: of an error's body, or of
// an ERROR event. False: it is none.
bool kube_http_read_status(const json_t *status, struct kube_http_result *ret);

#endif
