// SPDX-License-Identifier: Apache-2.0
// Words and numbers for what the agents say.
#include "operator/status_agents.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "operator/report_table.h"

void status_agents_reporting(const struct report_sum *s, struct status_agents_verdict *ret)
{
    *ret = (struct status_agents_verdict){.status = "True", .reason = "AgentsReporting"};
    if (s->failing > 0) {
        ret->status = "False";
        ret->reason = "ReportMissing";
        snprintf(
            ret->message, sizeof(ret->message),
            "%zu of %zu ready agents give the operator no report, on node %s: %s; a NetworkPolicy must let "
            "the operator reach them",
            s->failing, s->agents, s->failing_node, s->failing_why);
    } else if (s->reporting == 0) {
        ret->status = "Unknown";
        ret->reason = s->agents ? "NotAskedYet" : "NoAgents";
    }
}

static void not_effective(const struct report_sum *s, struct status_agents_verdict *ret)
{
    char actual[REPORT_TEXT + 64];
    snprintf(actual, sizeof(actual), s->actual[0] ? "is %s" : "the allocator does not know it", s->actual);
    ret->status = "False";
    ret->reason = "SettingNotEffective";
    int n =
        snprintf(ret->message, sizeof(ret->message),
                 "spec.agent: %s: wanted %s, %s%s%s%s; on %zu of %zu agents that report, first on node %s",
                 s->setting, s->wanted[0] ? s->wanted : "nothing", actual, s->allocator[0] ? " (" : "",
                 s->allocator, s->allocator[0] ? ")" : "", s->same, s->reporting, s->node);
    if (s->ineffective > s->same)
        snprintf(ret->message + n, sizeof(ret->message) - (size_t)n, "; on %zu it is another setting",
                 s->ineffective - s->same);
}

static void not_told(const struct report_sum *s, struct status_agents_verdict *ret)
{
    ret->status = "Unknown";
    ret->reason = s->setting[0] ? "NotTold" : "RolloutInProgress";
    if (!s->setting[0]) {
        snprintf(ret->message, sizeof(ret->message),
                 "spec.agent: %zu of %zu agents do not run with all of its settings yet, first on node %s",
                 s->unknown, s->reporting, s->node);
        return;
    }
    snprintf(ret->message, sizeof(ret->message),
             "spec.agent: %s: wanted %s; nothing that %zu of %zu agents tell says whether it is in effect, "
             "first on node %s",
             s->setting, s->wanted, s->unknown, s->reporting, s->node);
}

void status_agents_allocator(const struct report_sum *s, bool rolling, struct status_agents_verdict *ret)
{
    *ret = (struct status_agents_verdict){.status = "True", .reason = "SettingsEffective"};
    const char *name = s->allocator[0] ? s->allocator : "the allocator";
    if (s->reporting == 0) {
        ret->status = "Unknown";
        ret->reason = "NoReports";
        snprintf(ret->message, sizeof(ret->message), "no agent has reported");
    } else if (rolling && s->ineffective + s->unknown > 0) {
        ret->status = "Unknown";
        ret->reason = "RolloutInProgress";
        snprintf(ret->message, sizeof(ret->message), "agents with the wanted settings are being rolled out");
    } else if (s->ineffective > 0) {
        not_effective(s, ret);
    } else if (s->unknown > 0) {
        not_told(s, ret);
    } else if (s->settings == 0) {
        ret->reason = "NoSettings";
        snprintf(ret->message, sizeof(ret->message), "%s: no setting is asked for", name);
    } else {
        snprintf(ret->message, sizeof(ret->message), "%s: every setting is in effect", name);
    }
}

static json_t *memory(const struct report_sum *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < REPORT_SUM_CLASSES; i++) {
        const struct report_sum_memory *m = &s->memory[i];
        if (m->agents > 0)
            json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I, s:I}", "cpus",
                                                  report_sum_class_names[i], "agents", (json_int_t)m->agents,
                                                  "minBytes", (json_int_t)m->min, "medianBytes",
                                                  (json_int_t)m->median, "maxBytes", (json_int_t)m->max));
    }
    return list;
}

// "0.125": three digits, never rounded down to nothing, nor up to everything.
static json_t *percent(const struct report_loss *l)
{
    uint64_t thousandths = (uint64_t)((double)l->lost * 100000 / (double)l->ended + 0.5);
    if (l->lost > 0 && thousandths == 0)
        thousandths = 1;
    if (l->lost < l->ended && thousandths == 100000)
        thousandths = 99999;
    return json_sprintf("%" PRIu64 ".%03" PRIu64, thousandths / 1000, thousandths % 1000);
}

static json_t *loss(const struct report_loss *l)
{
    json_t *o = json_pack("{s:i, s:I, s:I}", "minutes", REPORT_TABLE_MINUTES, "probes", (json_int_t)l->ended,
                          "lost", (json_int_t)l->lost);
    if (l->ended > 0)
        json_object_set_new(o, "percent", percent(l));
    return o;
}

static json_t *agents(const struct report_sum *s)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "reporting", (json_int_t)s->reporting, "outdated",
                     (json_int_t)s->outdated, "pairs", (json_int_t)s->pairs, "packetsPerSecond",
                     (json_int_t)((s->packets_per_ks + 500) / 1000), "series", (json_int_t)s->series,
                     "memory", memory(s));
}

int status_agents_numbers(const struct report_sum *s, json_t *status, json_t *nodes)
{
    int r = json_object_set_new(nodes, "reporting", json_integer((json_int_t)s->nodes));
    r |= json_object_set_new(status, "agents", agents(s));
    r |= json_object_set_new(status, "loss", loss(&s->loss));
    return r ? -ENOMEM : 0;
}
