// SPDX-License-Identifier: Apache-2.0
// What golden files cannot say: what must not change the pod template, what must, that nothing empty is
// applied, and that the printed YAML is the objects. What the objects look like stands in test/golden.
#include "operator/render.h"

#include <errno.h>

#include "lib/buf.h"
#include "operator/render_daemonset.h"
#include "operator/tree.h"
#include "test/unit/check.h"

static const struct render_config config = {.version = "1.2.3",
                                            .agent_image = "agent:1",
                                            .agent_jemalloc_image = "agent-jemalloc:1",
                                            .image_pull_policy = "IfNotPresent"};

struct world { // a fleet to render
    struct spec spec;
    struct peers peers;
    struct render_input in;
};

static void world_release(struct world *w)
{
    spec_release(&w->spec);
    peers_release(&w->peers);
}

static int world_init(struct world *w, const char *spec, unsigned nodes)
{
    CLEANUP_DOC struct doc *d = NULL;
    struct err e = {0};
    *w = (struct world){0};
    int r = doc_parse(spec, strlen(spec), &d, &e);
    if (r == 0)
        r = spec_parse(doc_root(d), &w->spec, &e);
    for (unsigned i = 0; i < nodes && r == 0; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%05u", i);
        r = peers_add(&w->peers, &(struct peer){.node = name}, &e);
    }
    w->in = (struct render_input){
        .config = &config, .namespace = "ns", .fleet = "f", .uid = "u-1", .generation = 1};
    w->in.spec = &w->spec;
    w->in.peers = &w->peers;
    w->in.slices = peers_slices_for(nodes, 0);
    w->in.pod_monitor = w->in.prometheus_rule = true;
    if (r < 0)
        printf("    %s: %s\n", e.path, e.msg);
    return r;
}

static const json_t *find(const struct render_set *s, enum store_kind kind, const char *name)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->list[i].kind == kind && strcmp(s->list[i].name, name) == 0)
            return s->list[i].body;
    }
    return NULL;
}

// The pod template that a spec gives (new reference), and agent.yaml into *ret_file (new reference).
static json_t *render_template(const char *spec, unsigned nodes, json_t **ret_file)
{
    struct world w;
    struct render_set s = {0};
    struct err e = {0};
    json_t *ret = NULL;
    *ret_file = NULL;
    if (world_init(&w, spec, nodes) == 0 && render_fleet(&w.in, &s, &e) == 0) {
        const json_t *daemonset = find(&s, STORE_DAEMONSET, "f-pod");
        ret = json_incref(json_object_get(json_object_get(daemonset, "spec"), "template"));
        const json_t *data = json_object_get(find(&s, STORE_CONFIGMAP, "f-agent"), "data");
        *ret_file = json_incref(json_object_get(data, "agent.yaml"));
    }
    render_set_release(&s);
    world_release(&w);
    return ret;
}

#define BASE "mesh: {probes: [{name: icmp, type: ICMP}]}"

// Checks whether a change of the spec restarts the agents, and whether it reaches their file.
static void check_change(const char *changed, unsigned nodes, bool restart, bool file)
{
    json_t *old_file, *new_file;
    json_t *before = render_template("{" BASE "}", 5, &old_file);
    json_t *after = render_template(changed, nodes, &new_file);
    bool same = before && after && json_equal(before, after);
    bool same_file = old_file && new_file && json_equal(old_file, new_file);
    json_decref(before);
    json_decref(after);
    json_decref(old_file);
    json_decref(new_file);
    if (same == restart || same_file == file)
        printf("    %s\n", changed);
    CHECK_INT(!same, restart);
    CHECK_INT(!same_file, file);
}

static void test_what_restarts(void)
{
    check_change("{mesh: {probes: [{name: icmp, type: ICMP, interval: 2s}]}}", 5, false, true);
    check_change("{mesh: {probes: [{name: icmp, type: ICMP}, {name: tcp, type: TCP}]}}", 5, false, true);
    check_change("{" BASE ", targets: [{name: a, type: ICMP, address: 192.0.2.1}]}", 5, false, true);
    check_change("{" BASE ", paused: true}", 5, false, true);
    check_change("{" BASE ", metrics: {seriesLimit: 2000}}", 5, false, true);
    check_change("{" BASE ", metrics: {scrapeInterval: 5s}}", 5, false, true);
    check_change("{" BASE ", metrics: {compression: Gzip}}", 5, false, true);
    check_change("{" BASE ", alerting: {lossPercent: 9}}", 5, false, false);
    check_change("{" BASE ", budget: {packetsPerSecond: 1000}}", 5, false, false);
    check_change("{" BASE ", placement: {updateStrategy: {maxUnavailable: 1}}}", 5, false, false);
    check_change("{" BASE "}", 128, false, false);
    check_change("{" BASE "}", 129, true, false); // a second slice
    check_change("{" BASE ", agent: {allocator: {type: Jemalloc}}}", 5, true, false);
    check_change("{" BASE ", agent: {image: 'other:1'}}", 5, true, false);
    check_change("{" BASE ", agent: {env: [{name: A}]}}", 5, true, false);
    check_change("{" BASE ", agent: {resources: {limits: {memory: 17Mi}}}}", 5, true, false);
    check_change("{" BASE ", placement: {nodeSelector: {a: b}}}", 5, true, false);
    check_change("{" BASE ", placement: {priorityClassName: a}}", 5, true, false);
}

