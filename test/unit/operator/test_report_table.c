// SPDX-License-Identifier: Apache-2.0
// Whom the operator asks when and where, and what it makes of the answers: the table alone, with a clock of
// its own and no network.
#include "operator/report_table.h"

#include <jansson.h>

#include "test/unit/check.h"

struct table {
    struct store *store;
    struct report_table *t;
    struct report_agent *a;
    struct report r;
};

static bool put(struct table *x, enum store_kind kind, json_t *object)
{
    struct err e;
    int r = store_put(x->store, kind, object, &e);
    json_decref(object);
    return r == 0;
}

static void on_store(enum store_kind kind UNUSED, enum store_change change UNUSED,
                     const struct store_meta *meta UNUSED, void *arg UNUSED)
{
}

static bool open_table(struct table *x)
{
    *x = (struct table){.store = store_new(on_store, NULL), .t = report_table_new(NULL, NULL)};
    if (!x->store || !x->t ||
        !put(x, STORE_FLEET,
             json_pack("{s:{s:s, s:s, s:s, s:s, s:i}, s:{}}", "metadata", "namespace", "ns", "name", "mesh",
                       "uid", "fleet-uid", "resourceVersion", "1", "generation", 1, "spec")) ||
        !put(x, STORE_POD,
             json_pack("{s:{s:s, s:s, s:s, s:s, s:{s:s, s:s}, s:[{s:b, s:s}]}, s:{s:s}, "
                       "s:{s:s, s:[{s:s}], s:[{s:s, s:s}]}}",
                       "metadata", "namespace", "ns", "name", "pod-0", "uid", "pod-0", "resourceVersion", "2",
                       "labels", "kubecanary.io/fleet", "mesh", "kubecanary.io/network", "Pod",
                       "ownerReferences", "controller", 1, "uid", "mesh-pod", "spec", "nodeName", "n01",
                       "status", "phase", "Running", "podIPs", "ip", "127.0.0.1", "conditions", "type",
                       "Ready", "status", "True")) ||
        report_table_sync(x->t, x->store, 0) < 0)
        return false;
    x->a = report_table_next(x->t);
    x->r = (struct report){.generation = 1, .pairs = 3, .results = {1000}};
    return x->a != NULL;
}

static void close_table(struct table *x)
{
    report_table_free(x->t);
    store_free(x->store);
}

static void loss_of_the_last_minutes(void)
{
    struct table x;
    struct report_sum s;
    struct err e;
    CHECK(open_table(&x));
    for (uint64_t minute = 0; minute < 12; minute++) {
        uint64_t now = minute * 60 * NS_PER_S;
        x.r.results[REPORT_RECEIVED] += minute ? 90 : 0;
        x.r.results[REPORT_LOST] += minute ? 10 : 0;
        if (minute == 9)
            x.r.results[REPORT_RECEIVED] = x.r.results[REPORT_LOST] = 5; // it was started again
        report_table_ask(x.t, x.a, NULL);
        report_table_answer(x.t, x.a, &x.r, now);
        CHECK_INT(report_table_sum(x.t, "ns", "mesh", now, &s, &e), 0);
        uint64_t intervals = minute < 9 ? MIN(minute, 5) : 4;
        CHECK_INT(s.loss.ended, 100 * intervals);
        CHECK_INT(s.loss.lost, 10 * intervals);
    }
    CHECK_INT(report_table_sum(x.t, "ns", "mesh", 3600 * NS_PER_S, &s, &e), 0);
    CHECK_INT(s.loss.ended, 0);
    close_table(&x);
}

