// SPDX-License-Identifier: Apache-2.0
// Building error values: message, field path, context added on the way up. Cuts what does not fit, never
// allocates. Each text goes through `format`, so that foreign bytes in it break no line and no log.
#include "lib/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/utf8.h"

static void format(char *out, size_t size, const char *fmt, va_list args)
{
    if (vsnprintf(out, size, fmt, args) >= (int)size)
        utf8_cut(out);
    utf8_line(out);
}

static PRINTF_LIKE(3, 4) void put(char *out, size_t size, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    format(out, size, fmt, args);
    va_end(args);
}

static void prepend(char *text, size_t size, const char *head, const char *between)
{
    char joined[1024];
    snprintf(joined, sizeof(joined), "%s%s%s", head, between, text);
    put(text, size, "%s", joined);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list args;
    e->code = code;
    e->path[0] = '\0';
    va_start(args, fmt);
    format(e->msg, sizeof(e->msg), fmt, args);
    va_end(args);
    return -code;
}

int err_sys(struct err *e, int code, const char *fmt, ...)
{
    char text[384];
    va_list args;
    va_start(args, fmt);
    format(text, sizeof(text), fmt, args);
    va_end(args);
    return err_set(e, code, "%s: %s", text, strerror(code));
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    format(text, sizeof(text), fmt, args);
    va_end(args);
    prepend(e->msg, sizeof(e->msg), text, ": ");
    return -e->code;
}

int err_at(struct err *e, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    format(text, sizeof(text), fmt, args);
    va_end(args);
    prepend(e->path, sizeof(e->path), text, e->path[0] == '\0' || e->path[0] == '[' ? "" : ".");
    return -e->code;
}

const char *err_text(const struct err *e, char *out, size_t size)
{
    put(out, size, "%s%s%s", e->path, e->path[0] ? ": " : "", e->msg);
    return out;
}
