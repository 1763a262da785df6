// SPDX-License-Identifier: Apache-2.0
// Standard output as a program's result: whether all of it arrived.
#ifndef KUBECANARY_LIB_OUTPUT_H
#define KUBECANARY_LIB_OUTPUT_H

#include "lib/err.h"

// Writes all of it, past stdio, so that the errno of write(2) is known whenever it failed ("standard output:
// No space left on device"): some of it may have arrived then.
MUST_USE int output_write(const char *text, size_t len, struct err *e);
// The same of a string that is all that a program has to say. The status with which it is to end: 0, or 1
// after "<program>: <error>" on standard error.
MUST_USE int output_result(const char *program, const char *text);

#endif
