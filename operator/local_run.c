// SPDX-License-Identifier: Apache-2.0
// Reads the Pod template as kubelet would, as far as the rendered one goes: one container, one projected
// volume of ConfigMaps.
#include "operator/local_run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"

static const json_t *pod_spec(const json_t *template)
{
    return json_object_get(template, "spec");
}

static const json_t *container(const json_t *template)
{
    return json_array_get(json_object_get(pod_spec(template), "containers"), 0);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

// --- the volume
// ---------------------------------------------------------------------------------------------------

static const json_t *find_named(const json_t *list, const char *name)
{
    size_t i;
    json_t *at;
    json_array_foreach(list, i, at)
    {
        if (strcmp(text_of(at, "name"), name) == 0)
            return at;
    }
    return NULL;
}

// The sources of the projected volume that the container mounts, and where it mounts it.
static const json_t *sources(const json_t *template, const char **ret_mount)
{
    size_t i;
    json_t *mount;
    json_array_foreach(json_object_get(container(template), "volumeMounts"), i, mount)
    {
        const json_t *volume =
            find_named(json_object_get(pod_spec(template), "volumes"), text_of(mount, "name"));
        const json_t *list = json_object_get(json_object_get(volume, "projected"), "sources");
        if (list) {
            *ret_mount = text_of(mount, "mountPath");
            return list;
        }
    }
    *ret_mount = "";
    return NULL;
}

// The keys that a source picks out of a ConfigMap, or all of them. Of an optional source each may be missing.
static int add_files(const json_t *source, const json_t *data, bool optional, json_t *files)
{
    const json_t *items = json_object_get(source, "items");
    if (!items)
        return json_object_update(files, (json_t *)(uintptr_t)data);
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        json_t *text = json_object_get(data, text_of(item, "key"));
        if ((!text && !optional) || (text && json_object_set(files, text_of(item, "path"), text) < 0))
            return -1;
    }
    return 0;
}

int local_run_files(const json_t *template, local_run_configmap_fn *fn, void *arg, json_t **ret,
                    struct err *e)
{
    const char *mount;
    json_t *files = json_object(), *source;
    size_t i;
    json_array_foreach(sources(template, &mount), i, source)
    {
        const json_t *map = json_object_get(source, "configMap");
        const json_t *data = fn(text_of(map, "name"), arg);
        bool optional = json_is_true(json_object_get(map, "optional"));
        if ((!data && !optional) || (data && add_files(map, data, optional, files) < 0)) {
            json_decref(files);
            return err_set(e, ENOENT, "configmap \"%s\" or a key of it not found", text_of(map, "name"));
        }
    }
    if (!files)
        return err_set(e, ENOMEM, "no memory for a volume");
    *ret = files;
    return 0;
}

// --- arguments and environment
// ------------------------------------------------------------------------------------

static const char *field(const struct local_place *place, const char *path)
{
    const struct {
        const char *path, *value;
    } fields[] = {{"spec.nodeName", place->node},
                  {"metadata.name", place->pod},
                  {"metadata.namespace", place->namespace},
                  {"status.podIP", place->ip}};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (strcmp(path, fields[i].path) == 0)
            return fields[i].value;
    }
    return NULL;
}

// The value of a variable that stands in envp already; NULL if there is none of the name name[len].
static const char *variable(const struct local_run *r, const char *name, size_t len)
{
    for (size_t i = r->n_envp; i-- > 0;) {
        if (strncmp(r->envp[i], name, len) == 0 && r->envp[i][len] == '=')
            return r->envp[i] + len + 1;
    }
    return NULL;
}

// Appends text with $(NAME) replaced by the variable, as Kubernetes does it: $$(NAME) is $(NAME), an unknown
// name stays.
static void expand(const struct local_run *r, const char *text, struct buf *out)
{
    while (*text) {
        const char *end = strncmp(text, "$(", 2) == 0 ? strchr(text, ')') : NULL;
        const char *value = end ? variable(r, text + 2, (size_t)(end - text - 2)) : NULL;
        if (strncmp(text, "$$", 2) == 0) {
            buf_char(out, '$');
            text += 2;
        } else if (value) {
            buf_str(out, value);
            text = end + 1;
        } else {
            buf_char(out, *text++);
        }
    }
}

