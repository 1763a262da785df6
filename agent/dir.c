// SPDX-License-Identifier: Apache-2.0
// getdents64(2), for which musl and glibc have different names.
#include "agent/dir.h"

#include <sys/syscall.h>

struct entry { // the kernel's struct linux_dirent64
    uint64_t inode;
    int64_t offset;
    uint16_t size; // of this one, up to the next
    uint8_t type;
    char name[];
};

void dir_init(struct dir *d, int fd)
{
    d->fd = fd;
    d->at = d->have = 0;
}

const char *dir_next(struct dir *d)
{
    if (d->at == d->have) {
        long n = syscall(SYS_getdents64, d->fd, d->bytes, sizeof(d->bytes));
        d->at = 0;
        d->have = (size_t)MAX(n, 0L);
        if (d->have == 0)
            return NULL;
    }
    const struct entry *e = (const void *)(d->bytes + d->at);
    d->at += e->size;
    return e->name;
}
