// SPDX-License-Identifier: Apache-2.0
// From wanted and seen to actions: a child is applied when it is missing, edited or wanted otherwise, and
// only then; foreign objects are left alone.
#include <errno.h>

#include "operator/reconcile.h"
#include "test/unit/check.h"

#define S NS_PER_S

static void nothing(enum store_kind kind UNUSED, enum store_change change UNUSED,
                    const struct store_meta *meta UNUSED, void *arg UNUSED)
{
}

struct world {
    struct store *store;
    struct reconcile_marks marks;
    struct render_object wanted[2];
    struct render_set set;
    struct action_list actions;
    struct err err;
};

static bool put(struct world *w, enum store_kind kind, json_t *object)
{
    int r = store_put(w->store, kind, object, &w->err);
    json_decref(object);
    return r == 0;
}

static json_t *configmap(const char *name, const char *owner, const char *version, const char *data)
{
    return json_pack("{s:{s:s, s:s, s:s, s:s, s:{s:s}, s:[{s:b, s:s, s:s, s:s, s:s}]}, s:{s:s}}", "metadata",
                     "namespace", "ns", "name", name, "uid", name, "resourceVersion", version, "labels",
                     "kubecanary.io/fleet", "mesh", "ownerReferences", "controller", 1, "uid", owner, "kind",
                     "ProbeFleet", "name", "mesh", "apiVersion", "kubecanary.io/v1alpha1", "data",
                     "agent.yaml", data);
}

static bool setup(struct world *w)
{
    *w = (struct world){.store = store_new(nothing, NULL)};
    w->wanted[0] = (struct render_object){.kind = STORE_CONFIGMAP, .name = "mesh-agent"};
    w->wanted[0].body = json_pack("{s:{s:s}}", "data", "agent.yaml", "wanted");
    w->wanted[1] = (struct render_object){.kind = STORE_DAEMONSET, .name = "mesh-pod"};
    w->wanted[1].body = json_pack("{s:{s:s}}", "spec", "x", "y");
    w->set = (struct render_set){.n = 1, .list = w->wanted};
    json_t *fleet = json_pack("{s:{s:s, s:s, s:s, s:s, s:i}, s:{}}", "metadata", "namespace", "ns", "name",
                              "mesh", "uid", "fleet-uid", "resourceVersion", "1", "generation", 1, "spec");
    return w->store && put(w, STORE_FLEET, fleet);
}

static void teardown(struct world *w)
{
    for (int i = 0; i < 2; i++)
        json_decref(w->wanted[i].body);
    action_list_release(&w->actions);
    reconcile_marks_release(&w->marks);
    store_free(w->store);
}

static int plan(struct world *w, bool complete, uint64_t now)
{
    action_list_release(&w->actions);
    struct reconcile_input in = {.store = w->store,
                                 .fleet = store_fleet(w->store, "ns", "mesh"),
                                 .wanted = &w->set,
                                 .complete = complete,
                                 .marks = &w->marks,
                                 .now_ns = now};
    return reconcile_children(&in, &w->actions, &w->err);
}

// Carries out the first action as the API would: the object as it is then.
static bool applied(struct world *w, json_t *object, uint64_t now)
{
    const struct action *a = &w->actions.list[0];
    const struct store_child *live = store_child(w->store, a->kind, "ns", a->name);
    int r = reconcile_applied(&w->marks, a, object, live, now);
    json_decref(object);
    return r == 0;
}

static void applies_once_and_after_an_edit(void)
{
    struct world w;
    CHECK(setup(&w));
    CHECK_INT(plan(&w, true, S), 0);
    CHECK_INT(w.actions.n, 1);
    CHECK_INT(w.actions.list[0].verb, ACTION_APPLY);
    CHECK(applied(&w, configmap("mesh-agent", "fleet-uid", "10", "wanted"), S));
    CHECK_INT(plan(&w, true, 2 * S), 0);
    CHECK_INT(w.actions.n, 0); // not shown by the watch yet
    CHECK(put(&w, STORE_CONFIGMAP, configmap("mesh-agent", "fleet-uid", "10", "wanted")));
    reconcile_seen(&w.marks, STORE_CONFIGMAP, "mesh-agent");
    CHECK_INT(plan(&w, true, 3 * S), 0);
    CHECK_INT(w.actions.n, 0);
    CHECK(put(&w, STORE_CONFIGMAP, configmap("mesh-agent", "fleet-uid", "11", "edited by hand")));
    CHECK_INT(plan(&w, true, 4 * S), 0);
    CHECK_INT(w.actions.n, 1);
    CHECK(applied(&w, configmap("mesh-agent", "fleet-uid", "12", "wanted"), 4 * S));
    store_delete(w.store, STORE_CONFIGMAP, "ns", "mesh-agent");
    reconcile_seen(&w.marks, STORE_CONFIGMAP, "mesh-agent");
    CHECK_INT(plan(&w, true, 5 * S), 0);
    CHECK_INT(w.actions.n, 1); // deleted by hand
    teardown(&w);
}

