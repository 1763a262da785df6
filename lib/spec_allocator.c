// SPDX-License-Identifier: Apache-2.0
// Each rule is one small function that names the field at fault.
#include "lib/spec_allocator.h"

#include <errno.h>
#include <string.h>

#include "lib/spec_settings.h"

#define TUNABLES "GLIBC_TUNABLES"
#define CONF "MALLOC_CONF"

// The first option of from to below `to` that is set; `to` if none is.
static enum spec_option first_set(const struct spec_allocator *a, enum spec_option from, enum spec_option to)
{
    while (from < to && !a->options[from].set)
        from++;
    return from;
}

const char *spec_allocator_variable(const struct spec_allocator *a)
{
    if (a->type == SPEC_ALLOCATOR_JEMALLOC)
        return a->variable[0] ? a->variable : CONF;
    if (first_set(a, SPEC_OPTION_GLIBC, SPEC_OPTIONS) == SPEC_OPTIONS && !a->tunables[0])
        return NULL;
    return a->variable[0] ? a->variable : TUNABLES;
}

// EINVAL for the field, with what is wrong of it.
static int refuse(const char *field, const char *why, struct err *e)
{
    err_set(e, EINVAL, "%s", why);
    return err_at(e, "allocator.%s", field);
}

// With the operator's own image: what its allocator cannot do is refused, since nothing else would tell.
static int check_own_image(const struct spec_allocator *a, struct err *e)
{
    if (a->glibc)
        return refuse("glibc",
                      "is accepted with agent.image only: none of the operator's images uses glibc's malloc",
                      e);
    if (a->variable[0] && a->type == SPEC_ALLOCATOR_SYSTEM)
        return refuse("variable", "needs agent.image: the operator's image has musl, which reads none", e);
    if (a->variable[0] && strcmp(a->variable, CONF) != 0)
        return refuse("variable",
                      "the operator's image reads MALLOC_CONF only; another name needs agent.image", e);
    return 0;
}

static int check_jemalloc(const struct spec_allocator *a, struct err *e)
{
    if (a->glibc)
        return refuse("glibc", "is accepted with type System only", e);
    if (strcmp(a->variable, SPEC_ALLOCATOR_ARENA_MAX) == 0 || strcmp(a->variable, TUNABLES) == 0)
        return refuse("variable", "is one that glibc reads; jemalloc's are MALLOC_CONF and the like", e);
    return 0;
}

// MALLOC_ARENA_MAX holds one number, GLIBC_TUNABLES any of glibc's.
static int check_glibc_variable(const struct spec_allocator *a, struct err *e)
{
    if (!a->variable[0] || strcmp(a->variable, TUNABLES) == 0)
        return a->variable[0] && !spec_allocator_variable(a)
                   ? refuse("variable", "needs a field of glibc: there is nothing to put into it", e)
                   : 0;
    if (strcmp(a->variable, SPEC_ALLOCATOR_ARENA_MAX) != 0)
        return refuse(
            "variable",
            "must be GLIBC_TUNABLES or MALLOC_ARENA_MAX with type System; others are jemalloc's, with "
            "type Jemalloc",
            e);
    if (!a->options[SPEC_OPTION_ARENA_MAX].set)
        return refuse("variable", "MALLOC_ARENA_MAX needs glibc.arenaMax: it holds the number of arenas", e);
    enum spec_option other = first_set(a, SPEC_OPTION_ARENA_MAX + 1, SPEC_OPTIONS);
    if (other < SPEC_OPTIONS || a->tunables[0])
        return refuse(other < SPEC_OPTIONS ? spec_option_field(other) : "glibc.tunables",
                      "cannot be told by MALLOC_ARENA_MAX, which holds the number of arenas only", e);
    return 0;
}

static int check_system(const struct spec_allocator *a, struct err *e)
{
    enum spec_option o = first_set(a, 0, SPEC_OPTION_GLIBC);
    if (o < SPEC_OPTION_GLIBC)
        return refuse(spec_option_field(o), "is accepted with type Jemalloc only", e);
    if (a->conf[0])
        return refuse("conf", "is accepted with type Jemalloc only", e);
    return check_glibc_variable(a, e);
}

int spec_allocator_check(const struct spec_allocator *a, bool own_image, struct err *e)
{
    int r = own_image ? check_own_image(a, e) : 0;
    if (r == 0)
        r = a->type == SPEC_ALLOCATOR_JEMALLOC ? check_jemalloc(a, e) : check_system(a, e);
    return r < 0 ? r : spec_settings_check(a, own_image, e);
}
