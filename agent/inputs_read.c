// SPDX-License-Identifier: Apache-2.0
// Directory -> parsed files. Through ..data, if the directory has one: the kubelet replaces that symlink in
// one step, so what is opened once is one generation of every file.
#include "agent/inputs_read.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/dir.h"
#include "lib/doc.h"
#include "lib/limits.h"

#define FOLLOW_TRIES 10

void inputs_files_release(struct inputs_files *f)
{
    spec_agent_file_release(&f->agent);
    peers_release(&f->peers);
    *f = (struct inputs_files){0};
}

// The descriptor of DIR/..data, or of DIR itself if it has none; -1. A ..data that leads nowhere was replaced
// while it was followed: not a reason to read through it file by file, but to follow it again.
static int open_dir(const char *dir)
{
    CLEANUP_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    for (int i = 0; fd >= 0 && i < FOLLOW_TRIES; i++) {
        int data = openat(fd, "..data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (data >= 0 || errno != ENOENT)
            return data;
        if (fstatat(fd, "..data", &st, AT_SYMLINK_NOFOLLOW) < 0)
            return errno == ENOENT ? TAKE_FD(fd) : -1;
    }
    return -1;
}

// peers-NN.yaml with two or three digits; *ret: the number.
static bool slice_name(const char *name, unsigned *ret)
{
    static const char prefix[] = "peers-";
    size_t digits =
        strncmp(name, prefix, strlen(prefix)) == 0 ? strspn(name + strlen(prefix), "0123456789") : 0;
    if (digits < 2 || digits > 3 || strcmp(name + strlen(prefix) + digits, ".yaml") != 0)
        return false;
    *ret = 0;
    for (size_t i = 0; i < digits; i++)
        *ret = *ret * 10 + (unsigned)(name[strlen(prefix) + i] - '0');
    return true;
}

static uint64_t hash_stat(uint64_t h, const char *name, const struct stat *st)
{
    h = base_hash(h, name, strlen(name) + 1);
    h = base_hash(h, &st->st_dev, sizeof(st->st_dev));
    h = base_hash(h, &st->st_ino, sizeof(st->st_ino));
    h = base_hash(h, &st->st_size, sizeof(st->st_size));
    h = base_hash(h, &st->st_mtim, sizeof(st->st_mtim));
    return base_hash(h, &st->st_ctim, sizeof(st->st_ctim));
}

uint64_t inputs_fingerprint(const char *dir)
{
    CLEANUP_FD int fd = open_dir(dir);
    struct dir d;
    uint64_t sum = 0; // one, since a directory has no order
    unsigned number;
    struct stat st;
    dir_init(&d, fd);
    for (const char *name; (name = dir_next(&d));) {
        if ((strcmp(name, "agent.yaml") == 0 || slice_name(name, &number)) && fstatat(fd, name, &st, 0) == 0)
            sum += hash_stat(BASE_HASH_INIT, name, &st);
    }
    return sum | 1;
}

// The whole file; ENOENT is left to the caller to explain.
static int read_file(int dir, const char *name, char **ret, size_t *ret_len, struct err *e)
{
    CLEANUP_FD int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(e, errno, "cannot be opened");
    if (!S_ISREG(st.st_mode))
        return err_set(e, EINVAL, "is no regular file");
    if (st.st_size > (off_t)LIMIT_DOC_BYTES)
        return err_set(e, E2BIG, "is larger than %u bytes", LIMIT_DOC_BYTES);
    size_t size = (size_t)st.st_size, len = 0;
    CLEANUP_FREE char *text = malloc(size + 1);
    if (!text)
        return err_set(e, ENOMEM, "no memory for %zu bytes", size);
    while (len < size) {
        ssize_t n = read(fd, text + len, size - len);
        if (n < 0)
            return err_sys(e, errno, "cannot be read");
        if (n == 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
    *ret = TAKE_PTR(text);
    *ret_len = len;
    return 0;
}

static int load(int dir, const char *name, struct doc **ret, struct err *e)
{
    CLEANUP_FREE char *text = NULL;
    size_t len = 0;
    int r = read_file(dir, name, &text, &len, e);
    return r < 0 ? r : doc_parse(text, len, ret, e);
}

// Puts the file's name before the error's path, apart from it: "agent.yaml: probes[0].interval".
static int in_file(struct err *e, const char *name)
{
    const struct err inner = *e;
    e->path[0] = '\0';
    return err_at(e, "%s%s%s", name, inner.path[0] ? ": " : "", inner.path);
}

static int read_agent(int dir, struct spec_agent_file *ret, struct err *e)
{
    CLEANUP_DOC struct doc *d = NULL;
    if (load(dir, "agent.yaml", &d, e) < 0 || spec_agent_file_parse(doc_root(d), ret, e) < 0)
        return in_file(e, "agent.yaml");
    return 0;
}

static int read_slice(int dir, unsigned number, unsigned *slices, struct peers *p, struct err *e)
{
    CLEANUP_DOC struct doc *d = NULL;
    char name[32];
    unsigned slice, of;
    snprintf(name, sizeof(name), "peers-%02u.yaml", number);
    if (load(dir, name, &d, e) < 0 || peers_parse(doc_root(d), &slice, &of, p, e) < 0)
        return in_file(e, name);
    if (slice != number)
        err_set(e, EINVAL, "holds slice %u", slice);
    else if (of == 0 || of > LIMIT_SLICES)
        err_set(e, EINVAL, "slices must be between 1 and %d", LIMIT_SLICES);
    else if (*slices != 0 && of != *slices)
        err_set(e, EINVAL, "is one of %u slices, peers-00.yaml of %u", of, *slices);
    else {
        *slices = of;
        return 0;
    }
    return in_file(e, name);
}

static int read_peers(int dir, bool needed, unsigned *slices, struct peers *p, struct err *e)
{
    int r = read_slice(dir, 0, slices, p, e);
    if (r == -ENOENT && !needed)
        return 0;
    for (unsigned i = 1; r == 0 && i < *slices; i++)
        r = read_slice(dir, i, slices, p, e);
    return r < 0 ? r : peers_sort(p, e);
}

int inputs_read(const char *dir, struct inputs_files *ret, struct err *e)
{
    CLEANUP_INPUTS_FILES struct inputs_files files = {0};
    CLEANUP_FD int fd = open_dir(dir);
    if (fd < 0)
        return err_sys(e, errno, "the directory cannot be opened");
    int r = read_agent(fd, &files.agent, e);
    if (r == 0)
        r = read_peers(fd, files.agent.spec.mesh.present, &files.slices, &files.peers, e);
    if (r < 0)
        return r;
    *ret = files;
    files = (struct inputs_files){0};
    return 0;
}

unsigned inputs_leftover(const char *dir, unsigned slices)
{
    CLEANUP_FD int fd = open_dir(dir);
    char name[32];
    for (unsigned i = MAX(slices, 1u); fd >= 0 && i < LIMIT_SLICES; i++) {
        snprintf(name, sizeof(name), "peers-%02u.yaml", i);
        if (faccessat(fd, name, F_OK, 0) == 0)
            return i;
    }
    return 0;
}
