// SPDX-License-Identifier: Apache-2.0
// What the control groups that this process is in, and those above as far as they are seen, let it use:
// cgroup v2, v1, or both at once (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst and
// scheduler/sched-bwc.rst of the kernel). Reads small files when it is called; changes nothing.
#ifndef KUBECANARY_AGENT_CGROUP_H
#define KUBECANARY_AGENT_CGROUP_H

#include "lib/base.h"

struct cgroup_limits { // of all groups, the least; 0: none, or not to be seen
    uint64_t memory_bytes;
    uint64_t cpu_millis; // thousandths of a processor
};

// root stands before /proc/self/cgroup and /sys/fs/cgroup: "", or a test's directory.
void cgroup_limits(const char *root, struct cgroup_limits *ret);

#endif
