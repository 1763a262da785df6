// SPDX-License-Identifier: Apache-2.0
// Health and metrics of the operator, rendered from the controller's numbers at the moment of the request.
#include "operator/page.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/metric.h"
#include "lib/resident.h"
#include "lib/version.h"
#include "operator/page_reports.h"

// A page of this program has a fixed number of series, and at most one a fleet: far less than this.
#define PAGE_MAX ((size_t)1 << 20)

struct page {
    struct serve *serve;
    const struct control *control;
    page_extra_fn *extra;
    void *arg;
};

struct sample {
    enum metric_type type;
    const char *name;
    const char *label[2]; // key and value; {NULL}: none
    const char *help;
    uint64_t value;
};

static void write_samples(struct buf *b, enum metric_format f, const struct sample *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        metric_family(b, f, list[i].type, list[i].name, NULL, list[i].help);
        CLEANUP_BUF struct buf labels = {.max = 512};
        if (list[i].label[0])
            metric_label(&labels, list[i].label[0], list[i].label[1]);
        metric_u64(b, list[i].name, list[i].type == METRIC_COUNTER ? "_total" : "", &labels, list[i].value);
    }
}

static void write_build_info(struct buf *b, enum metric_format f)
{
    metric_family(b, f, METRIC_INFO, "kubecanary_build", NULL, "The version that runs.");
    CLEANUP_BUF struct buf labels;
    buf_init(&labels, 512);
    metric_label(&labels, "program", "operator");
    metric_label(&labels, "version", version_text);
    metric_label(&labels, "revision", version_revision);
    metric_label(&labels, "compiler", version_compiler);
    metric_u64(b, "kubecanary_build", "_info", &labels, 1);
}

static void write_process(struct buf *b, enum metric_format f)
{
    struct timespec cpu = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    metric_family(b, f, METRIC_COUNTER, "process_cpu_seconds", "seconds", "User and system time used.");
    metric_seconds(b, "process_cpu_seconds", "_total", NULL,
                   (uint64_t)cpu.tv_sec * NS_PER_S + (uint64_t)cpu.tv_nsec);
    metric_family(b, f, METRIC_GAUGE, "process_resident_memory_bytes", "bytes", "Resident memory.");
    metric_u64(b, "process_resident_memory_bytes", "", NULL, resident_bytes());
}

static void write_metrics(const struct page *p, struct buf *b, enum metric_format f)
{
    struct control_stats s = control_stats(p->control);
    const struct sample list[] = {
        {METRIC_GAUGE,
         "leader_election_master_status",
         {"name", "kubecanary-operator"},
         "1 while this operator leads (writes), else 0.",
         s.leading},
        {METRIC_GAUGE,
         "kubecanary_operator_synced",
         {NULL},
         "1 once every watched kind was listed.",
         s.synced},
        {METRIC_GAUGE, "kubecanary_operator_fleets", {NULL}, "ProbeFleets known.", s.fleets},
        {METRIC_GAUGE, "kubecanary_operator_nodes", {NULL}, "Nodes known.", s.nodes},
        {METRIC_GAUGE, "kubecanary_operator_agent_pods", {NULL}, "Pods of agents known.", s.pods},
        {METRIC_COUNTER,
         "controller_runtime_reconcile",
         {"controller", "probefleet"},
         "Rounds of work on a fleet.",
         s.rounds},
        {METRIC_COUNTER,
         "controller_runtime_reconcile_errors",
         {"controller", "probefleet"},
         "Rounds that failed and come again.",
         s.failures},
        {METRIC_COUNTER, "kubecanary_operator_applies", {NULL}, "Children applied with success.", s.applies},
        {METRIC_GAUGE,
         "workqueue_depth",
         {"name", "probefleet"},
         "Fleets that wait for a round.",
         s.queue.depth},
        {METRIC_COUNTER, "workqueue_adds", {"name", "probefleet"}, "Keys added.", s.queue.adds},
        {METRIC_COUNTER,
         "workqueue_retries",
         {"name", "probefleet"},
         "Keys that came again after a failure.",
         s.queue.retries},
    };
    write_build_info(b, f);
    write_samples(b, f, list, ARRAY_LEN(list));
    page_reports_write(p->control, b, f);
    write_process(b, f);
    if (p->extra)
        p->extra(b, f, p->arg);
    metric_end(b, f);
}

static int answer_text(struct serve_response *r, int status, const char *text)
{
    r->status = status;
    r->content_type = "text/plain; charset=utf-8";
    r->body = strdup(text);
    r->body_len = strlen(text);
    return r->body ? 0 : -1;
}

static int answer_metrics(const struct page *p, const struct serve_request *q, struct serve_response *r)
{
    enum metric_format f = metric_negotiate(q->accept);
    CLEANUP_BUF struct buf b;
    buf_init(&b, PAGE_MAX);
    write_metrics(p, &b, f);
    r->status = 200;
    r->content_type = metric_content_type(f);
    r->vary = "Accept";
    r->body_len = b.len;
    r->body = buf_take(&b);
    return r->body ? 0 : -1;
}

static int on_request(const struct serve_request *q, struct serve_response *r, void *arg)
{
    const struct page *p = arg;
    if (strcmp(q->path, "/metrics") == 0)
        return answer_metrics(p, q, r);
    if (strcmp(q->path, "/healthz") == 0 || strcmp(q->path, "/livez") == 0)
        return answer_text(r, 200, "ok\n");
    if (strcmp(q->path, "/readyz") == 0)
        return control_synced(p->control) ? answer_text(r, 200, "ok\n")
                                          : answer_text(r, 503, "not every watched kind was listed yet\n");
    return answer_text(r, 404, "there are /metrics, /healthz and /readyz\n");
}

struct page *page_new(struct loop *l, const struct addr *addr, uint16_t port, const struct control *c,
                      page_extra_fn *extra, void *arg, struct err *e)
{
    struct page *p = calloc(1, sizeof(*p));
    if (!p) {
        err_set(e, ENOMEM, "no memory for the page");
        return NULL;
    }
    *p = (struct page){.control = c, .extra = extra, .arg = arg};
    p->serve = serve_new(l, addr, port, on_request, p, e);
    if (!p->serve) {
        free(p);
        return NULL;
    }
    return p;
}

void page_free(struct page *p)
{
    if (!p)
        return;
    serve_free(p->serve);
    free(p);
}
