// SPDX-License-Identifier: Apache-2.0
// A clock of loop and server that can be put forward. One file of a program includes it.
#ifndef KUBECANARY_TEST_SERVE_CLOCK_H
#define KUBECANARY_TEST_SERVE_CLOCK_H

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ahead_s;

// In the C library's place, for libmicrohttpd too.
int clock_gettime(clockid_t id, struct timespec *ts)
{
    long ret = syscall(SYS_clock_gettime, id, ts);
    ts->tv_sec += clock_ahead_s;
    return (int)ret;
}

#endif
