// SPDX-License-Identifier: Apache-2.0
// What a plan costs in memory, as it is published.
#include "test/unit/check.h"

#include "agent/engine.h"
#include "agent/export.h"
#include "agent/flight.h"
#include "agent/gzip.h"
#include "agent/presence.h"
#include "lib/file.h"
#include "test/unit/agent/files.h"

static struct files f;
static struct engine *en;

static int apply(void)
{
    return files_apply(&f, en, 1);
}

static void stop(void)
{
    engine_free(en);
    en = NULL;
    files_release(&f);
}

static void start(void)
{
    struct err e;
    if (en) // a case failed before this one
        stop();
    files_init(&f);
    en = engine_new(files_random, NULL, &e);
}

// The published formula: bytes of a pair by bounds.
static void test_memory(void)
{
    static const struct {
        size_t bounds, bytes;
    } at[] = {{24, 460}, {11, 404}};
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        start();
        f.file.spec.metrics.n_buckets = at[i].bounds;
        for (unsigned k = 0; k < at[i].bounds; k++)
            f.file.spec.metrics.rtt_buckets_us[k] = k + 1;
        for (unsigned k = 0; k < 1000; k++) {
            char node[32];
            struct err e;
            snprintf(node, sizeof(node), "ip-10-0-%u-%u.internal", k / 256, k % 256);
            struct peer p = {.node = node, .zone = (char[]){"zone-a"}};
            p.pod[0] = (struct addr){.set = 1, .bytes = {198, 18, (uint8_t)(k / 256), (uint8_t)k}};
            CHECK_INT(peers_add(&f.peers, &p, &e), 0);
        }
        CHECK_INT(apply(), 0);
        size_t bytes = engine_memory(engine_plan(en)) / 1000;
        CHECK(bytes <= at[i].bytes && bytes > at[i].bytes - 60);
        CHECK_INT(flight_size(4, at[i].bounds, 8), 32 + 24 * 4 + ALIGN8(stats_size(at[i].bounds)) + 8);
        CHECK_INT(flight_slots_for(&engine_plan(en)->probes[0]), 4);
        stop();
    }
}

// The power of two that holds (timeout + grace) / interval + 2.
static void test_slots(void)
{
    static const struct {
        uint64_t interval, timeout; // ms
        uint16_t slots;
    } at[] = {{1000, 1000, 4}, {200, 1000, 8},     {1000, 3000, 8},   {5000, 1000, 2},  {100, 10, 2},
              {100, 1400, 32}, {100, 60000, 1024}, {60000, 60000, 4}, {10000, 60000, 8}};
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        start();
        files_target(&f, "gateway", SPEC_ICMP, "192.0.2.9", 0);
        f.targets[0].interval_ns = at[i].interval * NS_PER_MS;
        f.targets[0].timeout_ns = at[i].timeout * NS_PER_MS;
        CHECK_INT(apply(), 0);
        CHECK_INT(engine_own(en, 0).slots, at[i].slots);
        stop();
    }
}

// The page with the formulas, and a fleet with the 11 bounds that its numbers are of.
static bool start_by_the_docs(char **ret_page)
{
    struct err e = {0};
    start();
    f.file.spec.metrics.n_buckets = 11;
    for (unsigned k = 0; k < 11; k++)
        f.file.spec.metrics.rtt_buckets_us[k] = k + 1;
    return file_read("docs/operations.md", 1u << 20, ret_page, NULL, &e) == 0;
}

// What docs/operations.md says of a pair with the defaults, beside what is measured: the difference that a
// second probe makes to 1000 peers.
static void test_memory_in_the_docs(void)
{
    CLEANUP_FREE char *page = NULL;
    char formula[96], sum[96];
    struct err e = {0};
    CHECK(start_by_the_docs(&page));
    for (unsigned k = 0; k < 1000; k++) {
        char node[32];
        snprintf(node, sizeof(node), "n%u", 100 + k);
        struct peer p = {.node = node, .zone = (char[]){"z"}};
        p.pod[0] = (struct addr){.set = 1, .bytes = {198, 18, (uint8_t)(k / 256), (uint8_t)k}};
        CHECK_INT(peers_add(&f.peers, &p, &e), 0);
    }
    CHECK_INT(apply(), 0);
    size_t one = engine_memory(engine_plan(en)), bounds = engine_plan(en)->n_bounds;
    struct spec_probe *probes = f.file.spec.mesh.probes;
    probes[1] = probes[0];
    snprintf(probes[1].name, sizeof(probes[1].name), "second");
    f.file.spec.mesh.n_probes = 2;
    CHECK_INT(apply(), 0);
    CHECK_INT(flight_slots_for(&engine_plan(en)->probes[1]), 4);
    snprintf(formula, sizeof(formula), " 16 + 32 + %zu + 24 x slots + %zu + 4 x (bounds + 1) bytes a pair,",
             flight_size(0, bounds, 0) - stats_size(bounds), stats_size(bounds) - 4 * (bounds + 1));
    snprintf(sum, sizeof(sum), " probes: %zu bytes with the default bounds at 1 s.",
             (engine_memory(engine_plan(en)) - one) / 1000);
    stop();
    CHECK(strstr(page, formula));
    CHECK(strstr(page, sum));
}

static void add_nodes(unsigned from, unsigned to)
{
    for (unsigned k = from; k < to; k++) {
        char node[32];
        struct err e;
        snprintf(node, sizeof(node), "n%u", 1000 + k);
        struct peer p = {.node = node, .zone = (char[]){"z"}};
        p.pod[0] = (struct addr){.set = 1, .bytes = {198, 18, (uint8_t)(k / 256), (uint8_t)k}};
        CHECK_INT(peers_add(&f.peers, &p, &e), 0);
    }
}

