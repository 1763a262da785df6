// SPDX-License-Identifier: Apache-2.0
// The operator asks agents: real HTTP over loopback, every agent at an address of its own. What a good one, a
// broken, hostile, silent one and an image without /report do to the sum; who comes and goes.
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/loop.h"
#include "lib/serve.h"
#include "operator/reports.h"
#include "test/unit/agent/netns.h"
#include "test/unit/check.h"

#define AGENTS 12

enum manner { GOOD, GARBAGE, HUGE_ONE, REDIRECT, ANOTHER_FLEET, NOT_FOUND, BROKEN };

struct agent {
    struct serve *serve;
    enum manner manner;
    const char *node;
    unsigned asked, asked_metrics;
    uint64_t generation, pairs, received, lost, metrics_arenas;
    const char *allocator;
};

struct world {
    struct loop *loop;
    struct store *store;
    struct reports *reports;
    struct agent agents[AGENTS]; // agent i is at 127.0.0.(i + 1)
    uint16_t port;
    unsigned changes;
    int version;
};

static char *good_report(const struct agent *a)
{
    char *text = NULL;
    int n = asprintf(
        &text,
        "{\"fleet\":\"mesh\",\"node\":\"%s\",\"network\":\"Pod\",\"generation\":%" PRIu64
        ",\"ready\":true,\"paused\":false,\"lastReloadSuccessful\":true,\"pairs\":%" PRIu64
        ",\"series\":10,\"packetsPerSecond\":2,\"totals\":{\"sent\":100000,\"received\":%" PRIu64
        ",\"late\":0,\"lost\":%" PRIu64 ",\"corrupt\":0,\"unreachable\":0,\"sendError\":0,\"inFlight\":0},"
        "\"allocator\":{\"name\":\"%s\",\"version\":\"1\",\"settings\":[]},\"residentBytes\":1000,"
        "\"threads\":1,\"cpus\":2}",
        a->node, a->generation, a->pairs, a->received, a->lost, a->allocator ? a->allocator : "musl");
    return n < 0 ? NULL : text;
}

static ssize_t endless(void *arg UNUSED, char *out, size_t max)
{
    memset(out, ' ', max);
    return (ssize_t)max;
}

static ssize_t broken(void *arg, char *out, size_t max UNUSED)
{
    bool *begun = arg;
    if (*begun)
        return -1;
    *begun = true;
    out[0] = '{';
    return 1;
}

static int answer_with(struct serve_response *r, int status, char *text)
{
    r->status = status;
    r->content_type = "application/json";
    r->body = text;
    r->body_len = text ? strlen(text) : 0;
    return text ? 0 : -1;
}

static int on_metrics(struct agent *a, struct serve_response *r)
{
    char *text = NULL;
    a->asked_metrics++;
    if (a->metrics_arenas == 0)
        return answer_with(r, 404, strdup("nothing\n"));
    int n = asprintf(&text, "process_resident_memory_bytes 7e6\napp_jemalloc_narenas %" PRIu64 "\n",
                     a->metrics_arenas);
    return n < 0 ? -1 : answer_with(r, 200, text);
}

static int on_request(const struct serve_request *q, struct serve_response *r, void *arg)
{
    struct agent *a = arg;
    static bool begun;
    if (strcmp(q->path, "/metrics") == 0)
        return on_metrics(a, r);
    if (strcmp(q->path, "/report") != 0)
        return answer_with(r, 404, strdup("?"));
    a->asked++;
    r->status = 200;
    r->content_type = "application/json";
    switch (a->manner) {
    case GOOD: return answer_with(r, 200, good_report(a));
    case GARBAGE: return answer_with(r, 200, strdup("<html>welcome</html>"));
    case HUGE_ONE: r->read = endless; return 0;
    case BROKEN:
        begun = false;
        r->read = broken;
        r->arg = &begun;
        return 0;
    case REDIRECT: return answer_with(r, 302, strdup("elsewhere"));
    case ANOTHER_FLEET: {
        char *text = good_report(a), *at = text ? strstr(text, "mesh") : NULL;
        if (at)
            memcpy(at, "hash", 4);
        return answer_with(r, 200, text);
    }
    case NOT_FOUND: return answer_with(r, 404, strdup("no"));
    }
    return -1;
}

