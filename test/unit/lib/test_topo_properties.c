// SPDX-License-Identifier: Apache-2.0
// What lib/topo promises, over fleets of every size to 300 and some to 5,000, of several kinds of names and
// zones. Everything is counted anew from what each node is told; nothing is taken from the ring.
// KUBECANARY_SEED sets the seed of all fleets.
#include <stdlib.h>

#include "lib/topo.h"
#include "test/unit/check.h"

enum zones { NONE, THIRDS, UNEQUAL, OWN, RANDOM, KINDS };
static const char *const kind_names[KINDS] = {"none", "thirds", "unequal", "own", "random"};
static const unsigned degrees[] = {1, 2, 5, 20, 64};

static uint64_t seeds[3];
static uint64_t state;

static uint64_t random_u64(void) // xorshift64*
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(0x2545f4914f6cdd1d);
}

// --- fleets --------------------------------------------------------------------------------------

static void zone_text(enum zones kind, size_t i, char out[static 32])
{
    static const char *const thirds[] = {"a", "b", "c"};
    uint64_t r = random_u64() % 100;
    switch (kind) {
    case NONE: out[0] = 0; return;
    case THIRDS: snprintf(out, 32, "%s", thirds[i % 3]); return;
    case UNEQUAL: snprintf(out, 32, "%s", r < 96 ? "big" : r < 98 ? "small" : ""); return;
    case OWN: snprintf(out, 32, "zone-%zu", i); return;
    case RANDOM:
    case KINDS: snprintf(out, 32, "zone-%llu", (unsigned long long)(r % 7)); return;
    }
}

static void name_text(uint64_t seed, size_t i, char out[static 64])
{
    if (seed % 3 == 0)
        snprintf(out, 64, "node-%zu", i);
    else if (seed % 3 == 1)
        snprintf(out, 64, "ip-10-%zu-%zu-%zu.eu.example.internal", i / 1024, i / 32 % 32, i % 32);
    else
        snprintf(out, 64, "pool-%zx-%08llx", i % 4,
                 (unsigned long long)(i * UINT64_C(2654435761) & 0xffffffff));
}

static void add(struct peers *all, const char *name, const char *zone)
{
    char node[64], where[32];
    struct err e = {0};
    struct peer p = {.node = node, .zone = where, .state = (enum peer_state)(random_u64() % PEER_STATES)};
    snprintf(node, sizeof(node), "%s", name);
    snprintf(where, sizeof(where), "%s", zone);
    CHECK_INT(peers_add(all, &p, &e), 0);
}

static struct peers fleet(uint64_t seed, size_t n, enum zones kind)
{
    struct peers all = {0};
    struct err e = {0};
    state = seed * 1000003 + n * 31 + (uint64_t)kind + 1;
    for (size_t i = 0; i < n; i++) {
        char name[64], zone[32];
        name_text(seed, i, name);
        zone_text(kind, i, zone);
        add(&all, name, zone);
    }
    if (peers_sort(&all, &e) != 0)
        printf("    %s\n", e.msg);
    return all;
}

// --- what is counted -----------------------------------------------------------------------------

struct count {
    size_t out, in;                      // of each node
    size_t told_in;                      // how many it believes to probe it
    size_t out_other, in_other, in_zone; // of other zones; of its own
};

struct counts {
    struct count *list;
    uint64_t said_by_source, said_by_destination; // a sum over pairs: the same set, whoever says it
    size_t with_itself, zone_size_wrong;
};

static uint64_t pair_number(size_t i, size_t j)
{
    uint64_t x = ((uint64_t)i << 32 | j) + UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ (x >> 27);
}

static size_t zone_numbers[5000]; // of the fleet that is looked at

static void number_zones(const struct peers *all)
{
    for (size_t i = 0, j; i < all->n; i++) {
        for (j = 0; strcmp(all->list[i].zone, all->list[j].zone) != 0;)
            j++;
        zone_numbers[i] = j;
    }
}

static bool same_zone(size_t i, size_t j)
{
    return zone_numbers[i] == zone_numbers[j];
}

