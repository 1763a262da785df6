// SPDX-License-Identifier: Apache-2.0
// One agent's report: what is read, what is not believed; another image's /metrics; loss between two reports;
// the sum of many.
#include <errno.h>
#include <jansson.h>

#include "operator/report_metrics.h"
#include "operator/report_sum.h"
#include "test/unit/check.h"

static const struct report_who who = {.fleet = "mesh", .node = "n1", .network = "Pod"};

static const char good[] =
    "{\"version\":\"1\",\"revision\":\"x\",\"node\":\"n1\",\"network\":\"Pod\",\"generation\":7,\"ready\":true,"
    "\"reason\":\"\",\"lastReloadSuccessful\":true,\"reloadError\":\"\",\"fleet\":\"mesh\",\"zone\":\"a\","
    "\"paused\":false,\"pairs\":4,\"peers\":{\"Ready\":2,\"Pending\":0,\"NotReady\":0,\"Leaving\":0},"
    "\"packetsPerSecond\":8.125,\"series\":144,\"seriesLimited\":false,"
    "\"totals\":{\"sent\":100,\"received\":90,\"late\":1,\"lost\":3,\"corrupt\":1,\"unreachable\":1,"
    "\"sendError\":1,\"unexpected\":0,\"unresolved\":1,\"inFlight\":2,\"duplicates\":0,\"reordered\":0},"
    "\"lossRatio\":0.05,\"allocator\":{\"name\":\"jemalloc\",\"version\":\"5.3.0\",\"arenas\":1,"
    "\"effective\":false,\"settings\":[{\"name\":\"narenas\",\"wanted\":\"1\",\"actual\":\"1\","
    "\"effective\":true},{\"name\":\"tcache\",\"wanted\":\"false\",\"actual\":\"true\",\"effective\":false}]},"
    "\"residentBytes\":1048576,\"threads\":1,\"cpus\":4}\n";

