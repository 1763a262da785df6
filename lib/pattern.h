// SPDX-License-Identifier: Apache-2.0
// Matches text against the regular expressions of the schema without ever allocating: the C library's own
// leak, or worse, when memory runs out. The subset that a schema needs: literals, [classes] with ranges,
// (groups), |, ?, *, +, {m}, {m,n}.
#ifndef KUBECANARY_LIB_PATTERN_H
#define KUBECANARY_LIB_PATTERN_H

#include "lib/base.h"

// The longest text that can match, in bytes; no patterned field is longer.
#define PATTERN_TEXT_MAX 575

// Whether the whole text matches. `pattern` is a constant of the program, "^...$"; it is not checked. The
// time is bounded by the lengths: positions are followed as a set, nothing is tried again.
bool pattern_match(const char *pattern, const char *text);

#endif