// The mount's path, where an argument is it or begins with it (also after "--option="), becomes the
// directory's.
static void add_moved(const char *text, const char *mount, const char *volume, struct buf *out)
{
    const char *value = text[0] == '-' && strchr(text, '=') ? strchr(text, '=') + 1 : text;
    size_t len = strlen(mount);
    bool in_mount = len > 0 && strncmp(value, mount, len) == 0 && (value[len] == '\0' || value[len] == '/');
    buf_add(out, text, (size_t)(value - text));
    buf_str(out, in_mount ? volume : "");
    buf_str(out, in_mount ? value + len : value);
}

static int append(char **list, size_t *n, struct buf *text, struct err *e)
{
    if (*n == LOCAL_RUN_STRINGS)
        return err_set(e, E2BIG, "more than %d arguments or variables", LOCAL_RUN_STRINGS);
    buf_add(text, "", 0);
    char *taken = buf_take(text);
    if (!taken)
        return err_set(e, ENOMEM, "no memory for arguments or variables");
    list[(*n)++] = taken;
    return 0;
}

static int add_env(const json_t *env, const struct local_place *place, struct local_run *r, struct err *e)
{
    const char *from = text_of(json_object_get(json_object_get(env, "valueFrom"), "fieldRef"), "fieldPath");
    const char *downward = field(place, from);
    if (from[0] && !downward)
        return err_set(e, EINVAL, "variable %s: field %s is not carried out on this machine",
                       text_of(env, "name"), from);
    CLEANUP_BUF struct buf b;
    buf_init(&b, LIMIT_DOC_BYTES);
    buf_fmt(&b, "%s=", text_of(env, "name"));
    if (downward)
        buf_str(&b, downward);
    else
        expand(r, text_of(env, "value"), &b);
    return append(r->envp, &r->n_envp, &b, e);
}

static int add_arg(const char *arg, const char *mount, const char *volume, struct local_run *r, struct err *e)
{
    CLEANUP_BUF struct buf expanded, moved;
    buf_init(&expanded, LIMIT_DOC_BYTES);
    buf_init(&moved, LIMIT_DOC_BYTES);
    expand(r, arg, &expanded);
    add_moved(buf_text(&expanded), mount, volume, &moved);
    return append(r->argv, &r->n_argv, &moved, e);
}

static int read_strings(const json_t *template, const struct local_place *place, struct local_run *r,
                        struct err *e)
{
    const json_t *c = container(template);
    const char *mount;
    sources(template, &mount);
    size_t i;
    json_t *at;
    int result = 0;
    json_array_foreach(json_object_get(c, "env"), i, at)
    {
        if (result == 0)
            result = add_env(at, place, r, e);
    }
    if (result == 0)
        result = add_arg("kubecanary-agent", "", "", r, e);
    json_array_foreach(json_object_get(c, "args"), i, at)
    {
        if (result == 0)
            result = add_arg(json_string_value(at) ? json_string_value(at) : "", mount, place->volume, r, e);
    }
    return result;
}

// --- the rest
// -----------------------------------------------------------------------------------------------------

static unsigned number_of(const json_t *object, const char *key, unsigned def, unsigned max)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return def;
    return (unsigned)MIN(json_integer_value(value), (json_int_t)max);
}

static unsigned port_of(const json_t *c, const json_t *port)
{
    if (json_is_string(port)) {
        const json_t *named = find_named(json_object_get(c, "ports"), json_string_value(port));
        return number_of(named, "containerPort", 0, UINT16_MAX);
    }
    return json_is_integer(port) ? (unsigned)json_integer_value(port) & UINT16_MAX : 0;
}

