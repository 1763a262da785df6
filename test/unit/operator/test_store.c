// SPDX-License-Identifier: Apache-2.0
// The store and its projections: what is kept of each kind, what counts as a change, relists with holes in
// them, bad objects.
#include "operator/store.h"

#include <errno.h>

#include "operator/project.h"
#include "test/unit/check.h"

static char changes[4096]; // "put Pod ns/a; deleted Node b; "

static void on_change(enum store_kind kind, enum store_change change, const struct store_meta *meta,
                      void *arg UNUSED)
{
    static const char *const words[] = {"put", "deleted", "api"};
    size_t len = strlen(changes);
    snprintf(changes + len, sizeof(changes) - len, "%s %s %s/%s; ", words[change], store_kinds[kind].kind,
             meta->namespace, meta->name);
}

static const char *taken(void)
{
    static char out[sizeof(changes)];
    memcpy(out, changes, sizeof(out));
    changes[0] = '\0';
    return out;
}

static struct store *fresh(void)
{
    changes[0] = '\0';
    return store_new(on_change, NULL);
}

// Single quotes stand for double ones.
static json_t *parse(const char *text)
{
    json_error_t je;
    char *copy = strdup(text);
    for (char *p = copy; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    json_t *j = json_loads(copy, 0, &je);
    if (!j)
        printf("    %s: %s\n", copy, je.text);
    free(copy);
    return j;
}

static int put(struct store *s, enum store_kind kind, const char *text, struct err *e)
{
    json_t *j = parse(text);
    int r = store_put(s, kind, j, e);
    json_decref(j);
    return r;
}

#define PUT(s, kind, text)                                         \
    do {                                                           \
        struct err e_ = {0};                                       \
        CHECK_STR(put(s, kind, text, &e_) == 0 ? "" : e_.msg, ""); \
    } while (0)

static void node_fields(void)
{
    struct store *s = fresh();
    PUT(s, STORE_NODE,
        "{'metadata': {'name': 'n1', 'uid': 'u', 'resourceVersion': '7', 'labels': {'b': '', 'a': '1',"
        " 'topology.kubernetes.io/zone': 'z1'}}, 'status': {'addresses': [{'type': 'Hostname', 'address': 'n1'},"
        " {'type': 'ExternalIP', 'address': '203.0.113.1'}, {'type': 'InternalIP', 'address': '192.0.2.1'},"
        " {'type': 'InternalIP', 'address': '2001:db8::1'}, {'type': 'InternalIP', 'address': '192.0.2.2'}],"
        " 'conditions': [{'type': 'MemoryPressure', 'status': 'False'}, {'type': 'Ready', 'status': 'True'}]}}");
    const struct store_node *n = store_node(s, "n1");
    char text[ADDR_TEXT_MAX];
    CHECK(n != NULL);
    CHECK_STR(n->zone, "z1");
    CHECK_STR(addr_text(&n->host[FAMILY_IPV4], text), "192.0.2.1");
    CHECK_STR(addr_text(&n->host[FAMILY_IPV6], text), "2001:db8::1");
    CHECK(n->ready);
    CHECK_STR(store_node_label(n, "a"), "1");
    CHECK_STR(store_node_label(n, "b"), "");
    CHECK(store_node_label(n, "c") == NULL);
    CHECK(store_node_label(n, "topology") == NULL);
    CHECK_STR(taken(), "put Node /n1; ");
    store_free(s);
}

#define POD(rv, ready, published)                                                                        \
    "{'metadata': {'namespace': 'k', 'name': 'p1', 'uid': 'u1', 'resourceVersion': '" rv "',"            \
    " 'labels': {'kubecanary.io/fleet': 'mesh', 'kubecanary.io/network': 'Pod'},"                        \
    " 'annotations': {'kubecanary.io/published': '" published "'},"                                      \
    " 'ownerReferences': [{'uid': 'other'}, {'uid': 'own', 'controller': true}]},"                       \
    " 'spec': {'nodeName': 'n1'}, 'status': {'phase': 'Running', 'podIPs': [{'ip': '10.0.0.1'}, {'ip': " \
    "'fd00::1'}], 'conditions': [{'type': 'Ready', 'status': '" ready "'}]}}"

static int first_pod(const void *object, void *arg)
{
    const struct store_pod **ret = arg;
    *ret = object;
    return 1;
}

static void pod_fields_and_changes(void)
{
    struct store *s = fresh();
    const struct store_pod *p = NULL;
    char text[ADDR_TEXT_MAX];
    PUT(s, STORE_POD, POD("1", "True", "x"));
    CHECK_INT(store_each(s, STORE_POD, first_pod, &p), 1);
    CHECK_STR(p->meta.fleet, "mesh");
    CHECK_STR(p->meta.owner_uid, "own");
    CHECK_STR(p->network, "Pod");
    CHECK_STR(p->node, "n1");
    CHECK_STR(p->published, "x");
    CHECK_STR(addr_text(&p->ip[FAMILY_IPV6], text), "fd00::1");
    CHECK(p->ready && p->running && !p->meta.deleting);
    CHECK_STR(taken(), "put Pod k/p1; ");
    PUT(s, STORE_POD, POD("2", "True", "x")); // a new version, and nothing that is kept
    CHECK_STR(taken(), "");
    CHECK_INT(store_each(s, STORE_POD, first_pod, &p), 1);
    CHECK_STR(p->meta.resource_version, "2");
    PUT(s, STORE_POD, POD("3", "False", "x"));
    CHECK_STR(taken(), "put Pod k/p1; ");
    PUT(s, STORE_POD, POD("4", "False", "y"));
    CHECK_STR(taken(), "put Pod k/p1; ");
    store_delete(s, STORE_POD, "k", "unknown");
    CHECK_STR(taken(), "");
    store_delete(s, STORE_POD, "k", "p1");
    CHECK_STR(taken(), "deleted Pod k/p1; ");
    CHECK_INT(store_count(s, STORE_POD), 0);
    store_free(s);
}

static void pod_waiting(void)
{
    struct store *s = fresh();
    const struct store_pod *p = NULL;
    char text[2048], message[600] = "";
    memset(message, 'm', 255);
    memcpy(message + 255, "\xc3\xa9 more", sizeof("\xc3\xa9 more"));
    snprintf(
        text, sizeof(text),
        "{'metadata': {'namespace': 'k', 'name': 'p1'}, 'status': {'phase': 'Pending', 'containerStatuses': ["
        "{'state': {'waiting': {'reason': 'ContainerCreating'}}},"
        "{'state': {'waiting': {'reason': 'ErrImagePull', 'message': '%s'}}}]}}",
        message);
    PUT(s, STORE_POD, text);
    CHECK_INT(store_each(s, STORE_POD, first_pod, &p), 1);
    CHECK_STR(p->waiting_reason, "ErrImagePull");
    CHECK_INT(strlen(p->waiting_message), 255); // cut before the two bytes of the letter
    CHECK(!p->running && !p->ready);
    store_free(s);
}

// The message of a Pod with this status.
static const char *waits_for(struct store *s, const char *node, const char *status)
{
    const struct store_pod *p = NULL;
    char text[1024];
    snprintf(text, sizeof(text),
             "{'metadata': {'namespace': 'k', 'name': 'p1'}, 'spec': {'nodeName': '%s'}, 'status': {%s}}",
             node, status);
    struct err e;
    if (put(s, STORE_POD, text, &e) < 0 || store_each(s, STORE_POD, first_pod, &p) != 1)
        return "no Pod";
    return p->waiting_message;
}

#define CRASHED(message)                                                                                      \
    "'containerStatuses': [{'state': {'waiting': {'reason': 'CrashLoopBackOff', 'message': 'back-off 10s'}}," \
    " 'lastState': {'terminated': {'exitCode': 1, 'message': '" message "'}}}]"
#define REFUSED \
    "{'type': 'PodScheduled', 'status': 'False', 'reason': 'Unschedulable', 'message': 'no ports'}"

// Why an agent crashed, and why a Pod is nowhere.
static void pod_waiting_for_what(void)
{
    struct store *s = fresh();
    CHECK_STR(waits_for(s, "n1", CRASHED("")), "back-off 10s");
    CHECK_STR(waits_for(s, "n1", CRASHED("\\n\\n")), "back-off 10s");
    CHECK_STR(waits_for(s, "n1", CRASHED("first\\nexec format error\\n")), "exec format error");
    CHECK_STR(
        waits_for(
            s, "n1",
            CRASHED("{\\'time\\': \\'1\\', \\'msg\\': \\'cannot run\\', \\'error\\': \\'port taken\\'}\\n")),
        "cannot run: port taken");
    CHECK_STR(waits_for(s, "n1", CRASHED("{\\'msg\\': \\'left\\'}")), "left");
    CHECK_STR(waits_for(s, "n1", CRASHED("{\\'msg\\': 7}")), "{\"msg\": 7}");
    CHECK_STR(
        waits_for(s, "", "'conditions': [{'type': 'Ready', 'status': 'False', 'message': 'x'}, " REFUSED "]"),
        "no ports");
    CHECK_STR(waits_for(s, "n1", "'conditions': [" REFUSED "]"), ""); // it has found one since
    store_free(s);
}

// Whether the agent of a Pod with this status was killed for its memory.
static bool was_killed(struct store *s, const char *status)
{
    const struct store_pod *p = NULL;
    return *waits_for(s, "n1", status) == '\0' && store_each(s, STORE_POD, first_pod, &p) == 1 && p->killed;
}

static void pod_killed_for_its_memory(void)
{
    struct store *s = fresh();
    CHECK(!was_killed(s, "'containerStatuses': [{'state': {'running': {}}}]"));
    CHECK(!was_killed(s, "'containerStatuses': [{'lastState': {'terminated': {'reason': 'Error'}}}]"));
    CHECK(was_killed(s, "'containerStatuses': [{'lastState': {'terminated': {'reason': 'OOMKilled'}}}]"));
    CHECK(was_killed(s, "'containerStatuses': [{}, {'state': {'terminated': {'reason': 'OOMKilled'}}}]"));
    CHECK(!was_killed(s, "'containerStatuses': [7, {'state': []}]"));
    // A limit at which not even the container's runtime starts: as containerd and runc say it.
    CHECK(!was_killed(s, "'containerStatuses': [{'lastState': {'terminated': {'reason': 'StartError', "
                         "'message': 'cannot start a stopped process'}}}]"));
    CHECK(was_killed(s, "'containerStatuses': [{'lastState': {'terminated': {'reason': 'StartError', "
                        "'message': 'runc create failed: unable to start container process: container init "
                        "was OOM-killed (memory limit too low?)'}}}]"));
    store_free(s);
}

static void fleet_and_child_fields(void)
{
    struct store *s = fresh();
    PUT(s, STORE_FLEET,
        "{'metadata': {'namespace': 'k', 'name': 'mesh', 'uid': 'u', 'resourceVersion': '1',"
        " 'generation': 4, 'deletionTimestamp': '2026-01-01T00:00:00Z'}, 'spec': {'a': 1}}");
    const struct store_fleet *f = store_fleet(s, "k", "mesh");
    CHECK(f != NULL);
    CHECK_STR(f->meta.fleet, "mesh");
    CHECK_INT(f->meta.generation, 4);
    CHECK(f->meta.deleting);
    CHECK(f->status == NULL);
    CHECK_INT(json_integer_value(json_object_get(f->spec, "a")), 1);
    PUT(s, STORE_DAEMONSET,
        "{'metadata': {'namespace': 'k', 'name': 'mesh-pod', 'generation': 2}, 'status':"
        " {'observedGeneration': 2, 'desiredNumberScheduled': 3, 'currentNumberScheduled': 1,"
        " 'numberReady': 2, 'updatedNumberScheduled': -5, 'numberAvailable': 2}}");
    const struct store_child *d = store_child(s, STORE_DAEMONSET, "k", "mesh-pod");
    CHECK(d != NULL);
    CHECK_INT(d->kind, STORE_DAEMONSET);
    CHECK_INT(d->observed_generation, 2);
    CHECK_INT(d->desired, 3);
    CHECK_INT(d->created, 1);
    CHECK_INT(d->ready, 2);
    CHECK_INT(d->updated, 0);
    CHECK(store_child(s, STORE_CONFIGMAP, "k", "mesh-pod") == NULL);
    store_free(s);
}

static uint64_t digest(const char *text)
{
    json_t *j = parse(text);
    uint64_t d = project_digest(j);
    json_decref(j);
    return d;
}

static void digest_sees_edits_only(void)
{
    uint64_t base = digest("{'metadata': {'name': 'a', 'labels': {'x': '1', 'y': '2'}}, 'data': {'k': 'v'}}");
    uint64_t same = digest(
        "{'data': {'k': 'v'}, 'apiVersion': 'v1', 'kind': 'ConfigMap', 'status': {'z': 1}, 'metadata': "
        "{'labels': {'y': '2', 'x': '1'}, 'name': 'a', 'managedFields': [1], 'resourceVersion': '9',"
        " 'generation': 3, 'creationTimestamp': 'now', 'uid': 'u'}}");
    CHECK(base == same);
    CHECK(base != digest("{'metadata': {'name': 'a', 'labels': {'x': '1', 'y': '3'}}, 'data': {'k': 'v'}}"));
    CHECK(base != digest("{'metadata': {'name': 'a', 'labels': {'x': '1', 'y': '2'}}, 'data': {'k': 'w'}}"));
    CHECK(base !=
          digest("{'metadata': {'name': 'a', 'labels': {'x': '1', 'y': '2'}, 'annotations': {'n': ''}},"
                 " 'data': {'k': 'v'}}"));
    CHECK(
        base !=
        digest("{'metadata': {'name': 'a', 'labels': {'x': '1', 'y': '2'}}, 'data': {'k': 'v'}, 'more': 1}"));
}

static void bad_objects_change_nothing(void)
{
    static const struct {
        enum store_kind kind;
        const char *text, *want;
    } bad[] = {
        {STORE_NODE, "{}", "metadata.name is missing"},
        {STORE_NODE, "[]", "metadata.name is missing"},
        {STORE_NODE, "{'metadata': {'name': 7}}", "metadata.name is missing"},
        {STORE_POD, "{'metadata': {'name': 'a'}}", "metadata.namespace is missing"},
        {STORE_POD,
         "{'metadata': {'name': 'p1', 'namespace': '0123456789012345678901234567890123456789012345678901234567890123'}}",
         "metadata.namespace has more than 63 bytes"},
        {STORE_FLEET, "{'metadata': {'name': 'a', 'namespace': 'k'}}", "spec is missing"},
        {STORE_FLEET, "{'metadata': {'name': 'a', 'namespace': 'k'}, 'spec': []}", "spec is missing"},
        {STORE_POD,
         "{'metadata': {'name': 'p1', 'namespace': 'k', 'uid': '0123456789012345678901234567890123456789012345678901234567890123'}}",
         "metadata.uid has more than 63 bytes"},
    };
    struct store *s = fresh();
    PUT(s, STORE_POD, POD("1", "True", "x"));
    taken();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e = {0};
        CHECK_INT(put(s, bad[i].kind, bad[i].text, &e), -EINVAL);
        CHECK_STR(e.msg, bad[i].want);
    }
    CHECK_STR(taken(), "");
    CHECK_INT(store_count(s, STORE_POD), 1);
    CHECK_INT(store_count(s, STORE_NODE), 0);
    // Odd types where the operator only looks: as if they were absent.
    PUT(s, STORE_NODE,
        "{'metadata': {'name': 'odd', 'labels': [1], 'ownerReferences': {'a': 1}}, 'status': {'addresses': 'x',"
        " 'conditions': [3, {'type': 'Ready', 'status': 7}]}}");
    PUT(s, STORE_POD,
        "{'metadata': {'name': 'odd', 'namespace': 'k', 'labels': {'kubecanary.io/fleet': 5}}, 'spec': 1,"
        " 'status': {'podIPs': [{'ip': 'nonsense'}, 4], 'containerStatuses': {}}}");
    CHECK(!store_node(s, "odd")->ready);
    store_free(s);
}

