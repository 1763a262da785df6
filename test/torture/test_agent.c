// SPDX-License-Identifier: Apache-2.0
// Allocation n fails, n = 1, 2, ... until none does: while files are read and put in force, by the parts and
// by inputs, while a scrape is made. After each failure the error says ENOMEM, the last good plan is in force
// and probes go on, and the next try succeeds. What leaks is the leak detector's to find.
#include "test/unit/check.h"

#include <errno.h>
#include <stdlib.h>

#include <zlib.h>

#include "agent/export.h"
#include "agent/gzip.h"
#include "agent/inputs.h"
#include "agent/peer_link.h"
#include "agent/prober.h"
#include "agent/reflect_stamp.h"
#include "lib/log.h"
#include "test/torture/torture.h"
#include "test/unit/agent/netns.h"

#define GZIP_AT ((export_bytes + 15) / 16 * 16)
#define MOST 20000 // allocations: more means that it never ends

// The files before and after: the second has everything once more, and another shape of what stays.
static const char before_agent[] =
    "generation: 1\nfleet: mesh\nipFamilies: [IPv4]\ntopology: {type: Sampled, degree: 2}\nprobes:\n"
    "- {name: icmp, type: ICMP, interval: 100ms}\n- {name: udp, type: STAMP, interval: 100ms}\n"
    "targets: [{name: old, type: ICMP, address: 127.0.0.9, interval: 100ms}]\n"
    "metrics: {rttBucketsMicroseconds: [50, 100]}\n";
#define AFTER                                                                                           \
    "generation: 2\nfleet: \"mesh\"\nipFamilies: [IPv4]\ntopology: {type: Zonal, degree: 2}\nprobes:\n" \
    "- {name: icmp, type: ICMP, interval: 100ms, timeout: 2s}\n- {name: tcp, type: TCP}\n"              \
    "- {name: udp, type: STAMP, interval: 100ms, flows: 4}\n"                                           \
    "metrics: {rttBucketsMicroseconds: [50, 100, 200], compression: Gzip}\n"                            \
    "targets:\n- {name: new, type: TCP, address: 127.0.0.9, port: 9, interval: 100ms}\n"
static const char after_agent[] = AFTER;
// And targets that need more than an address: a question, names, another program.
static const char after_targets[] = AFTER
    "- {name: asked, type: DNS, server: 127.0.0.9, query: a.example, recordType: A, expect: {answer: [192.0.2.1]}}\n"
    "- {name: named, type: TCP, host: localhost, addresses: All, port: 9, interval: 100ms}\n"
    "- {name: page, type: HTTP, url: \"https://127.0.0.9:9/\", caBundle: \"-----BEGIN CERTIFICATE-----\\n"
    "MAcwADAAAwEA\\n-----END CERTIFICATE-----\\n\"}\n";
static const char before_peers[] = "peers:\n- {node: n1, zone: a, pod: [198.18.0.1]}\n"
                                   "- {node: n2, zone: a, pod: [198.18.0.2]}\n";
static const char after_peers[] =
    "peers:\n- {node: n1, zone: a, pod: [198.18.0.1]}\n"
    "- {node: n2, zone: a, pod: [198.18.0.2]}\n- {node: n3, zone: b, pod: [198.18.0.3]}\n"
    "- {node: n4, zone: b, pod: [198.18.0.4], state: Leaving}\n";

static char dir[] = "/tmp/kubecanary-torture-XXXXXX";

static void write_text(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        printf("    cannot write %s\n", path);
}

static void write_before(void)
{
    write_text("agent.yaml", before_agent);
    write_text("peers-00.yaml", before_peers);
}

static void write_after(void)
{
    write_text("agent.yaml", after_agent);
    write_text("peers-00.yaml", after_peers);
}

// --- an agent ------------------------------------------------------------------------------------

struct agent {
    struct loop *loop;
    struct prober *prober;
    struct peer_link *link;
    uint64_t applied; // generation that prober_apply put in force last
};

