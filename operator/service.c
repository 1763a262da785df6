// SPDX-License-Identifier: Apache-2.0
// Wiring and life cycle of the operator as a service.
#include "operator/service.h"

#include <signal.h>

#include "lib/log.h"
#include "lib/version.h"
#include "operator/control.h"
#include "operator/local.h"
#include "operator/page.h"

struct service {
    const struct cli *cli;
    struct loop *loop;
    struct render_config render;
    struct control *control;
    struct page *page;
};

static void on_stop(int signo, void *arg)
{
    struct service *s = arg;
    log_info("ending", LOG_INT("signal", signo));
    loop_stop(s->loop);
}

// Loop and signals, before anything else: a signal that comes during the start must not kill us half-way.
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
    loop_free(s->loop);
}

// Takes the backend over.
static int serve_cluster(struct service *s, struct cluster *cluster, struct err *e)
{
    s->control = control_new(s->loop, cluster, &s->render, e);
    if (!s->control)
        return -e->code;
    s->page = page_new(s->loop, &s->cli->listen, s->cli->listen_port, s->control, NULL, NULL, e);
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
    int r = serve_cluster(s, cluster, e);
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
