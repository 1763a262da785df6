// SPDX-License-Identifier: Apache-2.0
// Building error values: message, field path, context added on the way up. Cuts what does not fit, never
// allocates.
#include "lib/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void prepend(char *text, size_t size, const char *head, const char *between)
{
    char joined[1024];
    snprintf(joined, sizeof(joined), "%s%s%s", head, between, text);
    snprintf(text, size, "%.*s", (int)size - 1, joined);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list args;
    e->code = code;
    e->path[0] = '\0';
    va_start(args, fmt);
    vsnprintf(e->msg, sizeof(e->msg), fmt, args);
    va_end(args);
    return -code;
}

int err_sys(struct err *e, int code, const char *fmt, ...)
{
    char text[384];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return err_set(e, code, "%s: %s", text, strerror(code));
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    prepend(e->msg, sizeof(e->msg), text, ": ");
    return -e->code;
}

int err_at(struct err *e, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    prepend(e->path, sizeof(e->path), text, e->path[0] == '\0' || e->path[0] == '[' ? "" : ".");
    return -e->code;
}

const char *err_text(const struct err *e, char *out, size_t size)
{
    snprintf(out, size, "%s%s%s", e->path, e->path[0] ? ": " : "", e->msg);
    return out;
}
