// SPDX-License-Identifier: Apache-2.0
// In which state a node's agent is published: what its Pod says, and what its Node says.
#include "operator/members.h"

#include "test/unit/check.h"

static const char *changes; // of the last put

static void on_change(enum store_kind kind UNUSED, enum store_change change UNUSED,
                      const struct store_meta *meta UNUSED, void *arg UNUSED)
{
    changes = "changed";
}

// Single quotes stand for double ones.
static bool put(struct store *s, enum store_kind kind, const char *text)
{
    struct err e;
    json_error_t je;
    char copy[1024];
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *p = copy; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    json_t *j = json_loads(copy, 0, &je);
    changes = "";
    int r = j ? store_put(s, kind, j, &e) : -1;
    if (r < 0)
        printf("    %s: %s\n", copy, j ? e.msg : je.text);
    json_decref(j);
    return r == 0;
}

// Of a node with this metadata and spec ("" or ", 'key': ..."), and whether it is Ready.
static bool put_node(struct store *s, const char *meta, const char *spec, bool ready)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "{'metadata': {'name': 'n1', 'uid': 'u'%s}, 'spec': {'podCIDR': ''%s},"
             " 'status': {'conditions': [{'type': 'Ready', 'status': '%s'}]}}",
             meta, spec, ready ? "True" : "Unknown");
    return put(s, STORE_NODE, text);
}

static const char *state(const struct store *s)
{
    struct peers peers;
    struct err e;
    const char *name = "none";
    if (members_collect(s, "ns", "mesh", NULL, &peers, &e) < 0)
        return "none, for an error";
    if (peers.n == 1)
        name = peer_state_name(peers.list[0].state);
    peers_release(&peers);
    return name;
}

#define POD(meta, ready)                                                                                                                   \
    "{'metadata': {'namespace': 'ns', 'name': 'p', 'uid': 'p', 'labels': {'kubecanary.io/fleet': 'mesh', 'kubecanary.io/network': 'Pod'}," \
    " 'ownerReferences': [{'controller': true, 'uid': 'd'}]" meta "}, 'spec': {'nodeName': 'n1'},"                                         \
    " 'status': {'phase': 'Running', 'conditions': [{'type': 'Ready', 'status': '" ready "'}]}}"

static void states(void)
{
    struct store *s = store_new(on_change, NULL);
    CHECK(put(s, STORE_POD, POD("", "True")));
    CHECK_STR(state(s), "Ready"); // its Node is not known yet
    CHECK(put_node(s, "", "", true));
    CHECK_STR(state(s), "Ready");
    CHECK(put_node(s, "", "", false));
    CHECK_STR(state(s), "NotReady");
    CHECK(put_node(s, "", "", true));
    CHECK(put(s, STORE_POD, POD("", "False")));
    CHECK_STR(state(s), "Pending");
    CHECK(put(s, STORE_POD, POD(", 'deletionTimestamp': '2026-01-01T00:00:00Z'", "True")));
    CHECK_STR(state(s), "Leaving");
    store_free(s);
}

static void nodes_that_go(void)
{
    static const struct {
        const char *meta, *spec, *want;
    } cases[] = {
        {", 'deletionTimestamp': '2026-01-01T00:00:00Z'", "", "Leaving"},
        {"", ", 'unschedulable': true", "Ready"}, // kubectl cordon: the agent stays, and is probed
        {"", ", 'taints': [{'key': 'node.kubernetes.io/unschedulable', 'effect': 'NoSchedule'}]", "Ready"},
        {"",
         ", 'unschedulable': true, 'taints': [{'key': 'node.kubernetes.io/unschedulable', 'effect': 'NoSchedule'},"
         " {'key': 'ToBeDeletedByClusterAutoscaler', 'value': '1790000000', 'effect': 'NoSchedule'}]",
         "Leaving"},
        // Neither the autoscaler before 1.34 nor Karpenter cordons.
        {"",
         ", 'taints': [{'key': 'ToBeDeletedByClusterAutoscaler', 'value': '1790000000', 'effect': 'NoSchedule'}]",
         "Leaving"},
        {"", ", 'taints': [{'key': 'karpenter.sh/disrupted', 'effect': 'NoSchedule'}]", "Leaving"},
        {"",
         ", 'taints': [{'key': 'node.kubernetes.io/out-of-service', 'value': 'nodeshutdown', 'effect': 'NoExecute'}]",
         "Leaving"},
        // Perhaps it will go: soft taints, and another's.
        {"", ", 'taints': [{'key': 'DeletionCandidateOfClusterAutoscaler', 'effect': 'PreferNoSchedule'}]",
         "Ready"},
        {"", ", 'taints': [{'key': 'karpenter.sh/disrupted', 'effect': 'PreferNoSchedule'}]", "Ready"},
        {"", ", 'taints': [{'key': 'karpenter.sh/disrupted-not', 'effect': 'NoSchedule'}]", "Ready"},
        {"", ", 'taints': [7, {}, {'key': 7}, null]", "Ready"},
        {"", ", 'taints': 'ToBeDeletedByClusterAutoscaler'", "Ready"},
    };
    struct store *s = store_new(on_change, NULL);
    CHECK(put(s, STORE_POD, POD("", "True")));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK(put_node(s, "", "", true));
        CHECK(put_node(s, cases[i].meta, cases[i].spec, true));
        CHECK_STR(changes, strcmp(cases[i].want, "Ready") == 0 ? "" : "changed"); // the agents are to be told
        CHECK_STR(state(s), cases[i].want);
    }
    // One that goes and is not Ready any more goes: nobody misses an agent there.
    CHECK(put_node(s, "", cases[4].spec, false));
    CHECK_STR(state(s), "Leaving");
    // The autoscaler thought better of it.
    CHECK(put_node(s, "", "", true));
    CHECK_STR(changes, "changed");
    CHECK_STR(state(s), "Ready");
    store_free(s);
}

static const struct check_case cases[] = {
    {"states", states},
    {"nodes that go", nodes_that_go},
};
CHECK_MAIN(cases)
