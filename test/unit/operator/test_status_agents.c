// SPDX-License-Identifier: Apache-2.0
// What the agents say in a fleet's status: both conditions in each situation, the numbers, and that the
// status as a whole takes them in.
#include "operator/event.h"
#include "operator/status.h"
#include "operator/status_agents.h"
#include "test/unit/check.h"

static void whether_agents_report(void)
{
    struct status_agents_verdict v;
    struct report_sum s = {0};
    status_agents_reporting(&s, &v);
    CHECK_STR(v.status, "Unknown");
    CHECK_STR(v.reason, "NoAgents");
    s.agents = 5;
    status_agents_reporting(&s, &v);
    CHECK_STR(v.reason, "NotAskedYet");
    s.reporting = 3;
    status_agents_reporting(&s, &v);
    CHECK_STR(v.status, "True"); // the others' turn will come
    s.failing = 2;
    snprintf(s.failing_node, sizeof(s.failing_node), "n4");
    snprintf(s.failing_why, sizeof(s.failing_why), "/report: no answer in time");
    status_agents_reporting(&s, &v);
    CHECK_STR(v.status, "False");
    CHECK_STR(v.reason, "ReportMissing");
    CHECK_STR(v.message, "2 of 5 ready agents give the operator no report, on node n4: /report: no answer in "
                         "time; a NetworkPolicy must let the operator reach them");
}

static struct report_sum narenas(void)
{
    struct report_sum s = {.agents = 5, .reporting = 5, .settings = 1};
    snprintf(s.allocator, sizeof(s.allocator), "jemalloc 5.3.0");
    snprintf(s.setting, sizeof(s.setting), "narenas");
    snprintf(s.wanted, sizeof(s.wanted), "1");
    snprintf(s.actual, sizeof(s.actual), "8");
    snprintf(s.node, sizeof(s.node), "n2");
    return s;
}

static void whether_the_allocator_does_as_it_is_told(void)
{
    struct status_agents_verdict v;
    struct report_sum s = {.agents = 5};
    status_agents_allocator(&s, false, &v);
    CHECK_STR(v.status, "Unknown");
    CHECK_STR(v.reason, "NoReports");
    s = narenas();
    s.effective = 5;
    status_agents_allocator(&s, false, &v);
    CHECK_STR(v.status, "True");
    CHECK_STR(v.message, "jemalloc 5.3.0: every setting is in effect");
    s.settings = 0;
    status_agents_allocator(&s, false, &v);
    CHECK_STR(v.reason, "NoSettings");
    s = narenas();
    s.effective = 1;
    s.ineffective = 3;
    s.same = 2;
    s.unknown = 1;
    status_agents_allocator(&s, false, &v);
    CHECK_STR(v.status, "False");
    CHECK_STR(v.reason, "SettingNotEffective");
    CHECK_STR(v.message, "spec.agent: narenas: wanted 1, is 8 (jemalloc 5.3.0); on 2 of 5 agents that "
                         "report, first on node n2; on 1 it is another setting");
    s.actual[0] = '\0';
    status_agents_allocator(&s, false, &v);
    CHECK_CONTAINS(v.message, "wanted 1, the allocator does not know it");
    status_agents_allocator(&s, true, &v); // a roll may mend it
    CHECK_STR(v.status, "Unknown");
    CHECK_STR(v.reason, "RolloutInProgress");
    s.effective = 4;
    s.ineffective = 0;
    status_agents_allocator(&s, false, &v);
    CHECK_STR(v.status, "Unknown");
    CHECK_STR(v.reason, "NotTold");
    CHECK_CONTAINS(v.message, "nothing that 1 of 5 agents tell");
    s.setting[0] = '\0';
    status_agents_allocator(&s, false, &v);
    CHECK_STR(v.reason, "RolloutInProgress");
    CHECK_CONTAINS(v.message, "1 of 5 agents do not run with all");
}

static json_int_t at(const json_t *o, const char *a, const char *b)
{
    return json_integer_value(json_object_get(json_object_get(o, a), b));
}

static void numbers(void)
{
    struct report_sum s = narenas();
    s.nodes = 4;
    s.pairs = 40;
    s.packets_per_ks = 12600;
    s.memory[1] = (struct report_sum_memory){.agents = 2, .min = 1, .median = 1, .max = 9};
    s.memory[7] = (struct report_sum_memory){.agents = 3, .min = 7, .median = 8, .max = 9};
    json_t *status = json_object(), *nodes = json_object();
    CHECK_INT(status_agents_numbers(&s, status, nodes), 0);
    CHECK_INT(json_integer_value(json_object_get(nodes, "reporting")), 4);
    CHECK_INT(at(status, "agents", "reporting"), 5);
    CHECK_INT(at(status, "agents", "packetsPerSecond"), 13);
    const json_t *memory = json_object_get(json_object_get(status, "agents"), "memory");
    CHECK_INT(json_array_size(memory), 2);
    CHECK_STR(json_string_value(json_object_get(json_array_get(memory, 0), "cpus")), "3-4");
    CHECK_INT(json_integer_value(json_object_get(json_array_get(memory, 1), "maxBytes")), 9);
    CHECK(json_object_get(json_object_get(status, "loss"), "percent") == NULL); // 0 of 0 is no per cent
    json_decref(nodes);
    json_decref(status);
}

