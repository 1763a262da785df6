// SPDX-License-Identifier: Apache-2.0
// Which DaemonSets a spec wants, which are there, and which a Pod is of.
#include "operator/agent_sets.h"

#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/doc.h"
#include "operator/tree.h"
#include "test/unit/check.h"

static void on_change(enum store_kind kind UNUSED, enum store_change change UNUSED,
                      const struct store_meta *meta UNUSED, void *arg UNUSED)
{
}

// "mesh-pod mesh-pod-large"
static const char *names(const struct agent_sets *sets)
{
    static struct buf text = {.max = 4096};
    buf_reset(&text);
    for (size_t i = 0; i < sets->n; i++) {
        char name[LIMIT_NAME + 1];
        buf_fmt(&text, "%s%s", i ? " " : "", agent_sets_name(&sets->list[i], "mesh", name));
    }
    return buf_text(&text);
}

static void check_wanted(const char *text, const char *want)
{
    CLEANUP_DOC struct doc *d = NULL;
    CLEANUP_SPEC struct spec spec = {0};
    struct agent_sets sets;
    struct err e;
    CHECK_INT(doc_parse(text, strlen(text), &d, &e), 0);
    CHECK_INT(spec_parse(doc_root(d), &spec, &e), 0);
    agent_sets_of(&spec, &sets);
    CHECK_STR(names(&sets), want);
    for (size_t i = 0; i < sets.n; i++) {
        size_t index = agent_sets_index(&sets.list[i], &spec.placement);
        CHECK_STR(index < spec.placement.n_overrides ? spec.placement.overrides[index].name : "",
                  sets.list[i].override);
    }
}

#define PROBES "probes: [{name: a, type: ICMP}]"
#define OVERRIDES                                                                                     \
    "placement: {overrides: [{name: large, nodeSelector: {size: large}, resources: {}}, {name: b-c, " \
    "nodeSelector: {b: c}, resources: {}}]}"

static void wanted(void)
{
    check_wanted("{mesh: {" PROBES "}}", "mesh-pod");
    check_wanted("{mesh: {networks: [Node, Pod], " PROBES "}}", "mesh-pod mesh-node");
    check_wanted("{mesh: {" PROBES "}, " OVERRIDES "}", "mesh-pod mesh-pod-large mesh-pod-b-c");
    check_wanted("{mesh: {networks: [Pod, Node], " PROBES "}, " OVERRIDES "}",
                 "mesh-pod mesh-pod-large mesh-pod-b-c mesh-node mesh-node-large mesh-node-b-c");
}

static bool put(struct store *s, const char *fleet, const char *name)
{
    struct err e;
    json_t *object = json_pack("{s:{s:s, s:s, s:s, s:{s:s}}}", "metadata", "namespace", "ns", "name", name,
                               "uid", name, "labels", "kubecanary.io/fleet", fleet);
    int r = object ? store_put(s, STORE_DAEMONSET, object, &e) : -1;
    json_decref(object);
    return r == 0;
}

// While the spec is bad: by name, of this fleet only.
static void live(void)
{
    struct store *s = store_new(on_change, NULL);
    struct agent_sets sets;
    CHECK(put(s, "mesh", "mesh-node") && put(s, "mesh", "mesh-pod-large") && put(s, "mesh", "mesh-pod"));
    CHECK(put(s, "mesh-pod", "mesh-pod-pod") && put(s, "mesh", "mesh-pods") && put(s, "mesh", "mesh-pod-"));
    CHECK(put(s, "mesh", "other-pod") && put(s, "mesh", "mesh-pod-a2345678901234567890x"));
    agent_sets_live(s, "ns", "mesh", &sets);
    CHECK_INT(sets.n, 3);
    CHECK_CONTAINS(names(&sets), "mesh-pod-large");
    CHECK(agent_sets_have(&sets, SPEC_NETWORK_POD) && agent_sets_have(&sets, SPEC_NETWORK_NODE));
    agent_sets_live(s, "other", "mesh", &sets);
    CHECK_INT(sets.n, 0);
    store_free(s);
}

static void of_pod(void)
{
    struct store_pod pod = {.network = "Node", .override = "large"};
    struct agent_set set;
    char name[LIMIT_NAME + 1];
    CHECK(agent_sets_of_pod(&pod, &set));
    CHECK_STR(agent_sets_name(&set, "mesh", name), "mesh-node-large");
    pod.override[0] = '\0';
    CHECK(agent_sets_of_pod(&pod, &set));
    CHECK_STR(agent_sets_name(&set, "mesh", name), "mesh-node");
    memcpy(pod.network, "Moon", 5);
    CHECK(!agent_sets_of_pod(&pod, &set));
}

static const struct check_case cases[] = {{"wanted", wanted}, {"live", live}, {"of a Pod", of_pod}};
CHECK_MAIN(cases)
