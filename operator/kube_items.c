// SPDX-License-Identifier: Apache-2.0
// A scanner of strings and brackets: knows where an item begins and ends, and leaves the rest of JSON to
// jansson.
#include "operator/kube_items.h"

#include <errno.h>
#include <string.h>

#include "operator/jsonread.h"

// Items stand at this depth: the list's object, its array, the item's own bracket.
#define ITEMS_DEPTH 2

void kube_items_init(struct kube_items *k, kube_items_fn *fn, void *arg)
{
    *k = (struct kube_items){.fn = fn, .arg = arg};
    buf_init(&k->item, LIMIT_API_OBJECT);
    buf_init(&k->rest, LIMIT_API_LIST_HEAD);
}

void kube_items_release(struct kube_items *k)
{
    buf_release(&k->item);
    buf_release(&k->rest);
}

static int item_complete(struct kube_items *k, struct err *e)
{
    json_t *item = jsonread_text(buf_text(&k->item), k->item.len, e);
    buf_reset(&k->item);
    if (!item)
        return err_wrap(e, "a list's item");
    int r = json_is_object(item) ? k->fn(item, k->arg) : err_set(e, EINVAL, "a list's item is no object");
    json_decref(item);
    return r;
}

static void note_string(struct kube_items *k, char c)
{
    if (k->depth != 1)
        return;
    if (k->key_len < sizeof(k->key))
        k->key[k->key_len] = c;
    k->key_len++;
}

// One character of a string that has begun.
static void in_string(struct kube_items *k, char c)
{
    if (k->escaped)
        k->escaped = false;
    else if (c == '\\')
        k->escaped = true;
    else if (c == '"')
        k->in_string = false;
    if (k->in_string)
        note_string(k, c);
}

// What an opening or closing bracket, or the begin of a string, means. True: the character closes an item.
static bool structure(struct kube_items *k, char c)
{
    if (c == '"') {
        k->in_string = true;
        k->key_len = k->depth == 1 ? 0 : k->key_len;
    } else if (c == '{' || c == '[') {
        if (c == '[' && k->depth == 1 && k->key_len == 5 && memcmp(k->key, "items", 5) == 0) {
            k->in_items = true;
            k->place = KUBE_ITEMS_FIRST;
        }
        k->depth++;
    } else if (c == '}' || c == ']') {
        k->depth -= k->depth > 0;
        if (k->in_items && k->depth == ITEMS_DEPTH)
            return true;
        if (k->depth == 1)
            k->in_items = false;
    }
    return false;
}

// A character of the array that is in no item: space, or the one comma that must stand there. Left out of the
// rest, so that it reads "items":[].
static int between(struct kube_items *k, char c, struct err *e)
{
    if (strchr(" \t\r\n", c))
        return 0;
    if (c != ',' || k->place != KUBE_ITEMS_AFTER)
        return err_set(e, EINVAL, "a list's item is no object");
    k->place = KUBE_ITEMS_NEXT;
    return 0;
}

static bool inside_item(const struct kube_items *k)
{
    return k->in_items && k->depth > ITEMS_DEPTH;
}

static int too_long(const struct buf *b, const char *what, struct err *e)
{
    return b->over ? err_set(e, E2BIG, "%s is too long", what) : err_set(e, ENOMEM, "no memory for %s", what);
}

static int keep(struct kube_items *k, bool in_item, char c, struct err *e)
{
    struct buf *to = in_item ? &k->item : &k->rest;
    buf_char(to, c);
    return to->failed ? too_long(to, in_item ? "a list's item" : "a list's head", e) : 0;
}

static int take(struct kube_items *k, char c, struct err *e)
{
    bool was_items = k->in_items, was_inside = inside_item(k), closes = false;
    if (k->in_string)
        in_string(k, c);
    else
        closes = structure(k, c);
    bool begins = !was_inside && inside_item(k);
    if (was_inside || begins) {
        if (begins && k->place == KUBE_ITEMS_AFTER)
            return err_set(e, EINVAL, "a list without a comma between its items");
        if (closes)
            k->place = KUBE_ITEMS_AFTER;
        int r = keep(k, true, c, e);
        return r == 0 && closes ? item_complete(k, e) : r;
    }
    if (was_items && k->in_items)
        return between(k, c, e);
    if (was_items && k->place == KUBE_ITEMS_NEXT)
        return err_set(e, EINVAL, "a list ends with a comma");
    return keep(k, false, c, e);
}

// Length of the run of bytes from data that cannot change the scanner's state within an item.
static size_t plain_run(const struct kube_items *k, const char *data, size_t len)
{
    size_t n = 0;
    if (k->escaped || !k->in_items || k->depth <= ITEMS_DEPTH)
        return 0;
    if (k->in_string) {
        while (n < len && data[n] != '"' && data[n] != '\\')
            n++;
        return n;
    }
    while (n < len && data[n] != '"' && data[n] != '{' && data[n] != '[' && data[n] != '}' && data[n] != ']')
        n++;
    return n;
}

int kube_items_feed(struct kube_items *k, const char *data, size_t len, struct err *e)
{
    for (size_t i = 0; i < len;) {
        size_t run = plain_run(k, data + i, len - i);
        if (run > 0) {
            buf_add(&k->item, data + i, run);
            i += run;
            if (k->item.failed)
                return too_long(&k->item, "a list's item", e);
            continue;
        }
        if (data[i] == '\0')
            return err_set(e, EINVAL, "a list with a NUL byte");
        int r = take(k, data[i++], e);
        if (r != 0)
            return r;
    }
    return 0;
}

int kube_items_finish(struct kube_items *k, json_t **ret, struct err *e)
{
    json_t *rest = jsonread_text(buf_text(&k->rest), k->rest.len, e);
    if (!rest)
        return err_wrap(e, "a list");
    if (!json_is_object(rest)) {
        json_decref(rest);
        return err_set(e, EINVAL, "a list is no object");
    }
    *ret = rest;
    return 0;
}
