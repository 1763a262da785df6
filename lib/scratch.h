// SPDX-License-Identifier: Apache-2.0
// Memory for what comes and goes: a few places of one size in one mapping that is reserved beforehand. To
// take a place allocates nothing, so it cannot fail for want of memory while one is free; what was written
// there is the kernel's again when the place is given back (madvise(2), MADV_DONTNEED), so a place that is
// not in use costs address space and nothing else.
#ifndef KUBECANARY_LIB_SCRATCH_H
#define KUBECANARY_LIB_SCRATCH_H

#include "lib/err.h"

struct scratch;

// places: 1 to SCRATCH_PLACES, of so many bytes each. NULL: no memory.
#define SCRATCH_PLACES 32
struct scratch *scratch_new(size_t places, size_t bytes, struct err *e);
// No more places are taken; the mapping goes with the last one that is given back. Takes NULL.
void scratch_free(struct scratch *s);

// bytes: what is needed of the place, no more than it has. Zeros, aligned to a page. NULL: all places are in
// use. Under AddressSanitizer the rest of the place may not be touched, nor a place that was given back.
void *scratch_take(struct scratch *s, size_t bytes);
void scratch_give(struct scratch *s, void *place);

#endif
