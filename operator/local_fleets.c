// SPDX-License-Identifier: Apache-2.0
// Polls the files' metadata (an editor may replace a file, a directory or a mount: no watch on an inode
// survives all of that).
#include "operator/local_fleets.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "lib/log.h"
#include "operator/offline.h"
#include "operator/tree.h"

struct source { // one file
    LIST_ENTRY(source) link;
    char path[PATH_MAX];
    struct stat seen; // when it was last read
    unsigned missing; // looks in a row that did not find it
    char namespace[LIMIT_NAMESPACE + 1];
    char name[LIMIT_FLEET_NAME + 1]; // "": no fleet was read from it yet
};

struct local_fleets {
    struct loop *loop;
    struct local_objects *objects;
    struct loop_timer timer;
    LIST_HEAD(, source) sources;
    char path[PATH_MAX];
    void (*deleted)(void *arg);
    void *arg;
};

static struct source *find_or_add(struct local_fleets *f, const char *path)
{
    struct source *at;
    LIST_FOREACH (at, &f->sources, link) {
        if (strcmp(at->path, path) == 0)
            return at;
    }
    at = calloc(1, sizeof(*at));
    if (!at || base_copy(at->path, sizeof(at->path), path) < 0) {
        free(at);
        return NULL;
    }
    LIST_INSERT_HEAD(&f->sources, at, link);
    return at;
}

static void remove_fleet(struct local_fleets *f, struct source *at)
{
    char uid[LIMIT_UID + 1];
    const json_t *fleet = local_objects_get(f->objects, STORE_FLEET, at->namespace, at->name);
    if (!at->name[0] || !fleet)
        return;
    snprintf(uid, sizeof(uid), "%s", local_objects_meta(fleet, "uid"));
    log_info("fleet deleted", LOG_STR("namespace", at->namespace), LOG_STR("fleet", at->name));
    local_objects_delete(f->objects, STORE_FLEET, at->namespace, at->name);
    local_objects_collect(f->objects, uid);
    at->name[0] = '\0';
    f->deleted(f->arg);
}

static int put_fleet(struct local_fleets *f, struct source *at, const struct offline_fleet *fleet,
                     struct err *e)
{
    bool renamed = strcmp(at->name, fleet->name) != 0 || strcmp(at->namespace, fleet->namespace) != 0;
    if (renamed)
        remove_fleet(f, at);
    if (renamed && local_objects_get(f->objects, STORE_FLEET, fleet->namespace, fleet->name))
        return err_set(e, EEXIST, "fleet %s/%s is in another file already", fleet->namespace, fleet->name);
    json_t *object = tree_to_json(fleet->object);
    json_t *meta = json_object_get(object, "metadata");
    if (!meta || json_object_set_new(meta, "namespace", json_string(fleet->namespace)) < 0) {
        json_decref(object);
        return err_set(e, ENOMEM, "no memory for a fleet");
    }
    json_object_del(object, "status");
    int r = local_objects_put(f->objects, STORE_FLEET, object, e);
    if (r < 0)
        return r;
    memcpy(at->namespace, fleet->namespace, sizeof(at->namespace));
    memcpy(at->name, fleet->name, sizeof(at->name));
    return 0;
}

static int read_source(struct local_fleets *f, struct source *at, struct err *e)
{
    struct offline_fleet fleet = {0};
    int r = offline_read(at->path, &fleet, e);
    if (r == 0)
        r = put_fleet(f, at, &fleet, e);
    offline_release(&fleet);
    return r;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

// Returns 0, or what is wrong with the file (said once for each version of it).
static int look_at(struct local_fleets *f, const char *path, struct err *e)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_sys(e, errno, "%s", path);
    struct source *at = find_or_add(f, path);
    if (!at)
        return err_set(e, ENOMEM, "%s: no memory, or path too long", path);
    at->missing = 0;
    if (same_file(&st, &at->seen))
        return 0;
    at->seen = st;
    int r = read_source(f, at, e);
    if (r < 0)
        log_error("cannot read a fleet: the last good one stays", LOG_STR("file", path), LOG_ERR(e));
    return r;
}

static int look_at_directory(struct local_fleets *f, DIR *d, struct err *e)
{
    int result = 0;
    for (const struct dirent *at = readdir(d); at; at = readdir(d)) {
        char path[PATH_MAX];
        const char *dot = strrchr(at->d_name, '.');
        bool yaml = dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0) && at->d_name[0] != '.';
        if (yaml && snprintf(path, sizeof(path), "%s/%s", f->path, at->d_name) < (int)sizeof(path) &&
            look_at(f, path, e) < 0)
            result = -e->code;
    }
    return result;
}

static int look(struct local_fleets *f, struct err *e)
{
    struct source *at;
    LIST_FOREACH (at, &f->sources, link)
        at->missing++;
    DIR *d = opendir(f->path);
    int r = d ? look_at_directory(f, d, e) : look_at(f, f->path, e);
    if (d)
        closedir(d);
    struct source *next;
    for (at = LIST_FIRST(&f->sources); at; at = next) {
        next = LIST_NEXT(at, link);
        if (at->missing < LOCAL_FLEETS_MISSING)
            continue;
        remove_fleet(f, at);
        LIST_REMOVE(at, link);
        free(at);
    }
    return r;
}

static void on_period(struct loop_timer *t, void *arg)
{
    struct local_fleets *f = arg;
    struct err e;
    int r = look(f, &e); // said already, or the file is gone, which is a deletion
    if (r == 0 || r != -ENOMEM)
        r = loop_timer_set(f->loop, t, loop_now(f->loop) + LOCAL_FLEETS_PERIOD_NS, on_period, f, &e);
    if (r < 0)
        log_error("fleets are no longer read", LOG_ERR(&e));
}

struct local_fleets *local_fleets_new(struct loop *l, struct local_objects *o, const char *path,
                                      void (*deleted)(void *arg), void *arg, struct err *e)
{
    struct local_fleets *f = calloc(1, sizeof(*f));
    if (!f || base_copy(f->path, sizeof(f->path), path) < 0) {
        free(f);
        err_set(e, ENOMEM, "%s: no memory, or path too long", path);
        return NULL;
    }
    f->loop = l;
    f->objects = o;
    f->deleted = deleted;
    f->arg = arg;
    LIST_INIT(&f->sources);
    return f;
}

int local_fleets_start(struct local_fleets *f, struct err *e)
{
    int r = look(f, e);
    if (r < 0)
        return r;
    if (json_object_size(local_objects_all(f->objects, STORE_FLEET)) == 0)
        return err_set(e, ENOENT, "%s: there is no ProbeFleet in it", f->path);
    return loop_timer_set(f->loop, &f->timer, loop_now(f->loop) + LOCAL_FLEETS_PERIOD_NS, on_period, f, e);
}

void local_fleets_free(struct local_fleets *f)
{
    if (!f)
        return;
    loop_timer_cancel(f->loop, &f->timer);
    while (!LIST_EMPTY(&f->sources)) {
        struct source *at = LIST_FIRST(&f->sources);
        LIST_REMOVE(at, link);
        free(at);
    }
    free(f);
}
