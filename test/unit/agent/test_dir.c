// SPDX-License-Identifier: Apache-2.0
// A directory's names, beside what readdir says.
#include "agent/dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "test/unit/check.h"

#define MANY 300 // more than one read gives

static char folder[] = "/tmp/kubecanary-dir-XXXXXX";

static void make(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    CLEANUP_FD int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
}

static void drop(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    CHECK_INT(unlink(path), 0);
}

struct names { // as a sum of hashes, for no order is promised
    size_t n;
    uint64_t sum;
};

static void add(struct names *x, const char *name)
{
    x->n++;
    x->sum += base_hash(BASE_HASH_INIT, name, strlen(name));
}

static void check_same(size_t names)
{
    CLEANUP_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dir d;
    struct names x = {0}, want = {0};
    DIR *other = opendir(folder);
    CHECK(other != NULL);
    for (const struct dirent *e; (e = readdir(other));)
        add(&want, e->d_name);
    closedir(other);
    dir_init(&d, fd);
    for (const char *name; (name = dir_next(&d));)
        add(&x, name);
    CHECK(!dir_next(&d));
    CHECK(fcntl(fd, F_GETFD) >= 0); // it is still open
    CHECK_INT(x.n, names + 2);
    CHECK_INT(x.n, want.n);
    CHECK(x.sum == want.sum);
}

static void names(void)
{
    char name[256];
    CHECK(mkdtemp(folder) != NULL);
    check_same(0);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "%u", i);
        make(name);
    }
    check_same(MANY);
    memset(name, 'x', 255); // NAME_MAX
    name[255] = '\0';
    make(name);
    check_same(MANY + 1);
    drop(name);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "%u", i);
        drop(name);
    }
    CHECK_INT(rmdir(folder), 0);
}

static void none(void)
{
    struct dir d;
    dir_init(&d, -1);
    CHECK(!dir_next(&d));
    CLEANUP_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC); // no directory
    dir_init(&d, fd);
    CHECK(!dir_next(&d));
    CHECK(!dir_next(&d));
}

static const struct check_case cases[] = {{"names", names}, {"none", none}};
CHECK_MAIN(cases)
