// SPDX-License-Identifier: Apache-2.0
// Two walks over the agents: one counts and finds whom the verdict is about, one counts those like it.
#include "operator/report_sum.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *const report_sum_class_names[REPORT_SUM_CLASSES] = {"1-2",   "3-4",   "5-8", "9-16",
                                                                "17-32", "33-64", "65+", "unknown"};

static size_t class_of(uint64_t cpus)
{
    static const uint64_t most[REPORT_SUM_CLASSES - 2] = {2, 4, 8, 16, 32, 64};
    size_t i = 0;
    if (cpus == 0)
        return REPORT_SUM_CLASSES - 1;
    while (i < ARRAY_LEN(most) && cpus > most[i])
        i++;
    return i;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

// All resident sizes side by side, each class in a place of its own; then sorted class by class.
int report_sum_memory_of(const struct report_sum_agent *list, size_t n,
                         struct report_sum_memory ret[static REPORT_SUM_CLASSES], struct err *e)
{
    size_t at[REPORT_SUM_CLASSES] = {0}, begin = 0;
    CLEANUP_FREE uint64_t *bytes = calloc(n + 1, sizeof(*bytes));
    if (!bytes)
        return err_set(e, ENOMEM, "no memory for the agents' memory");
    memset(ret, 0, REPORT_SUM_CLASSES * sizeof(*ret));
    for (size_t i = 0; i < n; i++) {
        if (list[i].report && list[i].report->resident_bytes)
            ret[class_of(list[i].report->cpus)].agents++;
    }
    for (size_t c = 0; c < REPORT_SUM_CLASSES; begin += ret[c].agents, c++)
        at[c] = begin;
    for (size_t i = 0; i < n; i++) {
        if (list[i].report && list[i].report->resident_bytes)
            bytes[at[class_of(list[i].report->cpus)]++] = list[i].report->resident_bytes;
    }
    for (size_t c = 0; c < REPORT_SUM_CLASSES; c++) {
        struct report_sum_memory *m = &ret[c];
        uint64_t *of_class = bytes + at[c] - m->agents;
        if (m->agents == 0)
            continue;
        qsort(of_class, m->agents, sizeof(*bytes), compare);
        m->min = of_class[0];
        m->median = of_class[(m->agents - 1) / 2];
        m->max = of_class[m->agents - 1];
    }
    return 0;
}

// An image of ours with another allocator than the fleet wants has no setting that could say so.
static bool is_other(const struct report_sum_agent *a)
{
    return a->told && a->told->allocator && !a->report->foreign &&
           strcmp(a->report->allocator.name, a->told->allocator) != 0;
}

// Told of settings of which our agent's allocator gives nothing back.
static bool is_untold(const struct report_sum_agent *a)
{
    return a->told && !a->told->is_jemalloc && a->told->wanted.n > 0 && !a->report->foreign;
}

static enum report_verdict verdict_of(const struct report_sum_agent *a)
{
    const struct report_allocator *x = &a->report->allocator;
    if (is_other(a))
        return REPORT_NOT_EFFECTIVE;
    bool told_less =
        a->told && a->told->is_jemalloc && !a->report->foreign && x->settings < a->told->wanted.n;
    return (told_less || is_untold(a)) && x->verdict == REPORT_EFFECTIVE ? REPORT_UNKNOWN : x->verdict;
}

static void count(const struct report_sum_agent *a, uint64_t generation, struct report_sum *ret)
{
    const struct report *r = a->report;
    enum report_verdict verdict = verdict_of(a);
    ret->reporting++;
    ret->effective += verdict == REPORT_EFFECTIVE;
    ret->ineffective += verdict == REPORT_NOT_EFFECTIVE;
    ret->unknown += verdict == REPORT_UNKNOWN;
    if (r->foreign) {
        ret->foreign++;
        return;
    }
    ret->outdated += r->generation < generation;
    ret->pairs += r->pairs;
    ret->series += r->series;
    ret->packets_per_ks += r->packets_per_ks;
}

// One setting that has no effect outweighs any that nothing is known of.
static enum report_verdict verdict_of_all(const struct report_sum *s)
{
    return s->ineffective ? REPORT_NOT_EFFECTIVE : s->unknown ? REPORT_UNKNOWN : REPORT_EFFECTIVE;
}

static void describe(const struct report_sum_agent *a, struct report_sum *ret)
{
    const struct report_allocator *x = &a->report->allocator;
    snprintf(ret->node, sizeof(ret->node), "%s", a->node);
    snprintf(ret->allocator, sizeof(ret->allocator), "%s%s%s", x->name, x->version[0] ? " " : "", x->version);
    ret->settings = x->settings;
    memcpy(ret->setting, x->setting, sizeof(ret->setting));
    memcpy(ret->wanted, x->wanted, sizeof(ret->wanted));
    memcpy(ret->actual, x->actual, sizeof(ret->actual));
    if (is_untold(a) && !x->setting[0]) {
        memcpy(ret->setting, a->told->wanted.list[0].name, sizeof(ret->setting));
        memcpy(ret->wanted, a->told->wanted.list[0].value, sizeof(ret->wanted));
    }
    if (!is_other(a))
        return;
    snprintf(ret->setting, sizeof(ret->setting), "type");
    snprintf(ret->wanted, sizeof(ret->wanted), "%s", a->told->allocator);
    snprintf(ret->actual, sizeof(ret->actual), "%s", x->name);
}

// The first node by name that has the verdict of all, and how many have the same setting to tell of.
static void find_example(const struct report_sum_agent *list, size_t n, struct report_sum *ret)
{
    enum report_verdict verdict = verdict_of_all(ret);
    const struct report_sum_agent *first = NULL;
    for (size_t i = 0; i < n && !first; i++) {
        if (list[i].report && verdict_of(&list[i]) == verdict)
            first = &list[i];
    }
    if (!first)
        return;
    describe(first, ret);
    for (size_t i = 0; i < n; i++) {
        struct report_sum other = {0};
        if (!list[i].report || verdict_of(&list[i]) != verdict)
            continue;
        describe(&list[i], &other);
        ret->same += strcmp(other.setting, ret->setting) == 0;
    }
}

static void find_failing(const struct report_sum_agent *list, size_t n, struct report_sum *ret)
{
    const struct report_sum_agent *first = NULL;
    for (size_t i = 0; i < n; i++) {
        if (list[i].report || !list[i].trouble[0])
            continue;
        ret->failing++;
        if (!first)
            first = &list[i];
    }
    if (!first)
        return;
    snprintf(ret->failing_node, sizeof(ret->failing_node), "%s", first->node);
    snprintf(ret->failing_why, sizeof(ret->failing_why), "%s", first->trouble);
}

static void count_nodes(const struct report_sum_agent *list, size_t n, struct report_sum *ret)
{
    for (size_t i = 0; i < n;) {
        const char *node = list[i].node;
        bool all = true;
        for (; i < n && strcmp(list[i].node, node) == 0; i++)
            all &= list[i].report != NULL;
        ret->nodes += all;
    }
}

int report_sum_of(const struct report_sum_agent *list, size_t n, uint64_t generation, struct report_sum *ret,
                  struct err *e)
{
    struct report_sum sum = {.agents = n};
    for (size_t i = 0; i < n; i++) {
        if (list[i].report)
            count(&list[i], generation, &sum);
    }
    count_nodes(list, n, &sum);
    find_failing(list, n, &sum);
    find_example(list, n, &sum);
    int r = report_sum_memory_of(list, n, sum.memory, e);
    if (r == 0)
        *ret = sum;
    return r;
}