static void on_changed(const char *namespace, const char *fleet, void *arg)
{
    struct world *w = arg;
    w->changes += strcmp(namespace, "ns") == 0 && strcmp(fleet, "mesh") == 0;
}

static void on_store(enum store_kind kind UNUSED, enum store_change change UNUSED,
                     const struct store_meta *meta UNUSED, void *arg)
{
    struct world *w = arg;
    if (w->reports)
        reports_touch(w->reports);
}

static bool put(struct world *w, enum store_kind kind, json_t *object)
{
    struct err e;
    json_object_set_new(json_object_get(object, "metadata"), "resourceVersion",
                        json_sprintf("%d", ++w->version));
    int r = store_put(w->store, kind, object, &e);
    json_decref(object);
    return r == 0;
}

static bool put_fleet(struct world *w, int generation)
{
    return put(w, STORE_FLEET,
               json_pack("{s:{s:s, s:s, s:s, s:i}, s:{}}", "metadata", "namespace", "ns", "name", "mesh",
                         "uid", "fleet-uid", "generation", generation, "spec"));
}

static bool put_pod_of(struct world *w, size_t i, const char *address, bool ready, const char *override)
{
    char name[32], ip[32];
    static const char *const nodes[AGENTS] = {"n01", "n02", "n03", "n04", "n05", "n06",
                                              "n07", "n08", "n09", "n10", "n11", "n12"};
    snprintf(name, sizeof(name), "pod-%zu", i);
    snprintf(ip, sizeof(ip), "127.0.0.%zu", i + 1);
    w->agents[i].node = nodes[i];
    return put(
        w, STORE_POD,
        json_pack(
            "{s:{s:s, s:s, s:s, s:{s:s, s:s, s:s*}, s:[{s:b, s:s}]}, s:{s:s}, s:{s:s, s:[{s:s}], s:[{s:s, s:s}]}}",
            "metadata", "namespace", "ns", "name", name, "uid", name, "labels", "kubecanary.io/fleet", "mesh",
            "kubecanary.io/network", "Pod", "kubecanary.io/override", override, "ownerReferences",
            "controller", 1, "uid", "mesh-pod", "spec", "nodeName", nodes[i], "status", "phase", "Running",
            "podIPs", "ip", address ? address : ip, "conditions", "type", "Ready", "status",
            ready ? "True" : "False"));
}

static bool put_pod(struct world *w, size_t i, const char *address, bool ready)
{
    return put_pod_of(w, i, address, ready, NULL);
}

// Agent 0 has whatever port is free, the others the same at their own addresses.
static bool serve(struct world *w, size_t i, enum manner manner)
{
    struct err e;
    char text[32];
    struct addr addr;
    struct agent *a = &w->agents[i];
    snprintf(text, sizeof(text), "127.0.0.%zu", i + 1);
    *a = (struct agent){.manner = manner, .generation = 1, .pairs = 3, .received = 50};
    if (addr_parse(text, &addr) < 0 || !(a->serve = serve_new(w->loop, &addr, w->port, on_request, a, &e)))
        return false;
    w->port = serve_port(a->serve);
    return put_pod(w, i, NULL, true);
}

static bool setup(struct world *w)
{
    struct err e;
    *w = (struct world){0};
    w->loop = loop_new(&e);
    w->store = store_new(on_store, w);
    return w->loop && w->store && put_fleet(w, 1);
}

static bool ask(struct world *w, uint64_t timeout_ns)
{
    struct err e;
    const struct reports_opts o = {.port = w->port, .timeout_ns = timeout_ns, .user_agent = "test"};
    w->reports = reports_new(w->loop, w->store, &o, on_changed, w, &e);
    if (w->reports)
        reports_set_asking(w->reports, true);
    return w->reports != NULL;
}

static bool configure(struct world *w, const char *image, unsigned narenas)
{
    struct spec spec = {0};
    snprintf(spec.agent.image, sizeof(spec.agent.image), "%s", image);
    spec.agent.allocator.type = narenas ? SPEC_ALLOCATOR_JEMALLOC : SPEC_ALLOCATOR_SYSTEM;
    spec.agent.allocator.options[SPEC_OPTION_NARENAS] =
        (struct spec_option_value){.set = narenas, .number = narenas};
    reports_configure(w->reports, "ns", "mesh", &spec);
    return true;
}

