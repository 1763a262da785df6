// SPDX-License-Identifier: Apache-2.0
// Allocation n fails, n = 1, 2, ... until none does, in the operator's steps from bytes to actions: reading a
// spec, rendering a fleet, taking a list into the store, reconciling. A step fails with ENOMEM, or does all
// of its work: nothing is half rendered. What leaks is the leak detector's to find.
#include "test/unit/check.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "lib/file.h"
#include "operator/kube_items.h"
#include "operator/reconcile.h"
#include "operator/render.h"
#include "operator/tree.h"
#include "test/torture/steps.h"

// --- a fleet -------------------------------------------------------------------------------------

static const char fleet_file[] = "crds/examples/full.yaml";

static int read_spec(struct spec *ret, struct err *e)
{
    CLEANUP_FREE char *text = NULL;
    CLEANUP_DOC struct doc *d = NULL;
    size_t len;
    int r = file_read(fleet_file, LIMIT_DOC_BYTES, &text, &len, e);
    if (r == 0)
        r = doc_parse(text, len, &d, e);
    return r < 0 ? r : spec_parse(doc_get(doc_root(d), "spec"), ret, e);
}

static int read_peers(struct peers *ret, struct err *e)
{
    static const char text[] = "peers:\n- {node: a, pod: [192.0.2.1, '2001:db8::1']}\n- {node: b, zone: z}\n";
    CLEANUP_DOC struct doc *d = NULL;
    unsigned slice, slices;
    int r = doc_parse(text, strlen(text), &d, e);
    if (r == 0)
        r = peers_parse(doc_root(d), &slice, &slices, ret, e);
    return r < 0 ? r : peers_sort(ret, e);
}

static bool step_spec(enum torture_mode mode, size_t n, bool *ret_hit)
{
    CLEANUP_SPEC struct spec s = {0};
    CLEANUP_PEERS struct peers p = {0};
    struct err e = {0};
    torture_begin(mode, n);
    int r = read_spec(&s, &e);
    if (r == 0)
        r = read_peers(&p, &e);
    *ret_hit = torture_end();
    return r == 0 ? !*ret_hit && p.n == 2 : is_no_memory(r, &e);
}

static struct {
    struct spec spec;
    struct peers peers;
    struct render_input in;
    struct render_set set; // as it shall be
} fleet;

static const struct render_config config = {.version = "1.2.3",
                                            .agent_image = "agent:1",
                                            .agent_jemalloc_image = "agent-jemalloc:1",
                                            .image_pull_policy = "IfNotPresent"};

static bool fleet_init(void)
{
    struct err e;
    fleet.in = (struct render_input){.config = &config,
                                     .namespace = "ns",
                                     .fleet = "f",
                                     .uid = "u-1",
                                     .generation = 1,
                                     .spec = &fleet.spec,
                                     .peers = &fleet.peers,
                                     .slices = 2,
                                     .pod_monitor = true,
                                     .prometheus_rule = true};
    return read_spec(&fleet.spec, &e) == 0 && read_peers(&fleet.peers, &e) == 0 &&
           render_fleet(&fleet.in, &fleet.set, &e) == 0;
}

static void fleet_release(void)
{
    render_set_release(&fleet.set);
    peers_release(&fleet.peers);
    spec_release(&fleet.spec);
}

static bool same_set(const struct render_set *a, const struct render_set *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++) {
        same = a->list[i].kind == b->list[i].kind && strcmp(a->list[i].name, b->list[i].name) == 0 &&
               json_equal(a->list[i].body, b->list[i].body);
        if (!same)
            printf("    %s differs\n", b->list[i].name);
    }
    return same;
}

static bool step_render(enum torture_mode mode, size_t n, bool *ret_hit)
{
    struct render_set s = {0};
    struct err e = {0};
    torture_begin(mode, n);
    int r = render_fleet(&fleet.in, &s, &e);
    *ret_hit = torture_end();
    bool ok = r == 0 ? same_set(&s, &fleet.set) : is_no_memory(r, &e);
    render_set_release(&s);
    return ok;
}

// --- the store -----------------------------------------------------------------------------------

static void changed(enum store_kind kind UNUSED, enum store_change change UNUSED,
                    const struct store_meta *meta UNUSED, void *arg UNUSED)
{
}

