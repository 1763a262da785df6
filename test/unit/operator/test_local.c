// SPDX-License-Identifier: Apache-2.0
// The local backend's parts that need no rights: the Pod template's reading, volumes, the API in memory,
// readiness, rolling.
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/file.h"
#include "operator/local_files.h"
#include "operator/local_objects.h"
#include "operator/local_ready.h"
#include "operator/local_run.h"
#include "operator/local_sets.h"
#include "test/unit/check.h"

static const char template_text[] =
    "{'metadata': {'labels': {'kubecanary.io/fleet': 'mesh'}},"
    " 'spec': {'terminationGracePeriodSeconds': 10, 'nodeSelector': {'kubernetes.io/os': 'linux'},"
    "  'securityContext': {'sysctls': [{'name': 'net.ipv4.ping_group_range', 'value': '65532 65532'}]},"
    "  'containers': [{'name': 'agent', 'image': 'registry.example:5000/kubecanary-agent:1',"
    "   'args': ['--config', '/etc/kubecanary', '--node', '$(NODE_NAME)', '--x=/etc/kubecanary/a', '/etc/kubecanary2',"
    "            '$$(NODE_NAME)', '$(UNKNOWN)', '$(BOTH)'],"
    "   'env': [{'name': 'NODE_NAME', 'valueFrom': {'fieldRef': {'fieldPath': 'spec.nodeName'}}},"
    "           {'name': 'BOTH', 'value': 'on-$(NODE_NAME)'}, {'name': 'MALLOC_CONF', 'value': 'narenas:1'}],"
    "   'ports': [{'name': 'http', 'containerPort': 9961}],"
    "   'readinessProbe': {'periodSeconds': 2, 'httpGet': {'path': '/readyz', 'port': 'http'}},"
    "   'volumeMounts': [{'name': 'config', 'mountPath': '/etc/kubecanary'}]}],"
    "  'volumes': [{'name': 'config', 'projected': {'sources': [{'configMap': {'name': 'mesh-agent'}},"
    "    {'configMap': {'name': 'mesh-peers-00', 'optional': true}}]}}]}}";

// JSON with ' for ".
static json_t *json_of(const char *text)
{
    char copy[4096];
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *p = copy; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    return json_loads(copy, 0, NULL);
}

static const struct local_place place = {
    .node = "n1", .pod = "mesh-pod-1", .namespace = "kubecanary", .ip = "198.18.0.11", .volume = "/run/v"};

