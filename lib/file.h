// SPDX-License-Identifier: Apache-2.0
// Reading whole small files with a ceiling.
#ifndef KUBECANARY_LIB_FILE_H
#define KUBECANARY_LIB_FILE_H

#include "lib/err.h"

// Reads all of path into *ret (heap, NUL-terminated; free with free) and its length into *ret_len (may be
// NULL). Errors carry the path in the message; E2BIG when there is more than max, EISDIR, ENOENT ...
MUST_USE int file_read(const char *path, size_t max, char **ret, size_t *ret_len, struct err *e);

#endif
