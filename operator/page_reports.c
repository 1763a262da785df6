// SPDX-License-Identifier: Apache-2.0
// Requests by how they ended, agents, and the fleets whose agents cannot say themselves that their allocator
// does not do as it is told.
#include "operator/page_reports.h"

#include <stdio.h>

#include "operator/rollouts.h"

static void write_requests(struct buf *b, enum metric_format f, const struct reports_stats *s)
{
    const struct {
        const char *result;
        uint64_t value;
    } list[] = {
        {"received", s->received},
        {"metrics", s->metrics},
        {"unreachable", s->unreachable},
        {"invalid", s->invalid},
    };
    metric_family(b, f, METRIC_COUNTER, "kubecanary_operator_reports", NULL,
                  "Agents asked for their report, by result.");
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        CLEANUP_BUF struct buf labels = {.max = 64};
        metric_label(&labels, "result", list[i].result);
        metric_u64(b, "kubecanary_operator_reports", "_total", &labels, list[i].value);
    }
}

static void write_agents(struct buf *b, enum metric_format f, const struct reports_stats *s)
{
    metric_family(b, f, METRIC_GAUGE, "kubecanary_operator_agents", NULL, "Ready agents that are asked.");
    metric_u64(b, "kubecanary_operator_agents", "", NULL, s->agents);
    metric_family(b, f, METRIC_GAUGE, "kubecanary_operator_agents_reporting", NULL,
                  "Of these, agents whose report is known.");
    metric_u64(b, "kubecanary_operator_agents_reporting", "", NULL, s->reporting);
}

static void write_fleet(const char *namespace, const char *fleet, const struct report_sum *s, void *arg)
{
    struct buf *b = arg;
    CLEANUP_BUF struct buf labels = {0};
    if (s->foreign == 0 || s->ineffective == 0)
        return;
    buf_init(&labels, 1024);
    metric_label(&labels, "fleet_namespace", namespace);
    metric_label(&labels, "fleet", fleet);
    metric_label(&labels, "setting", s->setting);
    metric_u64(b, "kubecanary_fleet_allocator_ineffective_agents", "", &labels, s->ineffective);
}

static void write_rollouts(const struct store_fleet *fleet, void *arg)
{
    struct rollouts r;
    rollouts_keep(fleet, &r);
    for (size_t i = 0; i < r.n; i++) {
        CLEANUP_BUF struct buf labels = {0};
        if (r.list[i].phase != ROLLOUT_STOPPED)
            continue;
        buf_init(&labels, 1024);
        metric_label(&labels, "fleet_namespace", fleet->meta.namespace);
        metric_label(&labels, "fleet", fleet->meta.name);
        metric_label(&labels, "override", r.list[i].override);
        metric_label(&labels, "reason", rollout_reason_names[r.list[i].reason]);
        metric_u64(arg, "kubecanary_fleet_allocator_rollout_stopped", "", &labels, 1);
    }
}

void page_reports_write(const struct control *c, struct buf *b, enum metric_format f)
{
    struct control_stats s = control_stats(c);
    write_requests(b, f, &s.reports);
    write_agents(b, f, &s.reports);
    metric_family(b, f, METRIC_GAUGE, "kubecanary_fleet_allocator_ineffective_agents", NULL,
                  "Agents of an image without a report whose metrics tell that a setting has no effect.");
    control_each_reports(c, write_fleet, b);
    metric_family(b, f, METRIC_GAUGE, "kubecanary_fleet_allocator_rollout_stopped", NULL,
                  "1 where other settings of the allocator came to some agents and to no more, by why.");
    if (s.leading)
        control_each_fleet(c, write_rollouts, b);
}