#define META(ns, name, rv) \
    "{'metadata': {'namespace': '" ns "', 'name': '" name "', 'resourceVersion': '" rv "'}}"

static void relist_removes_what_is_gone(void)
{
    struct store *s = fresh();
    CHECK_INT(store_relist_begin(s, STORE_CONFIGMAP, ""), 0);
    PUT(s, STORE_CONFIGMAP, META("k", "a", "1"));
    PUT(s, STORE_CONFIGMAP, META("k", "b", "1"));
    PUT(s, STORE_CONFIGMAP, META("l", "a", "1"));
    store_relist_end(s, STORE_CONFIGMAP, "");
    CHECK_STR(taken(), "put ConfigMap k/a; put ConfigMap k/b; put ConfigMap l/a; ");
    CHECK_INT(store_relist_begin(s, STORE_CONFIGMAP, ""), 0);
    PUT(s, STORE_CONFIGMAP, META("k", "a", "1")); // the same version: no change
    store_relist_abort(s, STORE_CONFIGMAP, "");
    store_relist_end(s, STORE_CONFIGMAP, ""); // was given up: removes nothing
    CHECK_STR(taken(), "");
    CHECK_INT(store_count(s, STORE_CONFIGMAP), 3);
    CHECK_INT(store_relist_begin(s, STORE_CONFIGMAP, ""), 0);
    PUT(s, STORE_CONFIGMAP, META("k", "a", "2"));
    PUT(s, STORE_CONFIGMAP, META("l", "a", "1"));
    store_relist_end(s, STORE_CONFIGMAP, "");
    CHECK_STR(taken(), "put ConfigMap k/a; deleted ConfigMap k/b; ");
    // A relist of one namespace leaves the others alone.
    CHECK_INT(store_relist_begin(s, STORE_CONFIGMAP, "l"), 0);
    store_relist_end(s, STORE_CONFIGMAP, "l");
    CHECK_STR(taken(), "deleted ConfigMap l/a; ");
    CHECK_INT(store_count(s, STORE_CONFIGMAP), 1);
    store_free(s);
}

