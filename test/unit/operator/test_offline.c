// SPDX-License-Identifier: Apache-2.0
// A fleet's file around its spec: what is taken, and which field is named when it is not.
#include "operator/offline.h"

#include "test/unit/check.h"

#define SPEC "spec: {mesh: {probes: [{name: i, type: ICMP}]}}\n"
#define HEAD "apiVersion: kubecanary.io/v1alpha1\nkind: ProbeFleet\n"

static bool write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    bool whole = f && fputs(text, f) >= 0;
    return f && fclose(f) == 0 && whole;
}

// "" if it is taken, else the path and the message.
static const char *read_text(const char *text)
{
    static char said[1024];
    char path[] = "/tmp/kubecanary-unit-XXXXXX";
    struct offline_fleet f = {0};
    struct err e = {0};
    int fd = mkstemp(path);
    said[0] = '\0';
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        return "no file";
    if (offline_read(path, &f, &e) < 0)
        err_text(&e, said, sizeof(said));
    offline_release(&f);
    close(fd);
    unlink(path);
    return said;
}

static void taken(void)
{
    CHECK_STR(read_text(HEAD "metadata: {name: mesh}\n" SPEC), "");
    CHECK_STR(read_text(HEAD "metadata: {name: \"5\", namespace: a, labels: {x: y}, generation: 3, uid: u, "
                             "creationTimestamp: null, managedFields: []}\nstatus: {}\n" SPEC),
              "");
}

static void refused(void)
{
    static const char *const rows[][2] = {
        {HEAD "metadata: {name: 5}\n" SPEC, "metadata.name: a text is wanted"},
        {HEAD "metadata: {name: no}\n" SPEC, "metadata.name: a text is wanted"},
        {HEAD "metadata: {name: [a]}\n" SPEC, "metadata.name: a text is wanted"},
        {HEAD "metadata: {}\n" SPEC, "metadata.name: is required"},
        {HEAD "metadata: {name: a, namespace: 5}\n" SPEC, "metadata.namespace: a text is wanted"},
        {HEAD "metadata: {name: a, foo: 1}\n" SPEC, "metadata.foo: unknown field"},
        {HEAD "metadata: [name]\n" SPEC, "metadata: must be a map"},
        {HEAD "metadata: {name: a}\nfoo: 1\n" SPEC, "foo: unknown field"},
        {HEAD "metadata: {name: A}\n" SPEC, "metadata.name: only lower-case letters"},
        {HEAD "metadata: {name: a}\n", "spec: is missing"},
        {"kind: ProbeFleet\nmetadata: {name: a}\n" SPEC, "apiVersion: must be"},
        {"", "apiVersion: must be"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_CONTAINS(read_text(rows[i][0]), rows[i][1]);
}

// Which of the two files is wrong.
static void nodes_refused(void)
{
    static const char *const rows[][2] = {
        {"peers:\n- {node: a, pod: [x]}\n",
         "nodes.yaml: peers[0].pod[0]: line 2: must be an IP address, is x"},
        {"peers: [{node: a}, {node: a}]\n", "nodes.yaml: node a is there twice"},
        {"[]\n", "nodes.yaml: must be a map with the key peers"},
        {"peers: [\n", "nodes.yaml: "},
        {NULL, "nodes.yaml: No such file or directory"},
    };
    char dir[] = "/tmp/kubecanary-unit-XXXXXX", fleet[64], nodes[64], said[1024], want[256];
    CHECK(mkdtemp(dir));
    snprintf(fleet, sizeof(fleet), "%s/fleet.yaml", dir);
    snprintf(nodes, sizeof(nodes), "%s/nodes.yaml", dir);
    CHECK(write_text(fleet, HEAD "metadata: {name: mesh}\n" SPEC));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cli c = {.file = fleet, .nodes_file = nodes};
        struct err e = {0};
        CHECK(rows[i][0] ? write_text(nodes, rows[i][0]) : unlink(nodes) == 0);
        CHECK(offline_render(&c, &e) < 0);
        snprintf(want, sizeof(want), "%s/%s", dir, rows[i][1]);
        CHECK_CONTAINS(err_text(&e, said, sizeof(said)), want);
        CHECK(strncmp(said, want, strlen(want)) == 0);
    }
    unlink(fleet);
    rmdir(dir);
}

static const struct check_case cases[] = {
    {"taken", taken},
    {"refused", refused},
    {"nodes refused", nodes_refused},
};
CHECK_MAIN(cases)
