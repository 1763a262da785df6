// SPDX-License-Identifier: Apache-2.0
// /metrics and /report from an engine that was never run: the same bytes whatever the reader's pace, hostile
// names, limits, and what is there before the first configuration.
#include "agent/export.h"

#include <netinet/in.h>

#include "lib/log.h"

#include "agent/probe_dns.h"
#include "agent/probe_stamp.h"
#include "agent/report.h"
#include "lib/doc.h"
#include "lib/series.h"
#include "test/unit/agent/scrape.h"
#include "test/unit/check.h"

#define BAD_NAME "n\"2\\\n"

// Drops the lines of what changes from one scrape to the next.
static void drop_process(struct buf *b)
{
    static char out[1u << 20];
    size_t len = 0;
    for (const char *line = buf_text(b); *line != '\0';) {
        size_t n = strcspn(line, "\n") + 1;
        if (strncmp(line, "process_", 8) != 0 && strncmp(line, "kubecanary_allocator_", 21) != 0 &&
            len + n < sizeof(out)) {
            memcpy(out + len, line, n);
            len += n;
        }
        line += n;
    }
    buf_reset(b);
    buf_add(b, out, len);
}

static void check_pace(struct fixture *f, enum metric_format format)
{
    CLEANUP_BUF struct buf whole = {0};
    CHECK(scrape(f, format, 1u << 20, &whole));
    drop_process(&whole);
    for (size_t max = 1; max < 40000; max = max * 7 + 1) {
        CLEANUP_BUF struct buf pieces = {0};
        CHECK(scrape(f, format, max, &pieces));
        drop_process(&pieces);
        CHECK_STR(buf_text(&pieces), buf_text(&whole));
    }
}

static void pace(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    for (int i = 0; i < 30; i++) {
        char name[16], zone[] = "z";
        snprintf(name, sizeof(name), "m%02d", i);
        CHECK(add_peer(&f, name, zone));
    }
    CHECK(put_in_force(&f));
    check_pace(&f, METRIC_TEXT_0_0_4);
    check_pace(&f, METRIC_OPENMETRICS_1_0);
    tear_down(&f);
}

static void check_text(struct fixture *f)
{
    CLEANUP_BUF struct buf text = {0}, open = {0};
    CHECK(scrape(f, METRIC_TEXT_0_0_4, 4096, &text));
    static const char labels[] =
        "probe=\"icmp\",source_node=\"n1\",source_zone=\"\",network=\"Pod\","
        "destination_node=\"n\\\"2\\\\\\n\",destination_zone=\"\\\"z\",family=\"IPv4\"";
    char line[512];
    snprintf(line, sizeof(line), "\nkubecanary_probe_sent_total{%s} 0\n", labels);
    CHECK_CONTAINS(buf_text(&text), line);
    snprintf(line, sizeof(line), "\nkubecanary_probe_results_total{%s,result=\"lost\"} 0\n", labels);
    CHECK_CONTAINS(buf_text(&text), line);
    snprintf(line, sizeof(line), "\nkubecanary_probe_rtt_seconds_bucket{%s,le=\"0.00005\"} 0\n", labels);
    CHECK_CONTAINS(buf_text(&text), line);
    snprintf(line, sizeof(line), "\nkubecanary_probe_rtt_seconds_bucket{%s,le=\"1.0\"} 0\n", labels);
    CHECK_CONTAINS(buf_text(&text), line);
    snprintf(
        line, sizeof(line),
        "\nkubecanary_probe_rtt_seconds_bucket{%s,le=\"+Inf\"} 0\nkubecanary_probe_rtt_seconds_sum{%s} 0.0\n"
        "kubecanary_probe_rtt_seconds_count{%s} 0\n",
        labels, labels, labels);
    CHECK_CONTAINS(buf_text(&text), line);
    CHECK(!strstr(buf_text(&text), "# EOF"));
    CHECK(scrape(f, METRIC_OPENMETRICS_1_0, 4096, &open));
    CHECK_CONTAINS(buf_text(&open), "# TYPE kubecanary_probe_sent counter\n");
    CHECK(open.len > 6 && strcmp(buf_text(&open) + open.len - 6, "# EOF\n") == 0);
}

