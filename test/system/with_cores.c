// SPDX-License-Identifier: Apache-2.0
// with_cores N PROGRAM ARG...: runs a program that sees N processors, whatever the machine has, so that an
// allocator or a thread pool which goes by them can be watched. sched_getaffinity answers with N bits set,
// and the files under /sys/devices/system/cpu that name the processors say 0 to N - 1: all that musl,
// glibc 2.36, jemalloc 5.3 and Go ask. Needs root for the mounts.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "test/system/traced.h"

#define CORES_MAX 1024

static void cover(const char *path, const char *text)
{
    char name[] = "/tmp/with-cores-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fchmod(fd, 0444) != 0)
        traced_die(name);
    if (mount(name, path, NULL, MS_BIND, NULL) != 0)
        traced_die(path);
    close(fd);
    unlink(name);
}

static void show_cores(const void *arg)
{
    unsigned cores = *(const unsigned *)arg;
    char list[32];
    snprintf(list, sizeof(list), cores > 1 ? "0-%u\n" : "%u\n", cores - 1);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        traced_die("mount namespace");
    cover("/sys/devices/system/cpu/online", list);
    cover("/sys/devices/system/cpu/possible", list);
    cover("/sys/devices/system/cpu/present", list);
}

// The call ran with its own arguments; what it wrote is written over when it returns.
static bool answer(pid_t pid, struct user_regs_struct *regs, const void *arg)
{
    unsigned cores = *(const unsigned *)arg;
    uint8_t mask[CORES_MAX / 8] = {0};
    size_t len = MIN((size_t)regs->rsi, sizeof(mask));
    for (unsigned i = 0; i < cores && i / 8 < len; i++)
        mask[i / 8] |= (uint8_t)(1u << i % 8);
    const struct iovec here = {mask, len}, there = {(void *)(size_t)regs->rdx, len};
    if (8 * len < cores)
        regs->rax = (unsigned long long)-EINVAL; // as the kernel does
    else if (process_vm_writev(pid, &here, 1, &there, 1, 0) == (ssize_t)len)
        regs->rax = len;
    else
        traced_die("the program's memory");
    return true;
}

int main(int argc, char **argv)
{
    uint64_t n;
    if (argc < 3 || base_parse_u64(argv[1], 1, CORES_MAX, &n) < 0) {
        fprintf(stderr, "usage: with_cores N PROGRAM ARG... (N: 1 to %d)\n", CORES_MAX);
        return 2;
    }
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_getaffinity, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    unsigned cores = (unsigned)n;
    const struct traced t = {.name = "with_cores",
                             .filter = {ARRAY_LEN(code), code},
                             .prepare = show_cores,
                             .after = answer,
                             .arg = &cores};
    return traced_run(&t, argv + 2);
}
