// SPDX-License-Identifier: Apache-2.0
// Of a fleet's rendered DaemonSets exactly one matches each node that the fleet is for: the first override
// whose labels it has, or that of all others. Random selectors over few labels, against every node there can
// be; KUBECANARY_SEED repeats a run.
#include "operator/render_override.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/buf.h"
#include "operator/local_run.h"
#include "operator/render.h"
#include "test/unit/check.h"

static const struct render_config config = {.version = "1",
                                            .agent_image = "agent:1",
                                            .agent_jemalloc_image = "agent-jemalloc:1",
                                            .image_pull_policy = "IfNotPresent"};

// Labels of a node, and of a selector: for each key no value, or one of two.
#define KEYS 4
#define VALUES 3
#define NODES (VALUES * VALUES * VALUES * VALUES)
static const char *const keys[KEYS] = {"a", "example.com/b", "c", "d"};
static const char *const values[VALUES] = {NULL, "x", "y"};

static uint64_t seed;

static unsigned random_below(unsigned n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((seed >> 33) % n);
}

struct labels {
    unsigned value[KEYS]; // index into values
};

static struct labels labels_of(unsigned number)
{
    struct labels l;
    for (size_t k = 0; k < KEYS; k++, number /= VALUES)
        l.value[k] = number % VALUES;
    return l;
}

static bool includes(const struct labels *node, const struct labels *selector)
{
    for (size_t k = 0; k < KEYS; k++) {
        if (selector->value[k] != 0 && selector->value[k] != node->value[k])
            return false;
    }
    return true;
}

static void add_selector(const struct labels *l, struct buf *out)
{
    const char *before = "";
    buf_char(out, '{');
    for (size_t k = 0; k < KEYS; k++) {
        if (!values[l->value[k]])
            continue;
        buf_fmt(out, "%s%s: '%s'", before, keys[k], values[l->value[k]]);
        before = ", ";
    }
    buf_char(out, '}');
}

static json_t *node_labels(const struct labels *l)
{
    json_t *object = json_pack("{s:s}", "kubernetes.io/os", "linux");
    for (size_t k = 0; k < KEYS; k++)
        if (values[l->value[k]])
            json_object_set_new(object, keys[k], json_string(values[l->value[k]]));
    return object;
}

struct fleet {
    struct labels placement;
    size_t n;
    struct labels overrides[LIMIT_OVERRIDES];
};

static void random_fleet(struct fleet *f)
{
    *f = (struct fleet){.n = random_below(LIMIT_OVERRIDES + 1)};
    if (random_below(4) == 0)
        f->placement.value[random_below(KEYS)] = random_below(VALUES);
    for (size_t i = 0; i < f->n; i++)
        for (unsigned times = 1 + random_below(3); times > 0; times--)
            f->overrides[i].value[random_below(KEYS)] = 1 + random_below(VALUES - 1);
}

static int parse(const struct fleet *f, struct spec *ret)
{
    CLEANUP_BUF struct buf text;
    CLEANUP_DOC struct doc *d = NULL;
    struct err e;
    buf_init(&text, 65536);
    buf_str(&text, "{targets: [{name: a, type: ICMP, address: 192.0.2.1}], placement: {nodeSelector: ");
    add_selector(&f->placement, &text);
    buf_str(&text, ", overrides: [");
    for (size_t i = 0; i < f->n; i++) {
        buf_fmt(&text, "%s{name: o%zu, nodeSelector: ", i ? ", " : "", i);
        add_selector(&f->overrides[i], &text);
        buf_str(&text, ", resources: {}}");
    }
    buf_str(&text, "]}}");
    int r = doc_parse(buf_text(&text), text.len, &d, &e);
    return r < 0 ? r : spec_parse(doc_root(d), ret, &e);
}

// Which DaemonSet a node shall be of: an override's index, or n; -1: of none.
static int expected(const struct fleet *f, const struct labels *node)
{
    if (!includes(node, &f->placement))
        return -1;
    for (size_t i = 0; i < f->n; i++) {
        if (includes(node, &f->overrides[i]))
            return (int)i;
    }
    return (int)f->n;
}

// The only one that matches, by its name; -1: none does, -2: several.
static int matched(const struct render_set *set, const struct fleet *f, const json_t *labels)
{
    int found = -1;
    for (size_t i = 0; i < set->n; i++) {
        unsigned index = (unsigned)f->n;
        const json_t *template = json_object_get(json_object_get(set->list[i].body, "spec"), "template");
        if (set->list[i].kind != STORE_DAEMONSET || !local_run_selects(template, labels))
            continue;
        (void)sscanf(set->list[i].name, "f-pod-o%u", &index);
        found = found == -1 ? (int)index : -2;
    }
    return found;
}

static void check_fleet(const struct fleet *f, const struct spec *spec)
{
    struct peers peers = {0};
    struct render_input in = {.config = &config, .namespace = "ns", .fleet = "f", .uid = "", .spec = spec};
    struct render_set set = {0};
    struct err e;
    in.peers = &peers;
    in.slices = 1;
    CHECK_INT(render_fleet(&in, &set, &e), 0);
    for (unsigned number = 0; number < NODES && !check_failed; number++) {
        struct labels node = labels_of(number);
        json_t *labels = node_labels(&node);
        int have = matched(&set, f, labels), want = expected(f, &node);
        if (have != want)
            printf("    node %u: DaemonSet %d, want %d, of %zu overrides\n", number, have, want, f->n);
        json_decref(labels);
        check_failed |= have != want;
    }
    render_set_release(&set);
}

// Whether each override, and the rest, has a node that it takes.
static bool all_taken(const struct fleet *f)
{
    bool taken[LIMIT_OVERRIDES + 1] = {false};
    size_t n = 0;
    for (unsigned number = 0; number < NODES; number++) {
        struct labels node = labels_of(number);
        int i = expected(f, &node);
        if (i >= 0)
            taken[i] = true;
    }
    for (size_t i = 0; i <= f->n; i++)
        n += taken[i];
    return n == f->n + 1;
}

static void every_node_once(void)
{
    const char *given = getenv("KUBECANARY_SEED");
    size_t accepted = 0, refused = 0;
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("    KUBECANARY_SEED=%llu\n", (unsigned long long)seed);
    for (size_t round = 0; round < 400; round++) {
        struct fleet f;
        struct spec spec = {0};
        random_fleet(&f);
        int r = parse(&f, &spec);
        accepted += r == 0;
        refused += r < 0;
        if (r == 0)
            check_fleet(&f, &spec);
        spec_release(&spec);
        if (check_failed)
            return;
        // What can take no node is refused, where one selector before it is the cause.
        CHECK(r == 0 || f.n > 0);
        if (r == 0 && f.n <= 2)
            CHECK(all_taken(&f));
    }
    CHECK(accepted > 50);
    CHECK(refused > 10);
}

static const struct check_case cases[] = {{"every node once", every_node_once}};
CHECK_MAIN(cases)
