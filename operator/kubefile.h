// SPDX-License-Identifier: Apache-2.0
// Small files and encodings of credentials: a bounded file as text, base64, PEM's outline. Keeps nothing.
#ifndef KUBECANARY_OPERATOR_KUBEFILE_H
#define KUBECANARY_OPERATOR_KUBEFILE_H

#include "lib/err.h"

// The whole file as NUL-terminated text (*ret: free). Errors: ENOENT, EACCES ... ; E2BIG over max bytes;
// EINVAL for a NUL in it.
MUST_USE int kubefile_read(const char *path, size_t max, char **ret, struct err *e);

// RFC 4648 with padding; white space is skipped. *ret: free, NUL-terminated. EINVAL: not base64, or a NUL in
// the decoded text.
MUST_USE int kubefile_base64(const char *text, char **ret, struct err *e);

// Whether the text has a PEM block of that kind: "CERTIFICATE", "KEY" (any private key).
bool kubefile_has_pem(const char *text, const char *kind);

#endif