static void hostile_names(void)
{
    struct fixture f;
    char name[] = BAD_NAME, zone[] = "\"z";
    CHECK(set_up(&f));
    CHECK(add_peer(&f, name, zone));
    CHECK(put_in_force(&f));
    check_text(&f);
    tear_down(&f);
}

// Names as long as they may be, each character of which is escaped: the labels have room for them.
static void longest_names(void)
{
    CLEANUP_BUF struct buf out = {0};
    struct fixture f;
    char name[LIMIT_NAME + 1], zone[LIMIT_LABEL + 1], self[LIMIT_NAME + 1];
    CHECK(set_up(&f));
    memset(name, '"', LIMIT_NAME);
    memset(zone, '\\', LIMIT_LABEL);
    name[LIMIT_NAME] = zone[LIMIT_LABEL] = '\0';
    snprintf(self, sizeof(self), "%.*s", LIMIT_NAME - 1, name);
    struct spec_probe *r = &f.files.file.spec.mesh.probes[0];
    memset(r->name, 'p', LIMIT_PROBE_NAME);
    prober_free(f.prober);
    CHECK((f.prober = prober_new(f.loop, self, SPEC_NETWORK_POD, NULL, &(struct err){0})));
    CHECK(add_peer(&f, self, zone) && add_peer(&f, name, zone));
    CHECK(put_in_force(&f));
    CHECK(scrape(&f, METRIC_OPENMETRICS_1_0, 4096, &out));
    CHECK_INT(count(buf_text(&out), "\nkubecanary_probe_sent_total{probe=\"pppp"), 1);
    CHECK_CONTAINS(buf_text(&out), "\\\\\",family=\"IPv4\",result=\"unreachable\"} 0\n");
    tear_down(&f);
}

// Why probes fail: a row for each probe and family, at 0 from the first scrape on, in both formats.
static void check_failures(struct fixture *f, enum metric_format format)
{
    CLEANUP_BUF struct buf out = {0};
    CHECK(scrape(f, format, 4096, &out));
    CHECK_INT(count(buf_text(&out), "\nkubecanary_probe_unreachable_total{probe=\"icmp\""), 9);
    CHECK_INT(count(buf_text(&out), "\nkubecanary_probe_unreachable_total{probe=\"tcp\""), 10);
    CHECK_INT(count(buf_text(&out), "\nkubecanary_probe_unreachable_total{probe=\"http\""), 3);
    CHECK_INT(count(buf_text(&out), "\nkubecanary_probe_send_errors_total{"), 3 * REASON_ERRORS);
    CHECK_CONTAINS(buf_text(&out),
                   "\nkubecanary_probe_unreachable_total{probe=\"icmp\",source_node=\"n1\",source_zone="
                   "\"\",network=\"Pod\",family=\"IPv4\",reason=\"admin_prohibited\"} 0\n");
    CHECK_CONTAINS(buf_text(&out),
                   "\nkubecanary_probe_send_errors_total{probe=\"tcp\",source_node=\"n1\",source_zone="
                   "\"\",network=\"Pod\",family=\"IPv4\",errno=\"EMFILE\"} 0\n");
    CHECK_CONTAINS(buf_text(&out), "family=\"\",reason=\"lookup\"} 0\n");
}

static void failures(void)
{
    struct fixture f;
    char a[] = "a", b[] = "b", zone[] = "z", url[] = "http://a.example/";
    CHECK(set_up(&f));
    f.files.file.spec.mesh.n_probes = 2;
    files_target(&f.files, "page", SPEC_HTTP, "192.0.2.9", 0);
    files_target(&f.files, "gateway", SPEC_ICMP, "192.0.2.9",
                 0); // in the row of the mesh's probe of that name
    f.files.targets[0].url = url;
    f.files.file.spec.targets = f.files.targets;
    CHECK(add_peer(&f, a, zone) && add_peer(&f, b, zone));
    log_init(LOG_ERROR, STDERR_FILENO); // there is no helper beside this program
    CHECK(put_in_force(&f));
    check_failures(&f, METRIC_TEXT_0_0_4);
    check_failures(&f, METRIC_OPENMETRICS_1_0);
    tear_down(&f);
}