static const char *env_value(const json_t *template, const char *name)
{
    size_t i;
    json_t *env;
    const json_t *pod = json_object_get(template, "spec");
    json_array_foreach(json_object_get(json_array_get(json_object_get(pod, "containers"), 0), "env"), i, env)
    {
        if (strcmp(json_string_value(json_object_get(env, "name")), name) == 0)
            return json_string_value(json_object_get(env, "value"));
    }
    return NULL;
}

#define JEMALLOC "type: Jemalloc, "
#define GLIBC(fields) "glibc: {" fields "}"
#define OWN "}, image: 'own:1'" // ends the allocator's map; the closing brace of the frame ends agent's

static void test_allocator(void)
{
    static const struct {
        const char *agent, *variable, *value;
    } cases[] = {
        {"type: System}", "MALLOC_CONF", NULL},
        {"type: Jemalloc}", "MALLOC_CONF", NULL},
        {JEMALLOC "narenas: 2}", "MALLOC_CONF", "narenas:2"},
        {JEMALLOC "conf: 'tcache:false'}", "MALLOC_CONF", "tcache:false"},
        {JEMALLOC "narenas: 1, conf: 'tcache:false,dirty_decay_ms:0'}", "MALLOC_CONF",
         "narenas:1,tcache:false,dirty_decay_ms:0"},
        {JEMALLOC
         "narenas: 2, tcache: true, lgTcacheMax: 3, dirtyDecayMilliseconds: -1, "
         "muzzyDecayMilliseconds: 0, backgroundThread: false, percpuArena: PhyCPU, metadataThp: Auto, "
         "thp: Default, retain: false, oversizeThresholdBytes: 1099511627776, conf: 'zero_realloc:free'}",
         "MALLOC_CONF",
         "narenas:2,tcache:true,lg_tcache_max:3,dirty_decay_ms:-1,muzzy_decay_ms:0,background_thread:false,"
         "percpu_arena:phycpu,metadata_thp:auto,thp:default,retain:false,oversize_threshold:1099511627776,"
         "zero_realloc:free"},
        {JEMALLOC "percpuArena: Disabled, metadataThp: Always, thp: Never, variable: _RJEM_MALLOC_CONF" OWN,
         "_RJEM_MALLOC_CONF", "percpu_arena:disabled,metadata_thp:always,thp:never"},
        {GLIBC(
             "arenaMax: 1, trimThresholdBytes: 0, topPadBytes: 1, mmapThresholdBytes: 33554432, mmapMax: 7, "
             "tcacheCount: 2, tcacheMaxBytes: 3, mxfastBytes: 0, hugetlb: 2, tunables: glibc.rtld.nns=4") OWN,
         "GLIBC_TUNABLES",
         "glibc.malloc.arena_max=1:glibc.malloc.trim_threshold=0:glibc.malloc.top_pad=1:"
         "glibc.malloc.mmap_threshold=33554432:glibc.malloc.mmap_max=7:glibc.malloc.tcache_count=2:"
         "glibc.malloc.tcache_max=3:glibc.malloc.mxfast=0:glibc.malloc.hugetlb=2:glibc.rtld.nns=4"},
        {GLIBC("arenaTest: 4") ", variable: GLIBC_TUNABLES" OWN, "GLIBC_TUNABLES",
         "glibc.malloc.arena_test=4"},
        {GLIBC("tunables: a.b=1") OWN, "GLIBC_TUNABLES", "a.b=1"},
        {GLIBC("arenaMax: 2") ", variable: MALLOC_ARENA_MAX" OWN, "MALLOC_ARENA_MAX", "2"},
        {GLIBC("arenaMax: 2") ", variable: MALLOC_ARENA_MAX" OWN, "GLIBC_TUNABLES", NULL},
        {GLIBC("") OWN, "GLIBC_TUNABLES", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char spec[1024];
        json_t *file;
        snprintf(spec, sizeof(spec), "{" BASE ", agent: {allocator: {%s}}", cases[i].agent);
        json_t *template = render_template(spec, 5, &file);
        const char *value = env_value(template, cases[i].variable);
        bool same = value && cases[i].value ? strcmp(value, cases[i].value) == 0 : value == cases[i].value;
        if (!same || !template)
            printf("    %s gives %s\n", cases[i].agent, value ? value : "nothing");
        json_decref(file);
        CHECK(template);
        json_decref(template);
        CHECK(same);
    }
}

// Whether a value holds a null, an empty map or an empty list anywhere.
static bool has_nothing(const json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_null(value))
        return true;
    if (json_is_object(value)) {
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
        {
            if (has_nothing(item))
                return true;
        }
        return json_object_size(value) == 0;
    }
    json_array_foreach(value, i, item)
    {
        if (has_nothing(item))
            return true;
    }
    return json_is_array(value) && json_array_size(value) == 0;
}

