// SPDX-License-Identifier: Apache-2.0
// ICMP echo: one ping socket a family for all destinations. Those of a tick that may be fragmented and those
// that may not leave one after the other, with the socket set for them. Probes come from the engine, what
// came back goes to it. Reads only when told to: an answer wakes nobody, since the kernel has stamped it.
#ifndef KUBECANARY_AGENT_PROBE_ICMP_H
#define KUBECANARY_AGENT_PROBE_ICMP_H

#include "agent/engine.h"
#include "agent/sock.h"

struct probe_icmp;

// Opens the sockets that this host allows; a family that cannot be opened gives send_error for its probes.
// NULL only without memory.
struct probe_icmp *probe_icmp_new(struct engine *en, const struct sock_opts *o, struct err *e);
void probe_icmp_free(struct probe_icmp *p); // takes NULL
// Memory for a plan: before engine_apply, so that nothing can fail after it.
MUST_USE int probe_icmp_reserve(struct probe_icmp *p, const struct plan *plan, struct err *e);
// After engine_apply: sizes the sockets, and finds out whether they can send what the plan wants.
void probe_icmp_apply(struct probe_icmp *p);
// Whether the family's socket is open and can send what the plan wants; *ret (may be NULL): why not.
bool probe_icmp_ready(const struct probe_icmp *p, enum family f, const struct err **ret);

// Sends those of s[n] that are ICMP. Tries again to open a socket that they want and that is missing, every
// few seconds; the log says when it is missed and when it is there.
void probe_icmp_send(struct probe_icmp *p, const struct engine_send *s, size_t n);
void probe_icmp_drain(struct probe_icmp *p, const struct sock_clock *c, uint64_t now_ns);

#endif
