// SPDX-License-Identifier: Apache-2.0
// A handful of rows, searched by name: only what fails comes here.
#include "agent/failures.h"

#include <errno.h>

// Network and family as one number.
#define LABEL_FAMILIES (FAMILIES + 1)
#define WAYS (SPEC_NETWORKS * LABEL_FAMILIES)
static unsigned way_of(const struct plan *p, size_t pair)
{
    const struct plan_http *http = p->probes[p->pairs[pair].probe].http;
    unsigned family = http && http->any_family ? FAILURES_ANY_FAMILY : p->pairs[pair].family;
    return p->dests[p->pairs[pair].dest].network * LABEL_FAMILIES + family;
}

static unsigned way_of_row(const struct failures_row *row)
{
    return row->network * (unsigned)LABEL_FAMILIES + row->family;
}

static struct failures_row *find(const struct failures *f, const char *probe, unsigned way)
{
    for (size_t i = 0; i < f->n; i++)
        if (way_of_row(&f->rows[i]) == way && strcmp(f->rows[i].probe, probe) == 0)
            return &f->rows[i];
    return NULL;
}

struct failures_row *failures_of(const struct failures *f, const struct plan *p, size_t pair)
{
    return find(f, p->probes[p->pairs[pair].probe].name, way_of(p, pair));
}

// Ways of each probe that the plan has pairs of, as bits. NULL without memory.
static uint8_t *ways_of(const struct plan *p)
{
    uint8_t *seen = calloc(p->n_probes + 1, sizeof(*seen));
    for (size_t i = 0; seen && i < p->n_pairs; i++)
        seen[p->pairs[i].probe] |= (uint8_t)(1u << way_of(p, i));
    return seen;
}

static uint16_t reasons_of(enum spec_probe_type t)
{
    unsigned bits = 0;
    for (enum reason r = 0; r < REASONS; r++)
        bits |= (unsigned)reason_possible(t, r) << r;
    return (uint16_t)bits;
}

static int add(struct failures *f, const struct plan_probe *r, unsigned way)
{
    struct failures_row *row = find(f, r->name, way);
    if (!row) {
        row = reallocarray(f->rows, f->n + 1, sizeof(*row)); // a handful: never worth a guess
        if (!row)
            return -ENOMEM;
        f->rows = row;
        row += f->n++;
        *row = (struct failures_row){.network = (uint8_t)(way / LABEL_FAMILIES),
                                     .family = (uint8_t)(way % LABEL_FAMILIES)};
        snprintf(row->probe, sizeof(row->probe), "%s", r->name);
    }
    row->reasons |= reasons_of(r->type);
    return 0;
}

int failures_init(struct failures *f, const struct plan *p, const struct failures *old)
{
    CLEANUP(failures_release) struct failures made = {0};
    CLEANUP_FREE uint8_t *seen = ways_of(p);
    if (!seen)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_probes; i++) {
        for (unsigned k = 0; k < WAYS; k++) {
            // A probe that has lost its last pair keeps its numbers: another pair may come.
            bool wanted = seen[i] >> k & 1 || find(old, p->probes[i].name, k);
            if (wanted && add(&made, &p->probes[i], k) < 0)
                return -ENOMEM;
        }
    }
    *f = made;
    made = (struct failures){0};
    return 0;
}

size_t failures_count(const struct plan *p)
{
    static const struct failures none;
    CLEANUP(failures_release) struct failures f = {0};
    return failures_init(&f, p, &none) == 0 ? f.n : 0;
}

size_t failures_bytes(const struct plan *p)
{
    return failures_count(p) * sizeof(struct failures_row);
}

uint64_t failures_series(const struct failures *f)
{
    uint64_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        n += (uint64_t)__builtin_popcount(f->rows[i].reasons) + REASON_ERRORS;
    return n;
}

void failures_carry(struct failures *f, const struct failures *old)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct failures_row *row = find(old, f->rows[i].probe, way_of_row(&f->rows[i]));
        if (!row)
            continue;
        memcpy(f->rows[i].unreachable, row->unreachable, sizeof(row->unreachable));
        memcpy(f->rows[i].errors, row->errors, sizeof(row->errors));
    }
}

void failures_release(struct failures *f)
{
    free(f->rows);
    *f = (struct failures){0};
}