static void agent_release(struct agent *a)
{
    peer_link_free(a->link);
    prober_free(a->prober);
    loop_free(a->loop);
    *a = (struct agent){0};
}

static int agent_init(struct agent *a, struct err *e)
{
    *a = (struct agent){.loop = loop_new(e)};
    a->prober = a->loop ? prober_new(a->loop, "n1", SPEC_NETWORK_POD, NULL, e) : NULL;
    a->link =
        a->prober ? peer_link_new(a->loop, "n1", SPEC_NETWORK_POD, prober_presence(a->prober), e) : NULL;
    return a->link ? 0 : -e->code;
}

// As main does it: only the hints, last of all, may fail with the new plan in force already.
static int apply(const struct inputs_files *f, void *arg, struct err *e)
{
    struct agent *a = arg;
    int r = prober_apply(a->prober, &f->agent, &f->peers, e);
    if (r < 0)
        return r;
    a->applied = f->agent.generation;
    return peer_link_apply(a->link, &f->agent, &f->peers, e);
}

// What the directory has, read and put in force.
static int reload(struct agent *a, struct err *e)
{
    CLEANUP_INPUTS_FILES struct inputs_files files = {0};
    int r = inputs_read(dir, &files, e);
    return r < 0 ? r : apply(&files, a, e);
}

static uint64_t sent(const struct agent *a)
{
    const struct plan *p = prober_plan(a->prober);
    uint64_t n = 0;
    for (size_t i = 0; i < p->n_pairs; i++)
        n += engine_stats(prober_engine(a->prober), i)->sent;
    return n;
}

// The counters hold, pair by pair; with `wait`, until something more was sent.
static bool goes_on(struct agent *a, bool wait)
{
    struct err e;
    uint64_t begun = sent(a);
    do {
        for (size_t i = 0; i < prober_plan(a->prober)->n_pairs; i++)
            if (!stats_consistent(engine_stats(prober_engine(a->prober), i)))
                return false;
        if (wait && loop_once(a->loop, NS_PER_S, &e) < 0)
            return false;
    } while (wait && sent(a) == begun);
    return true;
}

// --- what is done while memory fails -------------------------------------------------------------

static bool is_no_memory(int r, const struct err *e)
{
    if (r == -ENOMEM && e->code == ENOMEM && e->msg[0])
        return true;
    printf("    %d: %d %s: %s\n", r, e->code, e->path, e->msg);
    return false;
}

// After a failure: the plan is the one that was put in force last, all of it.
static bool stands(const struct agent *a, const struct plan *old, size_t pairs)
{
    const struct plan *p = prober_plan(a->prober);
    return p->generation == a->applied && (a->applied == 2 || (p == old && p->n_pairs == pairs));
}

// One reload with allocation n failing. *ret_hit: it did.
static bool one_reload(const char *after, enum torture_mode mode, size_t n, bool *ret_hit)
{
    struct agent a;
    struct err e = {0};
    write_before();
    bool ok = agent_init(&a, &e) == 0 && reload(&a, &e) == 0;
    write_after();
    write_text("agent.yaml", after);
    const struct plan *old = ok ? prober_plan(a.prober) : NULL;
    size_t pairs = old ? old->n_pairs : 0;
    torture_begin(mode, n);
    int r = ok ? reload(&a, &e) : 0;
    *ret_hit = torture_end();
    if (ok && r < 0)
        ok = *ret_hit && is_no_memory(r, &e) && stands(&a, old, pairs) && goes_on(&a, n % 16 == 0) &&
             reload(&a, &e) == 0;
    ok = ok && prober_plan(a.prober)->generation == 2 && goes_on(&a, false);
    agent_release(&a);
    return ok;
}

static void reloads_of(const char *after, unsigned modes)
{
    for (unsigned mode = 0; mode < modes; mode++) {
        bool hit = true;
        size_t n = 0;
        while (hit && ++n < MOST)
            if (!one_reload(after, mode, n, &hit)) {
                CHECK_INT(n, 0);
            }
        CHECK(n > 100 && n < MOST);
    }
}

