// SPDX-License-Identifier: Apache-2.0
// Reads /proc/self and /sys.
#include "agent/runtime.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/dir.h"
#include "lib/limits.h"
#include "lib/resident.h"

static size_t read_small(const char *path, char *out, size_t size)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
    out[MAX(n, 0)] = '\0';
    return (size_t)MAX(n, 0);
}

uint64_t runtime_fds_by_size(void)
{
    struct stat st;
    return stat("/proc/self/fd", &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

uint64_t runtime_fds_by_name(void)
{
    CLEANUP_FD int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dir d;
    uint64_t n = 0;
    dir_init(&d, fd);
    for (const char *name; (name = dir_next(&d));)
        n += name[0] != '.';
    return n > 0 ? n - 1 : 0; // the directory's own
}

// As many as the largest machine that Linux runs on has.
#define CPUS_MAX 8192

static uint64_t count_allowed(void)
{
    unsigned long set[CPUS_MAX / (8 * sizeof(unsigned long))] = {0};
    uint64_t n = 0;
    if (sched_getaffinity(0, sizeof(set), (cpu_set_t *)(void *)set) != 0)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(set); i++)
        n += (uint64_t)__builtin_popcountl(set[i]);
    return n;
}

// "0-3,5\n". Not sysconf, for which musl counts those that are allowed.
static uint64_t count_online(void)
{
    char text[1024];
    uint64_t n = 0;
    read_small("/sys/devices/system/cpu/online", text, sizeof(text));
    for (const char *at = text; *at >= '0' && *at <= '9'; at += *at == ',') {
        char *end;
        uint64_t first = strtoull(at, &end, 10), last = first;
        if (*end == '-')
            last = strtoull(end + 1, &end, 10);
        n += last >= first && last < CPUS_MAX ? last - first + 1 : 0;
        at = end;
    }
    long seen = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? n : seen > 0 ? (uint64_t)seen : 0;
}

// Fields 20 and 23 of /proc/self/stat (proc_pid_stat(5)), counted from the name's end: it may have blanks.
static void read_stat(struct runtime_process *ret)
{
    char text[1024];
    uint64_t fields[24] = {0};
    read_small("/proc/self/stat", text, sizeof(text));
    char *at = strrchr(text, ')');
    at = at ? strchr(at + 2, ' ') : NULL; // behind field 3, a letter
    for (size_t i = 4; at && i < ARRAY_LEN(fields); i++)
        fields[i] = strtoull(at, &at, 10);
    ret->threads = fields[20];
    ret->virtual_bytes = fields[23];
}

void runtime_machine(struct runtime_machine *m, uint64_t now_ns)
{
    if (m->read_ns && now_ns - m->read_ns < LIMIT_MACHINE_AGE_NS)
        return;
    m->read_ns = now_ns;
    m->cpus = count_online();
    cgroup_limits("", &m->limits);
}

void runtime_process(struct runtime_process *ret)
{
    struct rusage usage;
    struct rlimit files;
    *ret = (struct runtime_process){0};
    read_stat(ret);
    ret->resident_bytes = resident_bytes();
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        ret->cpu_ns = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_S +
                      (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * NS_PER_US;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        ret->max_fds = files.rlim_cur == RLIM_INFINITY ? 0 : files.rlim_cur;
    ret->open_fds = runtime_fds_by_size();
    if (ret->open_fds == 0)
        ret->open_fds = runtime_fds_by_name();
    ret->cpus_allowed = count_allowed();
}

uint64_t runtime_start_time(void)
{
    static uint64_t start;
    struct timespec ts;
    if (start == 0 && clock_gettime(CLOCK_REALTIME, &ts) == 0)
        start = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
    return start;
}

void runtime_raise_descriptors(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= LIMIT_DESCRIPTORS)
        return;
    r.rlim_cur = MIN(r.rlim_max, (rlim_t)LIMIT_DESCRIPTORS);
    (void)setrlimit(RLIMIT_NOFILE, &r); // with less, probes that find no descriptor end as send_error
}
