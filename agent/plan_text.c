// SPDX-License-Identifier: Apache-2.0
// A list of chunks, so that no pointer ever moves.
#include "agent/plan_text.h"

#include <string.h>

#define TEXT_CHUNK 2048
#define ZONES_SHARED 16 // distinct zones whose text is shared; more than these are merely stored again

struct plan_text { // names: a list of chunks, so that no pointer ever moves
    struct plan_text *next;
    size_t used, size;
    char data[];
};

const char *plan_text_add(struct plan *p, const char *text)
{
    size_t len = strlen(text) + 1;
    if (!p->text || p->text->used + len > p->text->size) {
        size_t size = MAX(len, (size_t)TEXT_CHUNK);
        struct plan_text *t = malloc(sizeof(*t) + size);
        if (!t)
            return NULL;
        t->size = size;
        t->next = p->text;
        t->used = 0;
        p->text = t;
    }
    char *at = p->text->data + p->text->used;
    memcpy(at, text, len);
    p->text->used += len;
    return at;
}

const char *plan_text_zone(struct plan *p, const char *zone)
{
    const char *last = NULL;
    unsigned distinct = 0;
    for (size_t i = p->n_dests; i > 0 && distinct < ZONES_SHARED && p->n_dests - i < 4 * ZONES_SHARED; i--) {
        const char *z = p->dests[i - 1].zone;
        if (z == last)
            continue;
        if (strcmp(z, zone) == 0)
            return z;
        last = z;
        distinct++;
    }
    return plan_text_add(p, zone);
}

void plan_text_free(struct plan *p)
{
    for (struct plan_text *t = p->text; t;) {
        struct plan_text *next = t->next;
        free(t);
        t = next;
    }
}

size_t plan_text_bytes(const struct plan *p)
{
    size_t bytes = 0;
    for (const struct plan_text *t = p->text; t; t = t->next)
        bytes += sizeof(*t) + t->size;
    return bytes;
}
