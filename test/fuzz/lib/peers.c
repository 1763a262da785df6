// SPDX-License-Identifier: Apache-2.0
// A slice of peers: within the limits, untouched on failure, and written slices read as the same peers.
#include "lib/peers.h"
#include "test/fuzz/fuzz.h"

static void check_peer(const struct peer *p)
{
    FUZZ_CHECK(p->node && p->node[0] && strlen(p->node) <= LIMIT_NAME);
    FUZZ_CHECK(p->zone && strlen(p->zone) <= LIMIT_LABEL);
    FUZZ_CHECK(fuzz_is_utf8(p->node, false) && fuzz_is_utf8(p->zone, false));
    FUZZ_CHECK(p->state < PEER_STATES && peer_host_state(p) < PEER_STATES);
    for (unsigned f = 0; f < FAMILIES; f++) {
        FUZZ_CHECK(!p->pod[f].set || p->pod[f].family == f);
        FUZZ_CHECK(!p->host[f].set || p->host[f].family == f);
    }
}

static void compare(const struct peers *a, const struct peers *b)
{
    FUZZ_CHECK(a->n == b->n);
    for (size_t i = 0; i < a->n; i++) {
        const struct peer *x = &a->list[i], *y = &b->list[i];
        FUZZ_CHECK(strcmp(x->node, y->node) == 0 && strcmp(x->zone, y->zone) == 0 && x->state == y->state);
        FUZZ_CHECK(peer_host_state(x) == peer_host_state(y));
        for (unsigned f = 0; f < FAMILIES; f++)
            FUZZ_CHECK(addr_equal(&x->pod[f], &y->pod[f]) && addr_equal(&x->host[f], &y->host[f]));
        FUZZ_CHECK(peers_find(a, x->node) == x);
    }
}

static void check_written(const struct peers *p, unsigned slices)
{
    struct peers again = {0};
    struct err e;
    for (unsigned i = 0; i < slices; i++) {
        struct buf out;
        unsigned slice, of;
        buf_init(&out, 2 * LIMIT_DOC_BYTES);
        peers_render(p, i, slices, &out);
        struct doc *d = fuzz_own_doc(&out);
        if (peers_parse(doc_root(d), &slice, &of, &again, &e) < 0)
            fuzz_fail(__FILE__, __LINE__, "reads again: %s: %s\n%s", e.path, e.msg, buf_text(&out));
        FUZZ_CHECK(slice == i && of == slices);
        doc_free(d);
        buf_release(&out);
    }
    FUZZ_CHECK(peers_sort(&again, &e) == 0);
    compare(p, &again);
    peers_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct peer there = {.node = (char[]){"there"}, .zone = (char[]){""}};
    struct doc *d = fuzz_doc(data, len);
    struct peers p = {0};
    struct err e;
    unsigned slice, slices;
    if (!d)
        return 0;
    FUZZ_CHECK(peers_add(&p, &there, &e) == 0);
    int r = peers_parse(doc_root(d), &slice, &slices, &p, &e);
    if (r < 0) {
        fuzz_check_err_place(r, &e, "must be a map");
        FUZZ_CHECK(p.n == 1);
    } else {
        FUZZ_CHECK(slice < slices && slices <= LIMIT_SLICES && p.n <= LIMIT_PEERS);
        for (size_t i = 0; i < p.n; i++)
            check_peer(&p.list[i]);
        r = peers_sort(&p, &e);
        if (r < 0) {
            fuzz_check_err(r, &e);
        } else {
            check_written(&p, 1);
            check_written(&p, 4);
        }
    }
    peers_release(&p);
    doc_free(d);
    return 0;
}
