// SPDX-License-Identifier: Apache-2.0
// The helper's end of the socket to the agent: probes come in, results go out, and when the agent has gone so
// has the reason to be. Says that it is there when it is asked. While the agent does not read, no probe is
// taken on.
#ifndef KUBECANARY_AGENT_HTTP_CHANNEL_H
#define KUBECANARY_AGENT_HTTP_CHANNEL_H

#include "agent/http_wire.h"
#include "lib/err.h"
#include "lib/loop.h"

struct channel;

typedef void channel_probe_fn(const struct http_wire_probe *p, void *arg);
typedef void channel_end_fn(const struct err *why, void *arg); // NULL: the agent closed it

// fd must be a SOCK_SEQPACKET socket (ENOTSOCK, EPROTOTYPE otherwise); it stays the caller's.
struct channel *channel_new(struct loop *l, int fd, channel_probe_fn *on_probe, channel_end_fn *on_end,
                            void *arg, struct err *e);
void channel_free(struct channel *c); // takes NULL
void channel_send(struct channel *c, const struct http_wire_result *r);

#endif
