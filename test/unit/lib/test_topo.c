// SPDX-License-Identifier: Apache-2.0
// The topologies on fleets that can be looked at, and the forecast. See test_topo_properties for what always
// holds.
#include "lib/topo.h"

#include "test/unit/check.h"

static void test_full(void)
{
    static char names[3][2] = {"a", "b", "c"};
    struct peer list[3] = {{.node = names[0]}, {.node = names[1]}, {.node = names[2]}};
    const struct peers all = {.n = 3, .list = list};
    const struct spec_topology full = {.type = SPEC_FULL};
    CLEANUP_TOPO struct topo t = {0};
    struct err e = {0};
    uint8_t roles[3];
    CHECK_INT(topo_init(&t, &full, &all, &e), 0);
    topo_choose(&t, "b", roles);
    CHECK_INT(roles[0], TOPO_PROBES | TOPO_PROBED_BY);
    CHECK_INT(roles[1], 0);
    CHECK_INT(roles[2], TOPO_PROBES | TOPO_PROBED_BY);
    topo_choose(&t, "new", roles); // not in the files yet: nobody can know of it
    CHECK_INT(roles[0], TOPO_PROBES);
    CHECK_INT(roles[1], TOPO_PROBES);
}

// Six nodes of three zones; the ring has them in the order n2 n5 n3 n4 n6 n1 (a node "new" would be before
// n1).
static const struct peers *six(void)
{
    static char names[6][3] = {"n1", "n2", "n3", "n4", "n5", "n6"};
    static char zones[3][2] = {"a", "b", ""};
    static struct peer list[6];
    static const struct peers all = {.n = 6, .list = list};
    for (size_t i = 0; i < 6; i++)
        list[i] = (struct peer){.node = names[i], .zone = zones[i / 2]};
    return &all;
}

// "n2 n3 <n4 =n5": probes n2 and n3, is probed by n4, both with n5.
static const char *choice(enum spec_topology_type type, unsigned degree, const char *self)
{
    static const char *const marks[] = {"", "", "<", "="};
    static char out[64];
    const struct spec_topology how = {.type = type, .degree = degree};
    CLEANUP_TOPO struct topo t = {0};
    struct err e = {0};
    uint8_t roles[6] = {0};
    size_t n = 0;
    if (topo_init(&t, &how, six(), &e) == 0)
        topo_choose(&t, self, roles);
    out[0] = 0;
    for (size_t i = 0; i < 6; i++) {
        if (roles[i])
            n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s%s", n ? " " : "", marks[roles[i]],
                                  six()->list[i].node);
    }
    return out;
}

// The order on the ring is a contract between agents of different versions, which must agree.
static void test_sampled(void)
{
    CHECK_STR(choice(SPEC_SAMPLED, 1, "n3"), "n4 <n5");
    CHECK_STR(choice(SPEC_SAMPLED, 2, "n3"), "<n2 n4 <n5 n6");
    CHECK_STR(choice(SPEC_SAMPLED, 2, "n4"), "n1 <n3 <n5 n6");
    CHECK_STR(choice(SPEC_SAMPLED, 3, "n3"), "=n1 <n2 n4 <n5 n6");
    CHECK_STR(choice(SPEC_SAMPLED, 5, "n3"), "=n1 =n2 =n4 =n5 =n6");
    CHECK_STR(choice(SPEC_SAMPLED, 1000, "n3"), "=n1 =n2 =n4 =n5 =n6");
    CHECK_STR(choice(SPEC_SAMPLED, 2, "new"), "n1 n2");
    CHECK_STR(choice(SPEC_SAMPLED, 1000, "new"), "n1 n2 n3 n4 n5 n6");
}

static void test_zonal(void)
{
    CHECK_STR(choice(SPEC_ZONAL, 1, "n1"), "=n2 n5 <n6");
    CHECK_STR(choice(SPEC_ZONAL, 1, "n3"), "=n4 <n5 n6");
    CHECK_STR(choice(SPEC_ZONAL, 1, "n5"), "<n1 <n2 n3 =n6"); // without a zone
    CHECK_STR(choice(SPEC_ZONAL, 4, "n1"), "=n2 =n3 =n4 =n5 =n6");
    CHECK_STR(choice(SPEC_ZONAL, 1, "new"), "n1 n5 n6"); // in no zone, as n5 and n6
}

static void test_nobody(void)
{
    for (enum spec_topology_type type = SPEC_FULL; type <= SPEC_ZONAL; type++) {
        const struct spec_topology how = {.type = type, .degree = 3};
        const struct peers none = {0};
        CLEANUP_TOPO struct topo t = {0};
        struct err e = {0};
        uint8_t roles[1] = {7};
        CHECK_INT(topo_init(&t, &how, &none, &e), 0);
        topo_choose(&t, "n1", roles);
        CHECK_INT(roles[0], 7); // not written to
    }
}

static void test_size(void)
{
    const struct spec_topology full = {.type = SPEC_FULL};
    struct topo_size size;
    const char *zones[] = {"b", "", "a", "b", "a", "b"};
    topo_measure(zones, 6, &size);
    CHECK_INT(size.nodes, 6);
    CHECK_INT(size.largest_zone, 3);
    CHECK_INT(size.neighbours, 3 * 2 + 2 * 1);
    CHECK_INT(size.zones, 3);
    CHECK_INT(topo_degree(&full, &size), 5);
    CHECK_INT(topo_pairs(&full, &size), 30);
    topo_measure(zones, 1, &size);
    CHECK_INT(size.largest_zone, 1);
    CHECK_INT(topo_degree(&full, &size), 0);
    topo_measure(zones, 0, &size);
    CHECK_INT(size.largest_zone, 0);
    CHECK_INT(topo_degree(&full, &size), 0);
    CHECK_INT(topo_pairs(&full, &size), 0);
}

static void test_forecast(void)
{
    const struct spec_topology sampled = {.type = SPEC_SAMPLED, .degree = 20};
    const struct spec_topology zonal = {.type = SPEC_ZONAL, .degree = 20};
    struct topo_size size = {.nodes = 5000, .largest_zone = 2000, .neighbours = 3 * 1500 * 1499};
    CHECK_INT(topo_degree(&sampled, &size), 20);
    CHECK_INT(topo_pairs(&sampled, &size), 100000);
    CHECK_INT(topo_degree(&zonal, &size), 1999 + 20);
    CHECK_INT(topo_pairs(&zonal, &size), 3 * 1500 * 1499 + 100000);
    size = (struct topo_size){.nodes = 10, .largest_zone = 8, .neighbours = 8 * 7 + 2};
    CHECK_INT(topo_degree(&sampled, &size), 9);
    CHECK_INT(topo_degree(&zonal, &size), 9);
    CHECK_INT(topo_pairs(&zonal, &size), 90);
    size = (struct topo_size){.nodes = 1};
    CHECK_INT(topo_degree(&sampled, &size), 0);
    CHECK_INT(topo_degree(&zonal, &size), 0);
    CHECK_INT(topo_pairs(&zonal, &size), 0);
    size = (struct topo_size){0};
    CHECK_INT(topo_degree(&zonal, &size), 0);
}

static const struct check_case cases[] = {
    {"full", test_full},     {"sampled", test_sampled}, {"zonal", test_zonal},
    {"nobody", test_nobody}, {"size", test_size},       {"forecast", test_forecast},
};
CHECK_MAIN(cases)
