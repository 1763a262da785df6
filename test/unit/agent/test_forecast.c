// SPDX-License-Identifier: Apache-2.0
// What --check says: what is probed and what it costs, and each note when there is reason for it, and not
// otherwise.
#include "agent/forecast.h"

#include "test/unit/agent/files.h"
#include "test/unit/check.h"

static struct buf said;

// The text, which lasts until the next call; "" if there is none.
static const char *forecast(const struct files *f)
{
    struct err e = {0};
    buf_release(&said);
    buf_init(&said, LIMIT_FORECAST);
    if (forecast_text(&f->file, &f->peers, "n1", SPEC_NETWORK_POD, &said, &e) < 0)
        printf("    %s\n", e.msg);
    return buf_text(&said);
}

static void three_nodes(void)
{
    struct files f;
    files_three_nodes(&f);
    CHECK_CONTAINS(forecast(&f), "fleet , generation 3\n3 pairs, 3.000 packets a second\n");
    CHECK_CONTAINS(forecast(&f), " bytes for the plan and its counters\n");
    CHECK(!strstr(forecast(&f), "note:"));
    files_release(&f);
}

static void nobody(void)
{
    struct files f;
    files_init(&f);
    CHECK_CONTAINS(forecast(&f), "note: no peer is named n1\n");
    f.file.spec.mesh.networks = 1u << SPEC_NETWORK_NODE;
    CHECK_CONTAINS(forecast(&f), "note: the fleet has no network Pod: nobody is probed\n");
    files_release(&f);
    buf_release(&said);
}

static const struct check_case cases[] = {
    {"three nodes", three_nodes},
    {"nobody to probe", nobody},
};
CHECK_MAIN(cases)