// Rows of a probe that has lost its last pair: a scrape has a place for them, too.
static void failures_without_pairs(void)
{
    CLEANUP_BUF struct buf out = {0};
    struct fixture f;
    char a[] = "a", zone[] = "z";
    CHECK(set_up(&f));
    f.files.file.spec.metrics.scrape_interval_ns = 0; // who is gone is so at once
    f.files.file.spec.mesh.probes[0].timeout_ns = 1;
    CHECK(add_peer(&f, a, zone) && put_in_force(&f));
    peers_release(&f.files.peers);
    CHECK(put_in_force(&f) && put_in_force(&f));
    CHECK(scrape(&f, METRIC_TEXT_0_0_4, 4096, &out));
    CHECK_INT(count(buf_text(&out), "\nkubecanary_probe_sent_total{"), 0);
    CHECK_INT(count(buf_text(&out), "\nkubecanary_probe_send_errors_total{"), REASON_ERRORS);
    tear_down(&f);
}

static void check_both_networks(struct fixture *f)
{
    static const char *const lines[] = {
        "\nkubecanary_probe_sent_total{probe=\"icmp\",source_node=\"n1\",source_zone=\"z\",network=\"Pod\","
        "destination_node=\"a\",destination_zone=\"z\",family=\"IPv4\"} 0\n",
        "\nkubecanary_probe_sent_total{probe=\"icmp\",source_node=\"n1\",source_zone=\"z\",network=\"PodToNode\","
        "destination_node=\"a\",destination_zone=\"z\",family=\"IPv6\"} 0\n",
        "\nkubecanary_peers{network=\"Pod\",state=\"Pending\"} 1\n",
        "\nkubecanary_peers{network=\"Node\",state=\"Pending\"} 1\n",
        "\nkubecanary_peers{network=\"Node\",state=\"Ready\"} 0\n",
        "\nkubecanary_coverage_peers{network=\"Pod\"} 1\nkubecanary_coverage_peers{network=\"Node\"} 1\n",
        "\nkubecanary_pairs 2\n",
    };
    CLEANUP_BUF struct buf detail = {0}, limited = {0}, report = {.max = REPORT_MAX};
    const struct report_health h = {.node = "n1", .network = "Pod", .reason = ""};
    CHECK(scrape(f, METRIC_TEXT_0_0_4, 4096, &detail));
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        CHECK_CONTAINS(buf_text(&detail), lines[i]);
    report_write(&(struct export_sources){.prober = f->prober}, &h, &report);
    CHECK_CONTAINS(buf_text(&report), "\"peers\":{\"Ready\":0,\"Pending\":1,");
    f->files.file.spec.metrics.series_limit = 1;
    CHECK(put_in_force(f));
    CHECK(scrape(f, METRIC_TEXT_0_0_4, 4096, &limited));
    CHECK_INT(count_pairs(buf_text(&limited)), series_now(f, false));
    CHECK_CONTAINS(buf_text(&limited),
                   "\nkubecanary_probe_rtt_seconds_count{probe=\"icmp\",source_node=\"n1\",source_zone=\"z\","
                   "network=\"PodToNode\",destination_zone=\"z\",family=\"IPv6\"} 0\n");
    CHECK_INT(count(buf_text(&limited), "\nkubecanary_probe_rtt_seconds_count"), 2);
}

// Both agents of a peer: rows, zones and gauges of their own.
static void both_networks(void)
{
    struct fixture f;
    char self[] = "n1", a[] = "a", zone[] = "z";
    CHECK(set_up(&f));
    CHECK(add_peer(&f, self, zone) && add_peer(&f, a, zone));
    files_host(&f.files, "a", NULL, "::1", PEER_READY);
    f.files.file.spec.mesh.networks = 1u << SPEC_NETWORK_POD | 1u << SPEC_NETWORK_NODE;
    CHECK(put_in_force(&f));
    check_both_networks(&f);
    tear_down(&f);
}

