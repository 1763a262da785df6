// SPDX-License-Identifier: Apache-2.0
// Allocation n fails in what the operator does with its agents' answers: reading a report, following Pods,
// summing up, a step of a rollout, the status that has it, the choice of canaries. A step fails with ENOMEM,
// or does all of its work; nobody who was known is forgotten, and nobody is replaced without need.
#include "test/unit/check.h"

#include <stdlib.h>

#include "lib/file.h"
#include "operator/report_table.h"
#include "operator/rollouts.h"
#include "operator/status.h"
#include "test/torture/steps.h"

#define AGENTS 20 // more than the table has room for at first
#define OLD "0123456789abcdef"

static const char report_file[] = "test/fuzz/corpus/report/whole";
static const char fleet_text[] =
    "mesh: {probes: [{name: icmp, type: ICMP}]}\n"
    "placement: {updateStrategy: {maxUnavailable: 50%}}\n"
    "agent: {allocator: {type: Jemalloc, narenas: 1, rollout: {canaryPercent: 50}}}\n";

static struct {
    char *report;
    size_t report_len;
    struct spec spec;
    struct store *store;
    struct store_fleet fleet; // the store's, with a status of ours
    json_t *status;           // as it shall be after the first step
} world;

static void changed(enum store_kind kind UNUSED, enum store_change change UNUSED,
                    const struct store_meta *meta UNUSED, void *arg UNUSED)
{
}

static bool put(enum store_kind kind, json_t *object)
{
    struct err e;
    int r = store_put(world.store, kind, object, &e);
    json_decref(object);
    if (r < 0)
        printf("    %s: %s\n", e.path, e.msg);
    return r == 0;
}

static bool put_agent(unsigned i)
{
    char name[16], node[16];
    snprintf(name, sizeof(name), "pod-%u", i);
    snprintf(node, sizeof(node), "n%u", i);
    return put(STORE_NODE,
               json_pack("{s:{s:s, s:s}, s:{s:[{s:s, s:s}]}}", "metadata", "name", node, "resourceVersion",
                         "1", "status", "conditions", "type", "Ready", "status", "True")) &&
           put(STORE_POD,
               json_pack("{s:{s:s, s:s, s:s, s:s, s:{s:s, s:s}, s:{s:s}, s:[{s:b, s:s}]}, s:{s:s}, "
                         "s:{s:s, s:[{s:s}], s:[{s:s, s:s}]}}",
                         "metadata", "namespace", "ns", "name", name, "uid", name, "resourceVersion", "1",
                         "labels", "kubecanary.io/fleet", "mesh", "kubecanary.io/network", "Pod",
                         "annotations", "kubecanary.io/allocator", OLD, "ownerReferences", "controller", 1,
                         "uid", "set-uid", "spec", "nodeName", node, "status", "phase", "Running", "podIPs",
                         "ip", "192.0.2.1", "conditions", "type", "Ready", "status", "True"));
}

static bool put_fleet(void)
{
    bool ok =
        put(STORE_FLEET,
            json_pack("{s:{s:s, s:s, s:s, s:s, s:i}, s:{}}", "metadata", "namespace", "ns", "name", "mesh",
                      "uid", "fleet-uid", "resourceVersion", "1", "generation", 2, "spec")) &&
        put(STORE_DAEMONSET,
            json_pack("{s:{s:s, s:s, s:s, s:s, s:i, s:{s:s, s:s}, s:[{s:b, s:s}]}, s:{s:i, s:i, s:i, s:i}}",
                      "metadata", "namespace", "ns", "name", "mesh-pod", "uid", "set-uid", "resourceVersion",
                      "1", "generation", 1, "labels", "kubecanary.io/fleet", "mesh", "kubecanary.io/network",
                      "Pod", "ownerReferences", "controller", 1, "uid", "fleet-uid", "status",
                      "observedGeneration", 1, "desiredNumberScheduled", AGENTS, "updatedNumberScheduled", 0,
                      "numberReady", AGENTS));
    for (unsigned i = 0; ok && i < AGENTS; i++)
        ok = put_agent(i);
    return ok;
}

static int read_spec(struct spec *ret, struct err *e)
{
    CLEANUP_DOC struct doc *d = NULL;
    int r = doc_parse(fleet_text, sizeof(fleet_text) - 1, &d, e);
    return r < 0 ? r : spec_parse(doc_root(d), ret, e);
}

// --- reports ---

static bool step_report(enum torture_mode mode, size_t n, bool *ret_hit)
{
    static const struct report_who who = {.fleet = "mesh", .node = "n1", .network = "Pod"};
    struct report report = {0};
    struct err e = {0};
    torture_begin(mode, n);
    int r = report_parse(world.report, world.report_len, &who, &report, &e);
    *ret_hit = torture_end();
    return r == 0 ? report.generation == 2 && report.cpus == 4 : is_no_memory(r, &e);
}

// Each says something of itself.
static bool answer_all(struct report_table *t)
{
    for (unsigned i = 0; i < AGENTS; i++) {
        const struct report report = {.generation = 2, .resident_bytes = 1000000 + i, .cpus = 2};
        struct report_agent *a = report_table_next(t);
        if (!a)
            return false;
        report_table_ask(t, a, NULL);
        report_table_answer(t, a, &report, NS_PER_S);
    }
    return true;
}

static int sum_up(const struct report_table *t, struct report_sum *sum, struct report_split *split,
                  struct err *e)
{
    int r = report_table_sum(t, "ns", "mesh", NS_PER_S, sum, e);
    return r < 0 ? r : report_table_split(t, "ns", "mesh", "", "other", split, e);
}

static bool is_whole(const struct report_sum *sum, const struct report_split *split)
{
    return sum->reporting == AGENTS && sum->memory[0].agents == AGENTS &&
           split->all.old[0].agents == AGENTS && split->told == 0;
}

