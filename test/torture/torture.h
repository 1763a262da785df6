// SPDX-License-Identifier: Apache-2.0
// Allocation n fails. The linker sends every allocation of the code under test, and of the libraries that are
// linked statically with it (libyaml, jansson), through here (--wrap, see the Makefile).
#ifndef KUBECANARY_TEST_TORTURE_H
#define KUBECANARY_TEST_TORTURE_H

#include <stdbool.h>
#include <stddef.h>

// How it fails: one allocation alone, or everything from there on.
enum torture_mode { TORTURE_ONE, TORTURE_ALL };
#define TORTURE_MODES 2

// From now on allocation n (1: the next) fails.
void torture_begin(enum torture_mode mode, size_t n);
// Ends that; whether an allocation failed.
bool torture_end(void);

#endif
