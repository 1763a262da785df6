// SPDX-License-Identifier: Apache-2.0
// Reading JSON that others wrote. jansson's scanner leaves out the characters that it has no memory for and
// goes on with the rest, so that a key may be read as another one; here that is a failure. Sets jansson's
// allocator, for all of the process, at its first use.
#ifndef KUBECANARY_OPERATOR_JSONREAD_H
#define KUBECANARY_OPERATOR_JSONREAD_H

#include <jansson.h>

#include "lib/err.h"

// The value that the whole text is, an object or an array (new reference). NULL: EINVAL, "is not JSON: why";
// ENOMEM. e may be NULL.
json_t *jsonread_text(const char *text, size_t len, struct err *e);

#endif
