// SPDX-License-Identifier: Apache-2.0
// Full: everybody but oneself.
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

static void test_size(void)
{
    const struct spec_topology full = {.type = SPEC_FULL};
    struct topo_size size;
    const char *zones[] = {"b", "", "a", "b", "a", "b"};
    topo_measure(zones, 6, &size);
    CHECK_INT(size.nodes, 6);
    CHECK_INT(size.largest_zone, 3);
    CHECK_INT(size.neighbours, 3 * 2 + 2 * 1);
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

static const struct check_case cases[] = {{"full", test_full}, {"size", test_size}};
CHECK_MAIN(cases)
