// SPDX-License-Identifier: Apache-2.0
// A list of the API server that arrives in pieces: held against jansson's reading of the whole text, and its
// items put into a store.
#include <errno.h>

#include "operator/kube_items.h"
#include "operator/store.h"
#include "test/fuzz/fuzz.h"

struct reading {
    json_t *items; // those that were handed over
    struct store *store;
    enum store_kind kind;
};

static void changed(enum store_kind kind UNUSED, enum store_change change UNUSED,
                    const struct store_meta *meta, void *arg UNUSED)
{
    FUZZ_CHECK(memchr(meta->name, '\0', sizeof(meta->name)) && meta->name[0]);
    FUZZ_CHECK(fuzz_is_utf8(meta->name, false));
}

static int on_item(const json_t *item, void *arg)
{
    struct reading *x = arg;
    struct err e;
    FUZZ_CHECK(json_is_object(item));
    json_array_append(x->items, (json_t *)(uintptr_t)item);
    size_t before = store_count(x->store, x->kind);
    int r = store_put(x->store, x->kind, item, &e);
    if (r < 0) {
        fuzz_check_err(r, &e);
        FUZZ_CHECK(store_count(x->store, x->kind) == before);
    }
    return 0;
}

static int check_pod(const void *object, void *arg UNUSED)
{
    const struct store_pod *p = object;
    FUZZ_CHECK(fuzz_is_utf8(p->waiting_reason, false) && fuzz_is_utf8(p->waiting_message, false));
    return 0;
}

// Against the whole text: where both accept it, they read the same.
static void compare(const uint8_t *data, size_t len, bool accepted, const json_t *rest, const json_t *items)
{
    json_t *whole = json_loadb((const char *)data, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    bool escaped = memmem(data, len, "\\", 1) != NULL; // a key may be spelt in many ways
    if (whole && json_is_object(whole) && !escaped) {
        json_t *list = json_object_get(whole, "items");
        bool objects = true;
        size_t i;
        json_t *item;
        json_array_foreach(list, i, item)
        {
            objects = objects && json_is_object(item);
        }
        FUZZ_CHECK(accepted == objects);
        if (accepted && json_is_array(list)) {
            FUZZ_CHECK(json_equal(list, items));
            json_array_clear(list);
        }
        if (accepted)
            FUZZ_CHECK(json_equal(whole, rest));
    } else if (accepted && !whole) {
        whole = json_loadb((const char *)data, len, JSON_ALLOW_NUL, NULL);
        FUZZ_CHECK(whole);
    }
    json_decref(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_input in = {data, len};
    unsigned kind = (unsigned)fuzz_take(&in, 1);
    size_t piece = fuzz_take(&in, 1) + 1;
    struct reading x = {.items = json_array(), .store = store_new(changed, NULL), .kind = kind % STORE_KINDS};
    struct kube_items k;
    struct err e;
    json_t *rest = NULL;
    int r = 0;
    kube_items_init(&k, on_item, &x);
    const uint8_t *text = in.data;
    size_t text_len = in.len;
    while (r == 0 && in.len > 0) {
        size_t n;
        const uint8_t *bytes = fuzz_take_bytes(&in, piece, &n);
        r = kube_items_feed(&k, (const char *)bytes, n, &e);
    }
    if (r == 0)
        r = kube_items_finish(&k, &rest, &e);
    if (r < 0)
        fuzz_check_err(r, &e);
    compare(text, text_len, r == 0, rest, x.items);
    if (x.kind == STORE_POD)
        FUZZ_CHECK(store_each(x.store, STORE_POD, check_pod, NULL) == 0);
    json_decref(rest);
    json_decref(x.items);
    kube_items_release(&k);
    store_free(x.store);
    return 0;
}
