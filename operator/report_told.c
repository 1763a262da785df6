// SPDX-License-Identifier: Apache-2.0
// Takes the rendered texts apart again, so that what is compared is what was told.
#include "operator/report_told.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "operator/render_allocator.h"

static int want_allocator(const struct spec_allocator *a, struct report_metrics_wanted *w)
{
    CLEANUP_BUF struct buf told;
    const char *variable = spec_allocator_variable(a);
    buf_init(&told, 4096);
    render_allocator(a, &told);
    if (a->type == SPEC_ALLOCATOR_JEMALLOC) {
        report_metrics_want(w, buf_text(&told), ':', ',');
    } else if (variable && strcmp(variable, SPEC_ALLOCATOR_ARENA_MAX) == 0) {
        char pair[64];
        snprintf(pair, sizeof(pair), "%s=%.16s", SPEC_ALLOCATOR_ARENA_MAX, buf_text(&told));
        report_metrics_want(w, pair, '=', ':');
    } else {
        report_metrics_want(w, buf_text(&told), '=', ':');
    }
    return told.failed ? -ENOMEM : 0;
}

int report_told_of(const struct spec_agent *a, struct report_told *ret)
{
    char threads[LIMIT_LABEL + 16];
    *ret = (struct report_told){.is_jemalloc = a->allocator.type == SPEC_ALLOCATOR_JEMALLOC};
    ret->allocator = ret->is_jemalloc && !a->image[0] ? "jemalloc" : NULL;
    if (want_allocator(&a->allocator, &ret->wanted) < 0)
        return -ENOMEM;
    snprintf(threads, sizeof(threads), "%s=%u", a->threads.variable, a->threads.count);
    if (a->program == SPEC_PROGRAM_EXPORTER && a->threads.present)
        report_metrics_want(&ret->wanted, threads, '=', ':');
    return 0;
}
