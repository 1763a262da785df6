// SPDX-License-Identifier: Apache-2.0
// Atomic writes: temporary name, rename; and kubelet's volume layout: FILE -> ..data/FILE, ..data ->
// ..STAMP/.
#include "operator/local_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/file.h"
#include "lib/limits.h"

static int join(char out[static PATH_MAX], const char *dir, const char *name, struct err *e)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return n < PATH_MAX ? 0 : err_set(e, ENAMETOOLONG, "%s: path too long", name);
}

static bool holds(const char *path, const char *text, size_t len)
{
    struct err ignored;
    CLEANUP_FREE char *now = NULL;
    size_t n;
    return file_read(path, len + 1, &now, &n, &ignored) == 0 && n == len && memcmp(now, text, len) == 0;
}

static int write_new(const char *path, const char *text, size_t len, struct err *e)
{
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_sys(e, errno, "%s", path);
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno != EINTR)
            return err_sys(e, errno, "%s", path);
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int local_files_write(const char *dir, const char *name, const char *text, size_t len, struct err *e)
{
    char path[PATH_MAX], tmp[PATH_MAX], tmp_name[NAME_MAX + 1];
    snprintf(tmp_name, sizeof(tmp_name), ".%s.new", name);
    int r = join(path, dir, name, e);
    if (r == 0)
        r = join(tmp, dir, tmp_name, e);
    if (r < 0 || holds(path, text, len))
        return r;
    r = write_new(tmp, text, len, e);
    if (r == 0 && rename(tmp, path) < 0)
        r = err_sys(e, errno, "%s", path);
    return r;
}

int local_files_mkdir(const char *path, struct err *e)
{
    char part[PATH_MAX];
    if (base_copy(part, sizeof(part), path) < 0)
        return err_set(e, ENAMETOOLONG, "%s: path too long", path);
    for (char *at = part + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        mkdir(part, 0755); // a parent that is there already, or the last call's error
        *at = '/';
    }
    if (mkdir(part, 0755) < 0 && errno != EEXIST)
        return err_sys(e, errno, "%s", path);
    return 0;
}

static int remove_one(const char *path, const struct stat *st UNUSED, int type UNUSED, struct FTW *ftw UNUSED)
{
    remove(path);
    return 0;
}

void local_files_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool is_kept(const char *name, size_t len, const json_t *keep)
{
    char key[NAME_MAX + 1];
    snprintf(key, sizeof(key), "%.*s", (int)len, name);
    char *dot = strchr(key, '.'); // a namespace has none
    if (dot)
        *dot = '/';
    return json_object_get(keep, key) != NULL;
}

int local_files_keep(const char *dir, const char *suffix, const json_t *keep, struct err *e)
{
    DIR *d = opendir(dir);
    if (!d)
        return err_sys(e, errno, "%s", dir);
    for (const struct dirent *at = readdir(d); at; at = readdir(d)) {
        size_t len = strlen(at->d_name), end = strlen(suffix);
        bool ours = at->d_name[0] != '.' && len > end && strcmp(at->d_name + len - end, suffix) == 0;
        if (ours && !is_kept(at->d_name, len - end, keep))
            unlinkat(dirfd(d), at->d_name, 0);
    }
    closedir(d);
    return 0;
}

// A name that would leave the volume, or that is the volume's own.
static bool bad_name(const char *name)
{
    return !name[0] || strchr(name, '/') || strncmp(name, "..", 2) == 0 || strlen(name) > LIMIT_NAME;
}

static int check_names(const json_t *files, struct err *e)
{
    const char *name;
    json_t *text;
    json_object_foreach((json_t *)(uintptr_t)files, name, text)
    {
        if (bad_name(name) || !json_is_string(text))
            return err_set(e, EINVAL, "\"%s\" cannot be a file of a volume", name);
    }
    return 0;
}

static size_t count_files(const char *dir)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    for (const struct dirent *at = d ? readdir(d) : NULL; at; at = readdir(d))
        n += at->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static bool volume_holds(const char *dir, const json_t *files)
{
    struct err ignored;
    char data[PATH_MAX], path[PATH_MAX];
    const char *name;
    json_t *text;
    if (join(data, dir, "..data", &ignored) < 0 || count_files(data) != json_object_size(files))
        return false;
    json_object_foreach((json_t *)(uintptr_t)files, name, text)
    {
        if (join(path, data, name, &ignored) < 0 ||
            !holds(path, json_string_value(text), json_string_length(text)))
            return false;
    }
    return true;
}

static int fill(const char *stamp_dir, const json_t *files, struct err *e)
{
    char path[PATH_MAX];
    const char *name;
    json_t *text;
    int r = mkdir(stamp_dir, 0755) < 0 ? err_sys(e, errno, "%s", stamp_dir) : 0;
    json_object_foreach((json_t *)(uintptr_t)files, name, text)
    {
        if (r == 0)
            r = join(path, stamp_dir, name, e);
        if (r == 0)
            r = write_new(path, json_string_value(text), json_string_length(text), e);
    }
    return r;
}

// The links FILE -> ..data/FILE: new ones first, then those whose file is gone.
static int update_links(const char *dir, const json_t *files, struct err *e)
{
    char path[PATH_MAX], target[NAME_MAX + 16];
    const char *name;
    json_t *text;
    json_object_foreach((json_t *)(uintptr_t)files, name, text)
    {
        snprintf(target, sizeof(target), "..data/%s", name);
        int r = join(path, dir, name, e);
        if (r == 0 && symlink(target, path) < 0 && errno != EEXIST)
            r = err_sys(e, errno, "%s", path);
        if (r < 0)
            return r;
    }
    DIR *d = opendir(dir);
    for (const struct dirent *at = d ? readdir(d) : NULL; at; at = readdir(d)) {
        if (at->d_name[0] != '.' && !json_object_get(files, at->d_name))
            unlinkat(dirfd(d), at->d_name, 0);
    }
    if (d)
        closedir(d);
    return 0;
}

static int swap(const char *dir, const char *stamp, struct err *e)
{
    char data[PATH_MAX], tmp[PATH_MAX], old[PATH_MAX], old_name[NAME_MAX + 1];
    int r = join(data, dir, "..data", e);
    if (r == 0)
        r = join(tmp, dir, "..data_tmp", e);
    if (r < 0)
        return r;
    ssize_t n = readlink(data, old_name, sizeof(old_name) - 1);
    old_name[n > 0 ? n : 0] = '\0';
    unlink(tmp);
    if (symlink(stamp, tmp) < 0 || rename(tmp, data) < 0)
        return err_sys(e, errno, "%s", data);
    if (strncmp(old_name, "..", 2) == 0 && join(old, dir, old_name, e) == 0)
        local_files_remove(old);
    return 0;
}

int local_files_volume(const char *dir, const json_t *files, struct err *e)
{
    char stamp[64], stamp_dir[PATH_MAX];
    struct timespec now;
    int r = check_names(files, e);
    if (r == 0)
        r = local_files_mkdir(dir, e);
    if (r < 0 || volume_holds(dir, files))
        return r;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(stamp, sizeof(stamp), "..%" PRId64 ".%09ld", (int64_t)now.tv_sec, now.tv_nsec);
    r = join(stamp_dir, dir, stamp, e);
    if (r == 0)
        r = fill(stamp_dir, files, e);
    if (r == 0)
        r = swap(dir, stamp, e);
    if (r == 0)
        r = update_links(dir, files, e);
    else
        local_files_remove(stamp_dir);
    return r;
}
