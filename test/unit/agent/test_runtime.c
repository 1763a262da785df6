// SPDX-License-Identifier: Apache-2.0
// What the process says of itself.
#include "agent/runtime.h"

#include <sched.h>

#include "lib/limits.h"
#include "test/unit/check.h"

static void check_affinity(const struct runtime_process *before)
{
    cpu_set_t set, one;
    struct runtime_process p;
    CHECK_INT(sched_getaffinity(0, sizeof(set), &set), 0);
    CHECK_INT(before->cpus_allowed, CPU_COUNT(&set));
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &set))
            CPU_SET(i, &one);
    CHECK_INT(sched_setaffinity(0, sizeof(one), &one), 0);
    runtime_process(&p);
    CHECK_INT(sched_setaffinity(0, sizeof(set), &set), 0);
    CHECK_INT(p.cpus_allowed, 1);
}

static void process(void)
{
    struct runtime_process p, q;
    runtime_process(&p);
    CHECK(p.resident_bytes > 100000);
    CHECK(p.virtual_bytes >= p.resident_bytes);
    CHECK_INT(p.threads, 1);
    CHECK(p.open_fds >= 3);
    CHECK(p.max_fds >= p.open_fds);
    check_affinity(&p);
    CLEANUP_FD int fd = dup(1);
    CHECK(fd >= 0);
    runtime_process(&q);
    CHECK_INT(q.open_fds, p.open_fds + 1);
    CHECK(q.cpu_ns >= p.cpu_ns);
    uint64_t start = runtime_start_time();
    CHECK(start > UINT64_C(1700000000) * NS_PER_S);
    CHECK_INT(runtime_start_time(), start);
}

// Both ways to count, with more of them than one read of a directory names. An old kernel knows one only.
static void descriptors(void)
{
    int more[200];
    uint64_t begun = runtime_fds_by_name();
    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        CHECK((more[i] = dup(1)) >= 0);
    CHECK_INT(runtime_fds_by_name(), begun + ARRAY_LEN(more));
    uint64_t size = runtime_fds_by_size();
    CHECK(size == 0 || size == begun + ARRAY_LEN(more));
    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        close(more[i]);
    CHECK_INT(runtime_fds_by_name(), begun);
}

// Read when it is old, and not before.
static void machine(void)
{
    struct runtime_machine m = {0};
    struct runtime_process p;
    runtime_process(&p);
    runtime_machine(&m, NS_PER_S);
    CHECK(m.cpus >= p.cpus_allowed && m.cpus >= 1);
    m.cpus = 0;
    runtime_machine(&m, LIMIT_MACHINE_AGE_NS);
    CHECK_INT(m.cpus, 0);
    runtime_machine(&m, NS_PER_S + LIMIT_MACHINE_AGE_NS);
    CHECK(m.cpus >= 1);
}

static const struct check_case cases[] = {
    {"process", process}, {"descriptors", descriptors}, {"machine", machine}};
CHECK_MAIN(cases)