static bool owned(const json_t *body)
{
    const json_t *owner =
        json_array_get(json_object_get(json_object_get(body, "metadata"), "ownerReferences"), 0);
    const char *uid = json_string_value(json_object_get(owner, "uid"));
    return uid && strcmp(uid, "u-1") == 0 && json_is_true(json_object_get(owner, "controller")) &&
           json_is_true(json_object_get(owner, "blockOwnerDeletion"));
}

// Every document that render_print writes, read back, is the object that it was made of.
static void check_print(const struct render_set *s)
{
    CLEANUP_BUF struct buf out = {.max = 64 << 20};
    render_print(s, &out);
    const char *p = buf_text(&out);
    for (size_t i = 0; i < s->n; i++) {
        struct doc *d CLEANUP_DOC = NULL;
        struct err e = {0};
        CHECK_INT(strncmp(p, "---\n", 4), 0);
        const char *end = strstr(p + 4, "\n---\n");
        size_t len = end ? (size_t)(end + 1 - p) : strlen(p);
        CHECK_INT(doc_parse(p, len, &d, &e), 0);
        json_t *back = tree_to_json(doc_root(d));
        bool same = json_equal(back, s->list[i].body);
        json_decref(back);
        CHECK(same || (printf("    %s\n", s->list[i].name), false));
        p += len;
    }
    CHECK_STR(p, "");
}

static void check_set(const struct render_set *s, const char *const *names, size_t n)
{
    CHECK_INT(s->n, n);
    for (size_t i = 0; i < n; i++) {
        CHECK_STR(s->list[i].name, names[i]);
        CHECK(!has_nothing(s->list[i].body) || (printf("    %s\n", names[i]), false));
        CHECK(owned(s->list[i].body));
        CHECK_STR(json_string_value(json_object_get(s->list[i].body, "kind")),
                  store_kinds[s->list[i].kind].kind);
    }
    check_print(s);
}

static void test_set(void)
{
    static const char *const names[] = {"f-agent",    "f-agent", "f-peers-00", "f-peers-01", "f-peers-02",
                                        "f-peers-03", "f-pod",   "f",          "f"};
    struct world w;
    struct render_set s = {0};
    struct err e = {0};
    CHECK_INT(world_init(&w, "{" BASE ", agent: {env: [{name: A, value: \"two\\nlines \\t\"}]}}", 300), 0);
    CHECK_INT(render_fleet(&w.in, &s, &e), 0);
    check_set(&s, names, ARRAY_LEN(names));
    CHECK_INT(s.list[0].kind, STORE_SERVICEACCOUNT);
    CHECK_INT(s.list[6].kind, STORE_DAEMONSET); // after what it mounts
    render_set_release(&s);
    CHECK_INT(render_peers(&w.in, &s, &e), 0);
    check_set(&s, names + 2, 4);
    render_set_release(&s);
    w.in.pod_monitor = false; // each of the two by itself
    CHECK_INT(render_fleet(&w.in, &s, &e), 0);
    check_set(&s, names, 8);
    CHECK_INT(s.list[7].kind, STORE_PROMETHEUSRULE);
    render_set_release(&s);
    w.in.pod_monitor = true;
    w.in.prometheus_rule = false;
    CHECK_INT(render_fleet(&w.in, &s, &e), 0);
    check_set(&s, names, 8);
    CHECK_INT(s.list[7].kind, STORE_PODMONITOR);
    render_set_release(&s);
    w.in.pod_monitor = false;
    CHECK_INT(render_fleet(&w.in, &s, &e), 0);
    check_set(&s, names, 7);
    render_set_release(&s);
    world_release(&w);
}

