// SPDX-License-Identifier: Apache-2.0
// What this process uses and may use: threads, memory, processor, descriptors. Reads /proc/self, /sys and the
// control groups; changes nothing.
#ifndef KUBECANARY_AGENT_RUNTIME_H
#define KUBECANARY_AGENT_RUNTIME_H

#include "agent/cgroup.h"
#include "lib/base.h"

// What hardly ever changes, and takes longer to be read than all the rest: half of a small scrape.
struct runtime_machine { // zero-initialised: not read yet
    uint64_t read_ns;
    uint64_t cpus; // of the node, online
    struct cgroup_limits limits;
};
// Reads it, unless it was read in the last LIMIT_MACHINE_AGE_NS. now_ns: CLOCK_MONOTONIC, not 0.
void runtime_machine(struct runtime_machine *m, uint64_t now_ns);

struct runtime_process { // 0 where /proc does not say
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t cpu_ns; // user and system
    uint64_t threads;
    uint64_t open_fds;
    uint64_t max_fds;
    uint64_t cpus_allowed; // that this process may run on (sched_getaffinity): what a runtime usually counts
};
void runtime_process(struct runtime_process *ret);
// Descriptors that are open: as the size of /proc/self/fd, which Linux 6.2 and later tell (0: this one does
// not), and as the names in it. 0: /proc is not there.
uint64_t runtime_fds_by_size(void);
uint64_t runtime_fds_by_name(void);
// Wall-clock time of the process's start, ns since 1970; read at the first call.
uint64_t runtime_start_time(void);
// Raises the limit of open descriptors to LIMIT_DESCRIPTORS, as far as this process may; never lowers it.
void runtime_raise_descriptors(void);

#endif
