// SPDX-License-Identifier: Apache-2.0
// The agent's files in a directory of the test's own: plain edits, the kubelet's symlink swaps, and
// everything that can be wrong with them.
#include "agent/inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "lib/log.h"
#include "test/unit/check.h"

static char root[] = "/tmp/kubecanary-test-inputs-XXXXXX";

static int remove_one(const char *path, const struct stat *st UNUSED, int type UNUSED, struct FTW *f UNUSED)
{
    return remove(path);
}

static void clean(void)
{
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    mkdir(root, 0755);
}

static void write_text(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        printf("    cannot write %s\n", path);
}

static void write_agent(const char *name, int generation)
{
    char text[512];
    snprintf(
        text, sizeof(text),
        "generation: %d\nfleet: mesh\nnetworks: [Pod]\nipFamilies: [IPv4]\ntopology: {type: Full}\n"
        "probes: [{name: icmp, type: ICMP, interval: 1s, timeout: 1s}]\ntargets: []\n"
        "metrics: {rttBucketsMicroseconds: [50, 100], seriesLimit: 50000}\nports: {http: 9961, tcp: 9962, stamp: 9964}\n",
        generation);
    write_text(name, text);
}

static void write_slice(const char *name, int slice, int slices, const char *nodes)
{
    char text[1024];
    int n = snprintf(text, sizeof(text), "slice: %d\nslices: %d\npeers:\n", slice, slices);
    for (; *nodes != '\0'; nodes++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "- {node: %c, pod: [192.0.2.%d], state: Ready}\n",
                      *nodes, *nodes);
    write_text(name, text);
}

static void read_whole(void)
{
    CLEANUP_INPUTS_FILES struct inputs_files f = {0};
    struct err e;
    clean();
    write_agent("agent.yaml", 7);
    write_slice("peers-00.yaml", 0, 2, "ca");
    write_slice("peers-01.yaml", 1, 2, "b");
    write_slice("peers-02.yaml", 2, 4, "z"); // left over from a larger set
    write_text("peers-1.yaml", "rubbish: [");
    write_text("other", "rubbish: [");
    CHECK_INT(inputs_read(root, &f, &e), 0);
    CHECK_INT(f.agent.generation, 7);
    CHECK_INT(f.peers.n, 3);
    CHECK_STR(f.peers.list[0].node, "a");
    CHECK_STR(f.peers.list[2].node, "c");
}

