// SPDX-License-Identifier: Apache-2.0
// How much memory this process has resident, to the page.
//
// The kernel's own sum is not: since Linux 6.2 (f1a7941243c1) each processor keeps its share back until it is
// max(32, 2n) pages, on a machine of n processors, of each of three kinds (files', anonymous, shared). What
// /proc/self/stat says, and before 6.17 statm and status, may be 768 KiB off on two processors and 96 MiB on
// 64; proc_pid_stat(5) calls it inaccurate.
// /proc/self/smaps_rollup (Linux 4.14, CONFIG_PROC_PAGE_MONITOR) counts the pages when it is read: some
// microseconds for a program of this size.
#ifndef KUBECANARY_LIB_RESIDENT_H
#define KUBECANARY_LIB_RESIDENT_H

#include "lib/base.h"

// Bytes: as smaps_rollup has them, without it as statm has them; 0 when /proc is not there. Allocates
// nothing.
uint64_t resident_bytes(void);

// The two sources, each for itself; 0 when it does not say.
uint64_t resident_counted(void);
uint64_t resident_summed(void);

#endif