static void reloads(void)
{
    reloads_of(after_agent, TORTURE_MODES);
}

// Each try starts the helper that is not there: allocations fail one by one only.
static void reloads_with_targets(void)
{
    reloads_of(after_targets, TORTURE_ONE + 1);
}

static void beginnings(void)
{
    for (unsigned mode = 0; mode < TORTURE_MODES; mode++) {
        bool hit = true;
        size_t n = 0;
        while (hit && ++n < MOST) {
            struct agent a;
            struct err e = {0};
            torture_begin(mode, n);
            int r = agent_init(&a, &e);
            hit = torture_end();
            agent_release(&a);
            if (r < 0)
                CHECK(hit && is_no_memory(r, &e));
        }
        CHECK(n > 5 && n < MOST);
    }
}

// Runs the loop until inputs has read something, or failed to.
static bool runs_on(struct agent *a, const struct inputs_state *s, uint64_t loads, uint64_t failures)
{
    struct err e;
    while (s->loads == loads && s->failures == failures)
        if (loop_once(a->loop, NS_PER_S, &e) < 0)
            return false;
    return true;
}

static bool is_in_force(const struct agent *a, const struct inputs_state *s, uint64_t generation)
{
    return s->generation == generation && prober_plan(a->prober)->generation == a->applied;
}

// By inputs: what failed for want of memory is tried again without a change of the files.
static bool one_input(enum torture_mode mode, size_t n, bool *ret_hit)
{
    struct agent a;
    struct err e = {0};
    write_before();
    bool ok = agent_init(&a, &e) == 0;
    struct inputs *in = ok ? inputs_new(a.loop, dir, NS_PER_MS, apply, &a, &e) : NULL;
    const struct inputs_state *s = in ? inputs_state(in) : NULL;
    ok = s && s->last_ok && is_in_force(&a, s, 1);
    write_after();
    torture_begin(mode, n);
    ok = ok && runs_on(&a, s, 1, 0);
    *ret_hit = torture_end();
    if (ok && s->failures)
        ok = *ret_hit && !s->last_ok && s->err.code == ENOMEM && is_in_force(&a, s, 1) &&
             runs_on(&a, s, 1, s->failures);
    ok = ok && s->last_ok && a.applied == 2 && is_in_force(&a, s, 2);
    inputs_free(in);
    agent_release(&a);
    return ok;
}

static void inputs(void)
{
    bool hit = true;
    size_t n = 0;
    while (hit && ++n < MOST)
        if (!one_input(TORTURE_ONE, n, &hit)) {
            CHECK_INT(n, 0);
        }
    CHECK(n > 100 && n < MOST);
}

// In a place of `places`; compressed as well, since that begins with what could be allocations.
static ssize_t scrape(const struct agent *a, struct scratch *places, bool compressed, struct buf *out)
{
    struct export_sources from = {.prober = a->prober, .link = a->link};
    char *place = scratch_take(places, GZIP_AT + GZIP_BYTES);
    struct export_scrape *x = export_new(place, &from, METRIC_OPENMETRICS_1_0);
    struct gzip *g = x && compressed ? gzip_new(place + GZIP_AT, export_read, x) : NULL;
    static char piece[4096];
    ssize_t n = -1;
    while (x && (n = g ? gzip_read(g, piece, sizeof(piece)) : export_read(x, piece, sizeof(piece))) > 0)
        buf_add(out, piece, (size_t)n);
    export_end(x);
    scratch_give(places, place);
    return g || !compressed ? n : -1;
}

static bool inflated(const struct buf *b, char *out, size_t size)
{
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)buf_text(b), .avail_in = (unsigned)b->len};
    bool ok = inflateInit2(&z, 16 + 15) == Z_OK; // gzip only
    z.next_out = (uint8_t *)out;
    z.avail_out = (unsigned)size - 1;
    ok = ok && inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_in == 0;
    out[ok ? z.total_out : 0] = '\0';
    inflateEnd(&z);
    return ok;
}

