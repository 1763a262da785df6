// SPDX-License-Identifier: Apache-2.0
// The Kubernetes client alone, for tests: `driver KUBECONFIG [NAMESPACE...]` writes every change of the store
// to stdout, a line each, and takes commands on stdin, a line each (see `commands`). Ends at the end of
// stdin.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/log.h"
#include "operator/kube.h"
#include "operator/lease.h"
#include "operator/reports.h"

struct driver {
    struct loop *loop;
    struct cluster *cluster;
    struct store *store;
    struct kubeconfig config;
    struct lease *lease;
    struct reports *reports;
    struct loop_fd in;
    struct buf line;
    struct loop_timer tick;
    bool synced;
};

static void on_change(enum store_kind kind, enum store_change change, const struct store_meta *m, void *arg)
{
    static const char *const words[] = {"put", "deleted", "api"};
    struct driver *d = arg;
    if (d->reports)
        reports_touch(d->reports);
    printf("%s %s %s/%s %s\n", words[change], store_kinds[kind].kind, m->namespace, m->name,
           m->resource_version);
}

static void on_tick(struct loop_timer *t, void *arg)
{
    struct driver *d = arg;
    struct err e;
    if (store_synced(d->store) && !d->synced) {
        d->synced = true;
        printf("synced\n");
    }
    if (!d->synced && loop_timer_set(d->loop, t, loop_now(d->loop) + 10 * NS_PER_MS, on_tick, d, &e) < 0)
        abort();
}

static void on_result(const struct action_result *r, void *arg UNUSED)
{
    const json_t *meta = json_object_get(r->object, "metadata");
    const char *version = json_string_value(json_object_get(meta, "resourceVersion"));
    printf("result %d code=%d reason=%s path=%s version=%s retry=%d %s\n", r->status, r->err.code, r->reason,
           r->err.code ? r->err.path : "", version ? version : "", r->retry_after_s,
           r->err.code ? r->err.msg : "");
}

static int kind_of(const char *text)
{
    int k = 0;
    while (k < STORE_KINDS && strcmp(store_kinds[k].kind, text) != 0)
        k++;
    return k;
}

// VERB KIND NAMESPACE NAME REST: REST is the body as JSON (apply, status, event), the uid (delete), or the
// uid and the value (poke).
static void act(struct driver *d, enum action_verb verb, char *rest)
{
    struct action a = {.verb = verb};
    struct err e;
    char *kind = strsep(&rest, " "), *namespace = strsep(&rest, " "), *name = strsep(&rest, " ");
    bool bad = !rest || kind_of(kind) == STORE_KINDS ||
               base_copy(a.namespace, sizeof(a.namespace), namespace) < 0 ||
               base_copy(a.name, sizeof(a.name), name) < 0;
    if (!bad && (verb == ACTION_DELETE || verb == ACTION_POKE)) {
        bad = base_copy(a.uid, sizeof(a.uid), strsep(&rest, " ")) < 0;
        bad = bad || (rest && base_copy(a.value, sizeof(a.value), rest) < 0);
    } else if (!bad) {
        a.body = json_loads(rest, 0, NULL);
    }
    if (bad) {
        printf("bad command\n");
        return;
    }
    a.kind = (enum store_kind)kind_of(kind);
    if (d->cluster->ops->act(d->cluster, &a, on_result, d, &e) < 0)
        printf("refused code=%d %s\n", e.code, e.msg);
    action_release(&a);
}

// As in the operator: with a lease only its holder writes.
static bool may_write(void *arg)
{
    const struct driver *d = arg;
    return !d->lease || lease_may_write(d->lease);
}

static void on_leading(bool leading, void *arg UNUSED)
{
    printf("%s\n", leading ? "leading" : "lost");
}

static void on_released(void *arg UNUSED)
{
    printf("released\n");
}

static void begin_lease(struct driver *d, char *rest)
{
    struct err e = {0};
    struct lease_opts o = {
        .user_agent = "kubecanary-test/leader-election", .on_change = on_leading, .arg = d};
    o.namespace = strsep(&rest, " ");
    o.name = rest ? strsep(&rest, " ") : "";
    o.identity = rest ? rest : "";
    d->lease = lease_new(d->loop, &d->config, &o, &e);
    if (!d->lease)
        printf("refused code=%d %s\n", e.code, e.msg);
}

static void on_report(const char *namespace, const char *fleet, void *arg UNUSED)
{
    printf("report %s/%s\n", namespace, fleet);
}

// reports PORT TIMEOUT_MS: asks the agents of all fleets from now on.
static void begin_reports(struct driver *d, char *rest)
{
    struct err e = {0};
    uint64_t port = 0, ms = 0;
    const char *first = strsep(&rest, " ");
    if (d->reports || base_parse_u64(first, 1, UINT16_MAX, &port) < 0 ||
        base_parse_u64(rest ? rest : "", 1, 60000, &ms) < 0) {
        printf("bad command\n");
        return;
    }
    const struct reports_opts o = {
        .port = (uint16_t)port, .timeout_ns = ms * NS_PER_MS, .user_agent = "kubecanary-test"};
    d->reports = reports_new(d->loop, d->store, &o, on_report, d, &e);
    if (d->reports)
        reports_set_asking(d->reports, true);
    else
        printf("refused code=%d %s\n", e.code, e.msg);
}

