// SPDX-License-Identifier: Apache-2.0
// Standard input, output and error as descriptors that are there.
#ifndef KUBECANARY_LIB_STDFD_H
#define KUBECANARY_LIB_STDFD_H

#include "lib/err.h"

// To be called first of all: those of 0 to 2 that are closed are opened on /dev/null, so that no file or
// socket opened later gets such a number and has the log written into it. What is written to standard output
// then fails with EBADF, as it would have; what is written to standard error is lost. Those that are open
// stay. The errno of open(2) on failure: then nothing else may be opened.
MUST_USE int stdfd_open(struct err *e);

#endif
