// SPDX-License-Identifier: Apache-2.0
// Builds the PodMonitor; replaces the placeholders of the rules' template and turns it into the
// PrometheusRule's spec.
#include "operator/render_monitor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/duration.h"
#include "operator/render_part.h"
#include "operator/tree.h"

// operator/rules.S
extern const char rules_template[];
extern const uint64_t rules_template_size;

static json_t *relabel(const char *source, const char *target)
{
    return json_pack("{s:s, s:[s], s:s}", "action", "replace", "sourceLabels", source, "targetLabel", target);
}

json_t *render_monitor_pods(const struct render_input *in)
{
    char interval[DURATION_TEXT_MAX];
    const char *own = in->spec->agent.metrics_path, *metrics_path = own[0] ? own : SPEC_METRICS_PATH;
    json_t *endpoint =
        json_pack("{s:s, s:s, s:s, s:[o, o]}", "port", "http", "path", metrics_path, "interval",
                  duration_text(in->spec->metrics.scrape_interval_ns, interval), "relabelings",
                  relabel("__meta_kubernetes_pod_label_kubecanary_io_fleet", "fleet"),
                  relabel("__meta_kubernetes_pod_node_name", "node"));
    return json_pack("{s:s, s:s, s:o, s:{s:o, s:[o]}}", "apiVersion",
                     store_kinds[STORE_PODMONITOR].api_version, "kind", store_kinds[STORE_PODMONITOR].kind,
                     "metadata", render_part_metadata(in, in->fleet, NULL), "spec", "selector",
                     render_part_selector(in, NULL), "podMetricsEndpoints", endpoint);
}

struct placeholder {
    const char *name;
    const char *value;
};

// Text with each @NAME@ replaced; an @ that begins no placeholder stays.
static void substitute(const char *text, size_t len, const struct placeholder *list, size_t n,
                       struct buf *out)
{
    const char *end = text + len;
    while (text < end) {
        const char *at = memchr(text, '@', (size_t)(end - text));
        if (!at)
            at = end;
        buf_add(out, text, (size_t)(at - text));
        text = at;
        if (text == end)
            break;
        size_t i = 0;
        while (i < n && strncmp(text, list[i].name, strlen(list[i].name)) != 0)
            i++;
        buf_str(out, i < n ? list[i].value : "@");
        text += i < n ? strlen(list[i].name) : 1;
    }
}

// The template with its placeholders replaced: what Prometheus itself reads.
static void write_rules(const struct render_input *in, struct buf *out)
{
    const struct spec_alerting *a = &in->spec->alerting;
    char ratio[16], percent[16], hold[DURATION_TEXT_MAX], window[DURATION_TEXT_MAX];
    snprintf(ratio, sizeof(ratio), "%u.%02u", a->loss_percent / 100, a->loss_percent % 100);
    snprintf(percent, sizeof(percent), "%u", a->loss_percent);
    const struct placeholder list[] = {
        {"@FLEET@", in->fleet},
        {"@NAMESPACE@", in->namespace},
        {"@LOSS_RATIO@", ratio},
        {"@LOSS_PERCENT@", percent},
        {"@FOR@", duration_text(a->for_ns, hold)},
        {"@WINDOW@", duration_text(a->window_ns, window)},
    };
    substitute(rules_template, (size_t)rules_template_size, list, ARRAY_LEN(list), out);
}

int render_monitor_rules(const struct render_input *in, json_t **ret, struct err *e)
{
    CLEANUP_BUF struct buf text;
    CLEANUP_DOC struct doc *d = NULL;
    buf_init(&text, LIMIT_DOC_BYTES);
    write_rules(in, &text);
    if (text.failed)
        return err_set(e, ENOMEM, "no memory for the alert rules");
    int r = doc_parse(buf_text(&text), text.len, &d, e);
    if (r < 0)
        return err_wrap(e, "alert rules");
    json_t *spec = doc_root(d) ? tree_to_json(doc_root(d)) : NULL;
    json_t *object =
        json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", store_kinds[STORE_PROMETHEUSRULE].api_version, "kind",
                  store_kinds[STORE_PROMETHEUSRULE].kind, "metadata",
                  render_part_metadata(in, in->fleet, NULL), "spec", spec);
    if (!object)
        return err_set(e, ENOMEM, "no memory for the alert rules");
    *ret = object;
    return 0;
}
