// SPDX-License-Identifier: Apache-2.0
// Counts who is new or away, and takes the next ones in the order of their hashes.
#include "operator/canary.h"

#include <stdlib.h>
#include <string.h>

// Of a whole, rounded up; at least 1, as the DaemonSet controller does it.
static size_t percent_of(size_t whole, uint64_t percent)
{
    return MAX((size_t)((whole * percent + 99) / 100), (size_t)1);
}

size_t canary_count(const struct canary_set *s)
{
    return MIN(percent_of(s->desired, s->percent), s->desired);
}

static size_t most_away(const struct canary_set *s)
{
    char digits[8];
    uint64_t n;
    const size_t len = strcspn(s->max_unavailable, "%");
    if (len >= sizeof(digits))
        return 1;
    memcpy(digits, s->max_unavailable, len);
    digits[len] = '\0';
    if (base_parse_u64(digits, 1, INT32_MAX, &n) < 0)
        return 1;
    return s->max_unavailable[len] ? percent_of(s->desired, n) : (size_t)n;
}

static uint64_t hash_of(const struct canary_pod *p)
{
    return base_hash(BASE_HASH_INIT, p->pod->node, strlen(p->pod->node));
}

static bool may_go(const struct canary_pod *p)
{
    return p->node_ready && !p->updated && !p->pod->meta.deleting;
}

// Those that may go first, each part in the order of hashes.
static int compare(const void *a, const void *b)
{
    const struct canary_pod *p = a, *q = b;
    const uint64_t x = hash_of(p), y = hash_of(q);
    if (may_go(p) != may_go(q))
        return may_go(p) ? -1 : 1;
    return x != y ? (x < y ? -1 : 1) : strcmp(p->pod->node, q->pod->node);
}

struct count { // of a set's Pods
    size_t shall, away, updated, ready, candidates;
};

static struct count count_pods(const struct canary_set *s, const struct canary_pod *list, size_t n)
{
    struct count c = {0};
    size_t present = 0;
    for (size_t i = 0; i < n; i++) {
        const bool there = !list[i].pod->meta.deleting;
        present += there;
        c.updated += there && list[i].updated;
        c.ready += there && list[i].pod->ready;
        c.candidates += may_go(&list[i]);
    }
    c.shall = MAX(s->desired, present);
    c.away = c.shall - present;
    return c;
}

static size_t missing_of(const struct canary_set *s, const struct count *c)
{
    const size_t taken = c->updated + c->away, count = canary_count(s);
    return count > taken ? count - taken : 0;
}

size_t canary_missing(const struct canary_set *s, const struct canary_pod *list, size_t n)
{
    const struct count c = count_pods(s, list, n);
    return missing_of(s, &c);
}

size_t canary_choose(const struct canary_set *s, struct canary_pod *list, size_t n)
{
    const struct count c = count_pods(s, list, n);
    const size_t missing = missing_of(s, &c), most = most_away(s);
    size_t unready = c.shall - c.ready, chosen = 0;
    if (n > 0)
        qsort(list, n, sizeof(*list), compare);
    while (chosen < MIN(c.candidates, missing)) {
        const bool costs = list[chosen].pod->ready;
        if (costs && unready >= most)
            break;
        unready += costs;
        chosen++;
    }
    return chosen;
}