// Series of ways with STAMP only, of flows with several of them only; past the limit no flows.
static void check_stamp(struct fixture *f)
{
    CLEANUP_BUF struct buf with = {0}, without = {0};
    uint64_t all = series_now(f, true);
    CHECK(scrape(f, METRIC_TEXT_0_0_4, 4096, &with));
    const char *text = buf_text(&with);
    CHECK_INT(count_pairs(text), all);
    CHECK_INT(count(text, "\nkubecanary_probe_path_lost_total{probe=\"icmp\""), 0);
    CHECK_INT(count(text, "\nkubecanary_probe_path_lost_total{"), 2 * 2);
    CHECK_INT(count(text, "direction=\"forward\"} 0\n"), 2);
    CHECK_INT(count(text, "direction=\"backward\"} 0\n"), 2);
    CHECK_INT(count(text, "\nkubecanary_probe_flow_lost_total{probe=\"flows\""), 3);
    CHECK_INT(count(text, "\nkubecanary_probe_flow_lost_total{"), 3);
    CHECK_CONTAINS(text, "flow=\"2\"} 0\n");
    CHECK_CONTAINS(text, "\nkubecanary_agent_stamp_refused_total{reason=\"source_rate\"} 0\n");
    f->files.file.spec.metrics.series_limit = SERIES_FIXED + (uint32_t)all - 1;
    CHECK(put_in_force(f));
    CHECK(scrape(f, METRIC_TEXT_0_0_4, 4096, &without));
    CHECK_INT(count_pairs(buf_text(&without)), series_now(f, false));
    CHECK_INT(count(buf_text(&without), "kubecanary_probe_flow_lost"), 0);
    CHECK_INT(count(buf_text(&without), "\nkubecanary_probe_path_lost_total{"), 2 * 2);
}

static void stamp(void)
{
    struct fixture f;
    char a[] = "a", zone[] = "z";
    CHECK(set_up(&f));
    struct spec_mesh *m = &f.files.file.spec.mesh;
    m->n_probes = 3;
    m->probes[1] = (struct spec_probe){
        .name = "one", .type = SPEC_STAMP, .interval_ns = NS_PER_S, .timeout_ns = NS_PER_S};
    m->probes[2] = m->probes[1];
    snprintf(m->probes[2].name, sizeof(m->probes[2].name), "flows");
    m->probes[2].flows = 3;
    CHECK(add_peer(&f, a, zone));
    CHECK(put_in_force(&f));
    check_stamp(&f);
    tear_down(&f);
}

static void check_dns(struct fixture *f)
{
    CLEANUP_BUF struct buf text = {0};
    CHECK(scrape(f, METRIC_TEXT_0_0_4, 4096, &text));
    CHECK_INT(count_pairs(buf_text(&text)) + count(buf_text(&text), "\nkubecanary_dns_"),
              series_now(f, true));
    CHECK_INT(count(buf_text(&text), "\nkubecanary_dns_replies_total{"), 7);
    CHECK_CONTAINS(buf_text(&text), "\nkubecanary_dns_replies_total{probe=\"dns\",source_node=");
    CHECK_CONTAINS(buf_text(&text), "target=\"resolver\",family=\"IPv4\",rcode=\"NXDomain\"} 0\n");
    CHECK_CONTAINS(buf_text(&text), "rcode=\"other\"} 0\n");
    CHECK_INT(count(buf_text(&text), "\nkubecanary_dns_mismatches_total{"), 1);
    CHECK_INT(count(buf_text(&text), "\nkubecanary_dns_truncated_total{"), 1);
    CHECK_INT(count(buf_text(&text), "result=\"unexpected\"} 0\n"), 1); // of that target only
    CHECK_INT(count(buf_text(&text), "kubecanary_probe_path_lost_total{"), 2);
}

// Beside a STAMP pair, whose counters have the same place.
static void dns(void)
{
    struct fixture f;
    char a[] = "a", zone[] = "z";
    CHECK(set_up(&f));
    f.files.file.spec.mesh.probes[0].type = SPEC_STAMP;
    f.files.file.spec.mesh.probes[0].flows = 3;
    files_target(&f.files, "resolver", SPEC_DNS, "192.0.2.9", 53);
    f.files.targets[0].server = f.files.targets[0].address;
    snprintf(f.files.targets[0].query, sizeof(f.files.targets[0].query), "a");
    f.files.file.spec.targets = f.files.targets;
    CHECK(add_peer(&f, a, zone));
    CHECK(put_in_force(&f));
    check_dns(&f);
    tear_down(&f);
}

