// SPDX-License-Identifier: Apache-2.0
// Two system calls.
#include "agent/stamp_clock.h"

#include <sys/timex.h>
#include <time.h>

#include "agent/stamp_wire.h"

#define UNKNOWN_NS (16 * NS_PER_S) // the kernel's own bound, when nobody steers the clock

uint64_t stamp_clock_real(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint16_t stamp_clock_error(uint64_t least_ns)
{
    struct timex t = {0}; // modes 0: it only reads
    int state = adjtimex(&t);
    bool told = state >= 0 && t.maxerror >= 0;
    uint64_t ns = told ? (uint64_t)t.maxerror * NS_PER_US : UNKNOWN_NS;
    return stamp_wire_error(told && state != TIME_ERROR, MAX(ns, least_ns));
}
