// SPDX-License-Identifier: Apache-2.0
// A fleet's file around its spec: what is taken, and which field is named when it is not.
#include "operator/offline.h"

#include "test/unit/check.h"

#define SPEC "spec: {mesh: {probes: [{name: i, type: ICMP}]}}\n"
#define HEAD "apiVersion: kubecanary.io/v1alpha1\nkind: ProbeFleet\n"

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

static const struct check_case cases[] = {
    {"taken", taken},
    {"refused", refused},
};
CHECK_MAIN(cases)
