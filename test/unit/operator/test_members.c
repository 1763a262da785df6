// SPDX-License-Identifier: Apache-2.0
// In which state a node's agent is published: what its Pod says, and what its Node says.
#include "operator/members.h"
#include "operator/trouble.h"

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
    const struct agent_sets sets = {1, {{SPEC_NETWORK_POD, ""}}};
    if (members_collect(s, "ns", "mesh", &sets, NULL, &peers, &e) < 0)
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

static bool put_agent(struct store *s, const char *network, const char *name, const char *meta,
                      const char *ready)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "{'metadata': {'namespace': 'ns', 'name': '%s', 'uid': '%s',"
             " 'labels': {'kubecanary.io/fleet': 'mesh', 'kubecanary.io/network': '%s'},"
             " 'ownerReferences': [{'controller': true, 'uid': '%s'}]%s}, 'spec': {'nodeName': 'n1'},"
             " 'status': {'phase': 'Running', 'podIPs': [{'ip': '%s'}],"
             " 'conditions': [{'type': 'Ready', 'status': '%s'}]}}",
             name, name, network, network, meta, strcmp(network, "Pod") == 0 ? "10.0.0.1" : "192.0.2.1",
             ready);
    return put(s, STORE_POD, text);
}

// The lines of peers-00.yaml for these sets.
static const char *lines(const struct store *s, const struct agent_sets *sets,
                         const struct members_known *known)
{
    static struct buf text = {.max = 4096};
    struct peers peers;
    struct err e;
    buf_reset(&text);
    if (members_collect(s, "ns", "mesh", sets, known, &peers, &e) < 0)
        return "an error";
    peers_render(&peers, 0, 1, &text);
    peers_release(&peers);
    const char *list = strstr(buf_text(&text), "peers:");
    return list ? list : buf_text(&text);
}

static const struct agent_sets pod_alone = {1, {{SPEC_NETWORK_POD, ""}}},
                               node_alone = {1, {{SPEC_NETWORK_NODE, ""}}},
                               both = {2, {{SPEC_NETWORK_POD, ""}, {SPEC_NETWORK_NODE, ""}}};

#define NODE(state) "peers:\n- {node: n1, host: [192.0.2.1], " state "}\n"
#define POD_NODE(state) "peers:\n- {node: n1, pod: [10.0.0.1], host: [192.0.2.1], " state "}\n"

static void two_agents_a_node(void)
{
    struct store *s = store_new(on_change, NULL);
    CHECK_STR(lines(s, &both, NULL), "peers: []\n");
    CHECK(put_agent(s, "Node", "n", "", "True"));
    CHECK_STR(lines(s, &pod_alone, NULL), "peers: []\n"); // what is left of a network that was given up
    CHECK_STR(lines(s, &node_alone, NULL), NODE("state: Ready"));
    CHECK_STR(lines(s, &both, NULL), NODE("state: Pending, hostState: Ready")); // the other one is to come
    CHECK(put_agent(s, "Pod", "p", "", "True"));
    CHECK_STR(lines(s, &both, NULL), POD_NODE("state: Ready"));
    CHECK_STR(lines(s, &pod_alone, NULL), "peers:\n- {node: n1, pod: [10.0.0.1], state: Ready}\n");
    CHECK(put_agent(s, "Pod", "p", ", 'deletionTimestamp': '2026-01-01T00:00:00Z'", "True"));
    CHECK_STR(lines(s, &both, NULL), POD_NODE("state: Leaving, hostState: Ready"));
    CHECK_STR(lines(s, &node_alone, NULL), NODE("state: Ready"));
    CHECK(put_agent(s, "Pod", "p2", "", "False")); // its successor, while it is still there
    CHECK_STR(lines(s, &both, NULL), POD_NODE("state: Pending, hostState: Ready"));
    CHECK(put_agent(s, "Pod", "p2", "", "True"));
    CHECK(put_agent(s, "Node", "n", "", "False"));
    CHECK_STR(lines(s, &both, NULL), POD_NODE("state: Ready, hostState: Pending"));
    store_delete(s, STORE_POD, "ns", "n");
    CHECK(put_node(s, "", "", false)); // a Node says so of both
    CHECK_STR(lines(s, &both, NULL), "peers:\n- {node: n1, pod: [10.0.0.1], state: NotReady}\n");
    store_free(s);
}

