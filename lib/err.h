// SPDX-License-Identifier: Apache-2.0
// The one error contract: `int f(..., T *ret, struct err *e)` returns 0, or a negative errno and fills *e.
// *e is touched only on failure, *ret only on success. A struct err is a plain value in the caller's frame;
// nothing to free. Whatever bytes are put into a message or path, each is one line of valid UTF-8
// (utf8_line), cut between characters where it is too long.
#ifndef KUBECANARY_LIB_ERR_H
#define KUBECANARY_LIB_ERR_H

#include "lib/base.h"

struct err {
    int code; // positive errno value; EINVAL: bad input, EDQUOT: over the budget, EPROTO: the other side
              // answered nonsense
    char path[256]; // the field or file that is meant, e.g. "spec.targets[1].address"; "" if none
    char msg[512];  // a sentence without the path, no full stop, no new line
};

// Fills *e (path ""), returns -code. Usage: return err_set(e, EINVAL, "must be at least %d", 3);
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
// As err_set, with ": <strerror(code)>" appended: for failed system calls.
int err_sys(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
// Puts "<fmt>: " before the message that is there (context on the way up). Returns -e->code.
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
// Puts text before the path that is there; a '.' is added between unless the present path starts with '['.
// Returns -e->code. err_at(e, "targets[%zu]", 1) on path "address" gives "targets[1].address".
int err_at(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
// "path: msg", or just msg without a path. The text lives in out (out may be any size >= 1, it is cut).
const char *err_text(const struct err *e, char *out, size_t size);

#endif