static void synced_by_scopes(void)
{
    struct store *s = fresh();
    for (enum store_kind k = 0; k < STORE_KINDS; k++) {
        if (k != STORE_POD && k != STORE_PODMONITOR)
            store_set_synced(s, k);
    }
    store_set_absent(s, STORE_PODMONITOR, true);
    CHECK_STR(taken(), "api PodMonitor /; ");
    CHECK(store_absent(s, STORE_PODMONITOR) && !store_synced(s));
    store_set_scopes(s, STORE_POD, 2);
    CHECK_INT(store_relist_begin(s, STORE_POD, "a"), 0);
    CHECK_INT(store_relist_begin(s, STORE_POD, "b"), 0);
    store_relist_end(s, STORE_POD, "a");
    CHECK_INT(store_relist_begin(s, STORE_POD, "a"), 0);
    store_relist_end(s, STORE_POD, "a"); // twice the same is one
    CHECK(!store_synced(s));
    store_relist_end(s, STORE_POD, "b");
    CHECK(store_synced(s));
    PUT(s, STORE_PODMONITOR, META("k", "mesh", "1"));
    taken();
    store_set_absent(s, STORE_PODMONITOR, false);
    CHECK_STR(taken(), "api PodMonitor /; ");
    store_set_absent(s, STORE_PODMONITOR, false);
    CHECK_STR(taken(), "");
    store_set_absent(s, STORE_PODMONITOR, true);
    CHECK_INT(store_count(s, STORE_PODMONITOR), 0);
    CHECK(store_synced(s)); // once synced, a kind stays so
    store_free(s);
}

