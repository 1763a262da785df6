// SPDX-License-Identifier: Apache-2.0
// Takes a List apart while it arrives: each element of its `items` is handed over as soon as it is complete
// and forgotten then; the rest of the list (kind, metadata) is kept, small. So a page of 500 Pods needs the
// memory of one.
#ifndef KUBECANARY_OPERATOR_KUBE_ITEMS_H
#define KUBECANARY_OPERATOR_KUBE_ITEMS_H

#include <jansson.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/limits.h"

// One item, borrowed. Non-zero ends the reading.
typedef int kube_items_fn(const json_t *item, void *arg);

struct kube_items {
    struct buf item; // the one that is arriving
    struct buf rest; // the list without its items
    kube_items_fn *fn;
    void *arg;
    unsigned depth; // of objects and arrays
    bool in_string, escaped;
    bool in_items;
    enum {
        KUBE_ITEMS_FIRST,
        KUBE_ITEMS_AFTER,
        KUBE_ITEMS_NEXT
    } place;     // between items: at the begin, after one, after a comma
    char key[8]; // last string at the top object's level, cut: only "items" matters
    unsigned key_len;
};

void kube_items_init(struct kube_items *k, kube_items_fn *fn, void *arg);
void kube_items_release(struct kube_items *k);
// A piece of the text. EINVAL: not JSON, or an item is no object; E2BIG; what fn returned (e is then fn's
// business).
MUST_USE int kube_items_feed(struct kube_items *k, const char *data, size_t len, struct err *e);
// At the end: the list without its items (new reference). EINVAL: it was no JSON object, or is cut off.
MUST_USE int kube_items_finish(struct kube_items *k, json_t **ret, struct err *e);

#endif