static void count_row(struct counts *c, const struct peers *all, size_t i, const uint8_t *roles)
{
    struct count *self = &c->list[i];
    size_t zone = 0;
    c->with_itself += roles[i] != 0;
    for (size_t j = 0; j < all->n; j++) {
        bool same = same_zone(i, j), probes = roles[j] & TOPO_PROBES, probed = roles[j] & TOPO_PROBED_BY;
        zone += same && probes && probed;
        self->out += probes;
        self->out_other += probes && !same;
        self->told_in += probed;
        c->list[j].in += probes;
        c->list[j].in_other += probes && !same;
        c->list[j].in_zone += probes && same;
        c->said_by_source += probes ? pair_number(i, j) : 0;
        c->said_by_destination += probed ? pair_number(j, i) : 0;
    }
    size_t size = 0;
    for (size_t j = 0; j < all->n; j++)
        size += same_zone(i, j);
    c->zone_size_wrong += zone != size - 1;
}

static struct counts count(const struct spec_topology *how, const struct peers *all)
{
    struct counts c = {.list = calloc(all->n + 1, sizeof(*c.list))};
    CLEANUP_TOPO struct topo t = {0};
    CLEANUP_FREE uint8_t *roles = malloc(all->n + 1);
    struct err e = {0};
    number_zones(all);
    if (topo_init(&t, how, all, &e) != 0)
        printf("    %s\n", e.msg);
    for (size_t i = 0; i < all->n; i++) {
        memset(roles, 0xff, all->n);
        topo_choose(&t, all->list[i].node, roles);
        count_row(&c, all, i, roles);
    }
    return c;
}

// --- degrees -------------------------------------------------------------------------------------

static void check_fleet(const struct spec_topology *how, const struct peers *all, enum zones kind,
                        const struct counts *c)
{
    size_t k = how->degree, all_others = all->n - 1, least = MIN(k, all_others);
    CHECK_INT(c->with_itself, 0);
    CHECK(c->said_by_source == c->said_by_destination);
    CHECK(how->type != SPEC_ZONAL || c->zone_size_wrong == 0);
    for (size_t i = 0; i < all->n; i++) {
        const struct count *n = &c->list[i];
        size_t outside = all_others - n->in_zone;
        CHECK_INT(n->told_in, n->in);
        CHECK(n->in >= least);
        if (how->type == SPEC_SAMPLED) {
            CHECK_INT(n->out, least);
            CHECK_INT(n->in, least);
            continue;
        }
        CHECK(n->out_other <= k);
        CHECK(n->in_other <= TOPO_LOOK * k);
        if (all_others <= TOPO_LOOK * k || (kind == THIRDS && k >= 5))
            CHECK_INT(n->out_other, MIN(k, outside));
        if (k >= all_others)
            CHECK_INT(n->in + n->out, 2 * all_others);
    }
}

static void check_forecast(const struct spec_topology *how, const struct peers *all, const struct counts *c)
{
    CLEANUP_FREE const char **zones = calloc(all->n, sizeof(*zones));
    struct topo_size size;
    size_t most = 0, pairs = 0;
    for (size_t i = 0; i < all->n; i++) {
        zones[i] = all->list[i].zone;
        most = MAX(most, c->list[i].out);
        pairs += c->list[i].out;
    }
    topo_measure(zones, all->n, &size);
    CHECK(topo_degree(how, &size) >= most);
    CHECK(topo_pairs(how, &size) >= pairs);
    CHECK(topo_pairs(how, &size) <= (uint64_t)all->n * (all->n - 1));
    if (how->type == SPEC_SAMPLED) {
        CHECK_INT(topo_degree(how, &size), most);
        CHECK_INT(topo_pairs(how, &size), pairs);
    }
}

static void check_degrees(uint64_t seed, size_t n, enum zones kind, unsigned degree,
                          enum spec_topology_type type)
{
    const struct spec_topology how = {.type = type, .degree = degree};
    CLEANUP_PEERS struct peers all = fleet(seed, n, kind);
    struct counts c = count(&how, &all);
    check_fleet(&how, &all, kind, &c);
    if (!check_failed)
        check_forecast(&how, &all, &c);
    if (check_failed)
        printf("    seed %" PRIu64 ", %zu nodes, zones %s, %s, degree %u\n", seed, n, kind_names[kind],
               spec_topology_name(type), degree);
    free(c.list);
}