// An address that agents refuse would keep them from reading all that is new; what the API says of one node
// is left out.
static void addresses_of_no_peer(void)
{
    struct store *s = store_new(on_change, NULL);
    CHECK(put_agent(s, "Pod", "p", "", "True"));
    CHECK(put(
        s, STORE_NODE,
        "{'metadata': {'name': 'n1', 'uid': 'u'}, 'status': {'conditions': [{'type': 'Ready', 'status': 'True'}],"
        " 'addresses': [{'type': 'InternalIP', 'address': '127.0.0.1'},"
        " {'type': 'InternalIP', 'address': 'fe80::1'}]}}"));
    CHECK_STR(lines(s, &pod_alone, NULL), "peers:\n- {node: n1, pod: [10.0.0.1], state: Ready}\n");
    CHECK(put(s, STORE_POD,
              "{'metadata': {'namespace': 'ns', 'name': 'p', 'uid': 'p',"
              " 'labels': {'kubecanary.io/fleet': 'mesh', 'kubecanary.io/network': 'Pod'},"
              " 'ownerReferences': [{'controller': true, 'uid': 'Pod'}]}, 'spec': {'nodeName': 'n1'},"
              " 'status': {'phase': 'Running', 'podIPs': [{'ip': '0.0.0.0'}, {'ip': 'fd00::1'}],"
              " 'conditions': [{'type': 'Ready', 'status': 'True'}]}}"));
    CHECK_STR(lines(s, &pod_alone, NULL), "peers:\n- {node: n1, pod: [\"fd00::1\"], state: Ready}\n");
    store_free(s);
}

static void nodes_that_are_ready(void)
{
    struct store *s = store_new(on_change, NULL);
    CHECK(put_agent(s, "Pod", "p", "", "True"));
    CHECK_INT(members_ready_nodes(s, "ns", "mesh", &pod_alone), 1);
    CHECK_INT(members_ready_nodes(s, "ns", "mesh", &both), 0);
    CHECK(put_agent(s, "Node", "n", "", "False"));
    CHECK_INT(members_ready_nodes(s, "ns", "mesh", &both), 0);
    CHECK(put_agent(s, "Node", "n", "", "True"));
    CHECK_INT(members_ready_nodes(s, "ns", "mesh", &both), 1);
    CHECK_INT(members_ready_nodes(s, "ns", "other", &both), 0);
    store_free(s);
}

// Past the budget: a node is known by either of its agents.
static void known_by_one_of_two(void)
{
    struct store *s = store_new(on_change, NULL);
    const struct members_known nobody = {0};
    CHECK(put_agent(s, "Pod", "p", "", "True") && put_agent(s, "Node", "n", "", "True"));
    CHECK_STR(lines(s, &both, &nobody), POD_NODE("state: Pending"));
    CHECK(put_agent(s, "Node", "n", ", 'annotations': {'kubecanary.io/published': 'a'}", "True"));
    CHECK_STR(lines(s, &both, &nobody), POD_NODE("state: Ready"));
    store_free(s);
}

// Another fleet's agent has the host's ports: the Pod is on no node, and no peer, but its trouble is told.
static void no_place_on_the_node(void)
{
    struct store *s = store_new(on_change, NULL);
    struct trouble t;
    CHECK(put(
        s, STORE_POD,
        "{'metadata': {'namespace': 'ns', 'name': 'n', 'uid': 'n', 'labels': {'kubecanary.io/fleet': 'mesh',"
        " 'kubecanary.io/network': 'Node'}, 'ownerReferences': [{'controller': true, 'uid': 'd'}]}, 'spec': {},"
        " 'status': {'phase': 'Pending', 'conditions': [{'type': 'PodScheduled', 'status': 'False',"
        " 'reason': 'Unschedulable', 'message': 'no free ports'}]}}"));
    trouble_find(s, "ns", "other", &t);
    CHECK_INT(t.pods, 0);
    trouble_find(s, "ns", "mesh", &t);
    CHECK_INT(t.pods, 1);
    CHECK_INT(t.cause, TROUBLE_PLACE);
    CHECK_STR(t.message, "no free ports");
    CHECK_STR(t.network, "Node");
    CHECK_STR(t.node, "");
    CHECK_STR(lines(s, &both, NULL), "peers: []\n");
    store_free(s);
}