// Types whose counters differ in number, in turn: each row shows its own pair's.
static void check_own(struct fixture *f)
{
    CLEANUP_BUF struct buf text = {0};
    const struct plan *p = prober_plan(f->prober);
    for (size_t i = 0; i < p->n_pairs; i++) {
        void *own = engine_own(prober_engine(f->prober), i).bytes;
        if (p->probes[p->pairs[i].probe].type == SPEC_STAMP)
            ((struct stamp_path *)own)->lost[STAMP_PATH_BACKWARD] = 100 + (uint32_t)i;
        else if (p->probes[p->pairs[i].probe].type == SPEC_DNS)
            ((struct dns_counts *)own)->truncated = 200 + i;
    }
    CHECK(scrape(f, METRIC_TEXT_0_0_4, 4096, &text));
    CHECK_CONTAINS(
        buf_text(&text),
        "destination_node=\"a\",destination_zone=\"z\",family=\"IPv4\",direction=\"backward\"} 101\n");
    CHECK_CONTAINS(
        buf_text(&text),
        "destination_node=\"b\",destination_zone=\"z\",family=\"IPv4\",direction=\"backward\"} 103\n");
    CHECK_CONTAINS(
        buf_text(&text),
        "\nkubecanary_dns_truncated_total{probe=\"dns\",source_node=\"n1\",source_zone=\"\",network=\"Pod\","
        "target=\"one\",family=\"IPv4\"} 204\n");
    CHECK_CONTAINS(buf_text(&text), "target=\"two\",family=\"IPv4\"} 205\n");
    CHECK_INT(count(buf_text(&text), "\nkubecanary_probe_path_lost_total{"), 4);
    CHECK_INT(count(buf_text(&text), "\nkubecanary_probe_path_lost_total{probe=\"icmp\""), 0);
    CHECK_INT(count(buf_text(&text), "\nkubecanary_dns_truncated_total{"), 2);
}

static void own_counters(void)
{
    struct fixture f;
    char a[] = "a", b[] = "b", zone[] = "z";
    CHECK(set_up(&f));
    f.files.file.spec.mesh.n_probes = 2;
    f.files.file.spec.mesh.probes[1].type = SPEC_STAMP;
    f.files.file.spec.mesh.probes[1].flows = 3;
    files_target(&f.files, "one", SPEC_DNS, "192.0.2.9", 53);
    files_target(&f.files, "two", SPEC_DNS, "192.0.2.9", 53);
    for (size_t i = 0; i < 2; i++) {
        f.files.targets[i].server = f.files.targets[i].address;
        snprintf(f.files.targets[i].query, sizeof(f.files.targets[i].query), "a");
    }
    f.files.file.spec.targets = f.files.targets;
    CHECK(add_peer(&f, a, zone) && add_peer(&f, b, zone));
    CHECK(put_in_force(&f));
    check_own(&f);
    tear_down(&f);
}

static void check_http(struct fixture *f)
{
    CLEANUP_BUF struct buf text = {0};
    CHECK(scrape(f, METRIC_TEXT_0_0_4, 4096, &text));
    // No certificate was seen yet: its two dates are not there.
    CHECK_INT(count_pairs(buf_text(&text)) + count(buf_text(&text), "\nkubecanary_http_"),
              series_now(f, true) - 2);
    CHECK_CONTAINS(buf_text(&text), "# TYPE kubecanary_http_phase_seconds summary\n");
    CHECK_CONTAINS(
        buf_text(&text),
        "target=\"page\",family=\"\",phase=\"first_byte\"} 0.0\nkubecanary_http_phase_seconds_count{");
    CHECK_CONTAINS(buf_text(&text), "\nkubecanary_http_status_total{probe=\"http\",source_node=");
    CHECK_INT(count(buf_text(&text), "\nkubecanary_http_status_total{"), 6);
    CHECK_INT(count(buf_text(&text), "\nkubecanary_http_errors_total{"), 10);
    CHECK_CONTAINS(buf_text(&text), "class=\"certificate\"} 0\n");
    CHECK_INT(count(buf_text(&text), "result=\"unexpected\"} 0\n"), 1);
    CHECK_CONTAINS(buf_text(&text), "\nkubecanary_helper_wanted 1\n");
    CLEANUP_BUF struct buf open = {0};
    CHECK(scrape(f, METRIC_OPENMETRICS_1_0, 4096, &open));
    CHECK_CONTAINS(buf_text(&open), "# UNIT kubecanary_http_certificate_expiry_timestamp_seconds seconds\n");
}

