// SPDX-License-Identifier: Apache-2.0
// How many series a scrape has: as many as were announced and forecast, and what is given up past the limit.
#include "agent/export_agent.h"
#include "lib/series.h"
#include "lib/spec_check.h"
#include "test/unit/agent/scrape.h"
#include "test/unit/check.h"

// Sample lines of a text.
static size_t count_samples(const char *text)
{
    return count(text, "\n") - count(text, "\n#") - (text[0] == '#');
}

// All sample lines of a scrape are the agent's own or announced, and the forecast of such a fleet says the
// same.
static void check_samples(struct fixture *f, unsigned nodes, unsigned families)
{
    CLEANUP_BUF struct buf text = {0}, own = {.max = 1u << 20};
    struct export_agent agent;
    struct spec_load load;
    const struct spec_scale scale = {.size = {.nodes = nodes, .largest_zone = nodes, .zones = 1},
                                     .families = families};
    CHECK(put_in_force(f));
    CHECK(scrape(f, METRIC_TEXT_0_0_4, 4096, &text));
    export_agent_read(&(struct export_sources){.prober = f->prober, .inputs = &f->inputs}, &agent);
    export_agent_write(&agent, METRIC_TEXT_0_0_4, &own);
    size_t fixed = count_samples(buf_text(&own));
    CHECK_INT(count_samples(buf_text(&text)) - fixed, series_now(f, !agent.limited));
    CHECK_INT(agent.series, series_now(f, !agent.limited));
    CHECK(fixed <= SERIES_FIXED);
    spec_forecast(&f->files.file.spec, &scale, &load);
    CHECK_INT(load.series, SERIES_FIXED + agent.series);
}

// A probe; and three with both networks and families, beside targets.
static void samples(void)
{
    struct fixture f;
    struct spec_mesh *m = &f.files.file.spec.mesh;
    CHECK(set_up(&f));
    files_peer(&f.files, "n1", "z", "192.0.2.1", NULL, PEER_READY);
    files_peer(&f.files, "n2", "z", "192.0.2.2", NULL, PEER_READY);
    check_samples(&f, 2, 1);
    peers_release(&f.files.peers);
    f.files.peers = (struct peers){0};
    m->networks = 1u << SPEC_NETWORK_POD | 1u << SPEC_NETWORK_NODE;
    m->n_probes = 3;
    m->probes[2] = (struct spec_probe){
        .name = "stamp", .type = SPEC_STAMP, .interval_ns = NS_PER_S, .timeout_ns = NS_PER_S, .flows = 3};
    for (int i = 1; i <= 3; i++) {
        char name[] = {'n', (char)('0' + i), '\0'};
        files_peer(&f.files, name, "z", "192.0.2.1", "2001:db8::1", PEER_READY);
        files_host(&f.files, name, "192.0.2.9", "2001:db8::9", PEER_READY);
    }
    check_samples(&f, 3, 2);
    files_target(&f.files, "resolver", SPEC_DNS, "192.0.2.9", 53);
    f.files.targets[0].server = f.files.targets[0].address;
    snprintf(f.files.targets[0].query, sizeof(f.files.targets[0].query), "a");
    f.files.file.spec.targets = f.files.targets;
    check_samples(&f, 3, 2);
    tear_down(&f);
}

// With both networks, and more settings in its environment than are told one by one.
static bool put_all_in_force(struct fixture *f)
{
    char conf[1024];
    size_t n = 0;
    for (unsigned i = 0; i < 2 * ALLOCATOR_SETTINGS; i++)
        n += (size_t)snprintf(conf + n, sizeof(conf) - n, "setting%u:1,", i);
    setenv("MALLOC_CONF", conf, 1);
    f->files.file.spec.mesh.networks = 1u << SPEC_NETWORK_POD | 1u << SPEC_NETWORK_NODE;
    files_peer(&f->files, "n1", "z", "192.0.2.1", NULL, PEER_READY);
    files_peer(&f->files, "n2", "z", "192.0.2.2", NULL, PEER_READY);
    return put_in_force(f);
}

static unsigned bits(unsigned set)
{
    return (unsigned)__builtin_popcount(set);
}