// 5,000 nodes with 40 labels each and 5,000 pods: DESIGN.md's promise for the whole operator is 40 MB.
static void memory_of_a_large_cluster(void)
{
    struct store *s = store_new(NULL, NULL);
    struct err e;
    for (int i = 0; i < 5000; i++) {
        json_t *node = json_pack("{s:{s:o, s:{}}, s:{s:[]}}", "metadata", "name",
                                 json_sprintf("node-%d.example.org", i), "labels", "status", "addresses");
        json_t *labels = json_object_get(json_object_get(node, "metadata"), "labels");
        for (int k = 0; k < 40; k++) {
            char key[64];
            snprintf(key, sizeof(key), "feature.node.kubernetes.io/cpu-%d", k);
            json_object_set_new(labels, key, json_string("true"));
        }
        json_t *pod =
            json_pack("{s:{s:s, s:o}}", "metadata", "namespace", "k", "name", json_sprintf("mesh-pod-%d", i));
        CHECK_INT(store_put(s, STORE_NODE, node, &e), 0);
        CHECK_INT(store_put(s, STORE_POD, pod, &e), 0);
        json_decref(node);
        json_decref(pod);
    }
    CHECK_INT(store_count(s, STORE_NODE), 5000);
    CHECK(store_node(s, "node-4999.example.org") != NULL);
    size_t bytes = 5000 * (sizeof(struct store_node) + sizeof(struct store_pod) + 2 * 40 * 40);
    CHECK(bytes < 30u << 20);
    store_free(s);
}

static const struct check_case cases[] = {
    {"node_fields", node_fields},
    {"pod_fields_and_changes", pod_fields_and_changes},
    {"pod_waiting", pod_waiting},
    {"pod_waiting_for_what", pod_waiting_for_what},
    {"a pod killed for its memory", pod_killed_for_its_memory},
    {"fleet_and_child_fields", fleet_and_child_fields},
    {"digest_sees_edits_only", digest_sees_edits_only},
    {"bad_objects_change_nothing", bad_objects_change_nothing},
    {"relist_removes_what_is_gone", relist_removes_what_is_gone},
    {"synced_by_scopes", synced_by_scopes},
    {"memory_of_a_large_cluster", memory_of_a_large_cluster},
};
CHECK_MAIN(cases)
