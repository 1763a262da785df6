// SPDX-License-Identifier: Apache-2.0
// Status: which condition says what in each situation, that transition times change only with the status, and
// that equal input gives equal output.
#include "operator/status.h"
#include "test/unit/check.h"

struct world {
    struct store_fleet fleet;
    struct status_problem problem;
    struct trouble trouble;
    struct store_child daemonset;
    struct status_set sets[AGENT_SETS_MAX];
    struct spec spec;
    struct spec_load load;
    struct status_input in;
};

static void setup(struct world *w)
{
    *w = (struct world){0};
    w->fleet.meta.generation = 3;
    w->daemonset =
        (struct store_child){.desired = 3, .created = 3, .ready = 3, .updated = 3, .observed_generation = 7};
    w->daemonset.meta.generation = 7;
    w->load = (struct spec_load){.pairs = 32, .probes_per_ks = 8000, .packets_per_ks = 10000, .series = 400};
    w->sets[0] = (struct status_set){{SPEC_NETWORK_POD, ""}, &w->daemonset};
    w->in = (struct status_input){.fleet = &w->fleet,
                                  .problem = &w->problem,
                                  .trouble = &w->trouble,
                                  .n_sets = 1,
                                  .sets = w->sets,
                                  .spec = &w->spec,
                                  .load = &w->load,
                                  .load_nodes = 4,
                                  .settled = true,
                                  .now = "2026-01-01T00:00:00Z"};
}

static const json_t *condition(const json_t *status, const char *type)
{
    size_t i;
    const json_t *at;
    json_array_foreach(json_object_get(status, "conditions"), i, at)
    {
        if (strcmp(json_string_value(json_object_get(at, "type")), type) == 0)
            return at;
    }
    return NULL;
}

static const char *text(const json_t *status, const char *type, const char *key)
{
    return json_string_value(json_object_get(condition(status, type), key));
}

static void all_is_well(void)
{
    struct world w;
    setup(&w);
    json_t *s = status_build(&w.in);
    CHECK_STR(status_condition(s, "Ready"), "True");
    CHECK_STR(status_condition(s, "Progressing"), "False");
    CHECK_STR(status_condition(s, "Degraded"), "False");
    CHECK_INT(json_integer_value(json_object_get(s, "observedGeneration")), 3);
    CHECK_INT(json_integer_value(json_object_get(s, "pairs")), 24);
    CHECK_INT(json_integer_value(json_object_get(s, "probesPerSecond")), 6);
    CHECK_INT(json_integer_value(json_object_get(s, "packetsPerSecond")), 7);
    CHECK_INT(json_integer_value(json_object_get(json_object_get(s, "nodes"), "ready")), 3);
    CHECK(status_condition(s, "Absent") == NULL);
    json_decref(s);
}

static void bad_spec_names_the_field(void)
{
    struct world w;
    setup(&w);
    w.problem = (struct status_problem){"InvalidSpec",
                                        "spec.targets[1].address: the same as spec.targets[0].address"};
    w.in.spec = NULL;
    w.in.load = NULL;
    json_t *s = status_build(&w.in);
    CHECK_STR(status_condition(s, "Degraded"), "True");
    CHECK_STR(text(s, "Degraded", "reason"), "InvalidSpec");
    CHECK_CONTAINS(text(s, "Degraded", "message"), "spec.targets[1].address");
    CHECK_STR(status_condition(s, "Ready"), "False");
    CHECK_STR(status_condition(s, "Progressing"), "False");
    CHECK_INT(json_integer_value(json_object_get(json_object_get(s, "nodes"), "ready")),
              3); // the last good ones run on
    json_decref(s);
}

static void image_that_cannot_be_pulled(void)
{
    struct world w;
    setup(&w);
    w.daemonset.ready = 2;
    w.trouble = (struct trouble){
        .pods = 1, .cause = TROUBLE_IMAGE, .reason = "ErrImagePull", .message = "not found", .node = "n2"};
    memcpy(w.spec.agent.image, "nowhere/x:1", sizeof("nowhere/x:1"));
    json_t *s = status_build(&w.in);
    CHECK_STR(text(s, "Degraded", "reason"), "ImagePullFailed");
    CHECK_STR(text(s, "Degraded", "message"), "spec.agent.image: ErrImagePull on node n2: not found");
    CHECK_STR(status_condition(s, "Ready"), "False");
    CHECK_STR(status_condition(s, "Progressing"), "True");
    json_decref(s);
}

