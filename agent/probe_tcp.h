// SPDX-License-Identifier: Apache-2.0
// TCP connect: a non-blocking connect a probe, looked at on the tick; the RTT is the kernel's own, of SYN and
// SYN-ACK (TCP_INFO), so it is exact although nobody wakes for it. A refused connection is `unreachable`.
// Connections are closed by reset: no TIME_WAIT is left here.
#ifndef KUBECANARY_AGENT_PROBE_TCP_H
#define KUBECANARY_AGENT_PROBE_TCP_H

#include "agent/engine.h"

struct probe_tcp;

struct probe_tcp *probe_tcp_new(struct engine *en, struct err *e);
void probe_tcp_free(struct probe_tcp *p); // closes what is under way; takes NULL
// Memory for a plan: before engine_apply, so that nothing can fail after it. ENOMEM.
MUST_USE int probe_tcp_reserve(struct probe_tcp *p, const struct plan *plan, struct err *e);
// Sends those of s[n] that are TCP. More than LIMIT_TCP_IN_FLIGHT at once: send_error.
void probe_tcp_send(struct probe_tcp *p, const struct engine_send *s, size_t n);
void probe_tcp_drain(struct probe_tcp *p, uint64_t now_ns);

#endif
