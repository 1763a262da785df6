// SPDX-License-Identifier: Apache-2.0
// The round of work on a fleet as a small state machine: a list of actions for each stage, carried out one
// after another.
#include "operator/work.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/log.h"
#include "operator/admit.h"
#include "operator/event.h"
#include "operator/queue.h"
#include "operator/rollouts.h"
#include "operator/slices.h"

enum stage { STAGE_CHILDREN, STAGE_STATUS, STAGE_CANARIES, STAGE_POKES, STAGE_DONE };

struct work_job {
    const struct work_env *env;
    struct work_record *record;
    work_done_fn *done;
    void *arg;
    enum stage stage;
    struct action_list actions; // of the present stage
    size_t next;
    struct status_problem problem;
    struct admit admit;
    struct agent_sets sets;            // the fleet's; while its spec is not carried out, those that there are
    const struct members_known *known; // over budget: whom the agents may probe; NULL: everybody
    struct rollouts rollouts;          // of the allocator's settings
    bool applied_all;                  // every wanted child was applied or needed nothing
    struct work_outcome outcome;
};

static const struct store_fleet *fleet_of(const struct work_job *j)
{
    return store_fleet(j->env->store, j->record->namespace, j->record->name);
}

static void set_problem(struct work_job *j, const char *reason, const struct err *e)
{
    if (j->problem.reason)
        return; // the first is the cause
    j->problem.reason = reason;
    err_text(e, j->problem.message, sizeof(j->problem.message));
}

static void come_again(struct work_job *j, uint64_t in_ns)
{
    struct work_outcome *o = &j->outcome;
    o->again_in_ns = o->again_in_ns ? MIN(o->again_in_ns, in_ns) : in_ns;
}

static void set_published(struct work_job *j, const struct render_set *set)
{
    struct work_record *r = j->record;
    char published[sizeof(r->published)];
    reconcile_published(set, &r->agent_file, published);
    if (strcmp(published, r->published) == 0)
        return;
    memcpy(r->published, published, sizeof(published));
    r->published_ns = loop_now(j->env->loop);
}

static int render_and_compare(struct work_job *j, const struct store_fleet *fleet, const struct peers *peers,
                              struct err *e)
{
    const struct store *s = j->env->store;
    bool whole = !j->problem.reason;
    unsigned now = j->record->slices ? j->record->slices : slices_count(s, fleet);
    struct render_input in = {
        .config = j->env->config,
        .namespace = fleet->meta.namespace,
        .fleet = fleet->meta.name,
        .uid = fleet->meta.uid,
        .generation = fleet->meta.generation,
        .spec = &j->admit.spec,
        .peers = peers,
        .slices = whole ? peers_slices_for(peers->n, now) : now,
        .pod_monitor = !store_absent(s, STORE_PODMONITOR),
        .prometheus_rule = !store_absent(s, STORE_PROMETHEUSRULE),
        .held = whole ? rollouts_held(fleet, &j->admit.spec, &j->rollouts) : 0,
    };
    struct render_set set = {0};
    if (in.slices == 0)
        return 0; // a bad spec from the start: there is nothing to keep going
    j->record->slices = in.slices;
    int r = whole ? render_fleet(&in, &set, e) : render_peers(&in, &set, e);
    if (r < 0)
        return r;
    struct reconcile_input rec = {.store = s,
                                  .fleet = fleet,
                                  .wanted = &set,
                                  .complete = whole,
                                  .marks = &j->record->marks,
                                  .now_ns = loop_now(j->env->loop)};
    r = reconcile_children(&rec, &j->actions, e);
    set_published(j, &set);
    render_set_release(&set);
    return r;
}

// The members, and whether the spec is to be carried out for them (*bad says why not). -ENOMEM.
static int admit(struct work_job *j, const struct store_fleet *fleet, struct peers *peers, struct err *bad,
                 struct err *e)
{
    if (admit_spec(fleet, &j->admit, bad) < 0)
        return 0;
    agent_sets_of(&j->admit.spec, &j->sets);
    int r = members_collect(j->env->store, fleet->meta.namespace, fleet->meta.name, &j->sets, NULL, peers, e);
    if (r < 0 || admit_fleet(j->env->store, peers, &j->admit, bad) < 0)
        return r;
    *bad = (struct err){0};
    if (members_known_set(&j->record->known, peers) < 0)
        return err_set(e, ENOMEM, "no memory for the members of fleet %s", fleet->meta.name);
    return 0;
}