// The most that an agent has of its own: one with jemalloc, in control groups with limits. This process is on
// the way there; what it lacks is filled in, and counted.
static void own_at_most(void)
{
    const unsigned jemalloc_sizes = (1u << (ALLOCATOR_METADATA + 1)) - 1;
    CLEANUP_BUF struct buf text = {0}, real = {.max = 1u << 20}, most = {.max = 1u << 20};
    struct fixture f;
    struct export_agent a;
    CHECK(set_up(&f));
    CHECK(put_all_in_force(&f));
    CHECK(scrape(&f, METRIC_TEXT_0_0_4, 4096, &text));
    export_agent_read(&(struct export_sources){.prober = f.prober, .inputs = &f.inputs}, &a);
    unsetenv("MALLOC_CONF");
    export_agent_write(&a, METRIC_TEXT_0_0_4, &real);
    CHECK_INT(count_samples(buf_text(&text)), count_samples(buf_text(&real)) + series_now(&f, true));
    CHECK_INT(a.allocator.n_settings, ALLOCATOR_SETTINGS + 1);
    size_t lacks = (a.machine.limits.cpu_millis == 0) + (a.machine.limits.memory_bytes == 0) +
                   ALLOCATOR_OPTIONS - a.allocator.n_options + bits(jemalloc_sizes) -
                   bits(a.allocator.sizes_known);
    CHECK_INT(count_samples(buf_text(&real)) + lacks, SERIES_FIXED);
    a.machine.limits = (struct cgroup_limits){.cpu_millis = 500, .memory_bytes = 1u << 24};
    a.allocator.sizes_known = jemalloc_sizes;
    for (; a.allocator.n_options < ALLOCATOR_OPTIONS; a.allocator.n_options++)
        a.allocator.options[a.allocator.n_options] = (struct allocator_option){.name = "option"};
    export_agent_write(&a, METRIC_TEXT_0_0_4, &most);
    CHECK_INT(count_samples(buf_text(&most)), SERIES_FIXED);
    tear_down(&f);
}

static void check_limit(struct fixture *f)
{
    CLEANUP_BUF struct buf with = {0}, without = {0};
    uint64_t all = series_now(f, true);
    CHECK(scrape(f, METRIC_TEXT_0_0_4, 4096, &with));
    CHECK_CONTAINS(buf_text(&with), "\nkubecanary_series_limited 0\n");
    CHECK_INT(count_pairs(buf_text(&with)), all); // as many lines as were announced
    f->files.file.spec.metrics.series_limit = SERIES_FIXED + (uint32_t)all - 1;
    CHECK(put_in_force(f));
    CHECK(scrape(f, METRIC_TEXT_0_0_4, 4096, &without));
    CHECK_CONTAINS(buf_text(&without), "\nkubecanary_series_limited 1\n");
    CHECK_INT(count_pairs(buf_text(&without)), series_now(f, false));
    CHECK_INT(count(buf_text(&without), "\nkubecanary_probe_rtt_seconds"),
              f->files.file.spec.metrics.n_buckets + 3);
    CHECK_CONTAINS(buf_text(&without),
                   "\nkubecanary_probe_rtt_seconds_count{probe=\"icmp\",source_node=\"n1\","
                   "source_zone=\"\",network=\"Pod\",destination_zone=\"z\",family=\"IPv4\"} 0\n");
}

static void limit(void)
{
    struct fixture f;
    char a[] = "a", b[] = "b", zone[] = "z";
    CHECK(set_up(&f));
    CHECK(add_peer(&f, a, zone) && add_peer(&f, b, zone));
    CHECK(put_in_force(&f));
    check_limit(&f);
    tear_down(&f);
}

// A node that is replaced: its old series stay for a while, and do not count.
static void gone_do_not_count(void)
{
    struct fixture f;
    char a[] = "a", b[] = "b", c[] = "c", zone[] = "z";
    CHECK(set_up(&f));
    CHECK(add_peer(&f, a, zone) && add_peer(&f, b, zone));
    CHECK(put_in_force(&f));
    f.files.file.spec.metrics.series_limit = SERIES_FIXED + (uint32_t)series_now(&f, true);
    peers_release(&f.files.peers);
    f.files.peers = (struct peers){0};
    CHECK(add_peer(&f, a, zone) && add_peer(&f, c, zone));
    CHECK(put_in_force(&f));
    CHECK_INT(prober_plan(f.prober)->n_pairs, 3);
    CHECK(!export_limited(prober_plan(f.prober), failures_now(&f)));
    tear_down(&f);
}

static const struct check_case cases[] = {
    {"samples", samples},
    {"the agent's own, at most", own_at_most},
    {"series limit", limit},
    {"gone do not count", gone_do_not_count},
};
CHECK_MAIN(cases)
