// SPDX-License-Identifier: Apache-2.0
// Functions that must not be used in this tree: unbounded copies, hidden state, parsers that cannot report an
// error. Included by base.h after the system's headers; tools/lint looks for the names as well.
#ifndef KUBECANARY_LIB_BANNED_H
#define KUBECANARY_LIB_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#pragma GCC poison strcpy strcat sprintf vsprintf gets strtok atoi atol atoll atof strncpy strncat
#pragma GCC poison system popen tmpnam mktemp setjmp longjmp

#endif
