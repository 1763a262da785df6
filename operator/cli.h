// SPDX-License-Identifier: Apache-2.0
// The operator's command line as a value. Parses, checks and explains; does nothing.
#ifndef KUBECANARY_OPERATOR_CLI_H
#define KUBECANARY_OPERATOR_CLI_H

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/limits.h"
#include "lib/log.h"

enum cli_command { CLI_RUN, CLI_LOCAL, CLI_RENDER, CLI_VERSION, CLI_HELP };

#define CLI_NAMESPACES 64

struct cli { // strings point into argv or are constants
    enum cli_command command;
    enum log_level log_level;
    // run
    const char *kubeconfig; // NULL: KUBECONFIG, in the cluster, ~/.kube/config
    const char *namespace;  // of the lease
    const char *watch[CLI_NAMESPACES];
    size_t n_watch; // 0: all namespaces
    const char *agent_image, *agent_jemalloc_image;
    const char *image_pull_policy;
    bool leader_elect;
    struct addr listen;
    uint16_t listen_port;
    // local, render
    const char *file;
    const char *nodes_file; // render
    unsigned nodes;         // local
    const char *agent, *agent_jemalloc;
    const char *state_dir;
    bool monitoring; // render: PodMonitor and PrometheusRule too
};

// EINVAL with a sentence for the user (exit 2, with the usage).
MUST_USE int cli_parse(int argc, char **argv, struct cli *ret, struct err *e);
const char *cli_usage(void);

#endif