static void lost_watch_event_is_made_up_for(void)
{
    struct world w;
    CHECK(setup(&w));
    CHECK_INT(plan(&w, true, S), 0);
    CHECK(applied(&w, configmap("mesh-agent", "fleet-uid", "10", "wanted"), S));
    CHECK_INT(plan(&w, true, S + RECONCILE_PENDING_NS), 0);
    CHECK_INT(w.actions.n, 1);
    teardown(&w);
}

static void no_change_is_not_awaited(void)
{
    struct world w;
    CHECK(setup(&w));
    CHECK(put(&w, STORE_CONFIGMAP, configmap("mesh-agent", "fleet-uid", "10", "wanted")));
    CHECK_INT(plan(&w, true, S), 0); // after a restart: applied once, to be sure
    CHECK_INT(w.actions.n, 1);
    CHECK(applied(&w, configmap("mesh-agent", "fleet-uid", "10", "wanted"), S));
    CHECK(put(&w, STORE_CONFIGMAP, configmap("mesh-agent", "fleet-uid", "11", "edited")));
    CHECK_INT(plan(&w, true, S), 0);
    CHECK_INT(w.actions.n, 1);
    teardown(&w);
}

static void foreign_object_is_left_alone(void)
{
    struct world w;
    CHECK(setup(&w));
    json_t *theirs = configmap("mesh-agent", "somebody", "10", "theirs");
    CHECK(put(&w, STORE_CONFIGMAP, json_deep_copy(theirs)));
    CHECK_INT(plan(&w, true, S), -EAGAIN); // of a fleet of that name
    CHECK_INT(w.actions.n, 0);
    json_object_set_new(json_object_get(json_object_get(theirs, "metadata"), "labels"), "kubecanary.io/fleet",
                        json_string("other"));
    json_object_set_new(json_object_get(theirs, "metadata"), "resourceVersion", json_string("11"));
    CHECK(put(&w, STORE_CONFIGMAP, theirs));
    w.set.n = 2; // the DaemonSet too, which needs it
    CHECK_INT(plan(&w, true, S), -EEXIST);
    CHECK_CONTAINS(w.err.msg, "ConfigMap mesh-agent belongs to another owner");
    CHECK_INT(w.actions.n, 0);
    teardown(&w);
}

static void prunes_only_its_own_and_only_when_complete(void)
{
    struct world w;
    CHECK(setup(&w));
    CHECK(put(&w, STORE_CONFIGMAP, configmap("mesh-agent", "fleet-uid", "10", "wanted")));
    CHECK(put(&w, STORE_CONFIGMAP, configmap("mesh-peers-07", "fleet-uid", "10", "old")));
    CHECK(put(&w, STORE_CONFIGMAP, configmap("mesh-notes", "somebody", "10", "theirs")));
    CHECK_INT(plan(&w, true, S), 0);
    CHECK(applied(&w, configmap("mesh-agent", "fleet-uid", "10", "wanted"), S));
    CHECK_INT(plan(&w, false, S), 0);
    CHECK_INT(w.actions.n, 0);
    CHECK_INT(plan(&w, true, S), 0);
    CHECK_INT(w.actions.n, 1);
    CHECK_INT(w.actions.list[0].verb, ACTION_DELETE);
    CHECK_STR(w.actions.list[0].name, "mesh-peers-07");
    CHECK_STR(w.actions.list[0].uid, "mesh-peers-07");
    teardown(&w);
}

static void endless_fight_is_given_up(void)
{
    struct world w;
    CHECK(setup(&w));
    int applies = 0, r = 0;
    for (int i = 0; i < 3 * RECONCILE_APPLIES_PER_MINUTE && r == 0; i++) {
        char version[24];
        snprintf(version, sizeof(version), "%d", 100 + i);
        CHECK(put(&w, STORE_CONFIGMAP, configmap("mesh-agent", "fleet-uid", version, version)));
        reconcile_seen(&w.marks, STORE_CONFIGMAP, "mesh-agent");
        r = plan(&w, true, S);
        if (r < 0)
            break;
        CHECK_INT(w.actions.n, 1);
        applies++;
        CHECK(applied(&w, configmap("mesh-agent", "fleet-uid", "99", "wanted"), S));
    }
    CHECK_INT(r, -ELOOP);
    CHECK_INT(applies, RECONCILE_APPLIES_PER_MINUTE);
    CHECK_CONTAINS(w.err.msg, "changed back again and again");
    CHECK_INT(plan(&w, true, 62 * S), 0); // the next minute it is tried again
    CHECK_INT(w.actions.n, 1);
    teardown(&w);
}

