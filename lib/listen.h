// SPDX-License-Identifier: Apache-2.0
// A listening TCP socket: dual stack where the kernel has IPv6, non-blocking, closed on exec.
#ifndef KUBECANARY_LIB_LISTEN_H
#define KUBECANARY_LIB_LISTEN_H

#include "lib/addr.h"
#include "lib/err.h"

// Listens on addr (set = 0: all addresses of both families) and port (0: the kernel chooses; *ret_port says
// which). Returns the descriptor, or a negative errno. `what` names it in errors: "bind of <what> port 80:
// Address already in use".
MUST_USE int listen_tcp(const struct addr *addr, uint16_t port, int backlog, const char *what,
                        uint16_t *ret_port, struct err *e);

#endif