static void loss_in_per_cent(void)
{
    static const struct {
        uint64_t ended, lost;
        const char *text;
    } cases[] = {
        {8, 1, "12.500"},  {1000, 0, "0.000"}, {1000000000, 1, "0.001"}, {1000000000, 999999999, "99.999"},
        {7, 7, "100.000"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct report_sum s = {.loss = {cases[i].ended, cases[i].lost}};
        json_t *status = json_object(), *nodes = json_object();
        CHECK_INT(status_agents_numbers(&s, status, nodes), 0);
        CHECK_STR(json_string_value(json_object_get(json_object_get(status, "loss"), "percent")),
                  cases[i].text);
        json_decref(nodes);
        json_decref(status);
    }
}

struct world {
    struct store_fleet fleet;
    struct status_problem problem;
    struct trouble trouble;
    struct store_child daemonset;
    struct status_set set;
    struct report_sum sum;
    struct status_input in;
};

static void setup(struct world *w)
{
    *w = (struct world){0};
    w->fleet.meta.generation = 3;
    w->daemonset = (struct store_child){.desired = 5, .ready = 5, .updated = 5};
    w->set = (struct status_set){{SPEC_NETWORK_POD}, &w->daemonset};
    w->sum = narenas();
    w->sum.effective = 5;
    w->in = (struct status_input){.fleet = &w->fleet,
                                  .problem = &w->problem,
                                  .trouble = &w->trouble,
                                  .n_sets = 1,
                                  .sets = &w->set,
                                  .settled = true,
                                  .reports = &w->sum,
                                  .now = "2026-01-01T00:00:00Z"};
}

static const char *said(const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));
    return text ? text : "";
}

static void in_the_status(void)
{
    struct world w;
    setup(&w);
    json_t *s = status_build(&w.in);
    CHECK_STR(status_condition(s, "Reporting"), "True");
    CHECK_STR(status_condition(s, "AllocatorEffective"), "True");
    CHECK_STR(status_condition(s, "Progressing"), "False");
    CHECK_INT(at(s, "agents", "reporting"), 5);
    w.sum.outdated = 2;
    json_t *outdated = status_build(&w.in);
    CHECK_STR(status_condition(outdated, "Progressing"), "True");
    CHECK_STR(status_condition(outdated, "Ready"), "True");
    CHECK(status_differs_in_conditions(s, outdated));
    w.sum.ineffective = 2;
    json_t *bad = status_build(&w.in);
    CHECK_STR(status_condition(bad, "AllocatorEffective"), "False");
    w.daemonset.updated = 4; // one Pod is still of the old template
    json_t *rolling = status_build(&w.in);
    CHECK_STR(status_condition(rolling, "AllocatorEffective"), "Unknown");
    json_t *event = event_of_allocator(&w.fleet, rolling, s, 1);
    CHECK_STR(said(event, "type"), "Normal");
    json_decref(event);
    json_decref(rolling);
    json_decref(bad);
    w.daemonset.updated = 5;
    w.sum.ineffective = 0;
    w.sum.outdated = 0;
    w.sum.pairs = 7; // a number alone
    json_t *other = status_build(&w.in);
    CHECK(!json_equal(s, other) && !status_differs_in_conditions(s, other));
    w.in.reports = NULL;
    json_t *without = status_build(&w.in);
    CHECK(status_condition(without, "Reporting") == NULL && json_object_get(without, "agents") == NULL);
    CHECK(status_differs_in_conditions(without, s) && status_differs_in_conditions(s, without));
    json_decref(without);
    json_decref(other);
    json_decref(outdated);
    json_decref(s);
}

static void events_of_the_allocator(void)
{
    struct world w;
    setup(&w);
    json_t *good = status_build(&w.in);
    w.sum.ineffective = 5;
    json_t *bad = status_build(&w.in);
    json_t *event = event_of_allocator(&w.fleet, good, bad, 1);
    CHECK_STR(said(event, "type"), "Warning");
    CHECK_STR(said(event, "reason"), "SettingNotEffective");
    CHECK_CONTAINS(said(event, "note"), "narenas: wanted 1, is 8");
    json_decref(event);
    event = event_of_allocator(&w.fleet, bad, good, 1);
    CHECK_STR(said(event, "type"), "Normal");
    json_decref(event);
    CHECK(event_of_allocator(&w.fleet, bad, bad, 1) == NULL);
    CHECK(event_of_allocator(&w.fleet, NULL, good, 1) == NULL); // it was never otherwise
    json_decref(bad);
    json_decref(good);
}

static const struct check_case cases[] = {
    {"whether agents report", whether_agents_report},
    {"whether the allocator does as it is told", whether_the_allocator_does_as_it_is_told},
    {"numbers", numbers},
    {"loss in per cent", loss_in_per_cent},
    {"in the status", in_the_status},
    {"events of the allocator", events_of_the_allocator},
};
CHECK_MAIN(cases)