static int read_rest(const json_t *template, struct local_run *r, struct err *e)
{
    const json_t *c = container(template), *spec = pod_spec(template);
    const json_t *probe = json_object_get(c, "readinessProbe"), *get = json_object_get(probe, "httpGet");
    const json_t *sysctls = json_object_get(json_object_get(spec, "securityContext"), "sysctls");
    const char *path = text_of(get, "path");
    if (json_is_true(json_object_get(spec, "hostNetwork")))
        return err_set(e, EINVAL,
                       "spec.mesh.networks: Node is not carried out on this machine, where a node and its "
                       "pods are one network; use Pod");
    r->ready_port = (uint16_t)port_of(c, json_object_get(get, "port"));
    r->ready_period_s = number_of(probe, "periodSeconds", 10, 60);
    r->grace_s = number_of(spec, "terminationGracePeriodSeconds", 30, 60);
    r->ping = find_named(sysctls, "net.ipv4.ping_group_range") != NULL;
    if (base_copy(r->image, sizeof(r->image), text_of(c, "image")) < 0 ||
        base_copy(r->ready_path, sizeof(r->ready_path), path[0] ? path : "/") < 0)
        return err_set(e, EINVAL, "image or readiness path too long");
    return 0;
}

int local_run_init(const json_t *template, const struct local_place *place, struct local_run *ret,
                   struct err *e)
{
    struct local_run r = {0};
    if (json_array_size(json_object_get(pod_spec(template), "containers")) != 1)
        return err_set(e, EINVAL, "a Pod of one container is carried out on this machine, no other");
    int result = read_strings(template, place, &r, e);
    if (result == 0)
        result = read_rest(template, &r, e);
    if (result < 0)
        local_run_release(&r);
    else
        *ret = r;
    return result;
}

void local_run_release(struct local_run *r)
{
    for (size_t i = 0; i < r->n_argv; i++)
        free(r->argv[i]);
    for (size_t i = 0; i < r->n_envp; i++)
        free(r->envp[i]);
    *r = (struct local_run){0};
}

bool local_run_image_is(const char *image, const char *name)
{
    const char *slash = strrchr(image, '/'), *last = slash ? slash + 1 : image;
    return strcspn(last, ":@") == strlen(name) && strncmp(last, name, strlen(name)) == 0;
}

// Of a node affinity NotIn is carried out, which is all that is rendered.
static bool expression_holds(const json_t *expression, const json_t *node_labels)
{
    const json_t *have = json_object_get(node_labels, text_of(expression, "key")), *value;
    size_t i;
    json_array_foreach(json_object_get(expression, "values"), i, value)
    {
        if (json_equal(value, have))
            return false;
    }
    return strcmp(text_of(expression, "operator"), "NotIn") == 0;
}

static bool term_holds(const json_t *term, const json_t *node_labels)
{
    const json_t *expression;
    size_t i;
    json_array_foreach(json_object_get(term, "matchExpressions"), i, expression)
    {
        if (!expression_holds(expression, node_labels))
            return false;
    }
    return true;
}

static bool affinity_holds(const json_t *template, const json_t *node_labels)
{
    const json_t *node = json_object_get(json_object_get(pod_spec(template), "affinity"), "nodeAffinity");
    const json_t *required = json_object_get(node, "requiredDuringSchedulingIgnoredDuringExecution"), *term;
    size_t i;
    json_array_foreach(json_object_get(required, "nodeSelectorTerms"), i, term)
    {
        if (term_holds(term, node_labels))
            return true;
    }
    return required == NULL;
}

bool local_run_selects(const json_t *template, const json_t *node_labels)
{
    const char *key;
    json_t *want;
    json_object_foreach((json_t *)(uintptr_t)json_object_get(pod_spec(template), "nodeSelector"), key, want)
    {
        if (!json_equal(want, json_object_get(node_labels, key)))
            return false;
    }
    return affinity_holds(template, node_labels);
}