static struct rollouts_input rollouts_input(const struct work_job *j, const struct store_fleet *fleet)
{
    return (struct rollouts_input){.store = j->env->store,
                                   .fleet = fleet,
                                   .spec = &j->admit.spec,
                                   .marks = &j->record->marks,
                                   .reports = j->env->reports,
                                   .now_s = (int64_t)time(NULL),
                                   .forbidden = j->record->refusal[0] != '\0'};
}

// While the spec is not carried out, nothing moves.
static int step_rollouts(struct work_job *j, const struct store_fleet *fleet, struct err *e)
{
    const struct rollouts_input in = rollouts_input(j, fleet);
    if (!j->problem.reason)
        return rollouts_step(&in, &j->rollouts, e);
    rollouts_keep(fleet, &j->rollouts);
    return 0;
}

// Fills the actions of the first stage. Returns 0 also when the fleet has a problem that is its own: then
// what there is goes on, and with a budget that is exceeded nobody is added to it.
static int plan_children(struct work_job *j, const struct store_fleet *fleet, struct err *e)
{
    CLEANUP_PEERS struct peers peers = {0};
    const char *namespace = fleet->meta.namespace, *name = fleet->meta.name;
    struct err bad = {0};
    int r = admit(j, fleet, &peers, &bad, e);
    if (r == 0 && bad.code) {
        set_problem(j, bad.code == EDQUOT ? "BudgetExceeded" : "InvalidSpec", &bad);
        peers_release(&peers);
        agent_sets_live(j->env->store, namespace, name, &j->sets);
        j->known = bad.code == EDQUOT ? &j->record->known : NULL;
        r = members_collect(j->env->store, namespace, name, &j->sets, j->known, &peers, e);
    }
    if (r == 0)
        r = step_rollouts(j, fleet, e);
    return r < 0 ? r : render_and_compare(j, fleet, &peers, e);
}

// Whoever goes for the sake of a canary goes after the status that knows of it.
static void plan_canaries(struct work_job *j, const struct store_fleet *fleet)
{
    const struct rollouts_input in = rollouts_input(j, fleet);
    struct work_record *r = j->record;
    bool lacking = true;
    if (j->problem.reason || !j->applied_all)
        return;
    if (rollouts_wait(&j->rollouts))
        come_again(j, WORK_ROLLOUT_PAUSE_NS);
    if (rollouts_replace(&in, &j->rollouts, &j->actions, &lacking) < 0)
        j->outcome.failed = true;
    if (!lacking && r->refusal[0]) {
        r->refusal[0] = '\0';
        come_again(j, WORK_DECIDED_PAUSE_NS);
    }
}

static void plan_pokes(struct work_job *j, const struct store_fleet *fleet)
{
    struct work_record *r = j->record;
    uint64_t now = loop_now(j->env->loop);
    if (!r->published[0] || !j->applied_all || now - r->published_ns >= RECONCILE_POKE_WORTH_NS)
        return;
    if (now < r->poke_ns) {
        come_again(j, r->poke_ns - now);
        return;
    }
    int left = reconcile_pokes(j->env->store, fleet, j->known, r->published, r->poke_turn++, &j->actions);
    if (j->actions.n > 0)
        r->poke_ns = now + RECONCILE_POKE_PAUSE_NS;
    if (left != 0)
        come_again(j, RECONCILE_POKE_PAUSE_NS);
}

