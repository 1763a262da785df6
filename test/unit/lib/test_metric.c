// SPDX-License-Identifier: Apache-2.0
// The exposition formats, byte by byte, and the choice between them.
#include "lib/metric.h"
#include "test/unit/check.h"

static void check_text(struct buf *b, const char *want)
{
    CHECK(!b->failed);
    CHECK_STR(buf_text(b), want);
}

static void negotiation(void)
{
    static const struct {
        const char *accept;
        enum metric_format want;
    } rows[] = {
        {NULL, METRIC_TEXT_0_0_4},
        {"", METRIC_TEXT_0_0_4},
        {"*/*", METRIC_TEXT_0_0_4},
        {"text/plain", METRIC_TEXT_0_0_4},
        {"application/openmetrics-text", METRIC_OPENMETRICS_1_0},
        {"application/openmetrics-text; version=1.0.0; charset=utf-8", METRIC_OPENMETRICS_1_0},
        {"application/openmetrics-text; version=\"1.0.0\"", METRIC_OPENMETRICS_1_0},
        {"application/openmetrics-text;version=2.0.0", METRIC_TEXT_0_0_4},
        {"application/openmetrics-text;version=0.0.1", METRIC_TEXT_0_0_4},
        {"application/openmetrics-text;q=0", METRIC_TEXT_0_0_4},
        {"application/openmetrics-text;q=0.000,*/*;q=0.1", METRIC_TEXT_0_0_4},
        {"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4",
         METRIC_OPENMETRICS_1_0},
        {"application/openmetrics-text;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.5",
         METRIC_TEXT_0_0_4},
        {"text/plain;q=0.2 , APPLICATION/OpenMetrics-Text ; Version=1.0.0 ; Q=0.3", METRIC_OPENMETRICS_1_0},
        // What Prometheus 3 sends.
        {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,application/openmetrics-text;"
         "version=0.0.1;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,"
         "*/*;q=0.3",
         METRIC_OPENMETRICS_1_0},
        {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,"
         "text/plain;version=0.0.4;q=0.4,*/*;q=0.3",
         METRIC_TEXT_0_0_4},
        {";;;,,,=;q==,q=9.9;", METRIC_TEXT_0_0_4},
        {"application/openmetrics-text;q=,", METRIC_OPENMETRICS_1_0},
        {"application/openmetrics-text;q=0.99999999999999999999", METRIC_OPENMETRICS_1_0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (metric_negotiate(rows[i].accept) != rows[i].want)
            printf("    Accept: %s\n", rows[i].accept);
        CHECK_INT(metric_negotiate(rows[i].accept), rows[i].want);
    }
    CHECK_STR(metric_content_type(METRIC_TEXT_0_0_4), "text/plain; version=0.0.4; charset=utf-8");
    CHECK_STR(metric_content_type(METRIC_OPENMETRICS_1_0),
              "application/openmetrics-text; version=1.0.0; charset=utf-8");
}

static void families(void)
{
    CLEANUP_BUF struct buf b;
    buf_init(&b, 4096);
    metric_family(&b, METRIC_TEXT_0_0_4, METRIC_COUNTER, "a_sent", NULL, "What \"is\"\nsent \\.");
    metric_family(&b, METRIC_TEXT_0_0_4, METRIC_INFO, "a_build", NULL, "x");
    metric_family(&b, METRIC_TEXT_0_0_4, METRIC_GAUGE, "a_bytes", "bytes", "x");
    check_text(&b,
               "# HELP a_sent_total What \"is\"\\nsent \\\\.\n# TYPE a_sent_total counter\n"
               "# HELP a_build_info x\n# TYPE a_build_info gauge\n# HELP a_bytes x\n# TYPE a_bytes gauge\n");
    buf_reset(&b);
    metric_family(&b, METRIC_OPENMETRICS_1_0, METRIC_COUNTER, "a_sent", NULL, "What \"is\"\nsent \\.");
    metric_family(&b, METRIC_OPENMETRICS_1_0, METRIC_INFO, "a_build", NULL, "x");
    metric_family(&b, METRIC_OPENMETRICS_1_0, METRIC_HISTOGRAM, "a_seconds", "seconds", "x");
    metric_family(&b, METRIC_OPENMETRICS_1_0, METRIC_GAUGE, "a_time", "seconds", "x");
    metric_end(&b, METRIC_OPENMETRICS_1_0);
    check_text(&b, "# HELP a_sent What \\\"is\\\"\\nsent \\\\.\n# TYPE a_sent counter\n"
                   "# HELP a_build x\n# TYPE a_build info\n"
                   "# HELP a_seconds x\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n"
                   "# HELP a_time x\n# TYPE a_time gauge\n# EOF\n");
    buf_reset(&b);
    metric_end(&b, METRIC_TEXT_0_0_4);
    check_text(&b, "");
}

static char kv_text[] = "k=\"v\"";
static const struct buf kv = {.data = kv_text, .len = sizeof(kv_text) - 1};

static void samples(void)
{
    CLEANUP_BUF struct buf b, labels;
    buf_init(&b, 4096);
    buf_init(&labels, 4096);
    metric_label(&labels, "node", "a\"b\\c\nd");
    metric_label(&labels, "zone", "");
    metric_u64(&b, "x", "_total", &labels, UINT64_MAX);
    metric_u64(&b, "x", "", NULL, 0);
    metric_i64(&b, "x", "", &kv, INT64_MIN);
    check_text(&b, "x_total{node=\"a\\\"b\\\\c\\nd\",zone=\"\"} 18446744073709551615\nx 0\n"
                   "x{k=\"v\"} -9223372036854775808\n");
}

static void histograms(void)
{
    CLEANUP_BUF struct buf b;
    struct metric_bound bounds[3];
    const uint64_t bounds_ns[] = {50000, 100 * NS_PER_MS, UINT64_MAX};
    const uint64_t buckets[] = {1, 0, 6, UINT64_MAX - 7};
    buf_init(&b, 4096);
    metric_bounds(bounds, bounds_ns, 3);
    metric_histogram(&b, "h", &kv, bounds, buckets, 3, 1500 * NS_PER_MS);
    check_text(&b, "h_bucket{k=\"v\",le=\"0.00005\"} 1\nh_bucket{k=\"v\",le=\"0.1\"} 1\n"
                   "h_bucket{k=\"v\",le=\"18446744073.709551615\"} 7\n"
                   "h_bucket{k=\"v\",le=\"+Inf\"} 18446744073709551615\n"
                   "h_sum{k=\"v\"} 1.5\nh_count{k=\"v\"} 18446744073709551615\n");
    buf_reset(&b);
    metric_histogram(&b, "h", NULL, bounds, buckets, 0, 0);
    check_text(&b, "h_bucket{le=\"+Inf\"} 1\nh_sum 0.0\nh_count 1\n");
}

// Labels that could not be made are no labels left out: the page has failed.
static void failed_labels(void)
{
    const uint64_t buckets[] = {0};
    for (unsigned i = 0; i < 4; i++) {
        CLEANUP_BUF struct buf b, head, labels;
        buf_init(&b, 4096);
        buf_init(&head, 4096);
        buf_init(&labels, 4);
        metric_label(&labels, "node", "n");
        metric_head(&head, "x", "");
        CHECK(labels.failed && !head.failed);
        if (i == 0)
            metric_u64(&b, "x", "", &labels, 1);
        else if (i == 1)
            metric_seconds(&b, "x", "", &labels, 1);
        else if (i == 2)
            metric_row(&b, &head, &labels, 1);
        else
            metric_histogram(&b, "x", &labels, NULL, buckets, 0, 0);
        buf_reset(&labels);
        CHECK(b.failed);
    }
}

// What does not fit is not begun; nothing is written beside it.
static void no_room(void)
{
    bool fitted = false;
    for (size_t max = 0; max < 1000; max++) {
        CLEANUP_BUF struct buf b;
        struct metric_bound bound;
        const uint64_t bound_ns = 1, buckets[] = {1, 2};
        buf_init(&b, max);
        metric_bounds(&bound, &bound_ns, 1);
        metric_label(&b, "k", "\"\"\"");
        metric_u64(&b, "x", "_total", &kv, UINT64_MAX);
        metric_histogram(&b, "h", &kv, &bound, buckets, 1, UINT64_MAX);
        CHECK(b.len <= max && !(b.failed && fitted));
        fitted = !b.failed;
    }
    CHECK(fitted);
}

static void seconds(void)
{
    static const struct {
        uint64_t ns;
        const char *want;
    } rows[] = {
        {0, "0.0"},
        {1, "0.000000001"},
        {50000, "0.00005"},
        {NS_PER_S, "1.0"},
        {1500000000, "1.5"},
        {10 * NS_PER_S + 10, "10.00000001"},
        {999999999, "0.999999999"},
        {UINT64_MAX, "18446744073.709551615"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_BUF struct buf b;
        buf_init(&b, 64);
        metric_seconds(&b, "t", "", NULL, rows[i].ns);
        CHECK(strncmp(buf_text(&b), "t ", 2) == 0);
        CHECK(b.len == strlen(rows[i].want) + 3 && memcmp(b.data + 2, rows[i].want, b.len - 3) == 0);
    }
}

static const struct check_case cases[] = {
    {"negotiation", negotiation},
    {"families", families},
    {"samples", samples},
    {"histograms", histograms},
    {"labels that failed", failed_labels},
    {"no room", no_room},
    {"seconds", seconds},
};
CHECK_MAIN(cases)
