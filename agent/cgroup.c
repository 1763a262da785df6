// SPDX-License-Identifier: Apache-2.0
// Goes from the process's own group up to the root of the mount. A container without a cgroup namespace is
// told the host's path, of which it sees only the root: its own group.
#include "agent/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define MOUNT "/sys/fs/cgroup"
// v1 writes "none" as the largest number of whole pages.
#define NO_MEMORY_LIMIT (UINT64_C(1) << 62)
#define PATH_SIZE 512  // a Pod's is half of that; of longer ones nothing is known
#define LIST_SIZE 4096 // a line a controller

static bool read_text(const char *path, char *out, size_t size)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
    out[MAX(n, 0)] = '\0';
    return n > 0;
}

// The file of one group; false: there is none.
static bool read_file(const char *directory, const char *name, char *out, size_t size)
{
    char path[PATH_SIZE + 32];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return read_text(path, out, size);
}

static void lower(uint64_t *least, uint64_t value)
{
    if (value > 0 && (*least == 0 || value < *least))
        *least = value;
}

// Reads one group's limits of one kind into *ret.
typedef void read_group(const char *directory, struct cgroup_limits *ret);

// "1048576\n"; "max\n" and what is no number: no limit.
static void add_memory(const char *text, struct cgroup_limits *ret)
{
    char *end;
    uint64_t bytes = strtoull(text, &end, 10);
    if (end != text && text[0] != '-' && bytes < NO_MEMORY_LIMIT)
        lower(&ret->memory_bytes, bytes);
}

// Microseconds of processor time in each period; a quota of "max" or -1: no limit.
static void add_cpu(const char *quota, const char *period, struct cgroup_limits *ret)
{
    char *end;
    uint64_t used = strtoull(quota, &end, 10), of = strtoull(period, NULL, 10);
    if (end != quota && quota[0] != '-' && of > 0 && used <= UINT64_MAX / 1000)
        lower(&ret->cpu_millis, MAX(used * 1000 / of, (uint64_t)1));
}

static void read_v2(const char *directory, struct cgroup_limits *ret)
{
    char text[64];
    if (read_file(directory, "memory.max", text, sizeof(text)))
        add_memory(text, ret);
    if (read_file(directory, "cpu.max", text, sizeof(text)))
        add_cpu(text, text + strcspn(text, " "), ret);
}

static void read_v1_memory(const char *directory, struct cgroup_limits *ret)
{
    char text[64];
    if (read_file(directory, "memory.limit_in_bytes", text, sizeof(text)))
        add_memory(text, ret);
}

static void read_v1_cpu(const char *directory, struct cgroup_limits *ret)
{
    char quota[64], period[64];
    if (read_file(directory, "cpu.cfs_quota_us", quota, sizeof(quota)) &&
        read_file(directory, "cpu.cfs_period_us", period, sizeof(period)))
        add_cpu(quota, period, ret);
}

// From the group at path[len] below the mount up to the mount itself. A path with "..", which leads out of
// the namespace, stands for the mount.
static void climb(const char *root, const char *mount, const char *path, size_t len, read_group *fn,
                  struct cgroup_limits *ret)
{
    char directory[PATH_SIZE];
    int base = snprintf(directory, sizeof(directory), "%s" MOUNT "%s", root, mount);
    if (base < 0 || (size_t)base + len >= sizeof(directory))
        return;
    memcpy(directory + base, path, len);
    directory[(size_t)base + len] = '\0';
    if (strstr(directory + base, "/.."))
        directory[base] = '\0';
    for (char *slash; (slash = strrchr(directory + base, '/')); *slash = '\0')
        if (slash[1] != '\0')
            fn(directory, ret);
    fn(directory, ret);
}

// Whether list[len] ("cpu,cpuacct") names it.
static bool names(const char *list, size_t len, const char *name)
{
    for (const char *end = list + len; list < end;) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        size_t word = (size_t)((comma ? comma : end) - list);
        if (word == strlen(name) && memcmp(list, name, word) == 0)
            return true;
        list += word + 1;
    }
    return false;
}

// "0::/kubepods/..." (v2) or "4:cpu,cpuacct:/kubepods/..." (v1).
static void read_line(const char *root, const char *line, size_t len, struct cgroup_limits *ret)
{
    const char *list = memchr(line, ':', len);
    const char *path = list ? memchr(list + 1, ':', (size_t)(line + len - list - 1)) : NULL;
    if (!path)
        return;
    size_t n = (size_t)(path - ++list), rest = (size_t)(line + len - ++path);
    if (n == 0)
        climb(root, "", path, rest, read_v2, ret);
    if (names(list, n, "memory"))
        climb(root, "/memory", path, rest, read_v1_memory, ret);
    if (names(list, n, "cpu"))
        climb(root, "/cpu", path, rest, read_v1_cpu, ret);
}

void cgroup_limits(const char *root, struct cgroup_limits *ret)
{
    char path[PATH_SIZE], text[LIST_SIZE];
    *ret = (struct cgroup_limits){0};
    snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    if (!read_text(path, text, sizeof(text)))
        return;
    for (const char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        read_line(root, line, len, ret);
        line += len + (line[len] == '\n');
    }
}
