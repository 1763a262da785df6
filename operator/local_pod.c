// SPDX-License-Identifier: Apache-2.0
// A Pod's states and what moves it between them: refresh, exit of the process, readiness checks, timer.
#include "operator/local_pod.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/log.h"
#include "operator/local_exec.h"
#include "operator/local_files.h"
#include "operator/local_pod_object.h"

static void start(struct local_pod *p);

static int show(struct local_pod *p, struct err *e)
{
    json_t *object = local_pod_object(p);
    if (!object)
        return err_set(e, ENOMEM, "no memory for Pod %s", p->name);
    return local_objects_put(p->env->objects, STORE_POD, object, e);
}

static void show_change(struct local_pod *p)
{
    struct err e;
    if (show(p, &e) < 0)
        log_error("cannot show a Pod", LOG_STR("pod", p->name), LOG_ERR(&e));
    p->env->changed(p->env->arg);
}

// --- readiness
// ----------------------------------------------------------------------------------------------------

static void arm(struct local_pod *p, uint64_t delay_ns, loop_timer_fn *fn)
{
    struct err e;
    if (loop_timer_set(p->env->loop, &p->timer, loop_now(p->env->loop) + delay_ns, fn, p, &e) < 0)
        log_error("cannot set a Pod's timer", LOG_STR("pod", p->name), LOG_ERR(&e));
}

static void on_check_due(struct loop_timer *t, void *arg);

static void on_checked(bool ready, void *arg)
{
    struct local_pod *p = arg;
    p->check = NULL;
    p->failures = ready ? 0 : p->failures + 1;
    bool now = ready || (p->ready && p->failures < LOCAL_POD_FAILURES);
    uint64_t period = p->run.ready_period_s * NS_PER_S;
    arm(p, now ? period : LOCAL_POD_FIRST_CHECK_NS, on_check_due);
    if (now == p->ready)
        return;
    p->ready = now;
    show_change(p);
}

static void on_check_due(struct loop_timer *t UNUSED, void *arg)
{
    struct local_pod *p = arg;
    const struct addr *ip = &p->node->ip[FAMILY_IPV4];
    struct err e;
    p->check = local_ready_start(p->env->loop, ip, p->run.ready_port, p->run.ready_path, on_checked, p, &e);
    if (!p->check)
        on_checked(false, p);
}

// --- the process
// --------------------------------------------------------------------------------------------------

static void wait_with(struct local_pod *p, const char *reason, const char *message)
{
    p->phase = LOCAL_POD_WAITING;
    p->ready = false;
    snprintf(p->reason, sizeof(p->reason), "%s", reason);
    snprintf(p->message, sizeof(p->message), "%s", message);
    show_change(p);
}

static void on_restart(struct loop_timer *t UNUSED, void *arg)
{
    start(arg);
}

static void back_off(struct local_pod *p, const char *reason, const char *message)
{
    uint64_t now = loop_now(p->env->loop), delay = LOCAL_POD_BACKOFF_NS;
    if (p->started_ns && now - p->started_ns > LOCAL_POD_BACKOFF_MAX_NS)
        p->restarts = 0;
    for (unsigned i = 0; i < p->restarts && delay < LOCAL_POD_BACKOFF_MAX_NS; i++)
        delay *= 2;
    p->restarts++;
    log_warn("agent does not run", LOG_STR("node", p->node->name), LOG_STR("pod", p->name),
             LOG_STR("reason", reason), LOG_STR("error", message), LOG_STR("log", p->log));
    arm(p, MIN(delay, LOCAL_POD_BACKOFF_MAX_NS), on_restart);
    wait_with(p, reason, message);
}

static void end(struct local_pod *p)
{
    p->phase = LOCAL_POD_ENDED;
    p->ready = false;
    loop_timer_cancel(p->env->loop, &p->timer);
    p->env->changed(p->env->arg);
}

