// SPDX-License-Identifier: Apache-2.0
// The real-time clock as STAMP wants it: nanoseconds since 1970, and how far they may be wrong, by the
// kernel's own word (adjtimex).
#ifndef KUBECANARY_AGENT_STAMP_CLOCK_H
#define KUBECANARY_AGENT_STAMP_CLOCK_H

#include "lib/base.h"

uint64_t stamp_clock_real(void);
// The error estimate of what is stamped from now on (see stamp_wire_error), at least least_ns. A kernel that
// does not say, or not to us: not synchronized.
uint16_t stamp_clock_error(uint64_t least_ns);

#endif