// Of another network, or none: the fleet's label alone makes no agent.
static void strangers(void)
{
    struct store *s = store_new(on_change, NULL);
    CHECK(put_agent(s, "Moon", "m", "", "True") && put_agent(s, "", "o", "", "True"));
    CHECK_STR(lines(s, &both, NULL), "peers: []\n");
    CHECK(put(s, STORE_DAEMONSET, "{'metadata': {'namespace': 'ns', 'name': 'mesh-node', 'uid': 'set'}}"));
    CHECK(put_agent(s, "Node", "n", "", "True")); // of another DaemonSet
    CHECK(put_agent(s, "Pod", "p", "", "True"));
    CHECK_STR(lines(s, &both, NULL),
              "peers:\n- {node: n1, pod: [10.0.0.1], state: Ready, hostState: Pending}\n");
    store_free(s);
}

#define OF_OVERRIDE(name, meta, ready)                                                                      \
    "{'metadata': {'namespace': 'ns', 'name': '" name "', 'uid': '" name                                    \
    "', 'labels': {'kubecanary.io/fleet': "                                                                 \
    "'mesh', 'kubecanary.io/network': 'Pod', 'kubecanary.io/override': 'large'}, 'ownerReferences': "       \
    "[{'controller': true, 'uid': 'set-large'}]" meta "}, 'spec': {'nodeName': 'n1'}, 'status': {'phase': " \
    "'Running', 'podIPs': [{'ip': '10.0.0.1'}], 'conditions': [{'type': 'Ready', 'status': '" ready "'}]}}"

// An override's Pod is an agent like any other, of its own DaemonSet; a node that changes hands has two.
static void overrides(void)
{
    struct store *s = store_new(on_change, NULL);
    CHECK(put(s, STORE_DAEMONSET, "{'metadata': {'namespace': 'ns', 'name': 'mesh-pod', 'uid': 'set'}}"));
    CHECK(put(s, STORE_POD, OF_OVERRIDE("p", "", "True")));
    CHECK_STR(lines(s, &pod_alone, NULL), "peers:\n- {node: n1, pod: [10.0.0.1], state: Ready}\n");
    CHECK_INT(members_ready_nodes(s, "ns", "mesh", &pod_alone), 1);
    CHECK(put(s, STORE_DAEMONSET, "{'metadata': {'namespace': 'ns', 'name': 'mesh-pod-large', 'uid': 'x'}}"));
    CHECK_STR(lines(s, &pod_alone, NULL), "peers: []\n"); // of another DaemonSet of that name
    CHECK(put(s, STORE_DAEMONSET,
              "{'metadata': {'namespace': 'ns', 'name': 'mesh-pod-large', 'uid': 'set-large'}}"));
    CHECK(put(s, STORE_POD, OF_OVERRIDE("p", ", 'deletionTimestamp': '2026-01-01T00:00:00Z'", "True")));
    CHECK_STR(lines(s, &pod_alone, NULL), "peers:\n- {node: n1, pod: [10.0.0.1], state: Leaving}\n");
    CHECK(put(s, STORE_POD, OF_OVERRIDE("p2", "", "True")));
    CHECK_STR(lines(s, &pod_alone, NULL), "peers:\n- {node: n1, pod: [10.0.0.1], state: Ready}\n");
    store_free(s);
}

static const struct check_case cases[] = {
    {"overrides", overrides},
    {"states", states},
    {"nodes that go", nodes_that_go},
    {"two agents a node", two_agents_a_node},
    {"addresses of no peer", addresses_of_no_peer},
    {"known by one of two", known_by_one_of_two},
    {"nodes that are ready", nodes_that_are_ready},
    {"no place on the node", no_place_on_the_node},
    {"strangers", strangers},
};
CHECK_MAIN(cases)
