// SPDX-License-Identifier: Apache-2.0
// Who tries other settings first: how many, in which order, never more than may be away, and that neither a
// forgotten step nor a node that comes or goes makes it more.
#include "operator/canary.h"
#include "test/unit/check.h"

#define MOST 40

struct world {
    struct store_pod pods[MOST];
    struct canary_pod list[MOST];
    size_t n;
    struct canary_set set;
};

static void setup(struct world *w, size_t n, unsigned percent, const char *max_unavailable)
{
    *w = (struct world){.n = n, .set = {percent, max_unavailable, n}};
    for (size_t i = 0; i < n; i++) {
        snprintf(w->pods[i].node, sizeof(w->pods[i].node), "n%zu", i);
        w->pods[i].ready = true;
        w->list[i] = (struct canary_pod){.pod = &w->pods[i], .node_ready = true};
    }
}

static struct canary_pod *find(struct world *w, const struct store_pod *pod)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->list[i].pod == pod)
            return &w->list[i];
    }
    return NULL;
}

// What a round does: those that are chosen are replaced and ready again.
static size_t round_of(struct world *w)
{
    size_t n = canary_choose(&w->set, w->list, w->n);
    for (size_t i = 0; i < n; i++)
        w->list[i].updated = true;
    return n;
}

static size_t updated(const struct world *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++)
        n += w->list[i].updated;
    return n;
}

static void how_many(void)
{
    static const struct {
        size_t desired, count;
        unsigned percent;
    } cases[] = {{0, 0, 10},  {1, 1, 1},   {1, 1, 100}, {3, 1, 10},   {10, 1, 10},
                 {11, 2, 10}, {5, 5, 100}, {5, 3, 50},  {5000, 50, 1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct canary_set s = {cases[i].percent, "1", cases[i].desired};
        CHECK_INT(canary_count(&s), cases[i].count);
    }
}

static void some_at_a_time(void)
{
    static const struct {
        const char *most;
        size_t first;
    } cases[] = {{"1", 1}, {"3", 3}, {"10%", 4}, {"1%", 1}, {"100%", 20}, {"99999", 20}, {"x", 1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world w;
        setup(&w, MOST, 50, cases[i].most);
        CHECK_INT(round_of(&w), cases[i].first);
        while (round_of(&w) > 0) {
        }
        CHECK_INT(updated(&w), 20);
    }
}

// Whatever order the Pods are looked at in: an operator that forgot what it did does the same again.
static void the_same_again(void)
{
    struct world a, b;
    setup(&a, MOST, 10, "100%");
    setup(&b, MOST, 10, "100%");
    for (size_t i = 0; i < MOST; i++)
        b.list[i] = (struct canary_pod){.pod = &b.pods[MOST - 1 - i], .node_ready = true};
    CHECK_INT(canary_choose(&a.set, a.list, a.n), 4);
    CHECK_INT(canary_choose(&b.set, b.list, b.n), 4);
    for (size_t i = 0; i < 4; i++)
        CHECK_STR(a.list[i].pod->node, b.list[i].pod->node);
}

static void who_is_away_counts(void)
{
    struct world w;
    setup(&w, 10, 30, "100%");
    CHECK_INT(canary_missing(&w.set, w.list, w.n), 3);
    CHECK_INT(canary_choose(&w.set, w.list, w.n), 3);
    w.pods[w.list[0].pod - w.pods].meta.deleting = true; // the first was deleted
    CHECK_INT(canary_choose(&w.set, w.list, w.n), 2);
    for (size_t i = 0; i < w.n; i++) { // and is gone
        if (w.list[i].pod->meta.deleting)
            w.list[i] = w.list[--w.n];
    }
    CHECK_INT(w.n, 9);
    CHECK_INT(canary_missing(&w.set, w.list, w.n), 2);
    CHECK_INT(canary_choose(&w.set, w.list, w.n), 2);
    w.set.desired = 9; // its node went, too
    CHECK_INT(canary_choose(&w.set, w.list, w.n), 3);
}

static void new_for_another_reason(void)
{
    struct world w;
    setup(&w, 10, 20, "100%");
    find(&w, &w.pods[4])->updated = true;
    CHECK_INT(canary_choose(&w.set, w.list, w.n), 1);
    find(&w, &w.pods[5])->updated = true;
    CHECK_INT(canary_missing(&w.set, w.list, w.n), 0);
    CHECK_INT(canary_choose(&w.set, w.list, w.n), 0);
}

static void nodes_that_are_not_ready(void)
{
    struct world w;
    setup(&w, 4, 100, "100%");
    find(&w, &w.pods[1])->node_ready = false;
    CHECK_INT(canary_choose(&w.set, w.list, w.n), 3);
    for (size_t i = 0; i < 3; i++)
        CHECK(w.list[i].pod != &w.pods[1]);
}

// An agent that is not ready costs nothing; one that is not ready elsewhere does.
static void agents_that_are_not_ready(void)
{
    struct world w;
    setup(&w, 10, 100, "2");
    w.pods[3].ready = false;
    CHECK(canary_choose(&w.set, w.list, w.n) <= 2);
    w.pods[4].ready = false;
    w.pods[5].ready = false;
    CHECK_INT(canary_missing(&w.set, w.list, w.n), 10); // though no more may be away
    size_t n = canary_choose(&w.set, w.list, w.n);
    for (size_t i = 0; i < n; i++)
        CHECK(!w.list[i].pod->ready);
}

static void nobody(void)
{
    struct world w;
    setup(&w, 0, 10, "1");
    CHECK_INT(canary_choose(&w.set, w.list, 0), 0);
}

static const struct check_case cases[] = {
    {"how many", how_many},
    {"some at a time", some_at_a_time},
    {"the same again", the_same_again},
    {"who is away counts", who_is_away_counts},
    {"new for another reason", new_for_another_reason},
    {"nodes that are not ready", nodes_that_are_not_ready},
    {"agents that are not ready", agents_that_are_not_ready},
    {"nobody", nobody},
};
CHECK_MAIN(cases)
