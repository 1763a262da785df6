// SPDX-License-Identifier: Apache-2.0
// Trees as the kernel and container runtimes make them: v2, v1, both, with and without a namespace.
#include "agent/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "test/unit/check.h"

static char root[64];

static bool make_root(void)
{
    snprintf(root, sizeof(root), "/tmp/kubecanary-cgroup-XXXXXX");
    return mkdtemp(root) != NULL;
}

static int drop(const char *path, const struct stat *st UNUSED, int type UNUSED, struct FTW *at UNUSED)
{
    return remove(path);
}

// Writes a file, its directories included.
static bool put(const char *name, const char *text)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return false;
        *slash = '/';
    }
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return len > 0 && fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

struct file {
    const char *name, *text;
};

static void check(const char *cgroup, const struct file *files, size_t n, uint64_t memory, uint64_t cpu)
{
    struct cgroup_limits limits;
    CHECK(make_root());
    CHECK(put("/proc/self/cgroup", cgroup));
    for (size_t i = 0; i < n; i++)
        CHECK(put(files[i].name, files[i].text));
    cgroup_limits(root, &limits);
    nftw(root, drop, 8, FTW_DEPTH | FTW_PHYS);
    CHECK_INT(limits.memory_bytes, memory);
    CHECK_INT(limits.cpu_millis, cpu);
}
#define CHECK_TREE(cgroup, memory, cpu, ...)                         \
    do {                                                             \
        const struct file files_[] = {__VA_ARGS__};                  \
        check((cgroup), files_, ARRAY_LEN(files_), (memory), (cpu)); \
        if (check_failed)                                            \
            return;                                                  \
    } while (0)

#define FS "/sys/fs/cgroup/"

static void v2(void)
{
    // In a container with a namespace of its own.
    CHECK_TREE("0::/\n", 16777216, 500, {FS "memory.max", "16777216\n"}, {FS "cpu.max", "50000 100000\n"});
    CHECK_TREE("0::/\n", 0, 0, {FS "memory.max", "max\n"}, {FS "cpu.max", "max 100000\n"});
    CHECK_TREE("0::/\n", 0, 0, {FS "cgroup.procs", "1\n"});
    // On the host: the least of the group and those above.
    CHECK_TREE("0::/a/b\n", 100, 1500, {FS "a/b/memory.max", "max\n"}, {FS "a/memory.max", "100\n"},
               {FS "a/b/cpu.max", "150000 100000\n"}, {FS "a/cpu.max", "400000 100000\n"});
    CHECK_TREE("0::/a/b\n", 100, 1, {FS "a/b/memory.max", "100\n"}, {FS "a/memory.max", "200\n"},
               {FS "a/b/cpu.max", "1 1000000\n"});
    // The host's path, and only the own group mounted; a path out of the namespace.
    CHECK_TREE("0::/kubepods/pod1/c\n", 100, 0, {FS "memory.max", "100\n"});
    CHECK_TREE("0::/../../x\n", 100, 0, {FS "memory.max", "100\n"}, {"/sys/x/memory.max", "1\n"});
}

static void v1(void)
{
    static const char all[] = "9:name=systemd:/k\n4:memory:/k/c\n3:cpuset:/k\n1:cpu,cpuacct:/k/c\n0::/\n";
    CHECK_TREE(all, 100, 250, {FS "memory/k/c/memory.limit_in_bytes", "100\n"},
               {FS "cpu/k/c/cpu.cfs_quota_us", "25000\n"}, {FS "cpu/k/c/cpu.cfs_period_us", "100000\n"});
    CHECK_TREE(all, 0, 0, {FS "memory/k/c/memory.limit_in_bytes", "9223372036854771712\n"},
               {FS "cpu/k/c/cpu.cfs_quota_us", "-1\n"}, {FS "cpu/k/c/cpu.cfs_period_us", "100000\n"});
    // Only the own group is mounted.
    CHECK_TREE(all, 100, 2000, {FS "memory/memory.limit_in_bytes", "100\n"},
               {FS "cpu/cpu.cfs_quota_us", "200000\n"}, {FS "cpu/cpu.cfs_period_us", "100000\n"});
    // A controller whose name begins alike is another one.
    CHECK_TREE("1:cpuset,cpuacct:/\n2:memory2:/\n", 0, 0, {FS "memory/memory.limit_in_bytes", "100\n"},
               {FS "cpu/cpu.cfs_quota_us", "200000\n"}, {FS "cpu/cpu.cfs_period_us", "100000\n"});
}

static void nonsense(void)
{
    static const char *const lines[] = {"",   "\n\n", ":",        "::",        "0",
                                        "0:", "0::",  "x:memory", "4:memory:", "0::x"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        CHECK_TREE(lines[i], 0, 0, {FS "memory.max", ""});
    CHECK_TREE("0::/\n", 0, 0, {FS "memory.max", "-5\n"}, {FS "cpu.max", "100\n"});
    CHECK_TREE("0::/\n", 0, 0, {FS "memory.max", "many\n"}, {FS "cpu.max", "100 0\n"});
    CHECK_TREE("0::/\n", 0, 0, {FS "memory.max", "99999999999999999999999\n"},
               {FS "cpu.max", "99999999999999999999999 100000\n"});
    char deep[6000] = "0::";
    for (size_t i = 3; i < sizeof(deep) - 1; i += 2)
        memcpy(deep + i, "/a", 2);
    deep[sizeof(deep) - 1] = '\0';
    CHECK_TREE(deep, 0, 0, {FS "memory.max", "100\n"});
    struct cgroup_limits limits;
    cgroup_limits("/nowhere", &limits);
    CHECK_INT(limits.memory_bytes, 0);
}

static const struct check_case cases[] = {{"v2", v2}, {"v1", v1}, {"nonsense", nonsense}};
CHECK_MAIN(cases)