static const char *const lists[STORE_KINDS] = {
    [STORE_FLEET] =
        "{\"items\":[{\"metadata\":{\"name\":\"f\",\"namespace\":\"ns\",\"uid\":\"u-1\",\"labels\":{\"a\":"
        "\"b\"}},\"spec\":{\"x\":[1]},\"status\":{}}]}",
    [STORE_NODE] = "{\"items\":[{\"metadata\":{\"name\":\"n\",\"labels\":{\"b\":\"1\",\"a\":\"2\"}}},"
                   "{\"metadata\":{\"name\":\"m\"}}]}",
    [STORE_CONFIGMAP] =
        "{\"items\":[{\"metadata\":{\"name\":\"f-peers-09\",\"namespace\":\"ns\",\"uid\":\"u-2\","
        "\"ownerReferences\":[{\"uid\":\"u-1\",\"controller\":true}]},\"data\":{\"a\":\"b\"}}]}",
};

struct taking {
    struct store *store;
    enum store_kind kind;
    struct err *e;
};

static int on_item(const json_t *item, void *arg)
{
    struct taking *t = arg;
    return store_put(t->store, t->kind, item, t->e);
}

static int take_list(struct store *s, enum store_kind kind, struct err *e)
{
    struct taking t = {s, kind, e};
    struct kube_items k;
    json_t *rest = NULL;
    kube_items_init(&k, on_item, &t);
    int r = kube_items_feed(&k, lists[kind], strlen(lists[kind]), e);
    if (r == 0)
        r = kube_items_finish(&k, &rest, e);
    json_decref(rest);
    kube_items_release(&k);
    return r;
}

static int take_all(struct store *s, struct err *e)
{
    int r = take_list(s, STORE_FLEET, e);
    if (r == 0)
        r = take_list(s, STORE_NODE, e);
    return r < 0 ? r : take_list(s, STORE_CONFIGMAP, e);
}

static bool step_store(enum torture_mode mode, size_t n, bool *ret_hit)
{
    struct err e = {0};
    struct store *s = store_new(changed, NULL);
    torture_begin(mode, n);
    int r = take_all(s, &e);
    *ret_hit = torture_end();
    bool ok = r == 0 || is_no_memory(r, &e);
    // What failed can be had again.
    int again = r < 0 ? take_all(s, &e) : 0;
    ok = ok && again == 0 && store_count(s, STORE_NODE) == 2 && store_fleet(s, "ns", "f") &&
         store_child(s, STORE_CONFIGMAP, "ns", "f-peers-09");
    struct store *clean = store_new(changed, NULL);
    ok = ok && take_all(clean, &e) == 0;
    // The digests are those of a store that had all the memory it wanted.
    ok = ok && store_fleet(s, "ns", "f")->meta.digest == store_fleet(clean, "ns", "f")->meta.digest &&
         store_child(s, STORE_CONFIGMAP, "ns", "f-peers-09")->meta.digest ==
             store_child(clean, STORE_CONFIGMAP, "ns", "f-peers-09")->meta.digest;
    store_free(clean);
    store_free(s);
    return ok;
}

static bool step_reconcile(enum torture_mode mode, size_t n, bool *ret_hit)
{
    struct err e = {0};
    struct store *s = store_new(changed, NULL);
    struct reconcile_marks marks = {0};
    struct action_list actions = {0};
    bool ok = take_all(s, &e) == 0;
    struct reconcile_input in = {.store = s,
                                 .fleet = store_fleet(s, "ns", "f"),
                                 .wanted = &fleet.set,
                                 .complete = true,
                                 .marks = &marks,
                                 .now_ns = NS_PER_S};
    torture_begin(mode, n);
    int r = ok ? reconcile_children(&in, &actions, &e) : 0;
    *ret_hit = torture_end();
    // All applies, and the ConfigMap that is not wanted any more.
    ok = ok && (r == 0 ? actions.n == fleet.set.n + 1 : is_no_memory(r, &e));
    action_list_release(&actions);
    reconcile_marks_release(&marks);
    store_free(s);
    return ok;
}

static void specs(void)
{
    CHECK(torture(step_spec));
}

static void rendering(void)
{
    CHECK(torture(step_render));
}

static void stores(void)
{
    CHECK(torture(step_store));
}

static void reconciling(void)
{
    bool hit;
    CHECK(step_reconcile(TORTURE_ONE, MOST, &hit) && !hit);
    for (size_t n = 1; n < 100; n++)
        CHECK(step_reconcile(TORTURE_ONE, n, &hit) && step_reconcile(TORTURE_ALL, n, &hit));
}

static const struct check_case cases[] = {
    {"spec", specs}, {"rendering", rendering}, {"store", stores}, {"reconciling", reconciling}};

int main(void)
{
    if (!fleet_init())
        return 1;
    int status = check_all(cases, ARRAY_LEN(cases));
    fleet_release();
    return status;
}