// Forgets the process; its status as waitpid gave it.
static int reap(struct local_pod *p)
{
    int status = 0;
    loop_fd_del(p->env->loop, &p->exit);
    local_ready_cancel(p->check);
    p->check = NULL;
    loop_timer_cancel(p->env->loop, &p->timer);
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        ;
    base_cleanup_fd(&p->pidfd);
    p->pid = 0;
    local_run_release(&p->run);
    return status;
}

static void on_exit_event(struct loop_fd *fd UNUSED, uint32_t events UNUSED, void *arg)
{
    struct local_pod *p = arg;
    char message[96];
    int status = reap(p);
    if (p->leaving) {
        end(p);
        return;
    }
    if (WIFSIGNALED(status))
        snprintf(message, sizeof(message), "the agent was killed by signal %d", WTERMSIG(status));
    else
        snprintf(message, sizeof(message), "the agent exited with %d", WEXITSTATUS(status));
    back_off(p, "CrashLoopBackOff", message);
}

static const json_t *configmap_data(const char *name, void *arg)
{
    const struct local_pod *p = arg;
    return json_object_get(local_objects_get(p->env->objects, STORE_CONFIGMAP, p->namespace, name), "data");
}

static int update_volume(struct local_pod *p, struct err *e)
{
    json_t *files;
    int r = local_run_files(p->template, configmap_data, p, &files, e);
    if (r < 0)
        return r;
    r = local_files_volume(p->volume, files, e);
    json_decref(files);
    return r;
}

static const char *program_for(const struct local_pod *p, const char *image)
{
    if (local_run_image_is(image, "kubecanary-agent-jemalloc"))
        return p->env->agent_jemalloc;
    return local_run_image_is(image, "kubecanary-agent") ? p->env->agent : NULL;
}

static int spawn(struct local_pod *p, const char *program, struct err *e)
{
    struct local_exec x = {.program = program,
                           .argv = p->run.argv,
                           .envp = p->run.envp,
                           .netns = p->node->netns,
                           .ping = p->run.ping,
                           .log = p->log};
    int r = local_exec_start(&x, &p->pid, &p->pidfd, e);
    if (r < 0)
        return r;
    r = loop_fd_add(p->env->loop, &p->exit, p->pidfd, EPOLLIN, on_exit_event, p, e);
    if (r < 0) {
        kill(p->pid, SIGKILL);
        reap(p);
    }
    return r;
}

static void started(struct local_pod *p)
{
    p->phase = LOCAL_POD_RUNNING;
    p->failures = 0;
    p->started_ns = loop_now(p->env->loop);
    p->ready = p->run.ready_port == 0;
    if (p->run.ready_port != 0)
        arm(p, LOCAL_POD_FIRST_CHECK_NS, on_check_due);
    show_change(p);
}

static void start(struct local_pod *p)
{
    struct err e;
    char ip[ADDR_TEXT_MAX], text[256];
    struct local_place place = {.node = p->node->name,
                                .pod = p->name,
                                .namespace = p->namespace,
                                .ip = addr_text(&p->node->ip[FAMILY_IPV4], ip),
                                .volume = p->volume};
    if (update_volume(p, &e) < 0) {
        wait_with(p, "ContainerCreating", err_text(&e, text, sizeof(text)));
        return;
    }
    if (local_run_init(p->template, &place, &p->run, &e) < 0) {
        wait_with(p, "CreateContainerConfigError", err_text(&e, text, sizeof(text)));
        return;
    }
    const char *program = program_for(p, p->run.image);
    if (!program) {
        snprintf(text, sizeof(text),
                 "no program stands for image \"%.160s\" here (--agent, --agent-jemalloc)", p->run.image);
        local_run_release(&p->run);
        wait_with(p, "ErrImageNeverPull", text);
    } else if (spawn(p, program, &e) < 0) {
        local_run_release(&p->run);
        back_off(p, "RunContainerError", err_text(&e, text, sizeof(text)));
    } else {
        started(p);
    }
}

