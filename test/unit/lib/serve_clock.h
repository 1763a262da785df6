// SPDX-License-Identifier: Apache-2.0
// A clock of loop and server that goes on when it is put forward, and by a microsecond each time that it is
// read, so that a busy machine is no reason for a time-out. One file of a program includes it.
#ifndef KUBECANARY_TEST_SERVE_CLOCK_H
#define KUBECANARY_TEST_SERVE_CLOCK_H

#include <stdint.h>
#include <time.h>

static int64_t clock_ahead_s;

// In the C library's place, for libmicrohttpd too.
int clock_gettime(clockid_t id, struct timespec *ts)
{
    static uint64_t reads;
    (void)id;
    reads++;
    ts->tv_sec = (time_t)(1000000 + clock_ahead_s + (int64_t)(reads / 1000000));
    ts->tv_nsec = (long)(reads % 1000000) * 1000;
    return 0;
}

#endif
