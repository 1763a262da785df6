// SPDX-License-Identifier: Apache-2.0
// Reads the few fields of each kind that the operator acts upon.
#include "operator/project.h"

#include <errno.h>
#include <string.h>

#include "lib/buf.h"
#include "operator/tree.h"

#define LABEL_FLEET "kubecanary.io/fleet"
#define LABEL_NETWORK "kubecanary.io/network"
#define LABEL_OVERRIDE "kubecanary.io/override"
#define LABEL_ZONE "topology.kubernetes.io/zone"
#define ANNOTATION_PUBLISHED "kubecanary.io/published"
#define ANNOTATION_ALLOCATOR "kubecanary.io/allocator"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

// Copies what fits of a text for people, cut at a character's border.
static void copy_cut(char *dst, size_t size, const char *src)
{
    size_t len = strlen(src);
    if (len >= size) {
        len = size - 1;
        while (len > 0 && ((unsigned char)src[len] & 0xc0) == 0x80)
            len--;
    }
    memcpy(dst, src, len);
    dst[len] = '\0';
}

static int required(char *dst, size_t size, const json_t *meta, const char *key, struct err *e)
{
    const char *text = text_of(meta, key);
    if (!text[0])
        return err_set(e, EINVAL, "metadata.%s is missing", key);
    if (base_copy(dst, size, text) < 0)
        return err_set(e, EINVAL, "metadata.%s has more than %zu bytes", key, size - 1);
    return 0;
}

int project_key(enum store_kind kind, const json_t *object, struct store_meta *ret, struct err *e)
{
    const json_t *meta = json_object_get(object, "metadata");
    int r = required(ret->name, sizeof(ret->name), meta, "name", e);
    if (r == 0 && store_kinds[kind].namespaced)
        r = required(ret->namespace, sizeof(ret->namespace), meta, "namespace", e);
    return r;
}

// A field that may be absent. Too long: as absent (such an object is none of ours).
static void optional(char *dst, size_t size, const char *text)
{
    if (base_copy(dst, size, text) < 0)
        dst[0] = '\0';
}

static void read_owner(const json_t *meta, struct store_meta *ret)
{
    size_t i;
    const json_t *owner;
    json_array_foreach(json_object_get(meta, "ownerReferences"), i, owner)
    {
        if (json_is_true(json_object_get(owner, "controller")))
            optional(ret->owner_uid, sizeof(ret->owner_uid), text_of(owner, "uid"));
    }
}

static int read_meta(enum store_kind kind, const json_t *object, struct store_meta *ret, struct err *e)
{
    const json_t *meta = json_object_get(object, "metadata");
    int r = project_key(kind, object, ret, e);
    if (r < 0)
        return r;
    if (base_copy(ret->uid, sizeof(ret->uid), text_of(meta, "uid")) < 0)
        return err_set(e, EINVAL, "metadata.uid has more than %d bytes", LIMIT_UID);
    if (base_copy(ret->resource_version, sizeof(ret->resource_version), text_of(meta, "resourceVersion")) < 0)
        return err_set(e, EINVAL, "metadata.resourceVersion has more than %d bytes", LIMIT_RESOURCE_VERSION);
    read_owner(meta, ret);
    if (kind == STORE_FLEET)
        optional(ret->fleet, sizeof(ret->fleet), ret->name);
    else
        optional(ret->fleet, sizeof(ret->fleet), text_of(json_object_get(meta, "labels"), LABEL_FLEET));
    ret->generation = json_integer_value(json_object_get(meta, "generation"));
    ret->deleting = text_of(meta, "deletionTimestamp")[0] != '\0';
    return 0;
}

static bool condition_true(const json_t *status, const char *type)
{
    size_t i;
    const json_t *c;
    json_array_foreach(json_object_get(status, "conditions"), i, c)
    {
        if (strcmp(text_of(c, "type"), type) == 0)
            return strcmp(text_of(c, "status"), "True") == 0;
    }
    return false;
}

