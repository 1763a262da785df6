// SPDX-License-Identifier: Apache-2.0
// Full: everybody but oneself.
#include "lib/topo.h"

#include "test/unit/check.h"

static void test_full(void)
{
    struct peers none = {0};
    CHECK(topo_probes(SPEC_FULL, &none, "a", "b"));
    CHECK(topo_probes(SPEC_FULL, &none, "b", "a"));
    CHECK(!topo_probes(SPEC_FULL, &none, "a", "a"));
    CHECK_INT(topo_degree(SPEC_FULL, 0), 0);
    CHECK_INT(topo_degree(SPEC_FULL, 1), 0);
    CHECK_INT(topo_degree(SPEC_FULL, 5000), 4999);
}

static const struct check_case cases[] = {{"full", test_full}};
CHECK_MAIN(cases)
