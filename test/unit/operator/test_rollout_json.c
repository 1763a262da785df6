// SPDX-License-Identifier: Apache-2.0
// Rollouts in a status: what is not as it should be counts as absent, and numbers alone are not worth a
// write.
#include "operator/rollout_json.h"
#include "test/unit/check.h"

static void what_somebody_else_wrote(void)
{
    static const char *const texts[] = {
        "{}",
        "{\"allocatorRollouts\":7}",
        "{\"allocatorRollouts\":[1,{\"override\":3},{}]}",
        "{\"allocatorRollouts\":[{\"override\":\"\",\"settings\":\"a\",\"phase\":\"Flying\"}]}",
        "{\"allocatorRollouts\":[{\"override\":\"\",\"settings\":\"0123456789abcdef0\",\"phase\":\"Rolling\"}]}",
        "{\"allocatorRollouts\":[{\"override\":\"\",\"phase\":\"Rolling\"}]}",
        "{\"allocatorRollouts\":[{\"override\":\"big\",\"settings\":\"a\",\"phase\":\"Rolling\"}]}"};
    struct rollout r;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        json_t *status = json_loads(texts[i], 0, NULL);
        rollout_json_read(status, "", &r);
        CHECK_STR(r.settings, "");
        CHECK_INT(r.phase, ROLLOUT_COMPLETE);
        json_decref(status);
    }
    json_t *status =
        json_loads("{\"allocatorRollouts\":[{\"override\":\"\",\"settings\":\"a\",\"phase\":\"Rolling\","
                   "\"startedAt\":\"yesterday\",\"updated\":-4,\"memory\":[3,{\"cpus\":\"1-2\","
                   "\"afterAgents\":\"x\",\"beforeAgents\":2,\"networks\":[7,{\"network\":\"Moon\","
                   "\"beforeAgents\":8},{\"network\":\"Node\",\"beforeAgents\":1}]}]}]}",
                   0, NULL);
    rollout_json_read(status, "", &r);
    CHECK_INT(r.phase, ROLLOUT_ROLLING);
    CHECK_INT(r.started_s, 0);
    CHECK_INT(r.updated, 0);
    CHECK_INT(r.all.is[0].agents, 0);
    CHECK_INT(r.all.was[0].agents, 2);
    CHECK_INT(r.of[SPEC_NETWORK_POD].was[0].agents, 0);
    CHECK_INT(r.of[SPEC_NETWORK_NODE].was[0].agents, 1);
    json_decref(status);
}

static void what_is_worth_writing_at_once(void)
{
    struct rollouts a = {.n = 1, .list = {{.settings = "a", .updated = 1}}}, b = a;
    json_t *x = json_pack("{s:o}", "allocatorRollouts", rollout_json_list(&a));
    b.list[0].updated = 2;
    json_t *y = json_pack("{s:o}", "allocatorRollouts", rollout_json_list(&b));
    CHECK(!rollout_json_differs(x, y));
    CHECK(rollout_json_differs(x, NULL));
    json_decref(y);
    b.list[0].phase = ROLLOUT_ROLLING;
    y = json_pack("{s:o}", "allocatorRollouts", rollout_json_list(&b));
    CHECK(rollout_json_differs(x, y));
    json_decref(x);
    json_decref(y);
}

static const struct check_case cases[] = {
    {"what somebody else wrote", what_somebody_else_wrote},
    {"what is worth writing at once", what_is_worth_writing_at_once},
};
CHECK_MAIN(cases)