static void test_run(void)
{
    static const char *const want[] = {
        "kubecanary-agent", "--config",         "/run/v",       "--node",     "n1",
        "--x=/run/v/a",     "/etc/kubecanary2", "$(NODE_NAME)", "$(UNKNOWN)", "on-n1"};
    struct err e = {0};
    struct local_run run;
    json_t *template = json_of(template_text);
    int r = local_run_init(template, &place, &run, &e);
    json_decref(template);
    CHECK_STR(e.msg, "");
    CHECK_INT(r, 0);
    CHECK_INT(run.n_argv, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        CHECK_STR(run.argv[i], want[i]);
    CHECK(run.argv[ARRAY_LEN(want)] == NULL);
    CHECK_STR(run.envp[0], "NODE_NAME=n1");
    CHECK_STR(run.envp[2], "MALLOC_CONF=narenas:1");
    CHECK_INT(run.ready_port, 9961);
    CHECK_STR(run.ready_path, "/readyz");
    CHECK_INT(run.ready_period_s, 2);
    CHECK_INT(run.grace_s, 10);
    CHECK(run.ping);
    local_run_release(&run);
}

// A node and its Pods share a namespace here.
static void test_host_network_is_refused(void)
{
    struct err e = {0};
    struct local_run run;
    json_t *template = json_of(template_text);
    json_object_set_new(json_object_get(template, "spec"), "hostNetwork", json_true());
    int r = local_run_init(template, &place, &run, &e);
    json_decref(template);
    CHECK_INT(r, -EINVAL);
    CHECK_CONTAINS(e.msg, "spec.mesh.networks: Node is not carried out on this machine");
}

static void test_run_refuses(void)
{
    struct err e;
    struct local_run run;
    json_t *none = json_of("{'spec': {'containers': []}}");
    json_t *field = json_of("{'spec': {'containers': [{'env': [{'name': 'A', 'valueFrom': {'fieldRef': "
                            "{'fieldPath': 'status.hostIP'}}}]}]}}");
    int r_none = local_run_init(none, &place, &run, &e);
    int r_field = local_run_init(field, &place, &run, &e);
    json_decref(none);
    json_decref(field);
    CHECK_INT(r_none, -EINVAL);
    CHECK_INT(r_field, -EINVAL);
    CHECK_CONTAINS(e.msg, "status.hostIP");
}

static void test_images(void)
{
    CHECK(local_run_image_is("localhost/kubecanary-agent:0.1.0", "kubecanary-agent"));
    CHECK(local_run_image_is("kubecanary-agent", "kubecanary-agent"));
    CHECK(local_run_image_is("r.example:5000/a/kubecanary-agent@sha256:00", "kubecanary-agent"));
    CHECK(!local_run_image_is("localhost/kubecanary-agent-jemalloc:0.1.0", "kubecanary-agent"));
    CHECK(!local_run_image_is("localhost/kubecanary-agent:1/other", "kubecanary-agent"));
}

static void test_selector(void)
{
    json_t *template = json_of(template_text);
    json_t *linux_labels = json_of("{'kubernetes.io/os': 'linux', 'a': 'b'}"), *other = json_of("{'a': 'b'}");
    bool on_linux = local_run_selects(template, linux_labels), on_other = local_run_selects(template, other);
    json_decref(template);
    json_decref(linux_labels);
    json_decref(other);
    CHECK(on_linux);
    CHECK(!on_other);
}

// --- volumes
// --------------------------------------------------------------------------------------------------------

static const json_t *configmap(const char *name, void *arg)
{
    return json_object_get(arg, name);
}

static void test_files_of_template(void)
{
    struct err e = {0};
    json_t *template = json_of(template_text), *maps = json_of("{'mesh-agent': {'agent.yaml': 'x'}}"),
           *files = NULL;
    int r = local_run_files(template, configmap, maps, &files, &e);
    CHECK_INT(r, 0);
    CHECK_INT(json_object_size(files), 1); // the peers' ConfigMap is optional
    json_decref(files);
    json_object_clear(maps);
    r = local_run_files(template, configmap, maps, &files, &e);
    json_decref(template);
    json_decref(maps);
    CHECK_INT(r, -ENOENT);
    CHECK_CONTAINS(e.msg, "mesh-agent");
}

// The files that a template with items gives: {name: text}, or NULL.
static json_t *files_of_items(const char *configmaps)
{
    static const char text[] =
        "{'spec': {'containers': [{'volumeMounts': [{'name': 'config', 'mountPath': '/etc/kubecanary'}]}],"
        " 'volumes': [{'name': 'config', 'projected': {'sources': ["
        "  {'configMap': {'name': 'a', 'items': [{'key': 'agent.yaml', 'path': 'agent.yaml'}]}},"
        "  {'configMap': {'name': 'p', 'optional': true, 'items': [{'key': 'p.yaml', 'path': 'p.yaml'}]}}]}}]}}";
    struct err e;
    json_t *template = json_of(text), *maps = json_of(configmaps), *files = NULL;
    if (local_run_files(template, configmap, maps, &files, &e) < 0)
        files = NULL;
    json_decref(template);
    json_decref(maps);
    return files;
}

static void check_items(const char *configmaps, const char *want)
{
    json_t *files = files_of_items(configmaps), *expected = want ? json_of(want) : NULL;
    bool same = files && expected ? json_equal(files, expected) : files == expected;
    json_decref(files);
    json_decref(expected);
    CHECK(same || (printf("    %s\n", configmaps), false));
}

static void test_items(void)
{
    check_items("{'a': {'agent.yaml': 'x', 'more': 'y'}, 'p': {'agent.yaml': 'z', 'p.yaml': 'p'}}",
                "{'agent.yaml': 'x', 'p.yaml': 'p'}");
    check_items("{'a': {'agent.yaml': 'x'}, 'p': {'agent.yaml': 'z'}}", "{'agent.yaml': 'x'}");
    check_items("{'a': {'agent.yaml': 'x'}}", "{'agent.yaml': 'x'}");
    check_items("{'a': {'more': 'y'}, 'p': {'p.yaml': 'p'}}", NULL);
}

static bool file_is(const char *dir, const char *name, const char *want)
{
    char path[PATH_MAX];
    struct err e;
    CLEANUP_FREE char *text = NULL;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return file_read(path, 4096, &text, NULL, &e) == 0 && strcmp(text, want) == 0;
}

static size_t entries(const char *dir)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static int write_volume(const char *dir, const char *text, struct err *e)
{
    json_t *files = json_of(text);
    int r = local_files_volume(dir, files, e);
    json_decref(files);
    return r;
}

static void test_volume(void)
{
    struct err e = {0};
    char dir[] = "/tmp/test_local.XXXXXX", data[64], first[64], second[64];
    CHECK(mkdtemp(dir) != NULL);
    snprintf(data, sizeof(data), "%s/..data", dir);
    CHECK_INT(write_volume(dir, "{'a': '1', 'b': '2'}", &e), 0);
    CHECK(file_is(dir, "a", "1") && file_is(dir, "b", "2"));
    first[MAX(readlink(data, first, sizeof(first) - 1), 0)] = '\0';
    CHECK_INT(write_volume(dir, "{'a': '1', 'b': '2'}", &e), 0); // nothing to do: nothing moves
    second[MAX(readlink(data, second, sizeof(second) - 1), 0)] = '\0';
    CHECK_INT(strncmp(first, second, strlen(first)), 0);
    CHECK_INT(write_volume(dir, "{'a': '3'}", &e), 0);
    CHECK(file_is(dir, "a", "3") && !file_is(dir, "b", "2"));
    CHECK_INT(entries(dir), 5); // . .. ..data ..STAMP a
    CHECK_INT(write_volume(dir, "{'../a': '3'}", &e), -EINVAL);
    CHECK_INT(write_volume(dir, "{'..data': '3'}", &e), -EINVAL);
    local_files_remove(dir);
    CHECK(access(dir, F_OK) < 0);
}

static void test_keep(void)
{
    struct err e = {0};
    char dir[] = "/tmp/test_local.XXXXXX";
    CHECK(mkdtemp(dir) != NULL);
    CHECK_INT(local_files_write(dir, "ns.a.yaml", "1", 1, &e), 0);
    CHECK_INT(local_files_write(dir, "ns.b.c.yaml", "2", 1, &e), 0);
    CHECK_INT(local_files_write(dir, "other", "3", 1, &e), 0);
    json_t *keep = json_of("{'ns/b.c': {}}");
    int r = local_files_keep(dir, ".yaml", keep, &e);
    json_decref(keep);
    CHECK_INT(r, 0);
    CHECK(!file_is(dir, "ns.a.yaml", "1") && file_is(dir, "ns.b.c.yaml", "2") && file_is(dir, "other", "3"));
    local_files_remove(dir);
}

// --- objects
// --------------------------------------------------------------------------------------------------------

static void ignore_change(enum store_kind kind UNUSED, enum store_change change UNUSED,
                          const struct store_meta *meta UNUSED, void *arg UNUSED)
{
}

static int put(struct local_objects *o, enum store_kind kind, const char *text)
{
    struct err e;
    return local_objects_put(o, kind, json_of(text), &e);
}

static json_int_t generation(const struct local_objects *o)
{
    const json_t *object = local_objects_get(o, STORE_CONFIGMAP, "ns", "c");
    return json_integer_value(json_object_get(json_object_get(object, "metadata"), "generation"));
}

static void test_objects(void)
{
    struct store *store = store_new(ignore_change, NULL);
    struct local_objects *o = local_objects_new(store);
    CHECK_INT(put(o, STORE_CONFIGMAP, "{'metadata': {'namespace': 'ns', 'name': 'c'}, 'data': {'a': '1'}}"),
              0);
    char uid[LIMIT_UID + 1];
    snprintf(uid, sizeof(uid), "%s", store_child(store, STORE_CONFIGMAP, "ns", "c")->meta.uid);
    CHECK_INT(strlen(uid), 36);
    CHECK_INT(generation(o), 1);
    CHECK_INT(put(o, STORE_CONFIGMAP, "{'metadata': {'namespace': 'ns', 'name': 'c'}, 'data': {'a': '1'}}"),
              0);
    CHECK_INT(generation(o), 1); // nothing but the version changed
    uint64_t digest = store_child(store, STORE_CONFIGMAP, "ns", "c")->meta.digest;
    CHECK_INT(put(o, STORE_CONFIGMAP, "{'metadata': {'namespace': 'ns', 'name': 'c'}, 'data': {'a': '2'}}"),
              0);
    CHECK_INT(generation(o), 2);
    CHECK_STR(store_child(store, STORE_CONFIGMAP, "ns", "c")->meta.uid, uid);
    CHECK(store_child(store, STORE_CONFIGMAP, "ns", "c")->meta.digest != digest);
    CHECK(put(o, STORE_CONFIGMAP, "{'metadata': {'namespace': 'ns'}}") < 0);
    local_objects_delete(o, STORE_CONFIGMAP, "ns", "c");
    CHECK(!store_child(store, STORE_CONFIGMAP, "ns", "c"));
    local_objects_free(o);
    store_free(store);
}

static void test_status_and_collection(void)
{
    struct err e = {0};
    struct store *store = store_new(ignore_change, NULL);
    struct local_objects *o = local_objects_new(store);
    CHECK_INT(
        put(o, STORE_FLEET, "{'metadata': {'namespace': 'ns', 'name': 'f', 'uid': 'u1'}, 'spec': {'a': 1}}"),
        0);
    CHECK_INT(local_objects_put_status(o, STORE_FLEET, "ns", "f", json_of("{'x': 1}"), &e), 0);
    CHECK_INT(put(o, STORE_FLEET, "{'metadata': {'namespace': 'ns', 'name': 'f'}, 'spec': {'a': 2}}"), 0);
    CHECK_INT(store_fleet(store, "ns", "f")->meta.generation, 2);
    CHECK(store_fleet(store, "ns", "f")->status != NULL); // kept
    CHECK_INT(local_objects_put_status(o, STORE_FLEET, "ns", "gone", json_of("{}"), &e), -ENOENT);
    CHECK_INT(put(o, STORE_CONFIGMAP,
                  "{'metadata': {'namespace': 'ns', 'name': 'mine', 'ownerReferences': [{'uid': 'u1'}]}}"),
              0);
    CHECK_INT(put(o, STORE_CONFIGMAP, "{'metadata': {'namespace': 'ns', 'name': 'other'}}"), 0);
    local_objects_collect(o, "u1");
    CHECK(!local_objects_get(o, STORE_CONFIGMAP, "ns", "mine"));
    CHECK(local_objects_get(o, STORE_CONFIGMAP, "ns", "other") != NULL);
    local_objects_free(o);
    store_free(store);
}

// --- rolling, readiness
// -----------------------------------------------------------------------------------------------

static unsigned max_unavailable(const char *value, unsigned desired)
{
    char text[128];
    snprintf(text, sizeof(text), "{'spec': {'updateStrategy': {'rollingUpdate': {'maxUnavailable': %s}}}}",
             value);
    json_t *set = json_of(text);
    unsigned n = local_sets_max_unavailable(set, desired);
    json_decref(set);
    return n;
}

static void test_max_unavailable(void)
{
    CHECK_INT(max_unavailable("'10%'", 5), 1);
    CHECK_INT(max_unavailable("'50%'", 5), 2);
    CHECK_INT(max_unavailable("'100%'", 5), 5);
    CHECK_INT(max_unavailable("3", 5), 3);
    CHECK_INT(max_unavailable("'3'", 5), 3);
    CHECK_INT(max_unavailable("9", 5), 5);
    CHECK_INT(max_unavailable("0", 5), 1);
    CHECK_INT(max_unavailable("'nonsense'", 5), 1);
}

struct heard {
    unsigned calls;
    bool ready;
};

static void on_ready(bool ready, void *arg)
{
    struct heard *h = arg;
    h->calls++;
    h->ready = ready;
}

// One check against a server that answers with `text` ("" closes at once; NULL: nobody listens).
static bool check_against(const char *text, struct heard *h)
{
    struct err e;
    struct addr addr;
    struct sockaddr_storage sa;
    CLEANUP_FD int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(sa);
    struct loop *l = loop_new(&e);
    uint16_t port;
    if (addr_parse("127.0.0.1", &addr) < 0 ||
        bind(server, (struct sockaddr *)&sa, addr_sockaddr(&addr, 0, &sa)) < 0 ||
        (text && listen(server, 1) < 0) || getsockname(server, (struct sockaddr *)&sa, &len) < 0 ||
        addr_from_sockaddr((struct sockaddr *)&sa, &addr, &port) < 0 ||
        !local_ready_start(l, &addr, port, "/readyz", on_ready, h, &e)) {
        loop_free(l);
        return false;
    }
    bool ok = true;
    if (text) {
        CLEANUP_FD int client = accept(server, NULL, NULL);
        ok = client >= 0 && loop_once(l, NS_PER_S, &e) == 0 &&
             send(client, text, strlen(text), MSG_NOSIGNAL) >= 0;
        char request[512];
        ok = ok && recv(client, request, sizeof(request), 0) > 0;
    }
    for (int i = 0; i < 10 && h->calls == 0 && ok; i++)
        ok = loop_once(l, NS_PER_S, &e) == 0;
    loop_free(l);
    return ok;
}

static void test_ready(void)
{
    static const struct {
        const char *text;
        bool ready;
    } cases[] = {{"HTTP/1.1 200 OK\r\n\r\n", true},
                 {"HTTP/1.1 503 Service Unavailable\r\n\r\n", false},
                 {"HTTP/1.1 ", false},
                 {"nonsense and more of it", false},
                 {"", false},
                 {NULL, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct heard h = {0};
        CHECK(check_against(cases[i].text, &h));
        CHECK_INT(h.calls, 1);
        CHECK_INT(h.ready, cases[i].ready);
    }
}

static const struct check_case cases[] = {{"run", test_run},
                                          {"the hosts' network is refused", test_host_network_is_refused},
                                          {"run refuses", test_run_refuses},
                                          {"images", test_images},
                                          {"selector", test_selector},
                                          {"files of a template", test_files_of_template},
                                          {"keys that are picked", test_items},
                                          {"volume", test_volume},
                                          {"keep", test_keep},
                                          {"objects", test_objects},
                                          {"status and collection", test_status_and_collection},
                                          {"max unavailable", test_max_unavailable},
                                          {"ready", test_ready}};
CHECK_MAIN(cases)