static void now_text(char out[static 32])
{
    struct tm tm;
    time_t now = time(NULL);
    gmtime_r(&now, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void say_problem(struct work_job *j)
{
    struct work_record *r = j->record;
    const char *text = j->problem.reason ? j->problem.message : "";
    if (strcmp(r->problem, text) == 0)
        return;
    if (j->problem.reason)
        log_warn("fleet is degraded", LOG_STR("namespace", r->namespace), LOG_STR("fleet", r->name),
                 LOG_STR("reason", j->problem.reason), LOG_STR("error", text));
    else
        log_info("fleet is as wanted again", LOG_STR("namespace", r->namespace), LOG_STR("fleet", r->name));
    memcpy(r->problem, j->problem.reason ? j->problem.message : (char[sizeof(r->problem)]){0},
           sizeof(r->problem));
}

// What the store has of the fleet's DaemonSets. Whether it is as of their last apply.
static bool look_at_sets(const struct work_job *j, const struct store_fleet *fleet,
                         struct status_set ret[static AGENT_SETS_MAX])
{
    bool shown = true;
    for (size_t i = 0; i < j->sets.n; i++) {
        const struct agent_set *set = &j->sets.list[i];
        char name[LIMIT_NAME + 1];
        ret[i] = (struct status_set){
            *set, agent_sets_child(j->env->store, fleet->meta.namespace, fleet->meta.name, set)};
        shown &= reconcile_is_shown(&j->record->marks, ret[i].daemonset, STORE_DAEMONSET,
                                    agent_sets_name(set, fleet->meta.name, name));
    }
    return shown;
}

// False: they are not asked, or memory is out; then the status says nothing of them.
static bool read_reports(const struct work_job *j, const struct store_fleet *fleet, struct report_sum *ret)
{
    struct err e;
    struct reports *r = j->env->reports;
    if (!r)
        return false;
    if (j->admit.have_spec)
        reports_configure(r, fleet->meta.namespace, fleet->meta.name, &j->admit.spec);
    return reports_sum(r, fleet->meta.namespace, fleet->meta.name, ret, &e) == 0;
}

static json_t *new_status(struct work_job *j, const struct store_fleet *fleet)
{
    char now[32];
    struct status_set sets[AGENT_SETS_MAX];
    struct trouble trouble;
    struct report_sum reports;
    now_text(now);
    trouble_find(j->env->store, fleet->meta.namespace, fleet->meta.name, &trouble);
    bool shown = look_at_sets(j, fleet, sets);
    int ready_nodes = members_ready_nodes(j->env->store, fleet->meta.namespace, fleet->meta.name, &j->sets);
    if (ready_nodes < 0)
        return NULL;
    struct status_input in = {
        .fleet = fleet,
        .problem = &j->problem,
        .trouble = &trouble,
        .n_sets = j->sets.n,
        .sets = sets,
        .ready_nodes = ready_nodes,
        .spec = j->admit.have_spec ? &j->admit.spec : NULL,
        .load = j->admit.have_spec ? &j->admit.load : NULL,
        .load_nodes = j->admit.scale.size.nodes,
        .settled = j->applied_all && shown,
        .reports = read_reports(j, fleet, &reports) ? &reports : NULL,
        .rollouts = &j->rollouts,
        .refusal = j->record->refusal,
        .now = now,
    };
    return status_build(&in);
}

// Takes the body.
static int add_about_fleet(struct work_job *j, enum action_verb verb, const struct store_fleet *fleet,
                           json_t *body)
{
    struct action *list = realloc(j->actions.list, (j->actions.n + 1) * sizeof(*list));
    if (list)
        j->actions.list = list;
    if (!list || !body) {
        json_decref(body);
        return -ENOMEM;
    }
    struct action *a = &list[j->actions.n++];
    j->actions.cap = j->actions.n;
    *a = (struct action){.verb = verb, .kind = STORE_FLEET, .body = body};
    memcpy(a->namespace, fleet->meta.namespace, sizeof(a->namespace));
    memcpy(a->name, fleet->meta.name, sizeof(a->name));
    return 0;
}

static int write_status(struct work_job *j, const struct store_fleet *fleet, json_t *status)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    uint64_t now = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
    // An Event's name is made of its moment.
    json_t *events[] = {event_of_change(fleet, fleet->status, status, now),
                        event_of_allocator(fleet, fleet->status, status, now + 1)};
    int r = add_about_fleet(j, ACTION_STATUS, fleet, status_apply_body(fleet, status));
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        if (r == 0 && events[i])
            r = add_about_fleet(j, ACTION_EVENT, fleet, events[i]);
        else
            json_decref(events[i]);
    }
    return r;
}

static void plan_status(struct work_job *j, const struct store_fleet *fleet)
{
    json_t *status = new_status(j, fleet);
    uint64_t now = loop_now(j->env->loop);
    uint64_t again = j->record->status_written_ns + WORK_STATUS_PAUSE_NS;
    if (!status) {
        j->outcome.failed = true;
    } else if (!fleet->status || status_differs_in_conditions(status, fleet->status) ||
               (!json_equal(status, fleet->status) && now >= again)) {
        j->outcome.failed |= write_status(j, fleet, status) < 0;
        j->record->status_written_ns = now;
        if (rollout_json_differs(status, fleet->status)) // what was decided is acted upon once it is written
            come_again(j, WORK_DECIDED_PAUSE_NS);
    } else if (!json_equal(status, fleet->status)) {
        come_again(j, again - now);
    }
    json_decref(status);
}

