// SPDX-License-Identifier: Apache-2.0
// One table a kind, keyed by "NAMESPACE/NAME".
#include "operator/local_objects.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define KEY_MAX (LIMIT_NAMESPACE + LIMIT_NAME + 2)

struct local_objects {
    struct store *store;
    json_t *kinds[STORE_KINDS];
    json_int_t version; // the last resourceVersion given
};

struct local_objects *local_objects_new(struct store *s)
{
    struct local_objects *o = calloc(1, sizeof(*o));
    if (!o)
        return NULL;
    o->store = s;
    for (size_t i = 0; i < STORE_KINDS; i++) {
        o->kinds[i] = json_object();
        if (!o->kinds[i]) {
            local_objects_free(o);
            return NULL;
        }
    }
    return o;
}

void local_objects_free(struct local_objects *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < STORE_KINDS; i++)
        json_decref(o->kinds[i]);
    free(o);
}

const char *local_objects_meta(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(json_object_get(object, "metadata"), key));
    return text ? text : "";
}

void local_objects_new_uid(char out[static LOCAL_OBJECTS_UID])
{
    uint8_t b[16];
    if (getrandom(b, sizeof(b), 0) != sizeof(b))
        abort(); // up to 256 bytes never fail once the kernel has started
    snprintf(out, LOCAL_OBJECTS_UID, "%02x%02x%02x%02x-%02x%02x-4%01x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             b[0], b[1], b[2], b[3], b[4], b[5], b[6] & 15, b[7], (b[8] & 0x3f) | 0x80, b[9], b[10], b[11],
             b[12], b[13], b[14], b[15]);
}

static void key_of(char out[static KEY_MAX], const char *namespace, const char *name)
{
    snprintf(out, KEY_MAX, "%s/%s", namespace, name);
}

static int give_version(struct local_objects *o, json_t *meta)
{
    char text[24];
    snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, ++o->version);
    return json_object_set_new(meta, "resourceVersion", json_string(text));
}

// Whether anything but metadata and status differs.
static bool differs(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)a, key, value)
    {
        bool counts = strcmp(key, "metadata") != 0 && strcmp(key, "status") != 0;
        if (counts && !json_equal(value, json_object_get(b, key)))
            return true;
    }
    return false;
}

static int complete(struct local_objects *o, json_t *object, const json_t *old)
{
    json_t *meta = json_object_get(object, "metadata");
    const json_t *old_meta = json_object_get(old, "metadata");
    json_int_t generation = json_integer_value(json_object_get(old_meta, "generation"));
    bool changed = !old || differs(object, old) || differs(old, object);
    char uid[LOCAL_OBJECTS_UID];
    int r = json_object_set_new(meta, "generation", json_integer(generation + changed));
    if (old) {
        r |= json_object_set(meta, "uid", json_object_get(old_meta, "uid"));
    } else if (!json_object_get(meta, "uid")) {
        local_objects_new_uid(uid);
        r |= json_object_set_new(meta, "uid", json_string(uid));
    }
    json_t *status = json_object_get(old, "status");
    if (status && !json_object_get(object, "status"))
        r |= json_object_set(object, "status", status);
    return r | give_version(o, meta);
}

int local_objects_put(struct local_objects *o, enum store_kind kind, json_t *object, struct err *e)
{
    char key[KEY_MAX];
    key_of(key, local_objects_meta(object, "namespace"), local_objects_meta(object, "name"));
    const json_t *old = json_object_get(o->kinds[kind], key);
    int r;
    if (!json_is_object(json_object_get(object, "metadata")) || key[strlen(key) - 1] == '/')
        r = err_set(e, EINVAL, "%s without metadata.name", store_kinds[kind].kind);
    else if (complete(o, object, old) != 0 || json_object_set(o->kinds[kind], key, object) < 0)
        r = err_set(e, ENOMEM, "no memory for %s %s", store_kinds[kind].kind, key);
    else
        r = store_put(o->store, kind, object, e);
    json_decref(object);
    return r;
}

int local_objects_put_status(struct local_objects *o, enum store_kind kind, const char *namespace,
                             const char *name, json_t *status, struct err *e)
{
    char key[KEY_MAX];
    key_of(key, namespace, name);
    json_t *object = json_copy(json_object_get(o->kinds[kind], key));
    json_t *meta = json_copy(json_object_get(object, "metadata"));
    int r = object ? 0 : err_set(e, ENOENT, "%s %s is not there", store_kinds[kind].kind, key);
    if (r == 0 &&
        (json_object_set(object, "status", status) < 0 || json_object_set(object, "metadata", meta) < 0 ||
         give_version(o, meta) < 0 || json_object_set(o->kinds[kind], key, object) < 0))
        r = err_set(e, ENOMEM, "no memory for %s %s", store_kinds[kind].kind, key);
    if (r == 0)
        r = store_put(o->store, kind, object, e);
    json_decref(meta);
    json_decref(object);
    json_decref(status);
    return r;
}

json_t *local_objects_get(const struct local_objects *o, enum store_kind kind, const char *namespace,
                          const char *name)
{
    char key[KEY_MAX];
    key_of(key, namespace, name);
    return json_object_get(o->kinds[kind], key);
}

void local_objects_delete(struct local_objects *o, enum store_kind kind, const char *namespace,
                          const char *name)
{
    char key[KEY_MAX];
    key_of(key, namespace, name);
    if (json_object_del(o->kinds[kind], key) == 0)
        store_delete(o->store, kind, namespace, name);
}

static bool owned_by(const json_t *object, const char *uid)
{
    size_t i;
    json_t *owner;
    json_array_foreach(json_object_get(json_object_get(object, "metadata"), "ownerReferences"), i, owner)
    {
        const char *text = json_string_value(json_object_get(owner, "uid"));
        if (text && strcmp(text, uid) == 0)
            return true;
    }
    return false;
}

void local_objects_collect(struct local_objects *o, const char *uid)
{
    for (enum store_kind k = STORE_DAEMONSET; k < STORE_KINDS; k++) {
        const char *key;
        json_t *object;
        void *next;
        json_object_foreach_safe(o->kinds[k], next, key, object)
        {
            if (!owned_by(object, uid))
                continue;
            json_incref(object);
            local_objects_delete(o, k, local_objects_meta(object, "namespace"),
                                 local_objects_meta(object, "name"));
            json_decref(object);
        }
    }
}

json_t *local_objects_all(const struct local_objects *o, enum store_kind kind)
{
    return o->kinds[kind];
}