static void wrong_files(void)
{
    static const struct {
        const char *name, *text;
        int code;
        const char *path;
    } rows[] = {
        {"agent.yaml", NULL, ENOENT, "agent.yaml"},
        {"agent.yaml", "", EINVAL, "agent.yaml"},
        {"agent.yaml", "fleet: [", EINVAL, "agent.yaml"},
        {"agent.yaml", "fleet: &a x\nnode: *a\n", EINVAL, "agent.yaml"},
        {"peers-00.yaml", NULL, ENOENT, "peers-00.yaml"},
        {"peers-00.yaml", "slice: 0\nslices: 3\npeers: []\n", EINVAL, "peers-01.yaml"},
        {"peers-00.yaml", "slice: 1\nslices: 2\npeers: []\n", EINVAL, "peers-00.yaml"},
        {"peers-01.yaml", NULL, ENOENT, "peers-01.yaml"},
        {"peers-01.yaml", "slice: 1\nslices: 4\npeers: []\n", EINVAL, "peers-01.yaml"},
        {"peers-01.yaml", "slice: 1\nslices: 2\npeers: [{node: b, pod: [nonsense]}]\n", EINVAL,
         "peers-01.yaml: peers[0].pod[0]"},
        {"peers-01.yaml", "slice: 1\nslices: 2\npeers: [{node: a}]\n", EEXIST, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_INPUTS_FILES struct inputs_files f = {0};
        struct err e = {0};
        char path[512];
        clean();
        write_agent("agent.yaml", 1);
        write_slice("peers-00.yaml", 0, 2, "a");
        write_slice("peers-01.yaml", 1, 2, "b");
        snprintf(path, sizeof(path), "%s/%s", root, rows[i].name);
        if (rows[i].text)
            write_text(rows[i].name, rows[i].text);
        else
            unlink(path);
        int r = inputs_read(root, &f, &e);
        if (r != -rows[i].code || strncmp(e.path, rows[i].path, strlen(rows[i].path)) != 0)
            printf("    row %zu: %d %s: %s\n", i, r, e.path, e.msg);
        CHECK_INT(r, -rows[i].code);
        CHECK(strncmp(e.path, rows[i].path, strlen(rows[i].path)) == 0);
        CHECK_INT(f.peers.n, 0);
    }
}

static void no_regular_file(void)
{
    CLEANUP_INPUTS_FILES struct inputs_files f = {0};
    struct err e;
    char path[512];
    clean();
    snprintf(path, sizeof(path), "%s/agent.yaml", root);
    CHECK_INT(mkfifo(path, 0644), 0); // reading it would block for ever
    CHECK_INT(inputs_read(root, &f, &e), -EINVAL);
    CHECK_INT(unlink(path), 0);
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    CHECK_INT(ftruncate(fd, (off_t)1 << 40), 0);
    CHECK_INT(inputs_read(root, &f, &e), -E2BIG);
}

// --- following changes
// ---------------------------------------------------------------------------------------------

// How often the directory is looked at without an event.
#define SOON (100 * NS_PER_MS)
#define NEVER (3600 * NS_PER_S)

struct seen {
    int applied;
    uint64_t generation;
    size_t peers;
    bool refuse;
};

static int apply(const struct inputs_files *f, void *arg, struct err *e)
{
    struct seen *s = arg;
    if (s->refuse)
        return err_set(e, EADDRINUSE, "refused");
    s->applied++;
    s->generation = f->agent.generation;
    s->peers = f->peers.n;
    return 0;
}

// Turns the loop until so many loads and failures are reached; false after 10 s of nothing.
static bool reach(struct loop *l, const struct inputs *in, uint64_t loads, uint64_t failures)
{
    struct err e;
    for (int i = 0; i < 1000; i++) {
        if (inputs_state(in)->loads >= loads && inputs_state(in)->failures >= failures)
            return true;
        if (loop_once(l, 10 * NS_PER_MS, &e) < 0)
            return false;
    }
    printf("    loads %d, failures %d: %s: %s\n", (int)inputs_state(in)->loads,
           (int)inputs_state(in)->failures, inputs_state(in)->err.path, inputs_state(in)->err.msg);
    return false;
}

static void check_edits(struct loop *l, const struct inputs *in, struct seen *s)
{
    const struct inputs_state *state = inputs_state(in);
    CHECK(!state->loaded && !state->last_ok);
    CHECK_INT(state->failures, 1);
    write_slice("peers-00.yaml", 0, 1, "ab");
    write_agent("agent.yaml", 1);
    CHECK(reach(l, in, 1, 1));
    CHECK(state->loaded && state->last_ok);
    CHECK_INT(s->generation, 1);
    CHECK_INT(s->peers, 2);
    uint64_t failures = state->failures;
    write_text("agent.yaml", "generation: [");
    CHECK(reach(l, in, 1, failures + 1));
    CHECK(state->loaded && !state->last_ok);
    CHECK_INT(state->generation, 1);
    CHECK_INT(s->applied, 1);
    write_agent("agent.yaml", 2);
    CHECK(reach(l, in, 2, failures + 1));
    CHECK(state->last_ok);
    CHECK_INT(s->generation, 2);
    s->refuse = true;
    write_agent("agent.yaml", 3);
    CHECK(reach(l, in, 2, failures + 2));
    CHECK_INT(state->generation, 2);
    CHECK_STR(state->err.msg, "refused");
    s->refuse = false; // not the files' fault: tried again without a change
    CHECK(reach(l, in, 3, 0));
    CHECK_INT(state->generation, 3);
}

static void edits(void)
{
    struct err e;
    struct seen s = {0};
    clean();
    struct loop *l = loop_new(&e);
    struct inputs *in = inputs_new(l, root, SOON, apply, &s, &e);
    CHECK(in);
    check_edits(l, in, &s);
    inputs_free(in);
    loop_free(l);
}

// As kubelet's AtomicWriter does: a new directory with a time stamp for name, then ..data replaced by rename.
static void swap(const char *name, int generation, const char *nodes)
{
    char path[512], file[64], data[512], fresh[512];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    mkdir(path, 0755);
    snprintf(file, sizeof(file), "%s/agent.yaml", name);
    write_agent(file, generation);
    snprintf(file, sizeof(file), "%s/peers-00.yaml", name);
    write_slice(file, 0, 1, nodes);
    snprintf(fresh, sizeof(fresh), "%s/..data_tmp", root);
    snprintf(data, sizeof(data), "%s/..data", root);
    if (symlink(name, fresh) < 0 || rename(fresh, data) < 0)
        printf("    symlink: %s\n", strerror(errno));
}

static void link_file(const char *name)
{
    char path[512], to[64];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    snprintf(to, sizeof(to), "..data/%s", name);
    if (symlink(to, path) < 0)
        printf("    symlink: %s\n", strerror(errno));
}

static void check_swaps(struct loop *l, const struct inputs *in, struct seen *s)
{
    struct err e;
    CHECK_INT(s->applied, 1);
    for (int i = 2; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof(name), "..g%d", i);
        swap(name, i, i % 2 ? "abc" : "ab");
        CHECK(reach(l, in, (uint64_t)i, 0));
        CHECK_INT(s->generation, i);
        CHECK_INT(s->peers, i % 2 ? 3 : 2);
    }
    CHECK_INT(inputs_state(in)->failures, 0);
    for (int i = 0; i < 30; i++) // nothing changes: nothing is read
        CHECK_INT(loop_once(l, 10 * NS_PER_MS, &e), 0);
    CHECK_INT(s->applied, 19);
}

