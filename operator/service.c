// SPDX-License-Identifier: Apache-2.0
// Wiring and life cycle of the operator as a service: who is made first, who may write when, and in which
// order all of it ends.
#include "operator/service.h"

#include <errno.h>
#include <signal.h>

#include "lib/log.h"
#include "lib/version.h"
#include "operator/control.h"
#include "operator/kube.h"
#include "operator/kubeconfig.h"
#include "operator/lease.h"
#include "operator/local.h"
#include "operator/page.h"

#define LEASE_NAME "kubecanary-operator"
#define USER_AGENT "kubecanary/" KUBECANARY_VERSION " (linux)"

struct service {
    const struct cli *cli;
    struct loop *loop;
    struct render_config render;
    struct control *control;
    struct page *page;
    // Kubernetes only
    struct kubeconfig kubeconfig;
    const struct kube_stats *stats;
    struct lease *lease;
    bool lease_lost;
    bool ending; // a signal asked for it
};

static void on_released(void *arg)
{
    struct service *s = arg;
    loop_stop(s->loop);
}

// Writes end first, then the lease is given up, then the loop stops. A second signal does not wait for that.
static void on_stop(int signo, void *arg)
{
    struct service *s = arg;
    bool again = s->ending;
    s->ending = true;
    log_end(LOG_INFO, "ending", LOG_INT("signal", signo));
    if (s->control)
        control_stop(s->control);
    if (!again && s->lease && lease_leading(s->lease))
        lease_release(s->lease, on_released, s);
    else
        loop_stop(s->loop);
}

// Loop and signals before anything else: a signal that comes during the start must not kill us half-way.
static int open_service(struct service *s, const struct cli *c, struct err *e)
{
    *s = (struct service){.cli = c};
    s->render = (struct render_config){.version = version_text,
                                       .agent_image = c->agent_image,
                                       .agent_jemalloc_image = c->agent_jemalloc_image,
                                       .image_pull_policy = c->image_pull_policy};
    s->loop = loop_new(e);
    if (!s->loop)
        return -e->code;
    signal(SIGPIPE, SIG_IGN);
    int r = loop_signal(s->loop, SIGTERM, on_stop, s, e);
    return r < 0 ? r : loop_signal(s->loop, SIGINT, on_stop, s, e);
}

static void close_service(struct service *s)
{
    page_free(s->page);
    control_free(s->control);
    lease_free(s->lease);
    kubeconfig_release(&s->kubeconfig);
    loop_free(s->loop);
}

// Takes the backend over.
static int serve_cluster(struct service *s, struct cluster *cluster, page_extra_fn *extra, struct err *e)
{
    s->control = control_new(s->loop, cluster, &s->render, e);
    const struct reports_opts reports = {.user_agent = USER_AGENT "/reports"};
    if (!s->control || control_read_reports(s->control, &reports, e) < 0)
        return -e->code;
    s->page = page_new(s->loop, &s->cli->listen, s->cli->listen_port, s->control, extra, s, e);
    return s->page ? 0 : -e->code;
}

static int run_local(struct service *s, struct err *e)
{
    const struct cli *c = s->cli;
    const struct local_opts opts = {.fleets = c->file,
                                    .nodes = c->nodes,
                                    .agent = c->agent,
                                    .agent_jemalloc = c->agent_jemalloc,
                                    .state_dir = c->state_dir};
    struct cluster *cluster = local_new(s->loop, &opts, e);
    if (!cluster)
        return -e->code;
    log_info("local cluster", LOG_INT("nodes", c->nodes), LOG_STR("state", local_state_dir(cluster)));
    int r = serve_cluster(s, cluster, NULL, e);
    if (r < 0)
        return r;
    control_set_leading(s->control, true);
    return loop_run(s->loop, e);
}

int service_local(const struct cli *c, struct err *e)
{
    struct service s;
    int r = open_service(&s, c, e);
    if (r == 0)
        r = run_local(&s, e);
    close_service(&s);
    return r;
}

