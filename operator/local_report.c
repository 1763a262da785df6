// SPDX-License-Identifier: Apache-2.0
// Renders and writes the files for Prometheus and for people.
#include "operator/local_report.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "operator/local_files.h"
#include "operator/yamlprint.h"

static const char prometheus_config[] =
    "# Written by kubecanary-operator local. Paths are relative to this file; the scrape interval is the fleet's.\n"
    "global:\n"
    "  evaluation_interval: 5s\n"
    "rule_files: [rules/*.yaml]\n"
    "scrape_configs:\n"
    "- job_name: kubecanary\n"
    "  file_sd_configs:\n"
    "  - files: [targets.json]\n"
    "    refresh_interval: 10s\n";

static int subdir(const struct local_report *r, const char *name, char out[static PATH_MAX], struct err *e)
{
    int n = snprintf(out, PATH_MAX, "%s%s%s", r->state_dir, name[0] ? "/" : "", name);
    return n < PATH_MAX ? 0 : err_set(e, ENAMETOOLONG, "state directory: path too long");
}

int local_report_init(const struct local_report *r, struct err *e)
{
    static const char *const names[] = {"", "rules", "status", "nodes"};
    char path[PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        int result = subdir(r, names[i], path, e);
        if (result == 0)
            result = local_files_mkdir(path, e);
        if (result < 0)
            return result;
    }
    return local_files_write(r->state_dir, "prometheus.yml", prometheus_config, strlen(prometheus_config), e);
}

static int write_json(const struct local_report *r, const char *name, json_t *value, struct err *e)
{
    CLEANUP_FREE char *text = json_dumps(value, JSON_INDENT(2));
    json_decref(value);
    if (!text)
        return err_set(e, ENOMEM, "no memory for %s", name);
    return local_files_write(r->state_dir, name, text, strlen(text), e);
}

// A YAML file in a subdirectory, or its removal.
static int write_yaml(const struct local_report *r, const char *dir, const char *namespace, const char *name,
                      const json_t *value, struct err *e)
{
    char path[PATH_MAX], file[LIMIT_NAMESPACE + LIMIT_NAME + 8];
    int result = subdir(r, dir, path, e);
    snprintf(file, sizeof(file), "%s.%s.yaml", namespace, name);
    if (result < 0)
        return result;
    CLEANUP_BUF struct buf b;
    buf_init(&b, LIMIT_DOC_BYTES);
    if (value) {
        yamlprint_document(value, &b);
        return b.failed ? err_set(e, ENOMEM, "no memory for %s", file)
                        : local_files_write(path, file, buf_text(&b), b.len, e);
    }
    buf_fmt(&b, "%s/%s", path, file);
    local_files_remove(buf_text(&b));
    return 0;
}

int local_report_rules(const struct local_report *r, const char *namespace, const char *name,
                       const json_t *object, struct err *e)
{
    return write_yaml(r, "rules", namespace, name, json_object_get(object, "spec"), e);
}

int local_report_status(const struct local_report *r, const char *namespace, const char *name,
                        const json_t *status, struct err *e)
{
    return write_yaml(r, "status", namespace, name, status, e);
}

// --- Pods
// ---------------------------------------------------------------------------------------------------------

struct collect {
    const struct local_report *report;
    json_t *targets;
    json_t *pods; // {node: [pod]}
};

static const char *label(const struct local_pod *p, const char *key)
{
    const json_t *labels = json_object_get(json_object_get(p->template, "metadata"), "labels");
    const char *text = json_string_value(json_object_get(labels, key));
    return text ? text : "";
}

// The PodMonitor whose selector takes the Pod; NULL if none does.
static const json_t *monitor_of(const struct local_report *r, const struct local_pod *p)
{
    const char *key, *name;
    json_t *monitor, *want;
    json_object_foreach(local_objects_all(r->objects, STORE_PODMONITOR), key, monitor)
    {
        const json_t *selector = json_object_get(json_object_get(monitor, "spec"), "selector");
        const json_t *labels = json_object_get(selector, "matchLabels");
        bool match = strcmp(local_objects_meta(monitor, "namespace"), p->namespace) == 0;
        json_object_foreach((json_t *)(uintptr_t)labels, name, want) match =
            match && strcmp(label(p, name), json_string_value(want) ? json_string_value(want) : "") == 0;
        if (match)
            return monitor;
    }
    return NULL;
}

static void add_target(struct collect *c, const struct local_pod *p)
{
    const json_t *monitor = monitor_of(c->report, p);
    const json_t *endpoint =
        json_array_get(json_object_get(json_object_get(monitor, "spec"), "podMetricsEndpoints"), 0);
    const char *interval = json_string_value(json_object_get(endpoint, "interval"));
    char ip[ADDR_TEXT_MAX], address[ADDR_TEXT_MAX + 8];
    if (!monitor || p->run.ready_port == 0)
        return;
    snprintf(address, sizeof(address), "%s:%u", addr_text(&p->node->ip[FAMILY_IPV4], ip), p->run.ready_port);
    json_t *labels = json_pack("{s:s, s:s, s:s, s:s}", "namespace", p->namespace, "pod", p->name, "fleet",
                               label(p, "kubecanary.io/fleet"), "node", p->node->name);
    if (interval) {
        json_object_set_new(labels, "__scrape_interval__", json_string(interval));
        json_object_set_new(labels, "__scrape_timeout__", json_string(interval));
    }
    json_array_append_new(c->targets, json_pack("{s:[s], s:o}", "targets", address, "labels", labels));
}

static void add_pod(const struct local_pod *p, void *arg)
{
    struct collect *c = arg;
    json_t *list = json_object_get(c->pods, p->node->name);
    if (!list) {
        list = json_array();
        json_object_set_new(c->pods, p->node->name, list);
    }
    json_t *pod =
        json_pack("{s:s, s:s, s:s, s:i, s:b, s:s}", "namespace", p->namespace, "name", p->name, "fleet",
                  label(p, "kubecanary.io/fleet"), "pid", (int)p->pid, "ready", p->ready, "log", p->log);
    json_array_append_new(list, pod);
    if (!p->leaving)
        add_target(c, p);
}

static json_t *nodes_json(const struct collect *c)
{
    json_t *nodes = json_array();
    for (size_t i = 0; i < c->report->net->n; i++) {
        const struct local_node *n = &c->report->net->nodes[i];
        char netns[64], v4[ADDR_TEXT_MAX], v6[ADDR_TEXT_MAX];
        snprintf(netns, sizeof(netns), "/proc/%d/fd/%d", (int)getpid(), n->netns);
        json_t *node =
            json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", n->name, "zone", n->zone, "netns", netns, "ipv4",
                      addr_text(&n->ip[FAMILY_IPV4], v4), "ipv6", addr_text(&n->ip[FAMILY_IPV6], v6));
        json_t *pods = json_object_get(c->pods, n->name);
        if (pods)
            json_object_set(node, "pods", pods);
        json_array_append_new(nodes, node);
    }
    return nodes;
}

int local_report_pods(const struct local_report *r, struct err *e)
{
    struct collect c = {.report = r, .targets = json_array(), .pods = json_object()};
    local_sets_each(r->sets, add_pod, &c);
    int result = write_json(r, "nodes.json", nodes_json(&c), e);
    json_decref(c.pods);
    if (result < 0) {
        json_decref(c.targets);
        return result;
    }
    return write_json(r, "targets.json", c.targets, e);
}