static bool put_pod(struct world *w, int number, const char *published, const char *owner)
{
    char name[24];
    snprintf(name, sizeof(name), "mesh-pod-%d", number);
    json_t *pod =
        json_pack("{s:{s:s, s:s, s:s, s:s, s:{s:s, s:s}, s:{s:s}, s:[{s:b, s:s}]}, s:{s:s}, s:{s:s}}",
                  "metadata", "namespace", "ns", "name", name, "uid", name, "resourceVersion", "1", "labels",
                  "kubecanary.io/fleet", "mesh", "kubecanary.io/network", "Pod", "annotations",
                  "kubecanary.io/published", published, "ownerReferences", "controller", 1, "uid", owner,
                  "spec", "nodeName", name, "status", "phase", "Running");
    return put(w, STORE_POD, pod);
}

static bool put_daemonset(struct world *w)
{
    json_t *set = configmap("mesh-pod", "fleet-uid", "5", "");
    json_object_set_new(json_object_get(set, "metadata"), "uid", json_string("set-uid"));
    return put(w, STORE_DAEMONSET, set);
}

static void pokes_are_bounded_and_leave_nobody_out(void)
{
    struct world w;
    CHECK(setup(&w) && put_daemonset(&w));
    char published[17], other[17];
    uint64_t agent_file = 0;
    reconcile_published(&w.set, &agent_file, published);
    for (int i = 0; i < RECONCILE_POKES + 5; i++)
        CHECK(put_pod(&w, i, i < 2 ? published : "old", "set-uid"));
    const struct store_fleet *fleet = store_fleet(w.store, "ns", "mesh");
    CHECK_INT(reconcile_pokes(w.store, fleet, NULL, published, 0, &w.actions), 3);
    CHECK_INT(w.actions.n, RECONCILE_POKES);
    CHECK_STR(w.actions.list[0].value, published);
    CHECK_INT(reconcile_pokes(w.store, fleet, NULL, published, 1, &w.actions), RECONCILE_POKES);
    CHECK_INT(w.actions.n, RECONCILE_POKES + 3);
    for (size_t i = 0; i < RECONCILE_POKES; i++) // the second turn takes those that the first left over
        CHECK(strcmp(w.actions.list[i].name, w.actions.list[RECONCILE_POKES].name) != 0);
    json_object_set_new(json_object_get(w.wanted[0].body, "data"), "agent.yaml", json_string("new"));
    reconcile_published(&w.set, &agent_file, other);
    CHECK(strcmp(published, other) != 0);
    teardown(&w);
}

static void a_label_alone_makes_no_member(void)
{
    struct world w;
    CHECK(setup(&w) && put_daemonset(&w));
    CHECK(put_pod(&w, 1, "old", "somebody") && put_pod(&w, 2, "old", "set-uid"));
    const struct store_fleet *fleet = store_fleet(w.store, "ns", "mesh");
    CHECK_INT(reconcile_pokes(w.store, fleet, NULL, "new", 0, &w.actions), 0);
    CHECK_INT(w.actions.n, 1);
    CHECK_STR(w.actions.list[0].name, "mesh-pod-2");
    teardown(&w);
}

static void an_unknown_object_is_looked_at_first(void)
{
    struct world w;
    CHECK(setup(&w));
    CHECK_INT(plan(&w, true, S), 0);
    CHECK(w.actions.list[0].fresh);
    CHECK(applied(&w, configmap("mesh-agent", "fleet-uid", "10", "wanted"), S));
    CHECK_INT(plan(&w, true, S + RECONCILE_PENDING_NS), 0);
    CHECK(!w.actions.list[0].fresh); // it was ours
    teardown(&w);
}

static const struct check_case cases[] = {
    {"applies once, and after an edit", applies_once_and_after_an_edit},
    {"a lost watch event is made up for", lost_watch_event_is_made_up_for},
    {"no change is not awaited", no_change_is_not_awaited},
    {"a foreign object is left alone", foreign_object_is_left_alone},
    {"prunes only its own and only when complete", prunes_only_its_own_and_only_when_complete},
    {"an endless fight is given up", endless_fight_is_given_up},
    {"pokes are bounded and leave nobody out", pokes_are_bounded_and_leave_nobody_out},
    {"a label alone makes no member", a_label_alone_makes_no_member},
    {"an unknown object is looked at first", an_unknown_object_is_looked_at_first},
};
CHECK_MAIN(cases)
