// SPDX-License-Identifier: Apache-2.0
// From the agents' answers to the API: the operator's whole rounds on a cluster that remembers, with real
// agents' servers on loopback. What a setting that has no effect does to status, events and metrics.
#include "lib/serve.h"
#include "operator/page_reports.h"
#include "operator/status.h"
#include "test/unit/operator/fake_cluster.h"

#define REPORT                                                                                                  \
    "{\"fleet\":\"mesh\",\"node\":\"n1\",\"network\":\"Pod\",\"generation\":1,\"ready\":true,\"paused\":false," \
    "\"lastReloadSuccessful\":true,\"pairs\":3,\"series\":10,\"packetsPerSecond\":2,\"totals\":{\"sent\":10,"   \
    "\"received\":10,\"late\":0,\"lost\":0,\"corrupt\":0,\"unreachable\":0,\"sendError\":0,\"inFlight\":0},"    \
    "\"allocator\":{\"name\":\"jemalloc\",\"version\":\"5.3.0\",\"settings\":[{\"name\":\"narenas\","           \
    "\"wanted\":\"1\",\"actual\":\"%s\",\"effective\":%s}]},\"residentBytes\":1000,\"threads\":1,\"cpus\":2}"

struct agent {
    struct serve *serve;
    bool effective, foreign;
};

static int on_request(const struct serve_request *q, struct serve_response *r, void *arg)
{
    const struct agent *a = arg;
    char text[1024];
    r->content_type = "text/plain";
    r->status = 200;
    if (a->foreign && strcmp(q->path, "/metrics") != 0)
        r->status = 404;
    if (a->foreign)
        snprintf(text, sizeof(text), "jemalloc_narenas %s\n", a->effective ? "1" : "8");
    else
        snprintf(text, sizeof(text), REPORT, a->effective ? "1" : "8", a->effective ? "true" : "false");
    r->body = strdup(text);
    r->body_len = strlen(text);
    return r->body ? 0 : -1;
}

static bool start(struct fake *f, struct agent *a)
{
    struct err e;
    struct addr loopback;
    struct reports_opts o = {.user_agent = "test"};
    if (!setup(f) || addr_parse("127.0.0.1", &loopback) < 0 ||
        !(a->serve = serve_new(f->loop, &loopback, 0, on_request, a, &e)))
        return false;
    f->pod_address = "127.0.0.1";
    o.port = serve_port(a->serve);
    return control_read_reports(f->control, &o, &e) == 0 && put_node(f, 1);
}

static json_t *jemalloc(const char *image)
{
    json_t *spec = mesh(500);
    json_object_set_new(
        spec, "agent",
        json_pack("{s:s, s:{s:s, s:i}}", "image", image, "allocator", "type", "Jemalloc", "narenas", 1));
    return spec;
}

// Works until the condition has that status.
static bool await(struct fake *f, const char *type, const char *status)
{
    while (strcmp(condition(f, type, "status"), status) != 0) {
        if (!work(f))
            return false;
    }
    return true;
}

// The DaemonSet is applied, and its controller has rolled it out.
static bool roll(struct fake *f)
{
    return settle(f) && roll_out(f, 1);
}

static const char *metrics(const struct fake *f, struct buf *b)
{
    buf_init(b, 1 << 16);
    page_reports_write(f->control, b, METRIC_TEXT_0_0_4);
    return buf_text(b);
}

static void a_setting_without_effect(void)
{
    struct fake f;
    struct agent a = {0};
    CHECK(start(&f, &a) && put_fleet(&f, jemalloc(""), 1) && put_pod(&f, 1, false));
    CHECK(roll(&f) && await(&f, "AllocatorEffective", "False"));
    CHECK_STR(condition(&f, "AllocatorEffective", "reason"), "SettingNotEffective");
    CHECK_CONTAINS(condition(&f, "AllocatorEffective", "message"),
                   "narenas: wanted 1, is 8 (jemalloc 5.3.0)");
    CHECK_STR(condition(&f, "Reporting", "status"), "True");
    const struct action *status = last(&f, ACTION_STATUS, STORE_FLEET, "mesh");
    const json_t *s = json_object_get(status->body, "status");
    CHECK_INT(json_integer_value(json_object_get(json_object_get(s, "nodes"), "reporting")), 1);
    while (f.answered < f.n)
        answer(&f);
    const struct action *event = last(&f, ACTION_EVENT, STORE_FLEET, "mesh");
    CHECK(event != NULL);
    CHECK_STR(json_string_value(json_object_get(event->body, "reason")), "SettingNotEffective");
    CLEANUP_BUF struct buf b = {0};
    CHECK_CONTAINS(metrics(&f, &b), "kubecanary_operator_reports_total{result=\"received\"} 1\n");
    CHECK(strstr(buf_text(&b), "ineffective_agents{") == NULL); // the agents say that themselves
    serve_free(a.serve);
    teardown(&f);
}

static void another_image(void)
{
    struct fake f;
    struct agent a = {.foreign = true};
    CHECK(start(&f, &a) && put_fleet(&f, jemalloc("mine:1"), 1) && put_pod(&f, 1, false));
    CHECK(roll(&f) && await(&f, "AllocatorEffective", "False"));
    CHECK_CONTAINS(condition(&f, "AllocatorEffective", "message"), "narenas: wanted 1, is 8");
    CLEANUP_BUF struct buf b = {0};
    CHECK_CONTAINS(metrics(&f, &b),
                   "kubecanary_fleet_allocator_ineffective_agents{fleet_namespace=\"ns\",fleet=\"mesh\","
                   "setting=\"narenas\"} 1\n");
    a.effective = true;
    CHECK(put_fleet(&f, jemalloc("mine:2"), 2)); // it is asked anew
    CHECK(await(&f, "AllocatorEffective", "True"));
    serve_free(a.serve);
    teardown(&f);
}

// A stand-by asks nobody.
static void only_a_leader_asks(void)
{
    struct fake f;
    struct agent a = {0};
    CHECK(start(&f, &a) && put_fleet(&f, jemalloc(""), 1) && put_pod(&f, 1, false) &&
          await(&f, "Reporting", "True"));
    control_set_leading(f.control, false);
    CHECK_INT(control_stats(f.control).reports.agents, 0);
    CHECK(put_pod(&f, 1, true) && settle(&f));
    CHECK_INT(control_stats(f.control).reports.agents, 0);
    control_set_leading(f.control, true);
    while (control_stats(f.control).reports.received < 2)
        CHECK(work(&f));
    serve_free(a.serve);
    teardown(&f);
}

static const struct check_case cases[] = {
    {"a setting without effect", a_setting_without_effect},
    {"another image", another_image},
    {"only a leader asks", only_a_leader_asks},
};
CHECK_MAIN(cases)