static size_t agent_memory(void)
{
    return engine_memory(engine_plan(en)) + presence_memory(engine_plan(en));
}

// What a peer takes, whatever it is probed by: the difference that a thousand peers make, their pairs (of one
// probe) aside.
static void test_memory_of_peers_in_the_docs(void)
{
    CLEANUP_FREE char *page = NULL;
    char text[96];
    struct err e = {0};
    CHECK_INT(file_read("docs/operations.md", 1u << 20, &page, NULL, &e), 0);
    start();
    add_nodes(0, 1);
    CHECK_INT(apply(), 0);
    size_t one = agent_memory(), bounds = engine_plan(en)->n_bounds;
    add_nodes(1, 1001);
    CHECK_INT(apply(), 0);
    size_t pair = 16 + 32 + flight_size(4, bounds, 0);
    size_t peer =
        sizeof(struct plan_dest) + presence_memory(engine_plan(en)) / (engine_plan(en)->n_dests + 1);
    size_t more = agent_memory() - one, want = 1000 * (pair + peer + sizeof("n1000"));
    stop();
    CHECK(more + 2 * 2048 > want && more < want + 2 * 2048); // names stand in chunks
    snprintf(text, sizeof(text), "A peer takes %zu bytes beside its pairs, and its name;", peer);
    CHECK_CONTAINS(page, text);
}

// Puts files with one more target in force; how much more a scrape takes.
static size_t more_with_target(enum spec_probe_type type)
{
    size_t before = export_memory(engine_plan(en), false);
    struct spec_target *t = &f.targets[f.file.spec.n_targets];
    files_target(&f, type == SPEC_DNS ? "dns" : "http", type, "192.0.2.9", 53);
    t->server = t->address;
    t->url = (char[]){"http://192.0.2.9/"};
    snprintf(t->query, sizeof(t->query), "a");
    return apply() == 0 ? export_memory(engine_plan(en), false) - before : 0;
}

// What a scrape takes beside the agent's own, likewise, each part by what it makes more.
static void test_memory_of_a_scrape_in_the_docs(void)
{
    CLEANUP_FREE char *page = NULL;
    char text[512];
    const size_t row = sizeof(struct failures_row);
    CHECK(start_by_the_docs(&page));
    add_nodes(0, 1);
    CHECK_INT(apply(), 0);
    size_t one = export_memory(engine_plan(en), false), bounds = engine_plan(en)->n_bounds;
    const size_t pair = ALIGN8(stats_size(bounds));
    add_nodes(1, 1001);
    CHECK_INT(apply(), 0);
    size_t all = export_memory(engine_plan(en), false), zoned = export_memory(engine_plan(en), true);
    f.file.spec.mesh.probes[0].type = SPEC_STAMP;
    f.file.spec.mesh.probes[0].flows = 8;
    CHECK_INT(apply(), 0);
    size_t stamp = export_memory(engine_plan(en), false);
    size_t dns = more_with_target(SPEC_DNS), http = more_with_target(SPEC_HTTP);
    stop();
    CHECK_INT(all - one, 1000 * pair);
    CHECK_INT(zoned - all, 8 * (bounds + 2)); // one zone
    CHECK_INT(stamp - all, 1001 * 8 * (2 + 8));
    snprintf(
        text, sizeof(text),
        " %zu + 4 x (bounds + 1) bytes a pair, rounded up to 8\n  (%zu with the default bounds), 8 x (2 + "
        "flows) more of a STAMP pair, %zu of a DNS and %zu of an HTTP target; %zu of each row of why probes "
        "fail;\n  past seriesLimit 8 x (bounds + 2) of each histogram by zone; and %zu KiB of buffers (%zu KiB "
        "more where it is compressed); %d at most are under way at a time.\n",
        stats_size(bounds) - 4 * (bounds + 1), pair, dns - pair - row, http - pair - row, row,
        (one - pair - row + 1023) / 1024, GZIP_BYTES >> 10, LIMIT_SCRAPES);
    CHECK_CONTAINS(page, text);
    snprintf(text, sizeof(text), " Each open connection has %u KiB", LIMIT_SERVE_MEMORY >> 10);
    CHECK_CONTAINS(page, text);
}

// The same of STAMP: what a pair has besides.
static void test_memory_of_stamp(void)
{
    static const struct {
        uint16_t flows;
        int64_t more;
    } at[] = {{1, 32 + 28 + 32 + 4}, {8, 32 + 8 * 28 + 32}, {16, 32 + 16 * 28 + 32}};
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        start();
        for (unsigned k = 0; k < 100; k++) {
            char node[32];
            struct err e;
            snprintf(node, sizeof(node), "n%u", 100 + k);
            struct peer p = {.node = node, .zone = (char[]){"z"}};
            p.pod[0] = (struct addr){.set = 1, .bytes = {198, 18, 0, (uint8_t)k}};
            CHECK_INT(peers_add(&f.peers, &p, &e), 0);
        }
        CHECK_INT(apply(), 0);
        size_t plain = engine_memory(engine_plan(en));
        f.file.spec.mesh.probes[0].type = SPEC_STAMP;
        f.file.spec.mesh.probes[0].flows = at[i].flows;
        CHECK_INT(apply(), 0);
        CHECK_INT(engine_memory(engine_plan(en)) - plain, 100 * at[i].more);
        stop();
    }
}

static const struct check_case cases[] = {
    {"memory by the formula", test_memory},
    {"slots by the formula", test_slots},
    {"memory as the docs have it", test_memory_in_the_docs},
    {"memory of STAMP", test_memory_of_stamp},
    {"memory of peers as the docs have it", test_memory_of_peers_in_the_docs},
    {"memory of a scrape as the docs have it", test_memory_of_a_scrape_in_the_docs},
};
CHECK_MAIN(cases)
