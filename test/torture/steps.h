// SPDX-License-Identifier: Apache-2.0
// Steps of the operator that are repeated with allocation n failing, n = 1, 2, ... until none does.
#ifndef KUBECANARY_TEST_TORTURE_STEPS_H
#define KUBECANARY_TEST_TORTURE_STEPS_H

#include <errno.h>
#include <stdio.h>

#include "lib/err.h"
#include "test/torture/torture.h"

#define MOST 50000 // allocations: more means that it never ends

static inline bool is_no_memory(int r, const struct err *e)
{
    if (r == -ENOMEM && e->code == ENOMEM && e->msg[0])
        return true;
    printf("    %d: %d %s: %s\n", r, e->code, e->path, e->msg);
    return false;
}

// A step with allocation n failing; *ret_hit: it did. False: it was neither carried out nor refused as it
// should be.
typedef bool step_fn(enum torture_mode mode, size_t n, bool *ret_hit);

static inline bool torture(step_fn *step)
{
    for (unsigned mode = 0; mode < TORTURE_MODES; mode++) {
        bool hit = true;
        size_t n = 0;
        while (hit && ++n < MOST) {
            if (!step(mode, n, &hit)) {
                printf("    allocation %zu, mode %u\n", n, mode);
                return false;
            }
        }
        if (n < 3 || n >= MOST)
            return false;
    }
    return true;
}

#endif
