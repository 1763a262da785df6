// SPDX-License-Identifier: Apache-2.0
// Puts the set together: ServiceAccount, ConfigMaps, DaemonSets, monitoring, in the order in which they are
// applied.
#include "operator/render.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/spec_agent_file.h"
#include "operator/agent_sets.h"
#include "operator/render_daemonset.h"
#include "operator/render_monitor.h"
#include "operator/render_part.h"
#include "operator/yamlprint.h"

// A ConfigMap holds at most 1 MiB (etcd's default limit of a request is 1.5 MiB).
#define CONFIGMAP_MAX ((size_t)1 << 20)

void render_set_release(struct render_set *s)
{
    for (size_t i = 0; i < s->n; i++)
        json_decref(s->list[i].body);
    free(s->list);
    *s = (struct render_set){0};
}
#define CLEANUP_SET CLEANUP(render_set_release)

// Removes members that are null, which stand for what an object does not have.
static void drop_nulls(json_t *value)
{
    const char *key;
    void *next;
    json_t *member;
    size_t i;
    json_object_foreach_safe(value, next, key, member)
    {
        if (json_is_null(member))
            json_object_del(value, key);
        else
            drop_nulls(member);
    }
    json_array_foreach(value, i, member)
    {
        drop_nulls(member);
    }
}

// Takes body over; NULL: no memory.
static int add(struct render_set *s, enum store_kind kind, const char *name, json_t *body, struct err *e)
{
    if (!body)
        return err_set(e, ENOMEM, "no memory for %s %s", store_kinds[kind].kind, name);
    drop_nulls(body);
    struct render_object *o = &s->list[s->n++];
    *o = (struct render_object){.kind = kind, .body = body};
    snprintf(o->name, sizeof(o->name), "%s", name);
    return 0;
}

// A set with room for everything that a fleet can have.
static int make_room(const struct render_input *in, struct render_set *ret, struct err *e)
{
    if (in->slices < 1 || in->slices > LIMIT_SLICES)
        return err_set(e, E2BIG, "%u slices of peers, more than %d", in->slices, LIMIT_SLICES);
    ret->list = calloc((size_t)in->slices + AGENT_SETS_MAX + 4, sizeof(*ret->list));
    return ret->list ? 0 : err_set(e, ENOMEM, "no memory for the objects of a fleet");
}

static int add_service_account(const struct render_input *in, struct render_set *s, struct err *e)
{
    char name[LIMIT_NAME + 1];
    render_part_name(in, "-agent", name);
    return add(s, STORE_SERVICEACCOUNT, name,
               json_pack("{s:s, s:s, s:o, s:b}", "apiVersion", store_kinds[STORE_SERVICEACCOUNT].api_version,
                         "kind", store_kinds[STORE_SERVICEACCOUNT].kind, "metadata",
                         render_part_metadata(in, name, NULL), "automountServiceAccountToken", 0),
               e);
}

// `text` becomes the value of `key`, the ConfigMap's only one.
static int add_configmap(const struct render_input *in, const char *name, const char *key,
                         const struct buf *text, struct render_set *s, struct err *e)
{
    if (text->over)
        return err_set(e, E2BIG, "%s of ConfigMap %s has more than %zu bytes", key, name, text->max);
    if (text->failed)
        return err_set(e, ENOMEM, "no memory for ConfigMap %s", name);
    return add(s, STORE_CONFIGMAP, name,
               json_pack("{s:s, s:s, s:o, s:{s:s}}", "apiVersion", store_kinds[STORE_CONFIGMAP].api_version,
                         "kind", store_kinds[STORE_CONFIGMAP].kind, "metadata",
                         render_part_metadata(in, name, NULL), "data", key, buf_text(text)),
               e);
}

static int add_agent_file(const struct render_input *in, struct render_set *s, struct err *e)
{
    CLEANUP_BUF struct buf text = {.max = CONFIGMAP_MAX};
    char name[LIMIT_NAME + 1];
    struct spec_agent_file file = {.generation = (uint64_t)MAX(in->generation, 0),
                                   .paused = in->spec->paused,
                                   .ports = {.http = SPEC_PORT_HTTP,
                                             .tcp = SPEC_PORT_TCP,
                                             .peer = SPEC_PORT_PEER,
                                             .stamp = SPEC_PORT_STAMP},
                                   .spec = *in->spec}; // borrowed: written only
    if (base_copy(file.fleet, sizeof(file.fleet), in->fleet) < 0) {
        err_set(e, EINVAL, "must have at most %d bytes: names of children are made of it", LIMIT_FLEET_NAME);
        return err_at(e, "metadata.name");
    }
    spec_agent_file_render(&file, &text);
    return add_configmap(in, render_part_name(in, "-agent", name), RENDER_PART_AGENT_KEY, &text, s, e);
}

static int add_slices(const struct render_input *in, struct render_set *s, struct err *e)
{
    CLEANUP_BUF struct buf text = {.max = CONFIGMAP_MAX};
    int r = 0;
    for (unsigned i = 0; i < in->slices && r == 0; i++) {
        char name[LIMIT_NAME + 1], suffix[24], key[24];
        render_part_slice(i, suffix, key);
        buf_reset(&text);
        peers_render(in->peers, i, in->slices, &text);
        r = add_configmap(in, render_part_name(in, suffix, name), key, &text, s, e);
    }
    return r;
}

static int add_daemonsets(const struct render_input *in, struct render_set *s, struct err *e)
{
    int r = 0;
    struct agent_sets sets;
    agent_sets_of(in->spec, &sets);
    for (size_t i = 0; i < sets.n && r == 0; i++) {
        char name[LIMIT_NAME + 1];
        r = add(s, STORE_DAEMONSET, agent_sets_name(&sets.list[i], in->fleet, name),
                render_daemonset(in, &sets.list[i]), e);
    }
    return r;
}

static int add_monitoring(const struct render_input *in, struct render_set *s, struct err *e)
{
    int r = in->pod_monitor ? add(s, STORE_PODMONITOR, in->fleet, render_monitor_pods(in), e) : 0;
    if (r < 0 || !in->prometheus_rule || !in->spec->alerting.enabled)
        return r;
    json_t *rules = NULL;
    r = render_monitor_rules(in, &rules, e);
    return r < 0 ? r : add(s, STORE_PROMETHEUSRULE, in->fleet, rules, e);
}

int render_fleet(const struct render_input *in, struct render_set *ret, struct err *e)
{
    CLEANUP_SET struct render_set s = {0};
    int r = make_room(in, &s, e);
    if (r == 0)
        r = add_service_account(in, &s, e);
    if (r == 0)
        r = add_agent_file(in, &s, e);
    if (r == 0)
        r = add_slices(in, &s, e);
    if (r == 0)
        r = add_daemonsets(in, &s, e);
    if (r == 0)
        r = add_monitoring(in, &s, e);
    if (r < 0)
        return r;
    *ret = s;
    s = (struct render_set){0};
    return 0;
}

int render_peers(const struct render_input *in, struct render_set *ret, struct err *e)
{
    CLEANUP_SET struct render_set s = {0};
    int r = make_room(in, &s, e);
    if (r == 0)
        r = add_slices(in, &s, e);
    if (r < 0)
        return r;
    *ret = s;
    s = (struct render_set){0};
    return 0;
}

void render_print(const struct render_set *s, struct buf *out)
{
    for (size_t i = 0; i < s->n; i++) {
        buf_str(out, "---\n");
        yamlprint_document(s->list[i].body, out);
    }
}