static void http(void)
{
    struct fixture f;
    char a[] = "a", zone[] = "z", url[] = "http://a.example/";
    CHECK(set_up(&f));
    files_target(&f.files, "page", SPEC_HTTP, "192.0.2.9", 0);
    f.files.targets[0].url = url;
    f.files.file.spec.targets = f.files.targets;
    CHECK(add_peer(&f, a, zone));
    log_init(LOG_ERROR, STDERR_FILENO); // there is no helper beside this program
    CHECK(put_in_force(&f));
    check_http(&f);
    tear_down(&f);
}

static void check_empty(struct fixture *f)
{
    CLEANUP_BUF struct buf text = {0};
    CHECK(scrape(f, METRIC_OPENMETRICS_1_0, 4096, &text));
    CHECK_CONTAINS(buf_text(&text), "\nkubecanary_config_last_reload_successful 0\n");
    CHECK_CONTAINS(buf_text(&text), "\nkubecanary_config_generation 0\n");
    CHECK(!strstr(buf_text(&text), "kubecanary_probe_sent"));
    CHECK_CONTAINS(buf_text(&text), "# EOF\n");
}

static void empty(void)
{
    struct fixture f;
    CHECK(set_up(&f));
    check_empty(&f);
    tear_down(&f);
}

static const char *member(const struct doc *d, const char *key)
{
    const struct doc_node *n = doc_get(doc_root(d), key);
    return n ? n->text : "(absent)";
}

static void check_report(struct fixture *f)
{
    struct report_health h = {.node = BAD_NAME, .network = "Pod", .reason = "no \"socket\"\n"};
    struct export_sources from = {.prober = f->prober, .inputs = &f->inputs};
    CLEANUP_BUF struct buf out;
    CLEANUP_DOC struct doc *d = NULL;
    struct err e = {0};
    buf_init(&out, REPORT_MAX);
    report_write(&from, &h, &out);
    CHECK(!out.failed);
    if (doc_parse(buf_text(&out), out.len, &d, &e) < 0)
        printf("    %s\n    %s\n", e.msg, buf_text(&out));
    CHECK(d);
    CHECK_STR(member(d, "node"), BAD_NAME);
    CHECK_STR(member(d, "reason"), "no \"socket\"\n");
    CHECK_STR(member(d, "ready"), "false");
    CHECK_STR(member(d, "lossRatio"), "null"); // nothing was measured: not 0
    CHECK_STR(doc_get(doc_get(doc_root(d), "totals"), "sent")->text, "0");
    CHECK(doc_get(doc_get(doc_root(d), "allocator"), "settings"));
    CHECK(doc_get(doc_get(doc_root(d), "allocator"), "options"));
    CHECK_STR(doc_get(doc_get(doc_root(d), "allocator"), "tunable")->text, "true"); // glibc's, here
    CHECK(doc_get(doc_get(doc_root(d), "allocator"), "mappedBytes"));
    CHECK(member(d, "cpusAllowed")[0] != '0');
    CHECK(doc_get(doc_root(d), "memoryLimitBytes") && doc_get(doc_root(d), "cpuLimitMillis"));
}

static void report(void)
{
    struct fixture f;
    char name[] = BAD_NAME, zone[] = "z";
    CHECK(set_up(&f));
    setenv("MALLOC_CONF", "narenas:1,x", 1);
    check_report(&f); // before any configuration
    CHECK(add_peer(&f, name, zone));
    CHECK(put_in_force(&f));
    check_report(&f);
    unsetenv("MALLOC_CONF");
    tear_down(&f);
}

