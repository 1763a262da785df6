// SPDX-License-Identifier: Apache-2.0
// The agent's command line: text in, a plain struct out. Prints nothing, exits nowhere.
#ifndef KUBECANARY_AGENT_CLI_H
#define KUBECANARY_AGENT_CLI_H

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/spec.h"

#define CLI_DEFAULT_PORT 9961

enum cli_mode { CLI_RUN, CLI_CHECK, CLI_VERSION, CLI_HELP };

struct cli {
    enum cli_mode mode;
    const char *config; // directory; points into argv
    const char *node;   // own name
    enum spec_network network;
    struct addr listen; // of /metrics; not set: all addresses
    uint16_t port;
    enum log_level log_level;
    uint64_t grace_ns; // how long peers are still answered after SIGTERM
};

// EINVAL with a sentence for the user. --help and --version win over what else is there or missing.
MUST_USE int cli_parse(int argc, char *const *argv, struct cli *ret, struct err *e);
const char *cli_usage(void);

#endif
