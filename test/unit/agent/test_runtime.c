// SPDX-License-Identifier: Apache-2.0
// What the process says of itself.
#include "agent/runtime.h"

#include "test/unit/check.h"

static void process(void)
{
    struct runtime_process p, q;
    runtime_process(&p);
    CHECK(p.resident_bytes > 100000);
    CHECK(p.virtual_bytes >= p.resident_bytes);
    CHECK_INT(p.threads, 1);
    CHECK(p.open_fds >= 3);
    CHECK(p.max_fds >= p.open_fds);
    CHECK(p.cpus >= 1);
    CLEANUP_FD int fd = dup(1);
    CHECK(fd >= 0);
    runtime_process(&q);
    CHECK_INT(q.open_fds, p.open_fds + 1);
    CHECK(q.cpu_ns >= p.cpu_ns);
    uint64_t start = runtime_start_time();
    CHECK(start > UINT64_C(1700000000) * NS_PER_S);
    CHECK_INT(runtime_start_time(), start);
}

static const struct check_case cases[] = {{"process", process}};
CHECK_MAIN(cases)