// Of both connections: the cluster's and the lease's.
static void write_requests(struct buf *b, const struct service *s)
{
    const struct kube_stats *lease = s->lease ? lease_stats(s->lease) : NULL;
    for (unsigned code = 0; code < ARRAY_LEN(s->stats->by_code); code++) {
        CLEANUP_BUF struct buf labels = {.max = 64};
        char number[16];
        uint64_t answers = s->stats->by_code[code] + (lease ? lease->by_code[code] : 0);
        if (answers == 0 && code != 0 && code != 200)
            continue; // those two are there from the start
        snprintf(number, sizeof(number), "%u", code);
        metric_label(&labels, "code", code ? number : "<error>");
        metric_u64(b, "rest_client_requests", "_total", &labels, answers);
    }
}

static void write_kube_metrics(struct buf *b, enum metric_format f, void *arg)
{
    const struct service *s = arg;
    const struct {
        const char *name, *help;
        uint64_t value;
    } list[] = {
        {"kubecanary_operator_watches", "Watches opened.", s->stats->watches},
        {"kubecanary_operator_relists", "Lists after the first of each kind.", s->stats->relists},
        {"kubecanary_operator_watches_expired", "Answers 410, in either form.", s->stats->expired},
        {"kubecanary_operator_watch_events", "Events of watches.", s->stats->events},
        {"kubecanary_operator_watch_bad_lines", "Lines of watches that were no event.", s->stats->bad_lines},
        {"kubecanary_operator_bad_objects", "Objects that lack what their kind must have.",
         s->stats->bad_objects},
    };
    metric_family(b, f, METRIC_COUNTER, "rest_client_requests", NULL,
                  "Requests to the API server by answer.");
    write_requests(b, s);
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        metric_family(b, f, METRIC_COUNTER, list[i].name, NULL, list[i].help);
        metric_u64(b, list[i].name, "_total", NULL, list[i].value);
    }
}

static void on_leading(bool leading, void *arg)
{
    struct service *s = arg;
    if (leading) {
        log_info("leading", LOG_STR("lease", LEASE_NAME), LOG_STR("namespace", s->cli->namespace));
        control_set_leading(s->control, true);
        return;
    }
    // What another leader does now must not meet a write of ours: stop at once and begin anew as a stand-by.
    s->lease_lost = true;
    control_stop(s->control);
    loop_stop(s->loop);
}

static bool may_write(void *arg)
{
    const struct service *s = arg;
    return !s->cli->leader_elect || (s->lease && lease_may_write(s->lease));
}

static int begin_leading(struct service *s, struct err *e)
{
    char identity[LIMIT_NAME + 64];
    if (!s->cli->leader_elect) {
        control_set_leading(s->control, true);
        return 0;
    }
    lease_identity(identity, sizeof(identity));
    const struct lease_opts opts = {.namespace = s->cli->namespace,
                                    .name = LEASE_NAME,
                                    .identity = identity,
                                    .user_agent = USER_AGENT "/leader-election",
                                    .on_change = on_leading,
                                    .arg = s};
    s->lease = lease_new(s->loop, &s->kubeconfig, &opts, e);
    return s->lease ? 0 : -e->code;
}

static int run_kubernetes(struct service *s, struct err *e)
{
    struct kubeconfig_env env = kubeconfig_environment(s->cli->kubeconfig);
    int r = kubeconfig_load(&env, &s->kubeconfig, e);
    if (r < 0)
        return r;
    const struct kube_opts opts = {.namespaces = s->cli->watch,
                                   .n_namespaces = s->cli->n_watch,
                                   .user_agent = USER_AGENT,
                                   .may_write = may_write,
                                   .arg = s};
    struct cluster *cluster = kube_new(s->loop, &s->kubeconfig, &opts, e);
    if (!cluster)
        return -e->code;
    s->stats = kube_stats(cluster);
    log_info("operator", LOG_STR("version", version_text), LOG_STR("server", s->kubeconfig.server));
    r = serve_cluster(s, cluster, write_kube_metrics, e);
    if (r == 0)
        r = begin_leading(s, e);
    if (r == 0)
        r = loop_run(s->loop, e);
    return r;
}

int service_run(const struct cli *c, struct err *e)
{
    struct service s;
    int r = open_service(&s, c, e);
    if (r == 0)
        r = run_kubernetes(&s, e);
    close_service(&s);
    return r == 0 && s.lease_lost ? err_set(e, ECANCELED, "the lease was lost") : r;
}
