// SPDX-License-Identifier: Apache-2.0
// DNS queries: each from a socket of its own, connected to the server, so that source port and id are new
// each time, nobody else's packet is taken for the answer, and whatever stands between (a Service's address
// translation) decides anew. Over UDP they are looked at on the tick, the kernel's stamps make the RTT. An
// answer that was cut is asked for again over TCP within the same probe; TCP is driven by the loop, since
// each of its steps waits for the one before.
//
// received: the response code and the records are as expected. unexpected: another whole answer to the
// question. corrupt: an answer with our id that cannot be read, or to another question; over TCP also one
// that breaks off. A packet with another id is unmatched, and the right one is waited for.
#ifndef KUBECANARY_AGENT_PROBE_DNS_H
#define KUBECANARY_AGENT_PROBE_DNS_H

#include "agent/dns_counts.h"
#include "agent/engine.h"
#include "agent/sock.h"
#include "lib/loop.h"

struct probe_dns;

struct probe_dns *probe_dns_new(struct loop *l, struct engine *en, const struct sock_opts *o, struct err *e);
void probe_dns_free(struct probe_dns *p); // closes what is under way; takes NULL

// Memory for a plan, once and only if it has DNS targets: before engine_apply, so that nothing can fail after
// it.
MUST_USE int probe_dns_reserve(struct probe_dns *p, const struct plan *plan, struct err *e);
// Sends those of s[n] that are DNS. More than LIMIT_DNS_IN_FLIGHT at once: send_error.
void probe_dns_send(struct probe_dns *p, const struct engine_send *s, size_t n);
// Reads what came over UDP, and closes what nobody waits for any more.
void probe_dns_drain(struct probe_dns *p, const struct sock_clock *c, uint64_t now_ns);
size_t probe_dns_open(const struct probe_dns *p); // descriptors in use

// The bytes of pair i of the engine's plan, if it is a DNS one; NULL otherwise.
const struct dns_counts *probe_dns_counts(const struct engine *en, size_t i);

#endif