// --- from outside
// -------------------------------------------------------------------------------------------------

static int name_pod(struct local_pod *p, const json_t *set, struct err *e)
{
    int r = base_copy(p->namespace, sizeof(p->namespace), local_objects_meta(set, "namespace"));
    r |= base_copy(p->set, sizeof(p->set), local_objects_meta(set, "name"));
    r |= base_copy(p->set_uid, sizeof(p->set_uid), local_objects_meta(set, "uid"));
    local_objects_new_uid(p->uid);
    snprintf(p->name, sizeof(p->name), "%s-%.5s", p->set, p->uid);
    int n =
        snprintf(p->volume, sizeof(p->volume), "%s/nodes/%s/%s", p->env->state_dir, p->node->name, p->name);
    snprintf(p->log, sizeof(p->log), "%s.log", p->volume);
    if (r < 0 || n >= (int)sizeof(p->volume))
        return err_set(e, ENAMETOOLONG, "name or path of a Pod too long");
    return local_files_mkdir(p->volume, e);
}

struct local_pod *local_pod_new(const struct local_pod_env *env, const struct local_node *node,
                                const json_t *set, uint64_t hash, struct err *e)
{
    json_t *template = json_object_get(json_object_get(set, "spec"), "template");
    struct local_pod *p = calloc(1, sizeof(*p));
    if (!p) {
        err_set(e, ENOMEM, "no memory for a Pod");
        return NULL;
    }
    *p = (struct local_pod){
        .env = env, .node = node, .hash = hash, .pidfd = -1, .template = json_incref(template)};
    snprintf(p->reason, sizeof(p->reason), "ContainerCreating");
    if (name_pod(p, set, e) == 0 && show(p, e) == 0)
        return p;
    local_pod_free(p);
    return NULL;
}

void local_pod_refresh(struct local_pod *p)
{
    struct err e;
    bool waits = p->phase == LOCAL_POD_WAITING && !loop_timer_armed(&p->timer);
    if (p->leaving)
        return;
    if (waits)
        start(p);
    else if (update_volume(p, &e) < 0) // what is mounted stays, as with kubelet
        log_warn("cannot update a volume", LOG_STR("pod", p->name), LOG_ERR(&e));
}

static void on_grace_over(struct loop_timer *t UNUSED, void *arg)
{
    struct local_pod *p = arg;
    log_warn("agent did not end in its grace period", LOG_STR("node", p->node->name),
             LOG_STR("pod", p->name));
    kill(p->pid, SIGKILL);
}

void local_pod_leave(struct local_pod *p)
{
    if (p->leaving)
        return;
    p->leaving = true;
    local_ready_cancel(p->check);
    p->check = NULL;
    loop_timer_cancel(p->env->loop, &p->timer);
    if (p->pid == 0) {
        end(p);
        return;
    }
    kill(p->pid, SIGTERM);
    arm(p, p->run.grace_s * NS_PER_S, on_grace_over);
    show_change(p);
}

int local_pod_poke(struct local_pod *p, const char *value, struct err *e)
{
    if (base_copy(p->published, sizeof(p->published), value) < 0)
        return err_set(e, EINVAL, "annotation too long");
    return show(p, e);
}

void local_pod_free(struct local_pod *p)
{
    if (!p)
        return;
    if (p->pid > 0) {
        kill(p->pid, SIGKILL);
        reap(p);
    }
    loop_timer_cancel(p->env->loop, &p->timer);
    local_ready_cancel(p->check);
    local_objects_delete(p->env->objects, STORE_POD, p->namespace, p->name);
    if (p->volume[0]) {
        local_files_remove(p->volume);
        local_files_remove(p->log);
    }
    json_decref(p->template);
    loop_defer(p->env->loop, free, p); // a dispatch under way may still look at its timer
}
