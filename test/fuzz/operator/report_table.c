// SPDX-License-Identifier: Apache-2.0
// The agents of two fleets, whatever they answer (reports, metrics, nothing) and in which order Pods come, go
// and are told other settings: what is summed is what those told that there are, each is asked again in time,
// and nobody stands in two queues.
#include <string.h>

#include "operator/report_table.h"
#include "test/fuzz/fuzz.h"

#define PODS 6
#define NODES 3
#define STEPS 64

static const char *const fleets[] = {"mesh", "hash"};
static const char *const overrides[] = {"", "big"};
static const char *const settings[] = {"", "a", "b"};

struct world {
    struct store *store;
    struct report_table *table;
    struct spec spec;
    uint64_t now_ns;
    unsigned version;
    int asked; // by which one is told that is being asked
    size_t gone;
};

static void on_store(enum store_kind kind UNUSED, enum store_change change UNUSED,
                     const struct store_meta *meta UNUSED, void *arg UNUSED)
{
}

static void on_gone(struct report_agent *a, void *arg)
{
    struct world *w = arg;
    FUZZ_CHECK(a->asking == &w->asked);
    w->gone++;
}

static void put(struct world *w, enum store_kind kind, json_t *object)
{
    struct err e;
    FUZZ_CHECK(object && store_put(w->store, kind, object, &e) == 0);
    json_decref(object);
}

static void put_fleet(struct world *w, size_t i, int generation)
{
    char version[16];
    snprintf(version, sizeof(version), "%u", ++w->version);
    put(w, STORE_FLEET,
        json_pack("{s:{s:s, s:s, s:s, s:s, s:i}, s:{}}", "metadata", "namespace", "ns", "name", fleets[i],
                  "uid", fleets[i], "resourceVersion", version, "generation", generation, "spec"));
}

// Whose a Pod is, where it runs and what it was told follow from two numbers.
static void put_pod(struct world *w, unsigned id, unsigned how)
{
    char name[16], uid[16], node[16], version[16];
    const char *fleet = fleets[id % 2];
    snprintf(name, sizeof(name), "pod-%u", id);
    snprintf(uid, sizeof(uid), "uid-%u-%u", id, how >> 6 & 1);
    snprintf(node, sizeof(node), "n%u", id % NODES);
    snprintf(version, sizeof(version), "%u", ++w->version);
    json_t *pod = json_pack(
        "{s:{s:s, s:s, s:s, s:s, s:{s:s, s:s, s:s}, s:{s:s}, s:[{s:b, s:s}]}, s:{s:s}, s:{s:s, s:[{s:s},{s:s}], s:[{s:s, s:s}]}}",
        "metadata", "namespace", "ns", "name", name, "uid", uid, "resourceVersion", version, "labels",
        "kubecanary.io/fleet", fleet, "kubecanary.io/network", how & 1 ? "Node" : "Pod",
        "kubecanary.io/override", overrides[how >> 1 & 1], "annotations", "kubecanary.io/allocator",
        settings[(how >> 2) % 3], "ownerReferences", "controller", 1, "uid", fleet, "spec", "nodeName", node,
        "status", "phase", "Running", "podIPs", "ip", "192.0.2.7", "ip", "2001:db8::7", "conditions", "type",
        "Ready", "status", how & 128 ? "False" : "True");
    put(w, STORE_POD, pod);
}

static void open_world(struct world *w)
{
    *w = (struct world){.store = store_new(on_store, NULL), .now_ns = NS_PER_S};
    w->table = report_table_new(on_gone, w);
    FUZZ_CHECK(w->store && w->table);
    w->spec.agent.allocator.type = SPEC_ALLOCATOR_JEMALLOC;
    w->spec.agent.allocator.options[SPEC_OPTION_NARENAS] =
        (struct spec_option_value){.set = true, .number = 1};
    for (size_t i = 0; i < ARRAY_LEN(fleets); i++)
        put_fleet(w, i, 1);
}

static void close_world(struct world *w)
{
    report_table_free(w->table);
    store_free(w->store);
}

// --- what holds after each step ---

static uint64_t agents_of(const struct report_sum_memory list[static REPORT_SUM_CLASSES])
{
    uint64_t n = 0;
    for (size_t i = 0; i < REPORT_SUM_CLASSES; i++) {
        const struct report_sum_memory *m = &list[i];
        FUZZ_CHECK(m->agents == 0 || (m->min > 0 && m->min <= m->median && m->median <= m->max));
        FUZZ_CHECK(m->max <= REPORT_MAX_BYTES);
        n += m->agents;
    }
    return n;
}

static uint64_t check_fleet(const struct world *w, const char *name)
{
    struct report_sum sum;
    struct err e;
    FUZZ_CHECK(report_table_sum(w->table, "ns", name, w->now_ns, &sum, &e) == 0);
    FUZZ_CHECK(sum.reporting + sum.failing <= sum.agents && sum.nodes <= NODES);
    FUZZ_CHECK(sum.effective + sum.ineffective + sum.unknown == sum.reporting);
    FUZZ_CHECK(sum.foreign <= sum.reporting && sum.outdated <= sum.reporting - sum.foreign);
    FUZZ_CHECK(sum.loss.lost <= sum.loss.ended);
    const uint64_t told = agents_of(sum.memory);
    uint64_t split = 0;
    for (size_t i = 0; i < ARRAY_LEN(overrides); i++) {
        struct report_split s;
        FUZZ_CHECK(report_table_split(w->table, "ns", name, overrides[i], "a", &s, &e) == 0);
        uint64_t now = 0, old = 0;
        for (size_t k = 0; k < AGENT_NETWORKS; k++) {
            now += agents_of(s.of[k].now);
            old += agents_of(s.of[k].old);
        }
        FUZZ_CHECK(agents_of(s.all.now) == s.told && now == s.told && old == agents_of(s.all.old));
        FUZZ_CHECK((s.max > 0) == (s.told > 0) && (s.max_node[0] != '\0') == (s.told > 0));
        for (size_t c = 0; c < REPORT_SUM_CLASSES; c++)
            FUZZ_CHECK(!s.all.now[c].agents || s.all.now[c].max <= s.max);
        split += old + s.told;
    }
    FUZZ_CHECK(split == told); // each is on one side of one override
    return sum.agents;
}