// Another program: no report, a port and a path of its own.
static bool configure_exporter(struct world *w, uint16_t port)
{
    struct spec spec = {0};
    snprintf(spec.agent.image, sizeof(spec.agent.image), "mine:1");
    spec.agent.program = SPEC_PROGRAM_EXPORTER;
    spec.agent.metrics_port = port;
    snprintf(spec.agent.metrics_path, sizeof(spec.agent.metrics_path), "/metrics");
    spec.agent.allocator.glibc = true;
    spec.agent.allocator.options[SPEC_OPTION_ARENA_MAX] =
        (struct spec_option_value){.set = true, .number = 1};
    spec.agent.threads = (struct spec_threads){.present = true, .count = 2, .variable = "GOMAXPROCS"};
    reports_configure(w->reports, "ns", "mesh", &spec);
    return true;
}

static bool sum(struct world *w, struct report_sum *ret)
{
    struct err e;
    return reports_sum(w->reports, "ns", "mesh", ret, &e) == 0;
}

// How long a test waits for what must come, on however busy a machine.
#define PATIENCE_NS (120 * NS_PER_S)

// Turns the loop until everybody who is known has answered or failed.
static bool settle(struct world *w, size_t agents, struct report_sum *ret)
{
    struct err e;
    for (uint64_t end = loop_now(w->loop) + PATIENCE_NS; loop_now(w->loop) < end;) {
        if (loop_once(w->loop, 20 * NS_PER_MS, &e) < 0 || !sum(w, ret))
            return false;
        if (ret->agents == agents && ret->reporting + ret->failing == agents)
            return true;
    }
    return false;
}

// Turns the loop until the agent has been asked more often than that.
static bool asked_again(struct world *w, size_t agent, unsigned before)
{
    struct err e;
    for (uint64_t end = loop_now(w->loop) + PATIENCE_NS; loop_now(w->loop) < end;) {
        if (w->agents[agent].asked > before)
            return true;
        if (loop_once(w->loop, NS_PER_S, &e) < 0)
            return false;
    }
    return false;
}

// Turns the loop until every report is of the fleet's generation.
static bool up_to_date(struct world *w, struct report_sum *ret)
{
    struct err e;
    for (uint64_t end = loop_now(w->loop) + PATIENCE_NS; loop_now(w->loop) < end;) {
        if (loop_once(w->loop, NS_PER_S, &e) < 0 || !sum(w, ret))
            return false;
        if (ret->outdated == 0)
            return true;
    }
    return false;
}

static void teardown(struct world *w)
{
    reports_free(w->reports);
    for (size_t i = 0; i < AGENTS; i++)
        serve_free(w->agents[i].serve);
    store_free(w->store);
    loop_free(w->loop);
}

static void good_agents_report(void)
{
    struct world w;
    struct report_sum s;
    CHECK(setup(&w));
    for (size_t i = 0; i < 3; i++)
        CHECK(serve(&w, i, GOOD));
    CHECK(ask(&w, 0) && settle(&w, 3, &s));
    CHECK_INT(s.reporting, 3);
    CHECK_INT(s.pairs, 9);
    CHECK_INT(s.memory[0].agents, 3);
    CHECK(w.changes > 0);
    struct reports_stats stats = reports_stats(w.reports);
    CHECK_INT(stats.received, 3);
    CHECK_INT(stats.reporting, 3);
    CHECK_INT(w.agents[0].asked, 1); // and not again before its minute is over
    teardown(&w);
}

