// SPDX-License-Identifier: Apache-2.0
// HTTP probes under way, each a libcurl handle of its own: a fresh look-up, a fresh connection, a fresh TLS
// session, so that every phase is there each time. Answers are looked at for status and dates only: headers
// and body are counted, bounded and forgotten. No proxy, no cookies, no credentials, http and https only.
#ifndef KUBECANARY_AGENT_HTTP_TRANSFER_H
#define KUBECANARY_AGENT_HTTP_TRANSFER_H

#include "agent/http_wire.h"
#include "lib/err.h"
#include "lib/loop.h"

struct transfers;

typedef void transfer_done_fn(const struct http_wire_result *r, void *arg);

struct transfers *transfer_new(struct loop *l, transfer_done_fn *on_done, void *arg, struct err *e);
void transfer_free(struct transfers *t); // ends what is under way without a word; takes NULL
// Begins a probe, of which nothing is kept by reference. on_done is called exactly once for it, from inside
// if it cannot begin (HTTP_WIRE_LOCAL: no memory, or LIMIT_HTTP_IN_FLIGHT are under way).
void transfer_start(struct transfers *t, const struct http_wire_probe *p);

#endif
