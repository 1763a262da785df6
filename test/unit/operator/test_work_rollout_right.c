// SPDX-License-Identifier: Apache-2.0
// Settings under observation by an operator that may not delete Pods: nobody is replaced, the status says so
// once, and it goes on by itself when it may.
#include "test/unit/operator/rollout_fleet.h"

// A fleet that is to try other settings on so many of its nodes, and an operator that was refused and says
// so.
static bool start_forbidden(struct fake *f, unsigned percent, char before[17])
{
    if (!start(f, percent, before))
        return false;
    f->deletes_forbidden = "pods is forbidden";
    return put_fleet_of(f, fleet(2, percent), 2,
                        json_deep_copy(store_fleet(f->store, "ns", "mesh")->status)) &&
           await_strategy(f, "OnDelete") && roll_out(f, AGENTS) && await_deletes(f, 1) &&
           await_degraded(f, "True") && settle(f);
}

static void without_the_right_to_delete(void)
{
    struct fake f;
    char before[17];
    CHECK(start_forbidden(&f, 100, before));
    static const char *const types[] = {"Degraded", "Ready", "Progressing"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        CHECK_STR(condition(&f, types[i], "reason"), "AllocatorRolloutForbidden");
        CHECK_CONTAINS(condition(&f, types[i], "message"), "spec.agent.allocator.rollout: ");
        CHECK_CONTAINS(condition(&f, types[i], "message"), "--set rbac.replaceAgents=true");
    }
    CHECK_STR(condition(&f, "Ready", "status"), "False");
    CHECK_STR(condition(&f, "Progressing", "status"), "False");
    const struct action *event = last(&f, ACTION_EVENT, STORE_FLEET, "mesh");
    CHECK(event != NULL);
    CHECK_STR(json_string_value(json_object_get(event ? event->body : NULL, "reason")),
              "AllocatorRolloutForbidden");
    CHECK_STR(phase(&f), "Canary");
    CHECK_INT(control_stats(f.control).failures, 0); // it is told, and no trouble of the operator's
    const size_t tries = count(&f, ACTION_DELETE, NULL);
    f.deletes_forbidden = NULL;
    CHECK(put_agent(&f, 1, before, false)); // any news is a reason to look
    CHECK(await_deletes(&f, tries + 1));
    CHECK(await_degraded(&f, "False"));
    CHECK_STR(condition(&f, "Progressing", "reason"), "AllocatorUnderObservation");
    teardown(&f);
}

// Whoever wants the settings everywhere after all needs no such right.
static void a_rollout_that_is_taken_back_is_not_forbidden(void)
{
    struct fake f;
    char before[17];
    CHECK(start_forbidden(&f, 100, before));
    CHECK(put_fleet_of(&f, fleet(2, 0), 3, json_deep_copy(store_fleet(f.store, "ns", "mesh")->status)));
    CHECK(await_phase(&f, "Rolling") && settle(&f));
    CHECK_STR(degraded(&f, "status"), "False");
    CHECK_STR(condition(&f, "Ready", "reason"), "RolloutInProgress");
    teardown(&f);
}

// Somebody who may do so made room for them: who comes back is a canary as any.
static void canaries_that_were_made_by_hand(void)
{
    struct fake f;
    char before[17];
    CHECK(start_forbidden(&f, 34, before));
    char after[17];
    snprintf(after, sizeof(after), "%s", settings(&f));
    CHECK(put_agent(&f, 2, after, false) && put_agent(&f, 3, after, false) && settle(&f));
    CHECK(await_degraded(&f, "False"));
    CHECK_STR(phase(&f), "Canary");
    CHECK(json_object_get(rollout(&f), "observedAt") != NULL);
    CHECK_STR(strategy(&f), "OnDelete");
    teardown(&f);
}

static size_t events_of(const struct fake *f, const char *reason)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        const char *is = json_string_value(json_object_get(f->asked[i].body, "reason"));
        n += f->asked[i].verb == ACTION_EVENT && is && strcmp(is, reason) == 0;
    }
    return n;
}

