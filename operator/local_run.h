// SPDX-License-Identifier: Apache-2.0
// From a rendered Pod template and a place to what a process needs: arguments, environment, volume, readiness
// probe. Pure; starts nothing.
#ifndef KUBECANARY_OPERATOR_LOCAL_RUN_H
#define KUBECANARY_OPERATOR_LOCAL_RUN_H

#include <jansson.h>

#include "lib/err.h"
#include "lib/limits.h"

// Arguments and variables of one container: the rendered ones are about ten and spec.agent.env (LIMIT_ENV).
#define LOCAL_RUN_STRINGS 64

struct local_place { // borrowed; what the downward API and the mount know
    const char *node;
    const char *pod;
    const char *namespace;
    const char *ip;
    const char *volume; // directory that stands for the mounted volume
};

struct local_run {
    char *argv[LOCAL_RUN_STRINGS + 2]; // NULL at the end; argv[0] is "kubecanary-agent"
    char *envp[LOCAL_RUN_STRINGS + 1]; // "NAME=value", NULL at the end
    size_t n_argv, n_envp;
    char image[LIMIT_IMAGE + 1];
    bool ping;           // the template opens ping sockets to its group (net.ipv4.ping_group_range)
    uint16_t ready_port; // readinessProbe; 0: none, ready when running
    char ready_path[128];
    unsigned ready_period_s;
    unsigned grace_s; // terminationGracePeriodSeconds
};

// template: spec.template of a DaemonSet. EINVAL for what this backend does not carry out.
MUST_USE int local_run_init(const json_t *template, const struct local_place *place, struct local_run *ret,
                            struct err *e);
void local_run_release(struct local_run *r); // takes a zeroed struct
// Whether the last part of an image's name, without tag and digest, is `name`.
bool local_run_image_is(const char *image, const char *name);
// The data of one ConfigMap by name, borrowed; NULL if there is none.
typedef const json_t *local_run_configmap_fn(const char *name, void *arg);
// The files of the template's projected volume as {name: text} (new reference). ENOENT while a ConfigMap is
// missing.
MUST_USE int local_run_files(const json_t *template, local_run_configmap_fn *fn, void *arg, json_t **ret,
                             struct err *e);
// Whether a node with these labels carries the Pod (nodeSelector; of node affinities those that are
// rendered).
bool local_run_selects(const json_t *template, const json_t *node_labels);

#endif
