// SPDX-License-Identifier: Apache-2.0
// jansson's reader with an eye on its allocations.
#include "operator/jsonread.h"

#include <errno.h>

static size_t failures; // of allocations, since the program began

static void *allocate(size_t size)
{
    void *p = malloc(size);
    failures += p == NULL;
    return p;
}

json_t *jsonread_text(const char *text, size_t len, struct err *e)
{
    static bool ready;
    json_error_t why;
    struct err ignored;
    size_t before = failures;
    if (!ready)
        json_set_alloc_funcs(allocate, free); // free is jansson's own choice too, for what there is already
    ready = true;
    json_t *value = json_loadb(text, len, JSON_ALLOW_NUL, &why);
    if (failures != before) {
        err_set(e ? e : &ignored, ENOMEM, "no memory for a JSON text");
        json_decref(value);
        return NULL;
    }
    if (!value)
        err_set(e ? e : &ignored, EINVAL, "is not JSON: %s", why.text);
    return value;
}