static int follow(struct report_table *t, struct err *e)
{
    if (report_table_sync(t, world.store, NS_PER_S) < 0 ||
        report_table_configure(t, "ns", "mesh", &world.spec) < 0)
        return err_set(e, ENOMEM, "no memory");
    return 0;
}

static bool step_table(enum torture_mode mode, size_t n, bool *ret_hit)
{
    struct report_sum sum;
    struct report_split split;
    struct err e = {0};
    size_t known;
    struct report_table *t = report_table_new(NULL, NULL);
    torture_begin(mode, n);
    int r = follow(t, &e);
    *ret_hit = torture_end();
    bool ok = r == 0 ? !*ret_hit : is_no_memory(r, &e);
    // Whoever was taken in stays, the others come with the next try.
    const size_t had = report_table_count(t, &known);
    ok = ok && follow(t, &e) == 0 && had <= AGENTS && report_table_count(t, &known) == AGENTS &&
         answer_all(t) && sum_up(t, &sum, &split, &e) == 0 && is_whole(&sum, &split);
    report_table_free(t);
    return ok;
}

static bool step_sum(enum torture_mode mode, size_t n, bool *ret_hit)
{
    struct report_sum sum;
    struct report_split split;
    struct err e = {0};
    struct report_table *t = report_table_new(NULL, NULL);
    bool ok = follow(t, &e) == 0 && answer_all(t);
    torture_begin(mode, n);
    int r = sum_up(t, &sum, &split, &e);
    *ret_hit = torture_end();
    ok = ok && (r == 0 ? !*ret_hit && is_whole(&sum, &split) : is_no_memory(r, &e));
    report_table_free(t);
    return ok;
}

// --- rollouts ---

static struct rollouts_input input(const struct reconcile_marks *marks)
{
    return (struct rollouts_input){.store = world.store,
                                   .fleet = &world.fleet,
                                   .spec = &world.spec,
                                   .marks = marks,
                                   .now_s = 1767225600};
}

static json_t *status_of(const struct rollouts *r)
{
    static const struct status_problem none;
    static const struct trouble no_trouble;
    const struct agent_set set = {.network = SPEC_NETWORK_POD};
    const struct status_set sets[] = {{set, agent_sets_child(world.store, "ns", "mesh", &set)}};
    const struct status_input in = {.fleet = &world.fleet,
                                    .problem = &none,
                                    .trouble = &no_trouble,
                                    .n_sets = 1,
                                    .sets = sets,
                                    .spec = &world.spec,
                                    .settled = true,
                                    .rollouts = r,
                                    .now = "2026-01-01T00:00:00Z"};
    return status_build(&in);
}

static bool step_status(enum torture_mode mode, size_t n, bool *ret_hit)
{
    static const struct reconcile_marks marks;
    const struct rollouts_input in = input(&marks);
    struct rollouts all;
    struct err e = {0};
    json_t *status = NULL;
    torture_begin(mode, n);
    int r = rollouts_step(&in, &all, &e);
    if (r == 0)
        status = status_of(&all);
    *ret_hit = torture_end();
    // A status that lacks something would be written, and the next step go by it.
    bool ok = r < 0 ? is_no_memory(r, &e) : !status || json_equal(status, world.status);
    if (r == 0 && !status)
        ok = ok && *ret_hit;
    json_decref(status);
    return ok;
}

static bool step_replace(enum torture_mode mode, size_t n, bool *ret_hit)
{
    static const struct reconcile_marks marks;
    struct action_list actions = {0};
    struct rollouts all;
    struct err e = {0};
    world.fleet.status = world.status;
    const struct rollouts_input in = input(&marks);
    bool ok = rollouts_step(&in, &all, &e) == 0 && all.list[0].phase == ROLLOUT_CANARY;
    torture_begin(mode, n);
    bool lacking = true;
    int r = ok ? rollouts_replace(&in, &all, &actions, &lacking) : 0;
    *ret_hit = torture_end();
    world.fleet.status = NULL;
    ok = ok && (r == 0 ? !*ret_hit && actions.n == AGENTS / 2 : r == -ENOMEM && actions.n < AGENTS / 2);
    action_list_release(&actions);
    return ok;
}

static bool begin(void)
{
    static const struct reconcile_marks marks;
    struct rollouts all;
    struct err e;
    world.store = store_new(changed, NULL);
    if (file_read(report_file, LIMIT_REPORT, &world.report, &world.report_len, &e) < 0 ||
        read_spec(&world.spec, &e) < 0) {
        printf("%s: %s\n", e.path, e.msg);
        return false;
    }
    if (!put_fleet())
        return false;
    world.fleet = *store_fleet(world.store, "ns", "mesh");
    const struct rollouts_input in = input(&marks);
    if (rollouts_step(&in, &all, &e) < 0)
        return false;
    world.status = status_of(&all);
    return world.status != NULL;
}

static void end(void)
{
    json_decref(world.status);
    store_free(world.store);
    spec_release(&world.spec);
    free(world.report);
}

static void reports(void)
{
    CHECK(torture(step_report));
}

static void tables(void)
{
    CHECK(torture(step_table));
}

static void sums(void)
{
    CHECK(torture(step_sum));
}

static void statuses(void)
{
    CHECK(torture(step_status));
}

static void canaries(void)
{
    CHECK(torture(step_replace));
}

static const struct check_case cases[] = {{"reports", reports},
                                          {"following Pods", tables},
                                          {"sums", sums},
                                          {"the status of a rollout", statuses},
                                          {"canaries", canaries}};

int main(void)
{
    if (!begin())
        return 1;
    int status = check_all(cases, ARRAY_LEN(cases));
    end();
    return status;
}
