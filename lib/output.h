// SPDX-License-Identifier: Apache-2.0
// Standard output as a program's result: whether all of it arrived.
#ifndef KUBECANARY_LIB_OUTPUT_H
#define KUBECANARY_LIB_OUTPUT_H

#include "lib/err.h"

// To be called once everything is printed, before the program says by its exit status that it did what was
// wanted. The errno of the failure (EIO if it is not known any more): some of it may have arrived.
MUST_USE int output_end(struct err *e);

// With which status a program is to end that would end with this one: 1, after "<program>: <error>" on
// standard error, if that is 0 and its output did not arrive. One that failed has said why.
MUST_USE int output_finish(const char *program, int status);

#endif