static void show_sum(const struct driver *d)
{
    struct err e;
    struct report_sum s = {0};
    if (!d->reports || reports_sum(d->reports, "default", "mesh", &s, &e) < 0)
        printf("bad command\n");
    else
        printf("sum agents=%zu reporting=%zu failing=%zu pairs=%llu node=%s why=%s\n", s.agents, s.reporting,
               s.failing, (unsigned long long)s.pairs, s.failing_node, s.failing_why);
}

static void show_stats(const struct driver *d)
{
    const struct kube_stats *s = kube_stats(d->cluster);
    printf(
        "stats watches=%llu relists=%llu expired=%llu bad_lines=%llu bad_objects=%llu replays=%llu may_write=%d\n",
        (unsigned long long)s->watches, (unsigned long long)s->relists, (unsigned long long)s->expired,
        (unsigned long long)s->bad_lines, (unsigned long long)s->bad_objects, (unsigned long long)s->replays,
        d->lease ? lease_may_write(d->lease) : -1);
    for (enum store_kind k = 0; k < STORE_KINDS; k++)
        printf("count %s %zu%s\n", store_kinds[k].kind, store_count(d->store, k),
               store_absent(d->store, k) ? " absent" : "");
    printf("stats end\n");
}

static void command(struct driver *d, char *line)
{
    static const struct {
        const char *word;
        enum action_verb verb;
    } verbs[] = {{"apply", ACTION_APPLY},
                 {"status", ACTION_STATUS},
                 {"delete", ACTION_DELETE},
                 {"poke", ACTION_POKE},
                 {"event", ACTION_EVENT}};
    char *rest = line;
    const char *word = strsep(&rest, " ");
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (strcmp(word, verbs[i].word) == 0 && rest)
            act(d, verbs[i].verb, rest);
    }
    if (strcmp(word, "lease") == 0 && rest)
        begin_lease(d, rest);
    else if (strcmp(word, "release") == 0 && d->lease)
        lease_release(d->lease, on_released, d);
    else if (strcmp(word, "reports") == 0 && rest)
        begin_reports(d, rest);
    else if (strcmp(word, "sum") == 0)
        show_sum(d);
    else if (strcmp(word, "stats") == 0)
        show_stats(d);
}

static void on_input(struct loop_fd *fd, uint32_t events UNUSED, void *arg)
{
    struct driver *d = arg;
    char piece[4096];
    ssize_t n = read(fd->fd, piece, sizeof(piece));
    if (n <= 0) {
        loop_stop(d->loop);
        return;
    }
    buf_add(&d->line, piece, (size_t)n);
    for (char *end; d->line.len > 0 && (end = memchr(d->line.data, '\n', d->line.len));) {
        size_t len = (size_t)(end - d->line.data);
        *end = '\0';
        command(d, d->line.data);
        buf_shift(&d->line, len + 1);
    }
}

static int run(struct driver *d, int argc, char **argv, struct err *e)
{
    struct kubeconfig_env env = {.flag = argv[1]};
    struct kube_opts o = {.namespaces = (const char *const *)(argv + 2),
                          .n_namespaces = (size_t)(argc - 2),
                          .user_agent = "kubecanary-test",
                          .may_write = may_write,
                          .arg = d};
    int r = kubeconfig_load(&env, &d->config, e);
    if (r < 0)
        return r;
    d->loop = loop_new(e);
    d->store = store_new(on_change, d);
    d->cluster = d->loop ? kube_new(d->loop, &d->config, &o, e) : NULL;
    if (!d->cluster || !d->store)
        return -1;
    buf_init(&d->line, (size_t)4 << 20);
    r = d->cluster->ops->start(d->cluster, d->store, e);
    if (r == 0)
        r = loop_fd_add(d->loop, &d->in, STDIN_FILENO, EPOLLIN, on_input, d, e);
    if (r < 0)
        return r;
    on_tick(&d->tick, d);
    return loop_run(d->loop, e);
}

int main(int argc, char **argv)
{
    struct driver d = {0};
    struct err e = {0};
    char text[1024];
    if (argc < 2) {
        fprintf(stderr, "usage: driver KUBECONFIG [NAMESPACE...]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    log_init(LOG_DEBUG, STDERR_FILENO);
    int r = run(&d, argc, argv, &e);
    if (r < 0)
        fprintf(stderr, "driver: %s\n", err_text(&e, text, sizeof(text)));
    lease_free(d.lease);
    reports_free(d.reports);
    if (d.cluster)
        d.cluster->ops->free(d.cluster);
    store_free(d.store);
    loop_free(d.loop);
    kubeconfig_release(&d.config);
    buf_release(&d.line);
    return r < 0;
}