static void swaps(void)
{
    struct err e;
    struct seen s = {0};
    clean();
    swap("..g1", 1, "a");
    link_file("agent.yaml");
    link_file("peers-00.yaml");
    struct loop *l = loop_new(&e);
    struct inputs *in = inputs_new(l, root, NEVER, apply, &s, &e);
    CHECK(in);
    check_swaps(l, in, &s);
    inputs_free(in);
    loop_free(l);
}

// One reader beside a writer that swaps all the time: whatever is read is of one generation, never half of
// two.
static atomic_bool reading;

static void *swap_on(void *arg UNUSED)
{
    for (int i = 2; atomic_load(&reading); i++) {
        char name[32], old[512];
        snprintf(name, sizeof(name), "..g%d", i);
        swap(name, i, i % 2 ? "abc" : "ab");
        snprintf(old, sizeof(old), "%s/..g%d", root, i - 1);
        nftw(old, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
    return NULL;
}

static void check_read(int *whole)
{
    CLEANUP_INPUTS_FILES struct inputs_files f = {0};
    struct err e = {0};
    int r = inputs_read(root, &f, &e);
    if (r < 0) {
        CHECK_INT(r, -ENOENT); // removed under our eyes
        return;
    }
    CHECK_INT(f.peers.n, f.agent.generation % 2 ? 3 : 2);
    ++*whole;
}

static void race(void)
{
    pthread_t writer;
    int whole = 0;
    clean();
    swap("..g1", 1, "abc");
    link_file("agent.yaml");
    link_file("peers-00.yaml");
    atomic_store(&reading, true);
    CHECK_INT(pthread_create(&writer, NULL, swap_on, NULL), 0);
    for (int i = 0; i < 300 && !check_failed; i++)
        check_read(&whole);
    atomic_store(&reading, false);
    CHECK_INT(pthread_join(writer, NULL), 0);
    CHECK(whole > 0);
}

// The directory itself goes and comes back.
static void check_reborn(struct loop *l, const struct inputs *in, const struct seen *s)
{
    CHECK_INT(s->applied, 1);
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    CHECK(reach(l, in, 1, 1));
    CHECK_INT(inputs_state(in)->generation, 1);
    clean();
    write_slice("peers-00.yaml", 0, 1, "ab");
    write_agent("agent.yaml", 5);
    CHECK(reach(l, in, 2, 1));
    CHECK_INT(s->generation, 5);
}

static void reborn(void)
{
    struct err e;
    struct seen s = {0};
    clean();
    write_slice("peers-00.yaml", 0, 1, "ab");
    write_agent("agent.yaml", 1);
    struct loop *l = loop_new(&e);
    struct inputs *in = inputs_new(l, root, SOON, apply, &s, &e);
    CHECK(in);
    check_reborn(l, in, &s);
    inputs_free(in);
    loop_free(l);
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void prepare(void)
{
    log_init(LOG_ERROR, STDERR_FILENO);
    CHECK(mkdtemp(root));
}

static const struct check_case cases[] = {
    {"prepare", prepare},
    {"read", read_whole},
    {"wrong files", wrong_files},
    {"no regular file", no_regular_file},
    {"edits", edits},
    {"swaps", swaps},
    {"race", race},
    {"reborn", reborn},
};
CHECK_MAIN(cases)
