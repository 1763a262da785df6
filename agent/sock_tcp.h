// SPDX-License-Identifier: Apache-2.0
// Connecting: sockets for one connection each, and what a failed connect means.
#ifndef KUBECANARY_AGENT_SOCK_TCP_H
#define KUBECANARY_AGENT_SOCK_TCP_H

#include "agent/reason.h"
#include "lib/addr.h"

// A non-blocking socket that is closed by reset, so that no TIME_WAIT is left here. Returns the descriptor or
// a negative errno.
MUST_USE int sock_tcp_open(enum family f);
// What SO_ERROR says of the socket, 0 when it is connected.
int sock_tcp_error(int fd);
// What connect or SO_ERROR says when somebody out there refused: a reset, or an ICMP message about our SYN.
bool sock_tcp_refused(int err);
// Keeps ICMP errors about this socket's packets for sock_tcp_reason. For sockets that only connect: one that
// goes on would be broken by an error that passes (RFC 1122 4.2.3.9).
void sock_tcp_keep_errors(int fd, enum family f);
// Why a connect that sock_tcp_refused failed: by the ICMP error if one was kept, else by errno.
enum reason sock_tcp_reason(int fd, enum family f, int err);
// Asks for stamps of receipt (sock_recv).
void sock_tcp_stamp(int fd);

#endif
