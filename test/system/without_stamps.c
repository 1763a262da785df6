// SPDX-License-Identifier: Apache-2.0
// without_stamps all|tx PROGRAM ARG...: runs a program on a kernel that stamps no packets (all:
// SO_TIMESTAMPING is refused with ENOPROTOOPT), or none that it sends (tx: the wish for those is taken out of
// the flags, as from a driver that stamps nothing, and the call succeeds).
#include <linux/net_tstamp.h>
#include <sys/socket.h>

#include "test/system/traced.h"

static bool wish_less(pid_t pid, struct user_regs_struct *regs, const void *arg UNUSED)
{
    int flags;
    const struct iovec here = {&flags, sizeof(flags)}, there = {(void *)(size_t)regs->r10, sizeof(flags)};
    if (regs->r8 < sizeof(flags))
        return false;
    if (process_vm_readv(pid, &here, 1, &there, 1, 0) != sizeof(flags))
        traced_die("the program's memory");
    flags &= ~(SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_ACK);
    if (process_vm_writev(pid, &here, 1, &there, 1, 0) != sizeof(flags))
        traced_die("the program's memory");
    return false;
}

int main(int argc, char **argv)
{
    bool all = argc > 2 && strcmp(argv[1], "all") == 0;
    if (argc < 3 || (!all && strcmp(argv[1], "tx") != 0)) {
        fprintf(stderr, "usage: without_stamps all|tx PROGRAM ARG...\n");
        return 2;
    }
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsockopt, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOL_SOCKET, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SO_TIMESTAMPING, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, all ? SECCOMP_RET_ERRNO | ENOPROTOOPT : SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct traced t = {
        .name = "without_stamps", .filter = {ARRAY_LEN(code), code}, .before = wish_less};
    return traced_run(&t, argv + 2);
}
