// SPDX-License-Identifier: Apache-2.0
#include "lib/resident.h"

#include <fcntl.h>
#include <string.h>

// The number after the first `before` in the file; 0: there is none.
static uint64_t number_after(const char *path, const char *before)
{
    char text[256]; // both numbers stand in the first two lines
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    text[MAX(n, 0)] = '\0';
    const char *at = strstr(text, before);
    return at ? strtoull(at + strlen(before), NULL, 10) : 0;
}

// proc_pid_smaps(5): a line that names the range, then "Rss:   708 kB".
uint64_t resident_counted(void)
{
    return number_after("/proc/self/smaps_rollup", "Rss:") * 1024;
}

// proc_pid_statm(5): "size resident ...", in pages.
uint64_t resident_summed(void)
{
    return number_after("/proc/self/statm", " ") * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t resident_bytes(void)
{
    uint64_t counted = resident_counted();
    return counted ? counted : resident_summed();
}
