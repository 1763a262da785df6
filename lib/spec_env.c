// SPDX-License-Identifier: Apache-2.0
#include "lib/spec_env.h"

#include <errno.h>
#include <string.h>

#include "lib/pattern.h"

#define SET_BY_OPERATOR "NODE_NAME"

static int check_reserved(const char *name, struct err *e)
{
    if (strcmp(name, SET_BY_OPERATOR) == 0)
        return err_set(e, EINVAL, "%s is set by the operator", name);
    if (pattern_match(SPEC_ENV_RESERVED, name))
        return err_set(e, EINVAL, "%s is every program's, for something else", name);
    return 0;
}

int spec_env_check_allocator(const struct spec_agent *a, struct err *e)
{
    return check_reserved(a->allocator.variable, e) < 0 ? err_at(e, "allocator.variable") : 0;
}

// The number of threads has a variable of its own.
static int check_threads(const struct spec_agent *a, struct err *e)
{
    const char *allocator = spec_allocator_variable(&a->allocator), *variable = a->threads.variable;
    int r = check_reserved(variable, e);
    if (r == 0 && allocator && strcmp(variable, allocator) == 0)
        r = err_set(e, EINVAL, "%s is set by the operator", variable);
    return r < 0 ? err_at(e, "agent.threads.variable") : 0;
}

static bool set_by_operator(const struct spec_agent *a, const char *name)
{
    const char *variable = spec_allocator_variable(&a->allocator);
    return strcmp(name, SET_BY_OPERATOR) == 0 || (variable && strcmp(name, variable) == 0) ||
           strcmp(name, a->threads.variable) == 0;
}

static int check_env(const struct spec_agent *a, struct err *e)
{
    for (size_t i = 0; i < a->n_env; i++) {
        int r = 0;
        if (set_by_operator(a, a->env[i].key))
            r = err_set(e, EINVAL, "%s is set by the operator", a->env[i].key);
        for (size_t j = 0; j < i && r == 0; j++) {
            if (strcmp(a->env[i].key, a->env[j].key) == 0)
                r = err_set(e, EINVAL, "%s is the name of env[%zu] too", a->env[i].key, j);
        }
        if (r < 0)
            return err_at(e, "agent.env[%zu].name", i);
    }
    return 0;
}

int spec_env_check(const struct spec_agent *a, struct err *e)
{
    int r = check_threads(a, e);
    return r < 0 ? r : check_env(a, e);
}

int spec_env_check_apart(const struct spec_agent *a, struct err *e)
{
    const char *allocator = spec_allocator_variable(&a->allocator);
    bool twice = allocator && strcmp(allocator, a->threads.variable) == 0;
    for (size_t i = 0; allocator && i < a->n_env; i++)
        twice |= strcmp(allocator, a->env[i].key) == 0;
    return twice ? err_set(e, EINVAL, "%s is set by agent.threads or agent.env, too", allocator) : 0;
}