// The first address of each family counts.
static void add_address(struct addr list[static FAMILIES], const char *text)
{
    struct addr a;
    if (addr_parse(text, &a) == 0 && !list[a.family].set)
        list[a.family] = a;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// "key=value" strings, each with its NUL, sorted by key, an empty one at the end: a tenth of what a JSON
// object takes.
static char *pack_labels(const json_t *labels)
{
    struct buf b;
    size_t n = 0, count = json_object_size(labels);
    CLEANUP_FREE const char **keys = calloc(count + 1, sizeof(*keys));
    if (!keys)
        return NULL;
    for (void *at = json_object_iter((json_t *)(uintptr_t)labels); at && n < count;
         at = json_object_iter_next((json_t *)(uintptr_t)labels, at))
        keys[n++] = json_object_iter_key(at);
    qsort(keys, n, sizeof(*keys), compare_keys);
    buf_init(&b, LIMIT_DOC_BYTES);
    for (size_t i = 0; i < n; i++) {
        buf_str(&b, keys[i]);
        buf_char(&b, '=');
        buf_str(&b, text_of(labels, keys[i]));
        buf_char(&b, '\0');
    }
    buf_char(&b, '\0');
    return buf_take(&b);
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    return base_hash(hash, text, strlen(text) + 1);
}

static uint64_t hash_addresses(uint64_t hash, const struct addr list[static FAMILIES])
{
    for (size_t i = 0; i < FAMILIES; i++) {
        if (list[i].set)
            hash = base_hash(hash, &list[i], sizeof(list[i]));
    }
    return hash;
}

// Whether somebody is about to take the node away: autoscalers put a taint on it before they drain it, a
// person puts one on a node that is gone. Not being cordoned: that is also done to a node that stays, and
// neither Karpenter nor the autoscaler before 1.34 does it. The soft taint of a mere candidate does not
// count.
static bool is_tainted_to_go(const json_t *spec)
{
    static const char *const keys[] = {"ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted",
                                       "node.kubernetes.io/out-of-service"};
    size_t i;
    const json_t *taint;
    json_array_foreach(json_object_get(spec, "taints"), i, taint)
    {
        if (strcmp(text_of(taint, "effect"), "PreferNoSchedule") == 0)
            continue;
        for (size_t k = 0; k < ARRAY_LEN(keys); k++)
            if (strcmp(text_of(taint, "key"), keys[k]) == 0)
                return true;
    }
    return false;
}

static int read_node(const json_t *object, struct store_node *n, struct err *e)
{
    const json_t *labels = json_object_get(json_object_get(object, "metadata"), "labels");
    const json_t *status = json_object_get(object, "status"), *address;
    size_t i;
    optional(n->zone, sizeof(n->zone), text_of(labels, LABEL_ZONE));
    json_array_foreach(json_object_get(status, "addresses"), i, address)
    {
        if (strcmp(text_of(address, "type"), "InternalIP") == 0)
            add_address(n->host, text_of(address, "address"));
    }
    n->ready = condition_true(status, "Ready");
    n->leaving = n->meta.deleting || is_tainted_to_go(json_object_get(object, "spec"));
    n->labels = pack_labels(labels);
    if (!n->labels)
        return err_set(e, ENOMEM, "no memory for the labels of node %s", n->meta.name);
    const bool flags[] = {n->ready, n->leaving};
    uint64_t hash = base_hash(BASE_HASH_INIT, flags, sizeof(flags));
    for (const char *l = n->labels; *l; l += strlen(l) + 1)
        hash = hash_text(hash, l);
    n->meta.digest = hash_addresses(hash, n->host);
    return 0;
}

// What a container said when it ended: of a line of our own log its message and error, which have no time in
// them, so that the same end is the same text.
static void read_end(const json_t *container, char *out, size_t size)
{
    const json_t *end = json_object_get(json_object_get(container, "lastState"), "terminated");
    const char *text = text_of(end, "message"), *line = text;
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '\n')
        len--;
    for (size_t i = 0; i < len; i++)
        line = text[i] == '\n' ? text + i + 1 : line;
    json_t *log = json_loadb(line, len - (size_t)(line - text), 0, NULL);
    char said[512];
    if (log && text_of(log, "msg")[0])
        snprintf(said, sizeof(said), "%s%s%s", text_of(log, "msg"), text_of(log, "error")[0] ? ": " : "",
                 text_of(log, "error"));
    else
        snprintf(said, sizeof(said), "%.*s", (int)(len - (size_t)(line - text)), line);
    json_decref(log);
    if (said[0])
        copy_cut(out, size, said);
}

// The first container that waits for another reason than being made.
static void read_waiting(const json_t *status, struct store_pod *p)
{
    static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        size_t i;
        const json_t *c;
        json_array_foreach(json_object_get(status, lists[l]), i, c)
        {
            const json_t *waiting = json_object_get(json_object_get(c, "state"), "waiting");
            const char *reason = text_of(waiting, "reason");
            if (!reason[0] || strcmp(reason, "ContainerCreating") == 0 ||
                strcmp(reason, "PodInitializing") == 0)
                continue;
            copy_cut(p->waiting_reason, sizeof(p->waiting_reason), reason);
            copy_cut(p->waiting_message, sizeof(p->waiting_message), text_of(waiting, "message"));
            if (strcmp(reason, "CrashLoopBackOff") == 0)
                read_end(c, p->waiting_message, sizeof(p->waiting_message));
            return;
        }
    }
}

// By the kernel, for its memory; or before it began, as runc says it: the limit was too low even for that.
static bool is_kill(const json_t *end)
{
    const char *reason = text_of(end, "reason");
    return strcmp(reason, "OOMKilled") == 0 ||
           (strcmp(reason, "StartError") == 0 && strstr(text_of(end, "message"), "OOM-killed"));
}

// Of the containers' last ends, or of one that has not begun again.
static bool was_killed(const json_t *status)
{
    static const char *const states[] = {"state", "lastState"};
    size_t i;
    const json_t *c;
    json_array_foreach(json_object_get(status, "containerStatuses"), i, c)
    {
        for (size_t k = 0; k < ARRAY_LEN(states); k++) {
            const json_t *end = json_object_get(json_object_get(c, states[k]), "terminated");
            if (is_kill(end))
                return true;
        }
    }
    return false;
}