// limit: of series, so that histograms are left out.
static bool apply_limited(struct agent *a, uint32_t limit, struct err *e)
{
    CLEANUP_INPUTS_FILES struct inputs_files files = {0};
    if (inputs_read(dir, &files, e) < 0)
        return false;
    files.agent.spec.metrics.series_limit = limit;
    return apply(&files, a, e) == 0;
}

// Takes each sample's value off: what is left are the series, in their order.
static void drop_values(char *text)
{
    char *to = text;
    for (const char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\n"), kept = len;
        while (line[0] != '#' && kept > 0 && line[kept] != ' ')
            kept--;
        memmove(to, line, kept);
        to[kept] = '\n';
        to += kept + 1;
        line += len + (line[len] == '\n');
    }
    *to = '\0';
}

// A scrape asks for no memory at all, so none of it can be missing: it has each series that one has while
// there is memory.
static void check_scrape(const struct agent *a, struct scratch *places, bool compressed)
{
    static char whole[1 << 20], text[sizeof(whole)], raw[sizeof(whole)];
    struct buf want, got;
    buf_fixed(&want, whole, sizeof(whole));
    CHECK_INT(scrape(a, places, false, &want), 0);
    CHECK(want.len > 1000 && strcmp(whole + want.len - 6, "# EOF\n") == 0);
    buf_fixed(&got, compressed ? raw : text, sizeof(raw));
    torture_begin(TORTURE_ALL, 1);
    CHECK_INT(scrape(a, places, compressed, &got), 0);
    CHECK(!torture_end());
    CHECK(!compressed || inflated(&got, text, sizeof(text)));
    drop_values(whole);
    drop_values(text);
    CHECK(!want.failed && !got.failed && strcmp(text, whole) == 0);
}

static void scrapes(void)
{
    struct agent a;
    struct err e;
    struct scratch *places = scratch_new(1, GZIP_AT + GZIP_BYTES, &e);
    write_after();
    CHECK(places);
    CHECK_INT(agent_init(&a, &e), 0);
    for (unsigned run = 0; run < 4; run++) {
        bool limited = run % 2, compressed = run / 2;
        CHECK(apply_limited(&a, limited ? 10 : 50000, &e));
        CHECK_INT(export_limited(prober_plan(a.prober), engine_failures(prober_engine(a.prober))), limited);
        check_scrape(&a, places, compressed);
    }
    agent_release(&a);
    scratch_free(places);
}

static void reflectors(void)
{
    const struct addr any = {0};
    bool hit = true;
    for (size_t n = 1; hit && n < MOST; n++) {
        struct err e = {0};
        struct reflect_stamp_stats stats;
        struct loop *l = loop_new(&e);
        torture_begin(TORTURE_ONE, n);
        struct reflect_stamp *s = reflect_stamp_new(l, &any, 0, 1, &e);
        int r = s ? reflect_stamp_expect(s, 4096, 512, &e) : -e.code;
        hit = torture_end();
        if (r < 0)
            CHECK(hit && is_no_memory(r, &e));
        if (s)
            reflect_stamp_stats(s, &stats);
        if (s && r < 0)
            CHECK_INT(reflect_stamp_expect(s, 4096, 512, &e), 0);
        reflect_stamp_free(s);
        loop_free(l);
    }
}

static const struct check_case cases[] = {
    {"beginnings", beginnings}, {"reloads", reloads}, {"reloads with targets", reloads_with_targets},
    {"by inputs", inputs},      {"scrapes", scrapes}, {"reflectors", reflectors},
};

int __wrap_inotify_init1(int flags);
int __wrap_inotify_init1(int flags) // so that files are polled for, and no event makes it wait for more
{
    (void)flags;
    errno = EMFILE;
    return -1;
}

int main(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    log_init(LOG_ERROR, null);
    if (null < 0 || !netns_enter() || !mkdtemp(dir))
        return 1;
    int status = check_all(cases, ARRAY_LEN(cases));
    char path[128];
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, i ? "peers-00.yaml" : "agent.yaml");
        unlink(path);
    }
    rmdir(dir);
    return status;
}
