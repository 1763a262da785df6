// SPDX-License-Identifier: Apache-2.0
// What an image's allocator is told: spec.agent.allocator as the text of one environment variable
// (spec_allocator_variable), in the form that this variable has. Pure.
#ifndef KUBECANARY_OPERATOR_RENDER_ALLOCATOR_H
#define KUBECANARY_OPERATOR_RENDER_ALLOCATOR_H

#include "lib/buf.h"
#include "lib/spec_allocator.h"

// jemalloc's: "narenas:1,tcache:false"; GLIBC_TUNABLES: "glibc.malloc.arena_max=1:glibc.malloc.mxfast=0";
// MALLOC_ARENA_MAX: "1". The fields in the order of enum spec_option, then conf or tunables. Nothing is
// written where nothing is to be told: then there shall be no variable.
void render_allocator(const struct spec_allocator *a, struct buf *out);

#endif
