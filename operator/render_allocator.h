// SPDX-License-Identifier: Apache-2.0
// What an image's allocator is told: spec.agent.allocator as the text of one environment variable
// (spec_allocator_variable), in the form that this variable has. Pure.
#ifndef KUBECANARY_OPERATOR_RENDER_ALLOCATOR_H
#define KUBECANARY_OPERATOR_RENDER_ALLOCATOR_H

#include "lib/buf.h"
#include "lib/spec.h"

// jemalloc's: "narenas:1,tcache:false"; GLIBC_TUNABLES: "glibc.malloc.arena_max=1:glibc.malloc.mxfast=0";
// MALLOC_ARENA_MAX: "1". The fields in the order of enum spec_option, then conf or tunables. Nothing is
// written where nothing is to be told: then there shall be no variable.
void render_allocator(const struct spec_allocator *a, struct buf *out);

// What tells one choice of all that bears on an agent's memory from another (allocator, threads, memory
// limit): a hash, as text. Agents that are told the same have the same, whichever fields it was said by; the
// name of an image is no part of it. -ENOMEM.
#define RENDER_ALLOCATOR_SETTINGS 17
MUST_USE int render_allocator_settings(const struct spec_agent *a,
                                       char out[static RENDER_ALLOCATOR_SETTINGS]);

#endif