// One query is on its way and nothing else was ever begun: it is in flight, no result, and there is no ratio.
static void check_in_flight(struct fixture *f)
{
    const char *labels =
        "{probe=\"dns\",source_node=\"n1\",source_zone=\"\",network=\"Pod\",target=\"resolver\","
        "family=\"IPv4\"";
    CLEANUP_BUF struct buf text = {0}, out = {0}, want = {0};
    CLEANUP_DOC struct doc *d = NULL;
    struct err e = {0};
    while (engine_stats(prober_engine(f->prober), 0)->sent == 0)
        CHECK_INT(loop_once(f->loop, NS_PER_S, &e), 0);
    CHECK(scrape(f, METRIC_TEXT_0_0_4, 4096, &text));
    buf_init(&want, 1000);
    buf_fmt(&want, "kubecanary_probe_sent_total%s} 1\n", labels);
    CHECK_CONTAINS(buf_text(&text), buf_text(&want));
    want.len = 0;
    buf_fmt(&want, "kubecanary_probes_in_flight%s} 1\n", labels);
    CHECK_CONTAINS(buf_text(&text), buf_text(&want));
    for (enum stats_result r = 0; r < STATS_UNRESOLVED; r++) {
        want.len = 0;
        buf_fmt(&want, "kubecanary_probe_results_total%s,result=\"%s\"} 0\n", labels, stats_result_name(r));
        CHECK_CONTAINS(buf_text(&text), buf_text(&want));
    }
    struct report_health h = {.node = "n1", .network = "Pod", .reason = ""};
    struct export_sources from = {.prober = f->prober, .inputs = &f->inputs};
    buf_init(&out, REPORT_MAX);
    report_write(&from, &h, &out);
    CHECK_INT(doc_parse(buf_text(&out), out.len, &d, &e), 0);
    CHECK_STR(member(d, "lossRatio"), "null");
    CHECK_STR(doc_get(doc_get(doc_root(d), "totals"), "inFlight")->text, "1");
}

static void in_flight(void)
{
    struct fixture f;
    int silent = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(sa);
    CHECK(bind(silent, (struct sockaddr *)&sa, len) == 0 &&
          getsockname(silent, (struct sockaddr *)&sa, &len) == 0);
    CHECK(set_up(&f));
    files_target(&f.files, "resolver", SPEC_DNS, "127.0.0.1", ntohs(sa.sin_port));
    f.files.targets[0].server = f.files.targets[0].address;
    f.files.targets[0].interval_ns = NS_PER_S;
    f.files.targets[0].timeout_ns = 60 * NS_PER_S;
    snprintf(f.files.targets[0].query, sizeof(f.files.targets[0].query), "a");
    f.files.file.spec.targets = f.files.targets;
    CHECK(put_in_force(&f));
    check_in_flight(&f);
    tear_down(&f);
    close(silent);
}

// Of the sanitizers' allocator: what the program holds now.
size_t __sanitizer_get_current_allocated_bytes(void);

// A reload that changes what is probed and back, and a scrape in each format, compressed and plain.
static bool come_and_go(struct fixture *f, unsigned i)
{
    CLEANUP_BUF struct buf text = {0}, open = {0};
    f->files.file.generation = i;
    f->files.file.spec.n_targets = i % 2;
    f->files.file.spec.metrics.n_buckets = 1 + i % 2;
    f->files.file.spec.metrics.compression = i % 2;
    return put_in_force(f) && scrape(f, METRIC_TEXT_0_0_4, 16384, &text) &&
           scrape(f, METRIC_OPENMETRICS_1_0, 16384, &open);
}

static void check_memory(struct fixture *f)
{
    for (unsigned i = 0; i < 4; i++)
        CHECK(come_and_go(f, i));
    size_t before = __sanitizer_get_current_allocated_bytes();
    for (unsigned i = 0; i < 1000; i++)
        CHECK(come_and_go(f, i));
    CHECK_INT(__sanitizer_get_current_allocated_bytes(), before);
}

// To the byte: the heap after 1,000 scrapes and 1,000 reloads is the heap before.
static void memory_stays(void)
{
    struct fixture f;
    char a[] = "a", b[] = "b", zone[] = "z";
    CHECK(set_up(&f));
    f.files.file.spec.mesh.n_probes = 2;
    files_target(&f.files, "gateway", SPEC_ICMP, "192.0.2.9", 0);
    f.files.file.spec.targets = f.files.targets;
    CHECK(add_peer(&f, a, zone) && add_peer(&f, b, zone));
    check_memory(&f);
    tear_down(&f);
}

static const struct check_case cases[] = {
    {"memory stays", memory_stays},
    {"pace", pace},
    {"hostile names", hostile_names},
    {"the longest names", longest_names},
    {"why probes fail", failures},
    {"why they failed, without pairs", failures_without_pairs},
    {"both networks", both_networks},
    {"empty", empty},
    {"report", report},
    {"in flight", in_flight},
    {"STAMP", stamp},
    {"DNS", dns},
    {"each type's own counters", own_counters},
    {"HTTP", http},
};
CHECK_MAIN(cases)