static void job_free(struct work_job *j)
{
    if (!j)
        return;
    action_list_release(&j->actions);
    admit_release(&j->admit);
    free(j);
}

static void finish(struct work_job *j)
{
    struct work_record *r = j->record;
    struct work_outcome outcome = j->outcome;
    work_done_fn *done = j->done;
    void *arg = j->arg;
    say_problem(j);
    r->rounds++;
    r->failures += outcome.failed;
    r->job = NULL;
    job_free(j);
    done(r, &outcome, arg);
}

static void step(struct work_job *j);

// What still can be done without the child whose apply has just failed: the peers, so that nobody probes who
// is gone, but no DaemonSet that may need it, and no delete of what the old one uses.
static void skip_dependents(struct work_job *j)
{
    while (j->next < j->actions.n) {
        const struct action *a = &j->actions.list[j->next];
        if (a->verb == ACTION_APPLY && a->kind != STORE_DAEMONSET)
            return;
        j->next++;
    }
}

// Without an answer, or with one that asks for patience, the stage is over.
static void apply_failed(struct work_job *j, const struct action *a, const struct action_result *result)
{
    bool refused = result->status >= 400 && result->retry_after_s <= 0;

    struct err e;
    const struct store_kind_info *info = &store_kinds[a->kind];
    err_set(&e, EPROTO, "%s %s: %s", info->kind, a->name, result->err.msg);
    if (result->err.path[0])
        err_set(&e, EPROTO, "%s %s: %s: %s", info->kind, a->name, result->err.path, result->err.msg);
    set_problem(j, result->err.code == EEXIST ? "NameCollision" : "ApplyFailed", &e);
    j->applied_all = false;
    j->outcome.failed = true;
    if (!refused)
        j->next = j->actions.n;
}

static void take_refusal(struct work_job *j, const struct action *a, const struct action_result *result)
{
    struct work_record *r = j->record;
    const uint64_t now = loop_now(j->env->loop);
    if (r->refusal[0] && now - r->refusal_ns < WORK_REFUSAL_PAUSE_NS)
        return;
    char text[sizeof(r->refusal)];
    r->refusal_ns = now;
    if (strcmp(err_text(&result->err, text, sizeof(text)), r->refusal) == 0)
        return;
    memcpy(r->refusal, text, sizeof(text));
    log_warn("agents may not be replaced", LOG_STR("namespace", r->namespace), LOG_STR("fleet", r->name),
             LOG_STR("pod", a->name), LOG_ERR(&result->err));
    come_again(j, WORK_DECIDED_PAUSE_NS);
}

// Whether this operator may delete Pods: the first answer tells for all of a round, and the status says it.
// False: the result is of something else, or of another failure.
static bool told_of_right(struct work_job *j, const struct action *a, const struct action_result *result)
{
    struct work_record *r = j->record;
    const bool forbidden = result->status == 403;
    if (a->verb != ACTION_DELETE || a->kind != STORE_POD || (result->err.code && !forbidden))
        return false;
    if (forbidden) {
        take_refusal(j, a, result);
        j->next = j->actions.n;
    } else if (r->refusal[0]) {
        r->refusal[0] = '\0';
        come_again(j, WORK_DECIDED_PAUSE_NS);
    }
    return true;
}

static void applied(struct work_job *j, const struct action *a, const struct action_result *result)
{
    const struct store_child *live = store_child(j->env->store, a->kind, a->namespace, a->name);
    j->record->applies++;
    if (reconcile_applied(&j->record->marks, a, result->object, live, loop_now(j->env->loop)) < 0)
        j->outcome.failed = true;
    log_info("applied", LOG_STR("kind", store_kinds[a->kind].kind), LOG_STR("namespace", a->namespace),
             LOG_STR("name", a->name), LOG_INT("status", result->status));
}

// Only these are told again and again by the server in a row: the first is enough for a round.
static void write_failed(struct work_job *j, const struct action *a, const struct action_result *result)
{
    log_warn("write failed", LOG_STR("kind", store_kinds[a->kind].kind), LOG_STR("name", a->name),
             LOG_INT("status", result->status), LOG_ERR(&result->err));
    j->outcome.failed = true;
    if (a->verb == ACTION_POKE || a->verb == ACTION_STATUS) // no event of a status that was not taken
        j->next = j->actions.n;
}