static void check_world(const struct world *w)
{
    size_t known, n = report_table_count(w->table, &known);
    uint64_t sum = 0;
    FUZZ_CHECK(known <= n && n <= PODS);
    for (size_t i = 0; i < ARRAY_LEN(fleets); i++)
        sum += check_fleet(w, fleets[i]);
    FUZZ_CHECK(sum == n);
    const struct report_agent *next = report_table_next(w->table);
    FUZZ_CHECK(!next || (next->queue < REPORT_TABLE_QUEUES && !next->asking));
    FUZZ_CHECK(!next ||
               (report_table_address(next)->set && next->due_ns <= w->now_ns + REPORT_TABLE_PERIOD_NS));
}

// --- steps ---

static int parse_metrics(const struct report_agent *a, const char *text, size_t len, struct report *ret,
                         struct err *e)
{
    static const struct report_metrics_wanted nothing;
    const struct report_told *told = report_table_told(a);
    struct report_metrics *m = malloc(sizeof(*m));
    FUZZ_CHECK(m);
    report_metrics_begin(m, told ? &told->wanted : &nothing);
    report_metrics_feed(m, text, len);
    int r = report_metrics_end(m, ret, e);
    free(m);
    return r;
}

// What is asked for answers with the rest of the input, or some of it, as a report or as metrics; or with
// numbers of its own that are as a report's may be.
static void answer(struct world *w, struct report_agent *a, struct fuzz_input *in, unsigned how)
{
    const struct report_who who = {
        .fleet = a->fleet->name, .node = a->node, .network = spec_network_name(a->set.network)};
    struct report report = {0};
    struct err e;
    int r = 0;
    if (how & 1) {
        r = report_parse((const char *)in->data, in->len, &who, &report, &e);
    } else if (how & 2) {
        r = parse_metrics(a, (const char *)in->data, in->len, &report, &e);
    } else {
        report.generation = fuzz_take(in, 1) % 4;
        report.resident_bytes = fuzz_take(in, 5);
        report.cpus = fuzz_take(in, 1);
        report.results[REPORT_RECEIVED] = fuzz_take(in, 2);
        report.results[REPORT_LOST] = fuzz_take(in, 1);
        report.allocator.verdict = (enum report_verdict)(how >> 2 & 1);
    }
    if (r < 0) {
        char text[sizeof(e)];
        report_table_failure(w->table, a, err_text(&e, text, sizeof(text)), w->now_ns);
        FUZZ_CHECK(fuzz_is_utf8(a->trouble, true) || strlen(a->trouble) == sizeof(a->trouble) - 1);
        return;
    }
    report_table_answer(w->table, a, &report, w->now_ns);
    FUZZ_CHECK(a->known && !a->asking && a->due_ns > w->now_ns && a->trouble[0] == '\0');
}

static struct report_agent *ask(struct world *w)
{
    struct report_agent *a = report_table_next(w->table);
    if (!a)
        return NULL;
    report_table_ask(w->table, a, &w->asked);
    FUZZ_CHECK(report_table_next(w->table) != a);
    return a;
}

static void step(struct world *w, struct fuzz_input *in)
{
    const unsigned what = (unsigned)fuzz_take(in, 1), how = (unsigned)fuzz_take(in, 1);
    char name[16];
    struct report_agent *a;
    switch (what % 6) {
    case 0: put_pod(w, what / 6 % PODS, how); break;
    case 1:
        snprintf(name, sizeof(name), "pod-%u", what / 6 % PODS);
        store_delete(w->store, STORE_POD, "ns", name);
        break;
    case 2: put_fleet(w, how % 2, 1 + how / 2 % 3); break;
    case 3:
        w->spec.agent.program = how & 1 ? SPEC_PROGRAM_EXPORTER : SPEC_PROGRAM_KUBECANARY;
        w->spec.agent.allocator.options[SPEC_OPTION_NARENAS].set = how & 2;
        FUZZ_CHECK(report_table_configure(w->table, "ns", fleets[how >> 2 & 1], &w->spec) == 0);
        break;
    case 4: // one is asked, and may go while it is
        a = ask(w);
        if (a && how % 8 == 7) {
            const size_t gone = w->gone;
            report_table_clear(w->table);
            FUZZ_CHECK(w->gone == gone + 1);
        } else if (a) {
            answer(w, a, in, how);
        }
        break;
    default: w->now_ns += how * NS_PER_S; break;
    }
    FUZZ_CHECK(report_table_sync(w->table, w->store, w->now_ns) == 0);
    check_world(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_input in = {data, len};
    struct world w;
    open_world(&w);
    for (int i = 0; i < STEPS && in.len > 0; i++)
        step(&w, &in);
    close_world(&w);
    return 0;
}
