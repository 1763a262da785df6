// SPDX-License-Identifier: Apache-2.0
// Reads /proc/self and asks the allocator through symbols that are there only if it is linked: mallctl
// (jemalloc), mallinfo2 (glibc).
#include "agent/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <sys/resource.h>
#include <time.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
// Weak, so that asking for it does not link glibc's allocator into a static program beside jemalloc.
#pragma weak mallinfo2
#endif

// jemalloc(3). The release agent for jemalloc is built without a prefix; elsewhere the symbol is absent.
extern int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
    __attribute__((weak));

static bool ctl(const char *name, void *ret, size_t size)
{
    size_t len = size;
    return mallctl && mallctl(name, ret, &len, NULL, 0) == 0 && len == size;
}

// Reads opt.NAME as whatever type it has: the shape of the wanted value says which to try.
static bool read_option(const char *name, const char *wanted, char *out, size_t size)
{
    char key[RUNTIME_TEXT + 8];
    snprintf(key, sizeof(key), "opt.%s", name);
    bool flag;
    unsigned small;
    ssize_t big;
    const char *text;
    bool number = wanted[0] == '-' || (wanted[0] >= '0' && wanted[0] <= '9');
    if (strcmp(wanted, "true") == 0 || strcmp(wanted, "false") == 0) {
        if (!ctl(key, &flag, sizeof(flag)))
            return false;
        snprintf(out, size, "%s", flag ? "true" : "false");
    } else if (number && ctl(key, &big, sizeof(big))) {
        snprintf(out, size, "%zd", big);
    } else if (number && ctl(key, &small, sizeof(small))) {
        snprintf(out, size, "%u", small);
    } else if (!number && ctl(key, &text, sizeof(text)) && text) {
        snprintf(out, size, "%s", text);
    } else {
        return false;
    }
    return true;
}

static void copy_part(char out[static RUNTIME_TEXT], const char *at, size_t len)
{
    len = MIN(len, (size_t)RUNTIME_TEXT - 1);
    memcpy(out, at, len);
    out[len] = '\0';
}

void runtime_settings(const char *conf, struct runtime_allocator *ret)
{
    ret->n_settings = 0;
    while (conf && *conf != '\0' && ret->n_settings < RUNTIME_SETTINGS) {
        size_t len = strcspn(conf, ",");
        const char *colon = memchr(conf, ':', len);
        if (len > 0) {
            struct runtime_setting *s = &ret->settings[ret->n_settings++];
            size_t name = colon ? (size_t)(colon - conf) : len;
            *s = (struct runtime_setting){0};
            copy_part(s->name, conf, name);
            if (colon)
                copy_part(s->wanted, colon + 1, len - name - 1);
            s->effective = read_option(s->name, s->wanted, s->actual, sizeof(s->actual)) &&
                           strcmp(s->wanted, s->actual) == 0;
        }
        conf += len + (conf[len] == ',');
    }
}

bool runtime_effective(const struct runtime_allocator *a)
{
    for (size_t i = 0; i < a->n_settings; i++) {
        if (!a->settings[i].effective)
            return false;
    }
    return true;
}

static void read_jemalloc(struct runtime_allocator *a)
{
    uint64_t epoch = 1;
    size_t len = sizeof(epoch), allocated, active, resident;
    const char *version = "";
    unsigned arenas = 0, automatic = 0;
    a->name = "jemalloc";
    mallctl("epoch", &epoch, &len, &epoch, sizeof(epoch)); // statistics are of the last epoch
    if (ctl("version", &version, sizeof(version)))
        copy_part(a->version, version, strcspn(version, "-"));
    // jemalloc counts the one that it makes for oversized requests as well.
    if (ctl("arenas.narenas", &arenas, sizeof(arenas)) && ctl("opt.narenas", &automatic, sizeof(automatic)))
        a->arenas = MIN(arenas, automatic);
    a->sizes = ctl("stats.allocated", &allocated, sizeof(allocated)) &&
               ctl("stats.active", &active, sizeof(active)) &&
               ctl("stats.resident", &resident, sizeof(resident));
    if (!a->sizes)
        return;
    a->allocated_bytes = allocated;
    a->active_bytes = active;
    a->resident_bytes = resident;
}

void runtime_allocator(struct runtime_allocator *ret)
{
    *ret = (struct runtime_allocator){.arenas = 1}; // one thread has one arena, or a libc that knows none
    if (mallctl) {
        read_jemalloc(ret);
    } else {
#ifdef __GLIBC__
        struct mallinfo2 info = mallinfo2 ? mallinfo2() : (struct mallinfo2){0};
        ret->name = "glibc";
        copy_part(ret->version, gnu_get_libc_version(), strlen(gnu_get_libc_version()));
        ret->sizes = true;
        ret->allocated_bytes = info.uordblks + info.hblkhd;
        ret->active_bytes = info.arena + info.hblkhd;
        ret->resident_bytes = ret->active_bytes;
#else
        ret->name = "musl";
#endif
    }
    runtime_settings(getenv("MALLOC_CONF"), ret);
}

static size_t read_small(const char *path, char *out, size_t size)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
    out[MAX(n, 0)] = '\0';
    return (size_t)MAX(n, 0);
}

static uint64_t number_after(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

static uint64_t count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    uint64_t n = 0;
    if (!d)
        return 0;
    for (const struct dirent *entry; (entry = readdir(d));)
        n += entry->d_name[0] != '.';
    closedir(d);
    return n - 1; // the directory's own
}

void runtime_process(struct runtime_process *ret)
{
    char text[4096];
    struct rusage usage;
    struct rlimit files;
    *ret = (struct runtime_process){0};
    if (read_small("/proc/self/statm", text, sizeof(text)) > 0) {
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        char *end;
        ret->virtual_bytes = strtoull(text, &end, 10) * page;
        ret->resident_bytes = strtoull(end, NULL, 10) * page;
    }
    if (read_small("/proc/self/status", text, sizeof(text)) > 0)
        ret->threads = number_after(text, "\nThreads:");
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        ret->cpu_ns = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_S +
                      (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * NS_PER_US;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        ret->max_fds = files.rlim_cur == RLIM_INFINITY ? 0 : files.rlim_cur;
    ret->open_fds = count_fds();
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    ret->cpus = cpus > 0 ? (uint64_t)cpus : 0;
}

uint64_t runtime_start_time(void)
{
    static uint64_t start;
    struct timespec ts;
    if (start == 0 && clock_gettime(CLOCK_REALTIME, &ts) == 0)
        start = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
    return start;
}
