// SPDX-License-Identifier: Apache-2.0
// Starts one program in a network namespace with the least rights: uid and gid 65532 where they exist, no
// capability, no new privilege, killed by the kernel when this process dies. Knows nothing of Pods.
#ifndef KUBECANARY_OPERATOR_LOCAL_EXEC_H
#define KUBECANARY_OPERATOR_LOCAL_EXEC_H

#include <sys/types.h>

#include "lib/err.h"

#define LOCAL_EXEC_ID 65532 // the images' user and group

struct local_exec { // borrowed
    const char *program;
    char *const *argv;
    char *const *envp;
    int netns;
    bool ping;       // let the program's group open ping sockets there
    const char *log; // file that its stdout and stderr are appended to
};

// ret_pidfd becomes readable when the process ends; to be closed by the caller, who also reaps it (waitpid).
// ENOENT, EACCES: no such program.
MUST_USE int local_exec_start(const struct local_exec *x, pid_t *ret_pid, int *ret_pidfd, struct err *e);

#endif
