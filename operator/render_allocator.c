// SPDX-License-Identifier: Apache-2.0
// Joins pairs.
#include "operator/render_allocator.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// Options, conf or tunables, and the variables' names.
#define SETTINGS_TEXT 8192

struct form { // of a list of pairs
    char link;
    char next;
};

static void add_options(const struct spec_allocator *a, enum spec_option from, enum spec_option to,
                        const struct form *form, struct buf *out)
{
    char text[SPEC_OPTION_TEXT_MAX];
    for (enum spec_option o = from; o < to; o++) {
        if (!a->options[o].set)
            continue;
        if (out->len > 0)
            buf_char(out, form->next);
        buf_fmt(out, "%s%c%s", spec_option_name(o), form->link, spec_option_text(o, &a->options[o], text));
    }
}

static void add_rest(const char *rest, const struct form *form, struct buf *out)
{
    if (rest[0] && out->len > 0)
        buf_char(out, form->next);
    buf_str(out, rest);
}

void render_allocator(const struct spec_allocator *a, struct buf *out)
{
    static const struct form jemalloc = {':', ','}, glibc = {'=', ':'};
    char text[SPEC_OPTION_TEXT_MAX];
    const char *variable = spec_allocator_variable(a);
    if (!variable)
        return;
    if (a->type == SPEC_ALLOCATOR_JEMALLOC) {
        add_options(a, 0, SPEC_OPTION_GLIBC, &jemalloc, out);
        add_rest(a->conf, &jemalloc, out);
    } else if (strcmp(variable, SPEC_ALLOCATOR_ARENA_MAX) == 0) {
        buf_str(out, spec_option_text(SPEC_OPTION_ARENA_MAX, &a->options[SPEC_OPTION_ARENA_MAX], text));
    } else {
        add_options(a, SPEC_OPTION_GLIBC, SPEC_OPTIONS, &glibc, out);
        add_rest(a->tunables, &glibc, out);
    }
}

int render_allocator_settings(const struct spec_agent *a, char out[static RENDER_ALLOCATOR_SETTINGS])
{
    CLEANUP_BUF struct buf told;
    const char *variable = spec_allocator_variable(&a->allocator);
    buf_init(&told, SETTINGS_TEXT);
    render_allocator(&a->allocator, &told);
    if (told.len == 0)
        variable = NULL;
    buf_fmt(&told, "\n%u\n%s\n", a->allocator.type, variable ? variable : "");
    if (a->threads.present)
        buf_fmt(&told, "%u %s", a->threads.count, a->threads.variable);
    buf_fmt(&told, "\n%s", a->resources.memory_limit);
    if (told.failed)
        return -ENOMEM;
    snprintf(out, RENDER_ALLOCATOR_SETTINGS, "%016" PRIx64,
             base_hash(BASE_HASH_INIT, buf_text(&told), told.len));
    return 0;
}