static void agents_that_find_no_place(void)
{
    struct world w;
    setup(&w);
    w.trouble = (struct trouble){.pods = 1,
                                 .cause = TROUBLE_PLACE,
                                 .reason = "Unschedulable",
                                 .network = "Node",
                                 .message = "1 node(s) didn't have free ports for the requested pod ports"};
    json_t *s = status_build(&w.in);
    CHECK_STR(text(s, "Degraded", "reason"), "AgentsNotScheduled");
    CHECK_STR(
        text(s, "Degraded", "message"),
        "spec.placement: Unschedulable, network Node: 1 node(s) didn't have free ports for the requested pod ports");
    json_decref(s);
    w.trouble = (struct trouble){.pods = 1,
                                 .cause = TROUBLE_CRASH,
                                 .reason = "CrashLoopBackOff",
                                 .network = "Node",
                                 .node = "n1",
                                 .message = "the agent cannot run: port 9961 is taken"};
    s = status_build(&w.in);
    CHECK_STR(text(s, "Degraded", "reason"), "AgentsCrashing");
    CHECK_STR(
        text(s, "Degraded", "message"),
        "spec.agent: CrashLoopBackOff on node n1, network Node: the agent cannot run: port 9961 is taken");
    json_decref(s);
}

static void rollouts(void)
{
    static const struct {
        int desired, ready, updated;
        int64_t observed;
        bool settled, there;
        const char *ready_status, *progressing;
    } cases[] = {
        {3, 3, 3, 7, true, true, "True", "False"},
        {3, 2, 3, 7, true, true, "False", "True"},
        {3, 3, 1, 7, true, true, "False", "True"},
        {3, 3, 3, 6, true, true, "False", "True"}, // not observed yet
        {3, 3, 3, 7, false, true, "False", "True"},
        {3, 3, 3, 7, true, false, "False", "True"},
        {0, 0, 0, 7, true, true, "False", "False"}, // no node matches
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world w;
        setup(&w);
        w.daemonset.desired = cases[i].desired;
        w.daemonset.ready = cases[i].ready;
        w.daemonset.updated = cases[i].updated;
        w.daemonset.observed_generation = cases[i].observed;
        w.in.settled = cases[i].settled;
        w.sets[0].daemonset = cases[i].there ? &w.daemonset : NULL;
        json_t *s = status_build(&w.in);
        CHECK_STR(status_condition(s, "Ready"), cases[i].ready_status);
        CHECK_STR(status_condition(s, "Progressing"), cases[i].progressing);
        json_decref(s);
    }
}