// maxUnavailable is used up by an agent that is away with its node: nothing is tried, and nothing is allowed.
static void nothing_to_try_is_no_right(void)
{
    struct fake f;
    char before[17];
    CHECK(start_forbidden(&f, 100, before));
    const size_t ready_before = events_of(&f, "AgentsReady");
    for (int i = 0; i < 3; i++) {
        for (int ready = 0; ready < 2; ready++) {
            CHECK(put_node_of(&f, 2, ready ? "ready" : "away", ready) &&
                  put_agent_of(&f, 2, before, false, ready, "nothing") && settle(&f) && settle(&f));
            CHECK_STR(degraded(&f, "reason"), "AllocatorRolloutForbidden");
        }
    }
    CHECK_INT(events_of(&f, "AllocatorRolloutForbidden"), 1);
    CHECK_INT(events_of(&f, "AgentsReady"), ready_before);
    teardown(&f);
}

// Enough canaries, which are not ready: the right is not what they lack.
static void canaries_by_hand_that_are_not_ready(void)
{
    struct fake f;
    char before[17], after[17];
    CHECK(start_forbidden(&f, 100, before));
    snprintf(after, sizeof(after), "%s", settings(&f));
    for (int i = 1; i <= AGENTS; i++)
        CHECK(put_agent_of(&f, i, after, false, i > 1, "nothing"));
    CHECK(await_degraded(&f, "False"));
    CHECK_STR(phase(&f), "Canary");
    CHECK(json_object_get(rollout(&f), "observedAt") == NULL);
    teardown(&f);
}

// A fleet that was deleted and made again has been refused nothing.
static void another_fleet_of_that_name(void)
{
    struct fake f;
    char before[17];
    CHECK(start_forbidden(&f, 100, before));
    for (size_t i = 0; i < f.n; i++) { // its children went with it
        if (f.asked[i].verb == ACTION_APPLY)
            store_delete(f.store, f.asked[i].kind, "ns", f.asked[i].name);
    }
    json_t *status = json_deep_copy(store_fleet(f.store, "ns", "mesh")->status);
    CHECK(put(&f, STORE_FLEET,
              json_pack("{s:{s:s, s:s, s:s, s:s, s:i}, s:o, s:o}", "metadata", "namespace", "ns", "name",
                        "mesh", "uid", "fleet-uid-2", "resourceVersion", "new", "generation", 2, "spec",
                        fleet(2, 100), "status", status)));
    const size_t statuses = count(&f, ACTION_STATUS, NULL);
    while (count(&f, ACTION_STATUS, NULL) == statuses)
        CHECK(work(&f));
    CHECK(strcmp(degraded(&f, "reason"), "AllocatorRolloutForbidden") != 0);
    teardown(&f);
}

// It need not be the right that is missing: the server's own words are told, as far as there is room.
static void what_the_server_said(void)
{
    struct fake f;
    char before[17], why[400];
    CHECK(start(&f, 100, before));
    for (size_t i = 0; i + 2 < sizeof(why); i += 2)
        memcpy(why + i, "\xc3\xbc", 3);
    memcpy(why, "admission webhook \"keep.example.com\" denied", 44);
    f.deletes_forbidden = why;
    CHECK(put_fleet_of(&f, fleet(2, 100), 2, json_deep_copy(store_fleet(f.store, "ns", "mesh")->status)));
    CHECK(await_strategy(&f, "OnDelete") && roll_out(&f, AGENTS) && await_degraded(&f, "True") && settle(&f));
    CHECK_CONTAINS(degraded(&f, "message"), "admission webhook \"keep.example.com\" denied");
    CHECK_CONTAINS(degraded(&f, "message"), "--set rbac.replaceAgents=true");
    CHECK(strlen(degraded(&f, "message")) < 768);
    const size_t tries = count(&f, ACTION_DELETE, NULL), statuses = count(&f, ACTION_STATUS, NULL);
    CHECK(await_deletes(&f, tries + 2) && settle(&f));
    CHECK_INT(count(&f, ACTION_STATUS, NULL), statuses); // other words each time are no news
    teardown(&f);
}

static const struct check_case cases[] = {
    {"without the right to delete", without_the_right_to_delete},
    {"a rollout that is taken back is not forbidden", a_rollout_that_is_taken_back_is_not_forbidden},
    {"canaries that were made by hand", canaries_that_were_made_by_hand},
    {"nothing to try is no right", nothing_to_try_is_no_right},
    {"canaries by hand that are not ready", canaries_by_hand_that_are_not_ready},
    {"another fleet of that name", another_fleet_of_that_name},
    {"what the server said", what_the_server_said},
};
CHECK_MAIN(cases)