static void one_miss_is_forgiven(void)
{
    struct table x;
    struct report_sum s;
    struct err e;
    CHECK(open_table(&x));
    CHECK(report_table_failure(x.t, x.a, "refused", 0)); // it never answered
    CHECK_INT(report_table_sum(x.t, "ns", "mesh", 0, &s, &e), 0);
    CHECK_INT(s.failing, 1);
    CHECK(report_table_answer(x.t, x.a, &x.r, 1));
    CHECK_INT(x.a->due_ns, 1 + REPORT_TABLE_PERIOD_NS);
    CHECK(!report_table_failure(x.t, x.a, "refused", 2));
    CHECK_INT(x.a->due_ns, 2 + REPORT_TABLE_SOON_NS);
    CHECK_INT(report_table_sum(x.t, "ns", "mesh", 2, &s, &e), 0);
    CHECK_INT(s.reporting, 1);
    CHECK(report_table_failure(x.t, x.a, "refused", 3));
    CHECK(!report_table_failure(x.t, x.a, "refused", 4)); // no news
    CHECK_INT(report_table_sum(x.t, "ns", "mesh", 4, &s, &e), 0);
    CHECK_INT(s.reporting, 0);
    CHECK_STR(s.failing_why, "refused");
    for (int i = 0; i < REPORT_TABLE_EAGER; i++)
        report_table_failure(x.t, x.a, "refused", 5);
    CHECK_INT(x.a->due_ns, 5 + REPORT_TABLE_PERIOD_NS); // patience ends
    close_table(&x);
}

// However long it was away; and it stays with the family that answered.
static void both_families_have_their_turn(void)
{
    struct table x;
    struct addr v6;
    CHECK(open_table(&x) && addr_parse("::1", &v6) == 0);
    CHECK_INT(report_table_address(x.a)->family, FAMILY_IPV4);
    report_table_failure(x.t, x.a, "refused", 0);
    CHECK_INT(report_table_address(x.a)->family, FAMILY_IPV4); // it has no other
    x.a->ip[FAMILY_IPV6] = v6;
    for (int i = 0; i < 2 * REPORT_TABLE_EAGER; i++) {
        unsigned before = report_table_address(x.a)->family;
        report_table_failure(x.t, x.a, "refused", 1);
        CHECK_INT(report_table_address(x.a)->family, !before);
    }
    if (report_table_address(x.a)->family == FAMILY_IPV4)
        report_table_failure(x.t, x.a, "refused", 2);
    report_table_answer(x.t, x.a, &x.r, 3);
    CHECK_INT(report_table_address(x.a)->family, FAMILY_IPV6);
    x.a->ip[FAMILY_IPV6].set = 0;
    CHECK_INT(report_table_address(x.a)->family, FAMILY_IPV4);
    close_table(&x);
}

static void numbers_alone_are_told_once_a_period(void)
{
    struct table x;
    CHECK(open_table(&x));
    CHECK(report_table_answer(x.t, x.a, &x.r, NS_PER_S));
    x.r.resident_bytes = 5;
    CHECK(!report_table_answer(x.t, x.a, &x.r, 2 * NS_PER_S));
    CHECK(report_table_answer(x.t, x.a, &x.r, NS_PER_S + REPORT_TABLE_PERIOD_NS));
    x.r.allocator.verdict = REPORT_NOT_EFFECTIVE;
    CHECK(report_table_answer(x.t, x.a, &x.r, 2 * NS_PER_S + REPORT_TABLE_PERIOD_NS));
    close_table(&x);
}

// Beside nodes and Pods (test_store.c) in the 40 MB that DESIGN promises for the operator.
static void five_thousand_agents_are_small(void)
{
    size_t node_name = 64, slots = 2 * sizeof(struct report_agent *);
    CHECK(5000 * (sizeof(struct report_agent) + node_name + slots) < (size_t)5 << 20);
}

static const struct check_case cases[] = {
    {"loss of the last minutes", loss_of_the_last_minutes},
    {"one miss is forgiven", one_miss_is_forgiven},
    {"both families have their turn", both_families_have_their_turn},
    {"five thousand agents are small", five_thousand_agents_are_small},
    {"numbers alone are told once a period", numbers_alone_are_told_once_a_period},
};

CHECK_MAIN(cases)