static void test_every_size(void)
{
    for (size_t n = 1; n <= 300 && !check_failed; n++) {
        uint64_t seed = seeds[n % ARRAY_LEN(seeds)];
        unsigned degree = degrees[n / 3 % ARRAY_LEN(degrees)];
        check_degrees(seed, n, NONE, degree, SPEC_SAMPLED);
        for (enum zones kind = 0; kind < KINDS && !check_failed; kind++)
            check_degrees(seed, n, kind, degree, SPEC_ZONAL);
    }
}

static void test_small(void)
{
    for (size_t n = 1; n <= 40; n++) {
        for (size_t s = 0; s < ARRAY_LEN(seeds); s++) {
            for (unsigned k = 1; k <= 42 && !check_failed; k += k < 6 ? 1 : 9) {
                check_degrees(seeds[s], n, NONE, k, SPEC_SAMPLED);
                for (enum zones kind = 0; kind < KINDS && !check_failed; kind++)
                    check_degrees(seeds[s], n, kind, k, SPEC_ZONAL);
            }
        }
    }
}

static void test_large(void)
{
    for (size_t s = 0; s < ARRAY_LEN(seeds) && !check_failed; s++)
        check_degrees(seeds[s], 1000 + 777 * s, UNEQUAL, 20, SPEC_ZONAL);
    for (size_t s = 0; s < ARRAY_LEN(seeds) && !check_failed; s++)
        check_degrees(seeds[s], 1000 + 777 * s, NONE, 20, SPEC_SAMPLED);
    check_degrees(seeds[0], 5000, NONE, 20, SPEC_SAMPLED);
    check_degrees(seeds[1], 5000, THIRDS, 20, SPEC_ZONAL);
}

// --- coming and going ----------------------------------------------------------------------------

struct moves {
    size_t within, between; // pairs that are in one of two fleets only: of one zone, of two
};

// small is large without its node `gone`.
static struct moves compare(const struct spec_topology *how, const struct peers *large,
                            const struct peers *small, size_t gone)
{
    struct moves m = {0};
    CLEANUP_TOPO struct topo a = {0}, b = {0};
    CLEANUP_FREE uint8_t *now = malloc(large->n + 1), *then = malloc(large->n + 1);
    struct err e = {0};
    if (topo_init(&a, how, large, &e) != 0 || topo_init(&b, how, small, &e) != 0)
        printf("    %s\n", e.msg);
    for (size_t i = 0; i < large->n; i++) {
        topo_choose(&a, large->list[i].node, now);
        memset(then, 0, large->n);
        if (i != gone) {
            topo_choose(&b, large->list[i].node, then);
            memmove(then + gone + 1, then + gone, large->n - 1 - gone);
            then[gone] = 0;
        }
        for (size_t j = 0; j < large->n; j++) {
            bool moved = (now[j] ^ then[j]) & TOPO_PROBES;
            m.within += moved && same_zone(i, j);
            m.between += moved && !same_zone(i, j);
        }
    }
    return m;
}

static void check_moves(uint64_t seed, size_t n, enum zones kind, unsigned k, enum spec_topology_type type)
{
    const struct spec_topology how = {.type = type, .degree = k};
    CLEANUP_PEERS struct peers all = fleet(seed, n, kind), small = {0};
    size_t gone = random_u64() % n, zone = 0;
    struct err e = {0};
    number_zones(&all);
    for (size_t i = 0; i < n; i++) {
        zone += same_zone(i, gone);
        if (i != gone)
            CHECK_INT(peers_add(&small, &all.list[i], &e), 0);
    }
    struct moves m = compare(&how, &all, &small, gone);
    if (type == SPEC_SAMPLED)
        CHECK(m.within + m.between <= 3 * (size_t)k);
    else
        CHECK(m.within == 2 * (zone - 1) && m.between <= (2 * TOPO_LOOK + 1) * (size_t)k);
    if (type == SPEC_SAMPLED && n - 1 > k) // none is moved in vain: k begin, k are begun with, k make room
        CHECK_INT(m.within + m.between, 3 * k);
}