static void test_rules(void)
{
    struct world w;
    struct render_set s = {0};
    struct err e = {0};
    CHECK_INT(world_init(&w, "{" BASE ", alerting: {lossPercent: 7, for: 90s, window: 3m}}", 3), 0);
    CHECK_INT(render_fleet(&w.in, &s, &e), 0);
    char *text = json_dumps(find(&s, STORE_PROMETHEUSRULE, "f"), JSON_COMPACT);
    bool left = strstr(text, "@") != NULL;
    bool replaced = strstr(text, "0.07") && strstr(text, "[3m]") && strstr(text, "\"for\":\"1m30s\"") &&
                    strstr(text, "fleet=\\\"f\\\"") && strstr(text, "namespace=\\\"ns\\\"");
    free(text);
    render_set_release(&s);
    w.spec.alerting.enabled = false;
    CHECK_INT(render_fleet(&w.in, &s, &e), 0);
    CHECK(find(&s, STORE_PROMETHEUSRULE, "f") == NULL && find(&s, STORE_PODMONITOR, "f") != NULL);
    render_set_release(&s);
    world_release(&w);
    CHECK(!left);
    CHECK(replaced);
}

// A source's only item, or NULL.
static const json_t *only_item(const json_t *source)
{
    const json_t *items = json_object_get(json_object_get(source, "configMap"), "items");
    return json_array_size(items) == 1 ? json_array_get(items, 0) : NULL;
}

// Each source mounts one key under its own name: that of the ConfigMap as it is rendered, so that what
// somebody adds to one is in no agent's directory.
static void test_mounted_keys(void)
{
    struct world w;
    struct render_set s = {0};
    struct err e = {0};
    size_t i, found = 0, wrong = 0;
    json_t *source;
    CHECK_INT(world_init(&w, "{" BASE "}", 300), 0);
    CHECK_INT(render_fleet(&w.in, &s, &e), 0);
    const json_t *set = find(&s, STORE_DAEMONSET, "f-pod");
    const json_t *pod = json_object_get(json_object_get(json_object_get(set, "spec"), "template"), "spec");
    const json_t *volume = json_array_get(json_object_get(pod, "volumes"), 0);
    const json_t *sources = json_object_get(json_object_get(volume, "projected"), "sources");
    json_array_foreach(sources, i, source)
    {
        const json_t *from = json_object_get(source, "configMap"), *item = only_item(source);
        const char *key = json_string_value(json_object_get(item, "key"));
        const json_t *map = find(&s, STORE_CONFIGMAP, json_string_value(json_object_get(from, "name")));
        const json_t *data = json_object_get(map, "data");
        bool optional = json_is_true(json_object_get(from, "optional"));
        bool same = key && json_equal(json_object_get(item, "key"), json_object_get(item, "path"));
        wrong += !same || optional != (i > 0) ||
                 (map && (json_object_size(data) != 1 || !json_object_get(data, key)));
        found += map != NULL;
    }
    size_t n = json_array_size(sources);
    render_set_release(&s);
    world_release(&w);
    CHECK_INT(n, 1 + 8);
    CHECK_INT(found, 1 + 4);
    CHECK_INT(wrong, 0);
}

static void test_mounts(void)
{
    CHECK_INT(render_daemonset_mounts(1), 2);
    CHECK_INT(render_daemonset_mounts(16), 32);
    CHECK_INT(render_daemonset_mounts(32), 32);
    CHECK_INT(render_daemonset_mounts(LIMIT_SLICES), LIMIT_SLICES);
}

static void test_refused(void)
{
    struct world w;
    struct render_set s = {0};
    struct err e = {0};
    CHECK_INT(world_init(&w, "{" BASE "}", 3), 0);
    w.in.fleet = "a-name-that-has-more-bytes-than-the-fifty-two-that-fit";
    CHECK_INT(render_fleet(&w.in, &s, &e), -EINVAL);
    CHECK_STR(e.path, "metadata.name");
    w.in.fleet = "f";
    w.in.slices = LIMIT_SLICES + 1;
    CHECK_INT(render_fleet(&w.in, &s, &e), -E2BIG);
    w.in.slices = 0;
    CHECK_INT(render_peers(&w.in, &s, &e), -E2BIG);
    CHECK(s.list == NULL);
    world_release(&w);
}

static const struct check_case cases[] = {
    {"what restarts agents, and what does not", test_what_restarts},
    {"the allocator's variable", test_allocator},
    {"the set and its YAML", test_set},
    {"rules", test_rules},
    {"mounts", test_mounts},
    {"only our own keys are mounted", test_mounted_keys},
    {"refused", test_refused},
};
CHECK_MAIN(cases)