static void what_is_not_believed(void)
{
    static const struct {
        enum manner manner;
        const char *why;
    } cases[] = {
        {GARBAGE, "/report: is not JSON"},
        {HUGE_ONE, "/report: the answer is too long"},
        {REDIRECT, "/report: answered with status 302"},
        {ANOTHER_FLEET, "/report: fleet: is hash, not mesh"},
        {NOT_FOUND, "/report: answered with status 404"},
        {BROKEN, "/report: the connection ended too early"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world w;
        struct report_sum s;
        CHECK(setup(&w) && serve(&w, 0, GOOD) && serve(&w, 1, cases[i].manner));
        CHECK(ask(&w, PATIENCE_NS) && settle(&w, 2, &s)); // whatever else the machine does, in time
        CHECK_INT(s.reporting, 1);
        CHECK_INT(s.failing, 1);
        CHECK_STR(s.failing_node, "n02");
        CHECK_CONTAINS(s.failing_why, cases[i].why);
        struct reports_stats stats = reports_stats(w.reports);
        CHECK_INT(stats.invalid + stats.unreachable, 1);
        CHECK_INT(w.agents[1].asked_metrics, 0); // the operator's own image has a report, or an error
        teardown(&w);
    }
}

// A port where the kernel lets connections in and nobody answers; and one where nobody listens.
static void silence_and_refusal(void)
{
    struct world w;
    struct report_sum s;
    CHECK(setup(&w) && serve(&w, 0, GOOD));
    int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(w.port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    CHECK_INT(bind(silent, (struct sockaddr *)&at, sizeof(at)), 0);
    CHECK_INT(listen(silent, 8), 0);
    CHECK(put_pod(&w, 1, NULL, true) && put_pod(&w, 2, NULL, true));
    CHECK(ask(&w, 300 * NS_PER_MS) && settle(&w, 3, &s));
    CHECK_INT(s.reporting, 1);
    CHECK_INT(s.failing, 2);
    CHECK_STR(s.failing_node, "n02");
    CHECK_STR(s.failing_why, "/report: no answer in time");
    CHECK_INT(reports_stats(w.reports).unreachable, 2);
    store_delete(w.store, STORE_POD, "ns", "pod-1");
    CHECK(settle(&w, 2, &s));
    CHECK_STR(s.failing_why, "/report: cannot connect");
    teardown(&w);
    close(silent);
}

static void an_image_without_a_report(void)
{
    struct world w;
    struct report_sum s;
    CHECK(setup(&w) && serve(&w, 0, NOT_FOUND) && serve(&w, 1, GARBAGE) && serve(&w, 2, REDIRECT) &&
          serve(&w, 3, NOT_FOUND));
    for (size_t i = 0; i < 3; i++)
        w.agents[i].metrics_arenas = i == 1 ? 8 : 2;
    CHECK(ask(&w, 0) && configure(&w, "mine:1", 1) && settle(&w, 4, &s));
    CHECK_INT(s.reporting, 3);
    CHECK_INT(s.foreign, 3);
    CHECK_INT(s.ineffective, 1);
    CHECK_STR(s.node, "n02");
    CHECK_STR(s.setting, "narenas");
    CHECK_STR(s.actual, "8");
    CHECK_INT(s.memory[REPORT_SUM_CLASSES - 1].max, 7000000);
    CHECK_STR(s.failing_node, "n04"); // it has neither
    CHECK_CONTAINS(s.failing_why, "/metrics: answered with status 404");
    teardown(&w);
}

// Some nodes' agents were told something else.
static void an_override(void)
{
    struct world w;
    struct report_sum s;
    struct spec spec = {0};
    struct spec_override big = {.name = "big", .has_allocator = true};
    CHECK(setup(&w) && serve(&w, 0, NOT_FOUND) && serve(&w, 1, NOT_FOUND));
    CHECK(put_pod_of(&w, 1, NULL, true, "big"));
    snprintf(spec.agent.image, sizeof(spec.agent.image), "mine:1");
    spec.agent.allocator.type = big.allocator.type = SPEC_ALLOCATOR_JEMALLOC;
    spec.agent.allocator.options[SPEC_OPTION_NARENAS] = (struct spec_option_value){.set = true, .number = 1};
    big.allocator.options[SPEC_OPTION_NARENAS] = (struct spec_option_value){.set = true, .number = 8};
    spec.placement.n_overrides = 1;
    spec.placement.overrides = &big;
    w.agents[0].metrics_arenas = w.agents[1].metrics_arenas = 8;
    CHECK(ask(&w, 0));
    reports_configure(w.reports, "ns", "mesh", &spec);
    CHECK(settle(&w, 2, &s));
    CHECK_INT(s.effective, 1);
    CHECK_INT(s.ineffective, 1);
    CHECK_STR(s.node, "n01");
    teardown(&w);
}

static void another_program(void)
{
    struct world w;
    struct report_sum s;
    CHECK(setup(&w) && serve(&w, 0, GOOD));
    w.agents[0].metrics_arenas = 1;
    uint16_t port = w.port;
    w.port = 1; // of the operator's own agents
    CHECK(ask(&w, 0) && configure_exporter(&w, port) && settle(&w, 1, &s));
    CHECK_INT(s.foreign, 1);
    CHECK_INT(w.agents[0].asked, 0);
    CHECK_INT(s.unknown, 1); // nothing tells of glibc's arenas
    CHECK_STR(s.setting, "glibc.malloc.arena_max");
    CHECK_STR(s.wanted, "1");
    teardown(&w);
}

static void ipv6_is_asked_too(void)
{
    struct world w;
    struct report_sum s;
    struct err e;
    struct addr addr;
    CHECK(setup(&w) && serve(&w, 0, GOOD) && addr_parse("::1", &addr) == 0);
    w.agents[1] = (struct agent){.manner = GOOD, .generation = 1};
    w.agents[1].serve = serve_new(w.loop, &addr, w.port, on_request, &w.agents[1], &e);
    CHECK(w.agents[1].serve != NULL && put_pod(&w, 1, "::1", true));
    CHECK(ask(&w, 0) && settle(&w, 2, &s));
    CHECK_INT(s.reporting, 2);
    teardown(&w);
}

static void who_goes_is_forgotten(void)
{
    struct world w;
    struct report_sum s;
    CHECK(setup(&w) && serve(&w, 0, GOOD) && serve(&w, 1, GOOD) && ask(&w, 0) && settle(&w, 2, &s));
    store_delete(w.store, STORE_POD, "ns", "pod-0");
    CHECK(settle(&w, 1, &s));
    CHECK(put_pod(&w, 1, NULL, false) && settle(&w, 0, &s)); // not Ready any more
    CHECK(put_pod(&w, 1, NULL, true) && settle(&w, 1, &s));
    CHECK_INT(s.reporting, 1);
    store_delete(w.store, STORE_FLEET, "ns", "mesh");
    CHECK(settle(&w, 0, &s));
    teardown(&w);
}

// With requests under way.
static void an_end_in_the_middle(void)
{
    struct world w;
    CHECK(setup(&w) && serve(&w, 0, HUGE_ONE) && ask(&w, 0));
    CHECK(asked_again(&w, 0, 0));
    reports_set_asking(w.reports, false);
    CHECK_INT(reports_stats(w.reports).agents, 0);
    teardown(&w);
    CHECK(setup(&w) && serve(&w, 0, HUGE_ONE) && ask(&w, 0));
    CHECK(asked_again(&w, 0, 0));
    store_delete(w.store, STORE_POD, "ns", "pod-0");
    struct report_sum s;
    CHECK(settle(&w, 0, &s));
    teardown(&w);
}

static void a_new_generation_is_asked_after(void)
{
    struct world w;
    struct report_sum s;
    CHECK(setup(&w) && serve(&w, 0, GOOD) && ask(&w, 0) && settle(&w, 1, &s));
    CHECK_INT(s.outdated, 0);
    unsigned asked = w.agents[0].asked;
    CHECK(put_fleet(&w, 2));
    CHECK(asked_again(&w, 0, asked));
    CHECK(sum(&w, &s));
    CHECK_INT(s.outdated, 1);
    w.agents[0].generation = 2;
    CHECK(up_to_date(&w, &s));
    CHECK_INT(s.reporting, 1);
    teardown(&w);
}

static const struct check_case cases[] = {
    {"good agents report", good_agents_report},
    {"what is not believed", what_is_not_believed},
    {"silence and refusal", silence_and_refusal},
    {"an image without a report", an_image_without_a_report},
    {"another program", another_program},
    {"an override", an_override},
    {"IPv6 is asked, too", ipv6_is_asked_too},
    {"who goes is forgotten", who_goes_is_forgotten},
    {"an end in the middle", an_end_in_the_middle},
    {"a new generation is asked after", a_new_generation_is_asked_after},
};
// A port that is free at one address is free at all of them: nobody else is here.
CHECK_MAIN_IN(netns_enter(), cases)