// The good report with something in place of something else.
static void edited(char *out, size_t size, const char *from, const char *to)
{
    const char *at = strstr(good, from);
    snprintf(out, size, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
}

static void a_report_is_read(void)
{
    struct report r;
    struct err e = {0};
    CHECK_INT(report_parse(good, strlen(good), &who, &r, &e), 0);
    CHECK(r.ready && !r.paused && r.reload_ok && !r.foreign);
    CHECK_INT(r.generation, 7);
    CHECK_INT(r.pairs, 4);
    CHECK_INT(r.series, 144);
    CHECK_INT(r.packets_per_ks, 8125);
    CHECK_INT(r.results[REPORT_RECEIVED], 90);
    CHECK_INT(r.results[REPORT_UNRESOLVED], 1);
    CHECK_INT(r.resident_bytes, 1048576);
    CHECK_INT(r.cpus, 4);
    CHECK_STR(r.allocator.name, "jemalloc");
    CHECK_INT(r.allocator.verdict, REPORT_NOT_EFFECTIVE);
    CHECK_INT(r.allocator.settings, 2);
    CHECK_STR(r.allocator.setting, "tcache");
    CHECK_STR(r.allocator.wanted, "false");
    CHECK_STR(r.allocator.actual, "true");
}

static void what_cannot_be_true_is_not_believed(void)
{
    static const struct {
        const char *from, *to, *path;
        int code;
    } cases[] = {
        {"\"fleet\":\"mesh\"", "\"fleet\":\"other\"", "fleet", EINVAL},
        {"\"node\":\"n1\"", "\"node\":\"n2\"", "node", EINVAL},
        {"\"node\":\"n1\"", "\"node\":1", "node", EINVAL},
        {"\"network\":\"Pod\"", "\"network\":\"Node\"", "network", EINVAL},
        {"\"generation\":7", "\"generation\":-1", "generation", EINVAL},
        {"\"generation\":7", "\"generation\":\"7\"", "generation", EINVAL},
        {"\"generation\":7,", "", "generation", EINVAL},
        {"\"ready\":true", "\"ready\":1", "ready", EINVAL},
        {"\"pairs\":4", "\"pairs\":1000000001", "pairs", EINVAL},
        {"\"pairs\":4", "\"pairs\":4.5", "pairs", EINVAL},
        {"8.125", "-1", "packetsPerSecond", EINVAL},
        {"\"cpus\":4", "\"cpus\":100000", "cpus", EINVAL},
        {"1048576", "4611686018427387904", "residentBytes", EINVAL},
        {"\"sent\":100", "\"sent\":99", "totals.inFlight", EINVAL}, // results + in flight
        {"\"sent\":100", "\"sent\":90", "totals.late", EINVAL},
        {"\"received\":90", "\"received\":9223372036854775807", "totals.received", EINVAL},
        {"\"lost\":3,", "", "totals.lost", EINVAL},
        {"\"totals\":{", "\"totals\":[],\"x\":{", "totals", EINVAL},
        {"\"allocator\":{", "\"x\":{", "allocator", EINVAL},
        {"\"settings\":[{", "\"settings\":[1,{", "allocator.settings", EINVAL},
        {"{\"version\"", "[{\"version\"", "", EPROTO},
        {"{\"version\"", "<html>", "", EPROTO},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[2048];
        struct report r;
        struct err e = {0};
        edited(text, sizeof(text), cases[i].from, cases[i].to);
        CHECK_INT(report_parse(text, strlen(text), &who, &r, &e), -cases[i].code);
        CHECK_STR(e.path, cases[i].path);
    }
    struct report r;
    struct err e = {0};
    CHECK_INT(report_parse("[]", 2, &who, &r, &e), -EPROTO);
    CHECK_INT(report_parse("", 0, &who, &r, &e), -EPROTO);
}

static void newer_and_older_agents_are_read(void)
{
    char text[2048];
    struct report r;
    struct err e = {0};
    edited(text, sizeof(text), "\"arenas\":1", "\"arenas\":[{\"of\":1}],\"stats\":{\"active\":1}");
    CHECK_INT(report_parse(text, strlen(text), &who, &r, &e), 0);
    edited(text, sizeof(text), "\"unexpected\":0,\"unresolved\":1,", "");
    CHECK_INT(report_parse(text, strlen(text), &who, &r, &e), 0);
    CHECK_INT(r.results[REPORT_UNRESOLVED], 0);
    edited(text, sizeof(text), "\"received\":90", "\"received\":80,\"ofANewKind\":10");
    CHECK_INT(report_parse(text, strlen(text), &who, &r, &e), 0);
    edited(text, sizeof(text), "\"effective\":false}]", "\"effective\":null,\"why\":\"\"}]");
    CHECK_INT(report_parse(text, strlen(text), &who, &r, &e), 0);
    CHECK_INT(r.allocator.verdict, REPORT_UNKNOWN);
    CHECK_STR(r.allocator.setting, "tcache");
    const struct report_who any = {.fleet = "mesh", .node = "n1", .network = ""};
    CHECK_INT(report_parse(good, strlen(good), &any, &r, &e), 0);
}

static void text_for_people_is_harmless(void)
{
    char text[2048];
    struct report r;
    struct err e = {0};
    edited(text, sizeof(text), "\"actual\":\"true\"", "\"actual\":\"a\\nb\\u00e9\"");
    CHECK_INT(report_parse(text, strlen(text), &who, &r, &e), 0);
    CHECK_STR(r.allocator.actual, "a?b??");
}

static void loss_between_two_reports(void)
{
    struct report a = {.generation = 1, .pairs = 4, .results = {100, 1, 2, 3, 4, 5, 6, 7}}, b = a;
    struct report_loss loss;
    for (size_t i = 0; i < REPORT_RESULTS; i++)
        b.results[i] += 10;
    CHECK(report_since(&a, &b, &loss));
    CHECK_INT(loss.ended, 60); // send errors and what was not resolved say nothing
    CHECK_INT(loss.lost, 30);
    CHECK(report_since(&a, &a, &loss));
    CHECK_INT(loss.ended, 0);
    b.results[REPORT_RECEIVED] = 99; // it began anew
    CHECK(!report_since(&a, &b, &loss));
    b = a;
    b.pairs = 5;
    CHECK(!report_since(&a, &b, &loss));
    b = a;
    b.generation = 2;
    CHECK(!report_since(&a, &b, &loss));
}

static int scan(const char *options, const char *page, size_t piece, struct report *r)
{
    struct report_metrics_wanted wanted = {0};
    struct report_metrics m;
    struct err e = {0};
    report_metrics_want(&wanted, options, ':', ',');
    report_metrics_begin(&m, &wanted);
    for (size_t at = 0, len = strlen(page); at < len; at += piece)
        report_metrics_feed(&m, page + at, MIN(piece, len - at));
    return report_metrics_end(&m, r, &e);
}

static const char page[] = "# HELP go_info About.\n# TYPE go_info gauge\n"
                           "go_info{version=\"go1.22.1\"} 1\r\n"
                           "odd{text=\"} 5 \\\" jemalloc_narenas 3\"} 1 1700000000000\n"
                           "process_resident_memory_bytes 1.5e+07\n"
                           "process_resident_memory_bytes{of=\"another\"} 3\n"
                           "go_threads 9\n"
                           "go_sched_gomaxprocs_threads 4\n"
                           "app_jemalloc_narenas 9\n"
                           "app_jemalloc_opt_tcache 0\n"
                           "app_jemalloc_dirty_decay_ms NaN\n";

static void another_images_metrics(void)
{
    for (size_t piece = 1; piece < sizeof(page); piece = piece * 3 + 1) {
        struct report r;
        CHECK_INT(scan("narenas:8,tcache:false", page, piece, &r), 0);
        CHECK(r.foreign);
        CHECK_INT(r.resident_bytes, 15000000);
        CHECK_INT(r.threads, 9);
        CHECK_STR(r.allocator.name, "jemalloc");
        CHECK_INT(r.allocator.settings, 2);
        CHECK_INT(r.allocator.verdict, REPORT_EFFECTIVE); // nine arenas: one for oversized requests
    }
}

static void verdict_by_another_images_metrics(void)
{
    static const struct {
        const char *options, *page;
        enum report_verdict verdict;
        const char *setting, *actual;
    } cases[] = {
        {"", page, REPORT_EFFECTIVE, "", ""},
        {"narenas:1", page, REPORT_NOT_EFFECTIVE, "narenas", "9"},
        {"narenas:9", page, REPORT_EFFECTIVE, "", ""},
        {"narenas:10", page, REPORT_NOT_EFFECTIVE, "narenas", "9"},
        {"narenas:1,narenas:9", page, REPORT_EFFECTIVE, "", ""},
        {"tcache:true", page, REPORT_NOT_EFFECTIVE, "tcache", "0"},
        {"dirty_decay_ms:0", page, REPORT_UNKNOWN, "dirty_decay_ms", ""},
        {"dirty_decay_ms:0,narenas:1", page, REPORT_NOT_EFFECTIVE, "narenas", "9"},
        {"narenas:1,dirty_decay_ms:0", page, REPORT_NOT_EFFECTIVE, "narenas", "9"},
        {"percpu_arena:phycpu", "jemalloc_percpu_arena 1\n", REPORT_UNKNOWN, "percpu_arena", ""},
        {"narenas:1", "jemalloc_arenas 2\njemalloc_opt_narenas 2\n", REPORT_NOT_EFFECTIVE, "narenas", "2"},
        {"narenas:1", "jemalloc_opt_narenas 1\njemalloc_arenas 7\n", REPORT_EFFECTIVE, "", ""},
        {"narenas:1", "x 1\n", REPORT_UNKNOWN, "narenas", ""},
        {"narenas:1", "my_narenas 4\n", REPORT_UNKNOWN, "narenas", ""},
        {"GOMAXPROCS:4", page, REPORT_EFFECTIVE, "", ""},
        {"GOMAXPROCS:1", page, REPORT_NOT_EFFECTIVE, "GOMAXPROCS", "4"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct report r;
        CHECK_INT(scan(cases[i].options, cases[i].page, 7, &r), 0);
        CHECK_INT(r.allocator.verdict, cases[i].verdict);
        CHECK_STR(r.allocator.setting, cases[i].setting);
        CHECK_STR(r.allocator.actual, cases[i].actual);
    }
}

static void pages_that_are_no_metrics(void)
{
    static const char *const pages[] = {"", "<html>\n<p>x 1 </p>{\n", "# only comments\n", "a{b=\"c\n",
                                        "a b\n"};
    struct report r;
    for (size_t i = 0; i < ARRAY_LEN(pages); i++)
        CHECK_INT(scan("", pages[i], 3, &r), -EPROTO);
    char endless[REPORT_METRICS_LINE * 3];
    memset(endless, 'x', sizeof(endless));
    memcpy(endless + sizeof(endless) - 14, "\ngo_threads 7", 14);
    CHECK_INT(scan("", endless, 100, &r), 0); // the line that is too long is left out
    CHECK_INT(r.threads, 7);
}

static const struct report_told jemalloc = {.allocator = "jemalloc", .is_jemalloc = true};

static void tell(struct report_sum_agent *list, size_t n, const struct report_told *told)
{
    for (size_t i = 0; i < n; i++)
        list[i].told = told;
}

static int by_node(const void *a, const void *b)
{
    const struct report_sum_agent *x = a, *y = b;
    return strcmp(x->node, y->node);
}

static void the_sum_of_many(void)
{
    struct report r[5];
    struct report_sum_agent list[7];
    struct report_sum sum;
    struct err e;
    for (size_t i = 0; i < 5; i++)
        r[i] = (struct report){.generation = 3 + i / 4,
                               .pairs = 10,
                               .series = 100,
                               .packets_per_ks = 500,
                               .resident_bytes = 1000 * (5 - i),
                               .cpus = i < 3 ? 4 : 64,
                               .allocator = {.name = "musl", .verdict = REPORT_EFFECTIVE}};
    static const char *const nodes[] = {"n5", "n4", "n3", "n2", "n1", "n0", "n6"};
    for (size_t i = 0; i < 7; i++)
        list[i] = (struct report_sum_agent){.node = nodes[i], .report = i < 5 ? &r[i] : NULL, .trouble = ""};
    list[6].trouble = "timed out";
    r[0].cpus = 0;
    qsort(list, 7, sizeof(list[0]), by_node);
    tell(list, 7, NULL);
    CHECK_INT(report_sum_of(list, 7, 4, &sum, &e), 0);
    CHECK_INT(sum.agents, 7);
    CHECK_INT(sum.reporting, 5);
    CHECK_INT(sum.failing, 1);
    CHECK_STR(sum.failing_node, "n6");
    CHECK_STR(sum.failing_why, "timed out");
    CHECK_INT(sum.outdated, 4);
    CHECK_INT(sum.pairs, 50);
    CHECK_INT(sum.packets_per_ks, 2500);
    CHECK_INT(sum.memory[1].agents, 2); // 3-4 cores
    CHECK_INT(sum.memory[1].min, 3000);
    CHECK_INT(sum.memory[1].median, 3000);
    CHECK_INT(sum.memory[1].max, 4000);
    CHECK_INT(sum.memory[5].agents, 2); // 33-64
    CHECK_INT(sum.memory[6].agents, 0);
    CHECK_INT(sum.memory[7].agents, 1); // they do not say
    CHECK_INT(sum.effective, 5);
    CHECK_STR(sum.node, "n1");
    tell(list, 7, &jemalloc);
    CHECK_INT(report_sum_of(list, 7, 4, &sum, &e), 0);
    CHECK_INT(sum.ineffective, 5);
    CHECK_STR(sum.setting, "type");
    CHECK_STR(sum.actual, "musl");
    list[1].node = "n0"; // with one that does not report
    CHECK_INT(sum.nodes, 5);
    tell(list, 7, NULL);
    CHECK_INT(report_sum_of(list, 7, 4, &sum, &e), 0);
    CHECK_INT(sum.nodes, 4);
    CHECK_INT(report_sum_of(list, 0, 4, &sum, &e), 0);
    CHECK_INT(sum.reporting, 0);
}

static void the_setting_that_has_no_effect(void)
{
    struct report r[4];
    struct report_sum_agent list[4];
    struct report_sum sum;
    struct err e;
    static const char *const nodes[] = {"n4", "n3", "n2", "n1"};
    for (size_t i = 0; i < 4; i++) {
        r[i] = (struct report){
            .foreign = i == 3,
            .allocator = {.name = "jemalloc", .verdict = REPORT_NOT_EFFECTIVE, .settings = 1}};
        snprintf(r[i].allocator.setting, sizeof(r[i].allocator.setting), "%s", i == 0 ? "tcache" : "narenas");
        list[i] = (struct report_sum_agent){.node = nodes[i], .report = &r[i], .trouble = ""};
    }
    r[3].allocator.verdict = REPORT_UNKNOWN;
    qsort(list, 4, sizeof(list[0]), by_node);
    tell(list, 4, &jemalloc);
    CHECK_INT(report_sum_of(list, 4, 0, &sum, &e), 0);
    CHECK_INT(sum.ineffective, 3);
    CHECK_INT(sum.unknown, 1);
    CHECK_INT(sum.foreign, 1);
    CHECK_STR(sum.node, "n2");
    CHECK_STR(sum.setting, "narenas");
    CHECK_INT(sum.same, 2);
}

// Of two agents one has been told less than the fleet asks for: it says that all it knows of is in effect.
static void who_was_told_less(void)
{
    const struct report_told two = {.allocator = "jemalloc", .is_jemalloc = true, .wanted = {.n = 2}};
    struct report r[2];
    struct report_sum_agent list[2];
    struct report_sum sum;
    struct err e;
    for (unsigned i = 0; i < 2; i++) {
        r[i] = (struct report){
            .allocator = {.name = "jemalloc", .verdict = REPORT_EFFECTIVE, .settings = 2 - i}};
        list[i] =
            (struct report_sum_agent){.node = i ? "n2" : "n1", .report = &r[i], .trouble = "", .told = &two};
    }
    CHECK_INT(report_sum_of(list, 2, 0, &sum, &e), 0);
    CHECK_INT(sum.effective, 1);
    CHECK_INT(sum.unknown, 1);
    CHECK_STR(sum.node, "n2");
    CHECK_STR(sum.setting, "");
    r[1].allocator.verdict = REPORT_NOT_EFFECTIVE; // what it knows is worse
    CHECK_INT(report_sum_of(list, 2, 0, &sum, &e), 0);
    CHECK_INT(sum.ineffective, 1);
    r[1].allocator.verdict = REPORT_EFFECTIVE;
    r[1].foreign = true; // it was compared where it was read
    CHECK_INT(report_sum_of(list, 2, 0, &sum, &e), 0);
    CHECK_INT(sum.effective, 2);
}

static void what_an_image_was_told(void)
{
    struct report_metrics_wanted w = {0};
    report_metrics_want(&w, "narenas:1,tcache:false,narenas:2,nothing,:x,", ':', ',');
    CHECK_INT(w.n, 2);
    CHECK_STR(w.list[0].value, "2");
    CHECK_STR(w.list[1].name, "tcache");
    w.n = 0;
    report_metrics_want(&w, "glibc.malloc.arena_max=1:glibc.malloc.mxfast=0", '=', ':');
    CHECK_INT(w.n, 2);
    CHECK_STR(w.list[1].name, "glibc.malloc.mxfast");
    CHECK_STR(w.list[1].value, "0");
    for (int i = 0; i < 2 * REPORT_METRICS_WANTED; i++) {
        char pair[32];
        snprintf(pair, sizeof(pair), "x%d=1", i);
        report_metrics_want(&w, pair, '=', ':');
    }
    CHECK_INT(w.n, REPORT_METRICS_WANTED);
}

// An agent that was told what its allocator does not give back.
static void what_cannot_be_told(void)
{
    struct report_told told = {0};
    struct report r = {.allocator = {.name = "glibc", .verdict = REPORT_EFFECTIVE}};
    const struct report_sum_agent list[] = {{.node = "n1", .report = &r, .trouble = "", .told = &told}};
    struct report_sum sum;
    struct err e;
    CHECK_INT(report_sum_of(list, 1, 0, &sum, &e), 0);
    CHECK_INT(sum.effective, 1);
    report_metrics_want(&told.wanted, "MALLOC_ARENA_MAX=1", '=', ':');
    CHECK_INT(report_sum_of(list, 1, 0, &sum, &e), 0);
    CHECK_INT(sum.unknown, 1);
    CHECK_STR(sum.setting, "MALLOC_ARENA_MAX");
    CHECK_STR(sum.wanted, "1");
}

static const struct check_case cases[] = {
    {"a report is read", a_report_is_read},
    {"what cannot be true is not believed", what_cannot_be_true_is_not_believed},
    {"newer and older agents are read", newer_and_older_agents_are_read},
    {"text for people is harmless", text_for_people_is_harmless},
    {"loss between two reports", loss_between_two_reports},
    {"another image's metrics", another_images_metrics},
    {"verdict by another image's metrics", verdict_by_another_images_metrics},
    {"pages that are no metrics", pages_that_are_no_metrics},
    {"the sum of many", the_sum_of_many},
    {"the setting that has no effect", the_setting_that_has_no_effect},
    {"who was told less", who_was_told_less},
    {"what an image was told", what_an_image_was_told},
    {"what cannot be told", what_cannot_be_told},
};
CHECK_MAIN(cases)