static void test_moves(void)
{
    for (size_t n = 1; n <= 300; n += n < 50 ? 1 : 25) {
        for (size_t i = 0; i < ARRAY_LEN(degrees) && !check_failed; i++) {
            uint64_t seed = seeds[(n + i) % ARRAY_LEN(seeds)];
            check_moves(seed, n, NONE, degrees[i], SPEC_SAMPLED);
            for (enum zones kind = 0; kind < KINDS && !check_failed; kind++)
                check_moves(seed, n, kind, degrees[i], SPEC_ZONAL);
            if (check_failed)
                printf("    seed %" PRIu64 ", %zu nodes, degree %u\n", seed, n, degrees[i]);
        }
    }
    if (!check_failed)
        check_moves(seeds[0], 3000, NONE, 20, SPEC_SAMPLED);
    if (!check_failed)
        check_moves(seeds[1], 2000, UNEQUAL, 20, SPEC_ZONAL);
}

// --- order and state -----------------------------------------------------------------------------

static void check_order(uint64_t seed, size_t n, enum spec_topology_type type)
{
    const struct spec_topology how = {.type = type, .degree = 7};
    CLEANUP_PEERS struct peers all = fleet(seed, n, RANDOM), other = {0};
    CLEANUP_FREE size_t *order = calloc(n, sizeof(*order));
    CLEANUP_FREE uint8_t *a = malloc(n), *b = malloc(n);
    CLEANUP_TOPO struct topo t = {0}, u = {0};
    struct err e = {0};
    for (size_t i = 0; i < n; i++) { // a shuffle
        size_t j = random_u64() % (i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (size_t i = 0; i < n; i++) {
        struct peer p = all.list[order[i]];
        p.state = (enum peer_state)((p.state + 1) % PEER_STATES);
        CHECK_INT(peers_add(&other, &p, &e), 0);
    }
    CHECK_INT(peers_sort(&other, &e), 0);
    CHECK_INT(topo_init(&t, &how, &all, &e), 0);
    CHECK_INT(topo_init(&u, &how, &other, &e), 0);
    for (size_t i = 0; i < n; i++) {
        topo_choose(&t, all.list[i].node, a);
        topo_choose(&u, all.list[n - 1 - i].node, b); // whatever was asked before
        topo_choose(&u, all.list[i].node, b);
        CHECK_INT(memcmp(a, b, n), 0);
    }
}

static void test_order_and_state(void)
{
    for (size_t n = 1; n < 200 && !check_failed; n += 19) {
        for (size_t s = 0; s < ARRAY_LEN(seeds) && !check_failed; s++) {
            check_order(seeds[s], n, SPEC_SAMPLED);
            if (!check_failed)
                check_order(seeds[s], n, SPEC_ZONAL);
        }
    }
}

// The ring parts what names and racks have together: of the nodes that follow each other by name few do so on
// the ring, and no share of the fleet is probed by another more than chance has it.
static void test_spread(void)
{
    for (size_t s = 0; s < ARRAY_LEN(seeds); s++) {
        const struct spec_topology how = {.type = SPEC_SAMPLED, .degree = 20};
        CLEANUP_PEERS struct peers all = fleet(seeds[s], 1000, NONE);
        CLEANUP_TOPO struct topo t = {0};
        uint8_t roles[1000];
        size_t next = 0, racks = 0;
        struct err e = {0};
        CHECK_INT(topo_init(&t, &how, &all, &e), 0);
        for (size_t i = 0; i < all.n; i++) {
            topo_choose(&t, all.list[i].node, roles);
            next += (roles[(i + 1) % all.n] & TOPO_PROBES) != 0;
            for (size_t j = 0; j < all.n; j++)
                racks += (roles[j] & TOPO_PROBES) && i / 100 == j / 100;
        }
        CHECK(next < 60);                    // 20 by chance
        CHECK(racks > 1200 && racks < 2800); // 2,000 by chance: a tenth of 20,000
    }
}

static const struct check_case cases[] = {
    {"every size", test_every_size},
    {"small fleets", test_small},
    {"large fleets", test_large},
    {"moves", test_moves},
    {"order and state", test_order_and_state},
    {"spread", test_spread},
};

static void choose_seeds(void) __attribute__((constructor));
static void choose_seeds(void)
{
    const char *given = getenv("KUBECANARY_SEED");
    uint64_t first = given ? strtoull(given, NULL, 10) : 20260101;
    for (size_t i = 0; i < ARRAY_LEN(seeds); i++)
        seeds[i] = first + i;
    printf("# seeds %" PRIu64 " to %" PRIu64 "\n", first, seeds[ARRAY_LEN(seeds) - 1]);
}

CHECK_MAIN(cases)
