// SPDX-License-Identifier: Apache-2.0
// Settings under observation by an operator that may not delete Pods: nobody is replaced, the status says so
// once, and it goes on by itself when it may.
#include "test/unit/operator/rollout_fleet.h"

static void without_the_right_to_delete(void)
{
    struct fake f;
    char before[17];
    CHECK(start(&f, 100, before));
    f.deletes_forbidden = true;
    CHECK(put_fleet_of(&f, fleet(2, 100), 2, json_deep_copy(store_fleet(f.store, "ns", "mesh")->status)));
    CHECK(await_strategy(&f, "OnDelete") && roll_out(&f, AGENTS) && await_deletes(&f, 1) && settle(&f));
    CHECK(await_degraded(&f, "True"));
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
    f.deletes_forbidden = false;
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
    CHECK(start(&f, 100, before));
    f.deletes_forbidden = true;
    CHECK(put_fleet_of(&f, fleet(2, 100), 2, json_deep_copy(store_fleet(f.store, "ns", "mesh")->status)));
    CHECK(await_strategy(&f, "OnDelete") && roll_out(&f, AGENTS) && await_deletes(&f, 1) && settle(&f));
    CHECK(await_degraded(&f, "True"));
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
    CHECK(start(&f, 34, before));
    f.deletes_forbidden = true;
    CHECK(put_fleet_of(&f, fleet(2, 34), 2, json_deep_copy(store_fleet(f.store, "ns", "mesh")->status)));
    CHECK(await_strategy(&f, "OnDelete") && roll_out(&f, AGENTS) && await_deletes(&f, 1) && settle(&f));
    CHECK(await_degraded(&f, "True"));
    char after[17];
    snprintf(after, sizeof(after), "%s", settings(&f));
    CHECK(put_agent(&f, 2, after, false) && put_agent(&f, 3, after, false) && settle(&f));
    CHECK(await_degraded(&f, "False"));
    CHECK_STR(phase(&f), "Canary");
    CHECK(json_object_get(rollout(&f), "observedAt") != NULL);
    CHECK_STR(strategy(&f), "OnDelete");
    teardown(&f);
}

static const struct check_case cases[] = {
    {"without the right to delete", without_the_right_to_delete},
    {"a rollout that is taken back is not forbidden", a_rollout_that_is_taken_back_is_not_forbidden},
    {"canaries that were made by hand", canaries_that_were_made_by_hand},
};
CHECK_MAIN(cases)
