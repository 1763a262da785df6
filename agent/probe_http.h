// SPDX-License-Identifier: Apache-2.0
// HTTP probes, made by the helper kubecanary-http, which runs while the plan has such targets. Probes go to
// it when they are due, results are read on the tick; the time is the helper's own measure. What it says is
// believed as far as it can be true (http_wire.h): a result counts once, for a probe of ours that is under
// way.
//
// received: a status that is expected, within the timeout. unexpected: another status; TLS failed, or the
// certificate is not to be trusted; redirects that do not end. corrupt: no HTTP. unreachable: the name has no
// address, the connection was refused, or ended without an answer. lost: no answer in time. send_error:
// of our own making, or the helper was not there, ended, had no room, or said nothing in the second half of
// the probe's time although it was asked: then nothing is known of the target. One that does not answer for
// 10 s, or leaves no room for the question for so long, is ended (liveness.h).
#ifndef KUBECANARY_AGENT_PROBE_HTTP_H
#define KUBECANARY_AGENT_PROBE_HTTP_H

#include "agent/engine.h"
#include "agent/helper.h"
#include "agent/http_counts.h"

struct probe_http;

struct probe_http *probe_http_new(struct loop *l, struct engine *en, struct err *e);
void probe_http_free(struct probe_http *p); // the helper ends; takes NULL

// Memory for a plan with HTTP targets: before engine_apply, so that nothing can fail after it.
MUST_USE int probe_http_reserve(struct probe_http *p, const struct plan *plan, struct err *e);
// After engine_apply: the helper is started or ended as the plan needs it.
void probe_http_apply(struct probe_http *p);
// Sends those of s[n] that are HTTP. More than LIMIT_HTTP_IN_FLIGHT at once: send_error.
void probe_http_send(struct probe_http *p, const struct engine_send *s, size_t n);
void probe_http_drain(struct probe_http *p, uint64_t now_ns);

struct helper_stats probe_http_helper(const struct probe_http *p); // zeros while there was no need for one
// The bytes of pair i of the engine's plan, if it is an HTTP one; NULL otherwise.
const struct http_counts *probe_http_counts(const struct engine *en, size_t i);

#endif
