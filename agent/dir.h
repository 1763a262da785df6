// SPDX-License-Identifier: Apache-2.0
// The names in a directory, read into a buffer of the caller's: what readdir does, without a block of memory
// for each time somebody looks.
#ifndef KUBECANARY_AGENT_DIR_H
#define KUBECANARY_AGENT_DIR_H

#include "lib/base.h"

#define DIR_BYTES 2048 // of one read; the longest name takes 280 (getdents64(2))

struct dir {
    int fd; // borrowed
    size_t at, have;
    _Alignas(8) char bytes[DIR_BYTES];
};

// fd: an open directory that nobody has read from. It stays the caller's.
void dir_init(struct dir *d, int fd);
// The next name, until the next call; in no order, "." and ".." among them. NULL: there is none, or the
// directory cannot be read (any further).
const char *dir_next(struct dir *d);

#endif
