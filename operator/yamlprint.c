// SPDX-License-Identifier: Apache-2.0
// A recursive printer; depth is bounded by the objects that render builds.
#include "operator/yamlprint.h"

#include <string.h>

#include "lib/yamlout.h"

static void print(const json_t *value, unsigned indent, bool in_list, struct buf *out);

static void pad(unsigned indent, struct buf *out)
{
    for (unsigned i = 0; i < indent; i++)
        buf_char(out, ' ');
}

// Whether a text can stand as a literal block: several lines, nothing that a block would change.
static bool literal(const char *text)
{
    size_t len = strlen(text);
    if (!strchr(text, '\n') || text[0] == ' ' || text[0] == '\n' || len < 2)
        return false;
    for (const char *p = text; *p; p++) {
        if ((*p < ' ' && *p != '\n') || *p == 0x7f || (*p == ' ' && p[1] == '\n'))
            return false;
    }
    return text[len - 1] != '\n' || text[len - 2] != '\n';
}

static void print_literal(const char *text, unsigned indent, struct buf *out)
{
    size_t len = strlen(text);
    buf_str(out, text[len - 1] == '\n' ? "|\n" : "|-\n");
    while (*text) {
        size_t line = strcspn(text, "\n");
        if (line > 0)
            pad(indent, out);
        buf_add(out, text, line);
        buf_char(out, '\n');
        text += line + (text[line] == '\n');
    }
}

static void print_scalar(const json_t *value, unsigned indent, struct buf *out)
{
    if (json_is_string(value) && literal(json_string_value(value))) {
        print_literal(json_string_value(value), indent, out);
        return;
    }
    if (json_is_string(value))
        yamlout_text(out, json_string_value(value));
    else if (json_is_integer(value))
        buf_fmt(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        buf_fmt(out, "%.17g", json_real_value(value));
    else
        buf_str(out, json_is_true(value) ? "true" : json_is_false(value) ? "false" : "null");
    buf_char(out, '\n');
}

static bool is_empty(const json_t *value)
{
    return (json_is_object(value) && json_object_size(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

static void print_object(const json_t *object, unsigned indent, bool in_list, struct buf *out)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (!in_list)
            pad(indent, out);
        in_list = false; // only the first key stands behind the dash
        yamlout_text(out, key);
        buf_char(out, ':');
        bool nested = (json_is_object(value) || json_is_array(value)) && !is_empty(value);
        buf_char(out, nested ? '\n' : ' ');
        print(value, json_is_array(value) ? indent : indent + 2, false, out);
    }
}

static void print_array(const json_t *array, unsigned indent, bool in_list, struct buf *out)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!in_list || i > 0) // as in print_object
            pad(indent, out);
        buf_str(out, "- ");
        print(json_array_get(array, i), indent + 2, true, out);
    }
}

static void print(const json_t *value, unsigned indent, bool in_list, struct buf *out)
{
    if (is_empty(value))
        buf_str(out, json_is_object(value) ? "{}\n" : "[]\n");
    else if (json_is_object(value))
        print_object(value, indent, in_list, out);
    else if (json_is_array(value))
        print_array(value, indent, in_list, out);
    else
        print_scalar(value, indent, out);
}

void yamlprint_document(const json_t *value, struct buf *out)
{
    print(value, 0, false, out);
}
