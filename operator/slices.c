// SPDX-License-Identifier: Apache-2.0
// One walk over the ConfigMaps.
#include "operator/slices.h"

#include <stdio.h>
#include <string.h>

struct count {
    const struct store_fleet *fleet;
    char prefix[LIMIT_NAME + 16];
    unsigned n;
};

static int count_slice(const void *object, void *arg)
{
    struct count *c = arg;
    const struct store_child *child = object;
    uint64_t number;
    size_t prefix = strlen(c->prefix);
    bool is_slice = strcmp(child->meta.owner_uid, c->fleet->meta.uid) == 0 &&
                    strncmp(child->meta.name, c->prefix, prefix) == 0 &&
                    base_parse_u64(child->meta.name + prefix, 0, LIMIT_SLICES - 1, &number) == 0;
    while (is_slice && c->n <= number)
        c->n = MAX(c->n * 2, 1U);
    return 0;
}

unsigned slices_count(const struct store *s, const struct store_fleet *fleet)
{
    struct count c = {.fleet = fleet};
    snprintf(c.prefix, sizeof(c.prefix), "%s-peers-", fleet->meta.name);
    store_each(s, STORE_CONFIGMAP, count_slice, &c);
    return c.n;
}
