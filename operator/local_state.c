// SPDX-License-Identifier: Apache-2.0
// Marks the directory as ours by a file, which is also the lock.
#include "operator/local_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "operator/local_files.h"

#define MARK ".kubecanary-local"

static int make_own(struct local_state *s, struct err *e)
{
    const char *tmp = getenv("TMPDIR");
    int n = snprintf(s->dir, sizeof(s->dir), "%s/kubecanary-XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp");
    if (n >= (int)sizeof(s->dir))
        return err_set(e, ENAMETOOLONG, "TMPDIR: path too long");
    if (!mkdtemp(s->dir))
        return err_sys(e, errno, "cannot make a state directory %s", s->dir);
    s->own = true;
    return chmod(s->dir, 0755) < 0 ? err_sys(e, errno, "%s", s->dir) : 0; // the agents' user reads there
}

static bool is_empty(const char *path)
{
    DIR *d = opendir(path);
    bool empty = d != NULL;
    for (const struct dirent *at = d ? readdir(d) : NULL; at && empty; at = readdir(d))
        empty = strcmp(at->d_name, ".") == 0 || strcmp(at->d_name, "..") == 0;
    if (d)
        closedir(d);
    return empty;
}

static int mark(struct local_state *s, struct err *e)
{
    char path[PATH_MAX + sizeof(MARK)];
    snprintf(path, sizeof(path), "%s/" MARK, s->dir);
    int create = is_empty(s->dir) ? O_CREAT : 0;
    CLEANUP_FD int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | create, 0644);
    if (fd < 0 && errno == ENOENT)
        return err_set(e, EEXIST, "%s: neither empty nor a state directory of an earlier run", s->dir);
    if (fd < 0)
        return err_sys(e, errno, "%s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? err_set(e, EBUSY, "%s: another local cluster uses it", s->dir)
                                    : err_sys(e, errno, "%s", path);
    s->lock = 1 + TAKE_FD(fd);
    return 0;
}

static void clear(const struct local_state *s)
{
    static const char *const made[] = {"nodes", "rules", "status", "nodes.json", "targets.json"};
    char path[PATH_MAX + 16];
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        snprintf(path, sizeof(path), "%s/%s", s->dir, made[i]);
        local_files_remove(path);
    }
}

int local_state_init(struct local_state *s, const char *given, struct err *e)
{
    *s = (struct local_state){0};
    int r = given ? local_files_mkdir(given, e) : make_own(s, e);
    if (r == 0 && given && !realpath(given, s->dir))
        r = err_sys(e, errno, "%s", given);
    if (r == 0)
        r = mark(s, e);
    if (r == 0)
        clear(s);
    else
        local_state_release(s);
    return r;
}

void local_state_release(struct local_state *s)
{
    int lock = s->lock - 1;
    base_cleanup_fd(&lock);
    if (s->own)
        local_files_remove(s->dir);
    *s = (struct local_state){0};
}