// What the scheduler says of a Pod that it found no place for.
static void read_unscheduled(const json_t *status, struct store_pod *p)
{
    size_t i;
    const json_t *c;
    json_array_foreach(json_object_get(status, "conditions"), i, c)
    {
        if (strcmp(text_of(c, "type"), "PodScheduled") != 0 || strcmp(text_of(c, "status"), "False") != 0)
            continue;
        copy_cut(p->waiting_reason, sizeof(p->waiting_reason), text_of(c, "reason"));
        copy_cut(p->waiting_message, sizeof(p->waiting_message), text_of(c, "message"));
    }
}

static void read_pod(const json_t *object, struct store_pod *p)
{
    const json_t *meta = json_object_get(object, "metadata");
    const json_t *status = json_object_get(object, "status"), *ip;
    size_t i;
    optional(p->network, sizeof(p->network), text_of(json_object_get(meta, "labels"), LABEL_NETWORK));
    optional(p->override, sizeof(p->override), text_of(json_object_get(meta, "labels"), LABEL_OVERRIDE));
    optional(p->node, sizeof(p->node), text_of(json_object_get(object, "spec"), "nodeName"));
    optional(p->published, sizeof(p->published),
             text_of(json_object_get(meta, "annotations"), ANNOTATION_PUBLISHED));
    optional(p->allocator, sizeof(p->allocator),
             text_of(json_object_get(meta, "annotations"), ANNOTATION_ALLOCATOR));
    json_array_foreach(json_object_get(status, "podIPs"), i, ip)
    {
        add_address(p->ip, text_of(ip, "ip"));
    }
    p->ready = condition_true(status, "Ready");
    p->running = strcmp(text_of(status, "phase"), "Running") == 0;
    read_waiting(status, p);
    if (!p->node[0])
        read_unscheduled(status, p);
    p->killed = was_killed(status);
    const bool flags[] = {p->ready, p->running, p->killed, p->meta.deleting};
    uint64_t hash = base_hash(BASE_HASH_INIT, flags, sizeof(flags));
    const char *const texts[] = {p->meta.uid,  p->meta.fleet,     p->network,         p->override, p->node,
                                 p->published, p->waiting_reason, p->waiting_message, p->allocator};
    for (i = 0; i < ARRAY_LEN(texts); i++)
        hash = hash_text(hash, texts[i]);
    p->meta.digest = hash_addresses(hash, p->ip);
}

static int read_fleet(const json_t *object, struct store_fleet *f, struct err *e)
{
    json_t *spec = json_object_get(object, "spec");
    json_t *status = json_object_get(object, "status");
    if (!json_is_object(spec))
        return err_set(e, EINVAL, "spec is missing");
    f->spec = json_incref(spec);
    f->status = json_is_object(status) ? json_incref(status) : NULL;
    f->meta.digest = project_digest(object);
    return 0;
}

static int count_of(const json_t *status, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(status, key));
    return n < 0 || n > INT32_MAX ? 0 : (int)n;
}

static void read_child(enum store_kind kind, const json_t *object, struct store_child *c)
{
    const json_t *status = json_object_get(object, "status");
    c->kind = kind;
    c->meta.digest = project_digest(object);
    if (kind != STORE_DAEMONSET)
        return;
    c->observed_generation = json_integer_value(json_object_get(status, "observedGeneration"));
    c->desired = count_of(status, "desiredNumberScheduled");
    c->created = count_of(status, "currentNumberScheduled");
    c->ready = count_of(status, "numberReady");
    c->updated = count_of(status, "updatedNumberScheduled");
}

int project_object(enum store_kind kind, const json_t *object, union project *ret, struct err *e)
{
    int r = read_meta(kind, object, &ret->meta, e);
    if (r < 0)
        return r;
    if (kind == STORE_FLEET)
        return read_fleet(object, &ret->fleet, e);
    if (kind == STORE_NODE)
        return read_node(object, &ret->node, e);
    if (kind == STORE_POD)
        read_pod(object, &ret->pod);
    else
        read_child(kind, object, &ret->child);
    return 0;
}

void project_release(enum store_kind kind, union project *p)
{
    if (kind == STORE_FLEET) {
        json_decref(p->fleet.spec);
        json_decref(p->fleet.status);
        p->fleet.spec = p->fleet.status = NULL;
    } else if (kind == STORE_NODE) {
        free(p->node.labels);
        p->node.labels = NULL;
    }
}

uint64_t project_digest(const json_t *object)
{
    static const char *const kept[] = {"labels", "annotations", "ownerReferences", "finalizers"};
    static const char *const dropped[] = {"apiVersion", "kind", "status", "metadata"};
    uint64_t parts[] = {
        tree_hash_members(object, dropped, ARRAY_LEN(dropped), false),
        tree_hash_members(json_object_get(object, "metadata"), kept, ARRAY_LEN(kept), true),
    };
    return base_hash(BASE_HASH_INIT, parts, sizeof(parts));
}