// Two DaemonSets: each must be rolled out; a node is ready when both its agents are.
static void two_sets(void)
{
    struct world w;
    setup(&w);
    memcpy(w.fleet.meta.name, "mesh", sizeof("mesh"));
    struct store_child node = w.daemonset;
    w.in.n_sets = 2;
    w.sets[1] = (struct status_set){{SPEC_NETWORK_NODE, ""}, &node};
    w.in.ready_nodes = 1; // what the Pods say is a moment behind
    json_t *s = status_build(&w.in);
    CHECK_STR(status_condition(s, "Ready"), "True");
    CHECK_INT(json_integer_value(json_object_get(json_object_get(s, "nodes"), "desired")), 3);
    CHECK_INT(json_integer_value(json_object_get(json_object_get(s, "nodes"), "ready")), 3);
    CHECK_INT(json_integer_value(json_object_get(s, "pairs")), 24);
    json_decref(s);
    w.daemonset.ready = node.ready = 2; // not on the same node
    s = status_build(&w.in);
    CHECK_INT(json_integer_value(json_object_get(json_object_get(s, "nodes"), "ready")), 1);
    CHECK_STR(status_condition(s, "Ready"), "False");
    CHECK_CONTAINS(text(s, "Ready", "message"), "DaemonSet mesh-pod: not every agent");
    CHECK_CONTAINS(text(s, "Ready", "message"), "; DaemonSet mesh-node: not every agent");
    CHECK_CONTAINS(text(s, "Ready", "message"), "ping_group_range of the host)");
    json_decref(s);
    w.daemonset.ready = 3;
    node.ready = node.created = node.updated = 0; // refused by the namespace's Pod Security level
    s = status_build(&w.in);
    CHECK_INT(json_integer_value(json_object_get(json_object_get(s, "nodes"), "ready")), 0);
    CHECK_STR(status_condition(s, "Progressing"), "True");
    CHECK(strncmp(text(s, "Ready", "message"), "DaemonSet mesh-node: none of its pods is there", 46) == 0);
    CHECK_CONTAINS(text(s, "Ready", "message"), "privileged");
    json_decref(s);
    w.sets[1].daemonset = NULL;
    s = status_build(&w.in);
    CHECK_STR(status_condition(s, "Ready"), "False");
    CHECK_INT(json_integer_value(json_object_get(json_object_get(s, "nodes"), "desired")), 3);
    json_decref(s);
}

static void transition_time_follows_the_status_only(void)
{
    struct world w;
    setup(&w);
    json_t *first = status_build(&w.in);
    w.fleet.status = first;
    w.in.now = "2026-02-02T00:00:00Z";
    json_t *same = status_build(&w.in);
    CHECK(json_equal(first, same));
    CHECK(!status_differs_in_conditions(first, same));
    w.daemonset.ready = 2;
    json_t *other = status_build(&w.in);
    CHECK_STR(text(other, "Ready", "lastTransitionTime"), "2026-02-02T00:00:00Z");
    CHECK_STR(text(other, "Degraded", "lastTransitionTime"), "2026-01-01T00:00:00Z");
    CHECK(status_differs_in_conditions(first, other));
    w.daemonset.ready = 3;
    w.load.pairs = 9;
    json_t *numbers = status_build(&w.in);
    CHECK(!json_equal(first, numbers) && !status_differs_in_conditions(first, numbers));
    CHECK(status_differs_in_conditions(first, NULL));
    json_decref(numbers);
    json_decref(other);
    json_decref(same);
    json_decref(first);
}

// Sets of one network share no node: their numbers add up. An override that takes no node is no trouble.
static void overrides(void)
{
    struct world w;
    setup(&w);
    struct store_child large = w.daemonset, none = w.daemonset;
    large.desired = large.created = large.updated = large.ready = 2;
    none.desired = none.created = none.updated = none.ready = 0;
    w.sets[1] = (struct status_set){{SPEC_NETWORK_POD, "large"}, &large};
    w.sets[2] = (struct status_set){{SPEC_NETWORK_POD, "none"}, &none};
    w.in.n_sets = 3;
    json_t *s = status_build(&w.in);
    CHECK_INT(json_integer_value(json_object_get(json_object_get(s, "nodes"), "desired")), 5);
    CHECK_INT(json_integer_value(json_object_get(json_object_get(s, "nodes"), "ready")), 5);
    CHECK_STR(status_condition(s, "Ready"), "True");
    json_decref(s);
    large.ready = 1;
    s = status_build(&w.in);
    CHECK_INT(json_integer_value(json_object_get(json_object_get(s, "nodes"), "ready")), 4);
    CHECK_STR(status_condition(s, "Ready"), "False");
    CHECK_CONTAINS(text(s, "Ready", "message"), "-pod-large: not every agent");
    json_decref(s);
}

static const struct check_case cases[] = {
    {"all is well", all_is_well},
    {"a bad spec names the field", bad_spec_names_the_field},
    {"an image that cannot be pulled", image_that_cannot_be_pulled},
    {"agents that find no place", agents_that_find_no_place},
    {"rollouts", rollouts},
    {"two sets", two_sets},
    {"overrides", overrides},
    {"the transition time follows the status only", transition_time_follows_the_status_only},
};
CHECK_MAIN(cases)