static void on_result(const struct action_result *result, void *arg)
{
    struct work_job *j = arg;
    const struct action *a = &j->actions.list[j->next++];
    bool ok = result->err.code == 0;
    if (result->retry_after_s > 0)
        j->outcome.retry_least_ns = MIN((uint64_t)result->retry_after_s * NS_PER_S, QUEUE_RETRY_MAX_NS);
    if (a->verb == ACTION_APPLY && ok) {
        applied(j, a, result);
    } else if (a->verb == ACTION_APPLY) {
        apply_failed(j, a, result);
    } else if (told_of_right(j, a, result)) {
        // it is in the record
    } else if (!ok && result->status == 404 && (a->verb == ACTION_STATUS || a->verb == ACTION_POKE)) {
        // the fleet, or the Pod, was deleted meanwhile
    } else if (!ok && a->verb == ACTION_EVENT) {
        log_debug("an event was not taken", LOG_STR("fleet", a->name), LOG_ERR(&result->err));
    } else if (!ok) {
        write_failed(j, a, result);
    }
    if (!j->applied_all && j->stage == STAGE_CHILDREN)
        skip_dependents(j);
    step(j);
}

static void next_stage(struct work_job *j)
{
    const struct store_fleet *fleet = fleet_of(j);
    action_list_release(&j->actions);
    j->next = 0;
    j->stage++;
    if (!fleet || strcmp(fleet->meta.uid, j->record->uid) != 0)
        j->stage = STAGE_DONE; // deleted meanwhile
    else if (j->stage == STAGE_STATUS)
        plan_status(j, fleet);
    else if (j->stage == STAGE_CANARIES)
        plan_canaries(j, fleet);
    else if (j->stage == STAGE_POKES)
        plan_pokes(j, fleet);
}

static void step(struct work_job *j)
{
    while (j->stage != STAGE_DONE) {
        if (j->next == j->actions.n) {
            next_stage(j);
            continue;
        }
        struct err e;
        const struct action *a = &j->actions.list[j->next];
        if (j->env->cluster->ops->act(j->env->cluster, a, on_result, j, &e) == 0)
            return; // on_result goes on
        log_warn("cannot write", LOG_STR("kind", store_kinds[a->kind].kind), LOG_STR("name", a->name),
                 LOG_ERR(&e));
        j->outcome.failed = true;
        j->applied_all = false;
        j->next = j->actions.n;
    }
    finish(j);
}

static void not_planned(struct work_job *j, const struct err *e)
{
    struct work_record *r = j->record;
    uint64_t now = loop_now(j->env->loop);
    j->applied_all = false;
    if (e->code == EAGAIN && !r->leftovers_ns)
        r->leftovers_ns = now;
    if (e->code == EAGAIN && now - r->leftovers_ns < WORK_LEFTOVERS_NS) {
        come_again(j, WORK_LEFTOVERS_PAUSE_NS);
        return;
    }
    set_problem(j,
                e->code == EEXIST || e->code == EAGAIN ? "NameCollision"
                : e->code == ELOOP                     ? "ApplyConflictLoop"
                                                       : "RenderFailed",
                e);
    j->outcome.failed = true;
}

void work_start(const struct work_env *env, struct work_record *r, work_done_fn *done, void *arg)
{
    const struct store_fleet *fleet = store_fleet(env->store, r->namespace, r->name);
    struct work_job *j = calloc(1, sizeof(*j));
    if (!j) {
        done(r, &(struct work_outcome){.failed = true}, arg);
        return;
    }
    *j = (struct work_job){.env = env, .record = r, .done = done, .arg = arg, .applied_all = true};
    r->job = j;
    if (strcmp(r->uid, fleet->meta.uid) != 0) { // new, or deleted and made again
        reconcile_marks_release(&r->marks);
        members_known_release(&r->known);
        r->slices = 0;
        r->leftovers_ns = 0;
        r->refusal[0] = '\0';
        memcpy(r->uid, fleet->meta.uid, sizeof(r->uid));
    }
    struct err e = {0};
    int result = plan_children(j, fleet, &e);
    if (result < 0)
        not_planned(j, &e);
    if (result != -EAGAIN)
        r->leftovers_ns = 0;
    step(j);
}

void work_record_release(struct work_record *r)
{
    job_free(r->job);
    r->job = NULL;
    reconcile_marks_release(&r->marks);
    members_known_release(&r->known);
}
