// SPDX-License-Identifier: Apache-2.0
// Parses the command line with getopt_long; each command accepts only the options that mean something to it.
#include "operator/cli.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#define FOR(c) (1u << (c))

enum option_id {
    OPT_KUBECONFIG = 256,
    OPT_NAMESPACE,
    OPT_WATCH,
    OPT_AGENT_IMAGE,
    OPT_JEMALLOC_IMAGE,
    OPT_PULL_POLICY,
    OPT_LEADER_ELECT,
    OPT_LISTEN,
    OPT_LOG_LEVEL,
    OPT_NODES,
    OPT_AGENT,
    OPT_JEMALLOC,
    OPT_STATE,
    OPT_NO_MONITORING,
    OPT_END
};

static const struct option options[] = {
    {"kubeconfig", required_argument, NULL, OPT_KUBECONFIG},
    {"namespace", required_argument, NULL, OPT_NAMESPACE},
    {"watch-namespace", required_argument, NULL, OPT_WATCH},
    {"agent-image", required_argument, NULL, OPT_AGENT_IMAGE},
    {"agent-jemalloc-image", required_argument, NULL, OPT_JEMALLOC_IMAGE},
    {"image-pull-policy", required_argument, NULL, OPT_PULL_POLICY},
    {"leader-elect", no_argument, NULL, OPT_LEADER_ELECT},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"file", required_argument, NULL, 'f'},
    {"nodes", required_argument, NULL, OPT_NODES},
    {"agent", required_argument, NULL, OPT_AGENT},
    {"agent-jemalloc", required_argument, NULL, OPT_JEMALLOC},
    {"state", required_argument, NULL, OPT_STATE},
    {"no-monitoring", no_argument, NULL, OPT_NO_MONITORING},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static unsigned accepted_by(int id)
{
    static const unsigned commands[OPT_END - OPT_KUBECONFIG] = {
        [OPT_KUBECONFIG - OPT_KUBECONFIG] = FOR(CLI_RUN),
        [OPT_NAMESPACE - OPT_KUBECONFIG] = FOR(CLI_RUN),
        [OPT_WATCH - OPT_KUBECONFIG] = FOR(CLI_RUN),
        [OPT_AGENT_IMAGE - OPT_KUBECONFIG] = FOR(CLI_RUN) | FOR(CLI_RENDER),
        [OPT_JEMALLOC_IMAGE - OPT_KUBECONFIG] = FOR(CLI_RUN) | FOR(CLI_RENDER),
        [OPT_PULL_POLICY - OPT_KUBECONFIG] = FOR(CLI_RUN) | FOR(CLI_RENDER),
        [OPT_LEADER_ELECT - OPT_KUBECONFIG] = FOR(CLI_RUN),
        [OPT_LISTEN - OPT_KUBECONFIG] = FOR(CLI_RUN) | FOR(CLI_LOCAL),
        [OPT_LOG_LEVEL - OPT_KUBECONFIG] = FOR(CLI_RUN) | FOR(CLI_LOCAL) | FOR(CLI_RENDER),
        [OPT_NODES - OPT_KUBECONFIG] = FOR(CLI_LOCAL) | FOR(CLI_RENDER),
        [OPT_AGENT - OPT_KUBECONFIG] = FOR(CLI_LOCAL),
        [OPT_JEMALLOC - OPT_KUBECONFIG] = FOR(CLI_LOCAL),
        [OPT_STATE - OPT_KUBECONFIG] = FOR(CLI_LOCAL),
        [OPT_NO_MONITORING - OPT_KUBECONFIG] = FOR(CLI_RENDER),
    };
    if (id == 'f')
        return FOR(CLI_LOCAL) | FOR(CLI_RENDER);
    return id < OPT_KUBECONFIG ? ~0u : commands[id - OPT_KUBECONFIG];
}

static const struct {
    const char *name;
    enum cli_command command;
} command_names[] = {
    {"run", CLI_RUN},           {"local", CLI_LOCAL}, {"render", CLI_RENDER}, {"version", CLI_VERSION},
    {"--version", CLI_VERSION}, {"help", CLI_HELP},   {"--help", CLI_HELP},   {"-h", CLI_HELP}};

const char *cli_usage(void)
{
    return "usage: kubecanary-operator run [--kubeconfig FILE] [--namespace NS] [--watch-namespace NS]... [--leader-elect]\n"
           "                               [--agent-image IMAGE] [--agent-jemalloc-image IMAGE] [--image-pull-policy POLICY]\n"
           "                               [--listen ADDR:PORT] [--log-level LEVEL]\n"
           "           watches ProbeFleets in a cluster and carries them out\n"
           "       kubecanary-operator local -f FLEET.yaml [--nodes N] [--agent PROGRAM] [--agent-jemalloc PROGRAM]\n"
           "                               [--state DIR] [--listen ADDR:PORT] [--log-level LEVEL]\n"
           "           carries a fleet out on this machine: each node a network namespace, each agent a process\n"
           "       kubecanary-operator render -f FLEET.yaml [--nodes PEERS.yaml] [--no-monitoring] [--agent-image IMAGE]\n"
           "                               [--agent-jemalloc-image IMAGE] [--image-pull-policy POLICY]\n"
           "           prints every object that it would make; for a bad file the path of the bad field (exit 1)\n"
           "       kubecanary-operator version | help\n"
           "LEVEL is debug, info, warn or error. ADDR may be left out (\":9960\"): all addresses.\n";
}

static int set_nodes(struct cli *c, const char *value, struct err *e)
{
    uint64_t n;
    if (c->command == CLI_RENDER) {
        c->nodes_file = value;
        return 0;
    }
    if (base_parse_u64(value, 1, LIMIT_LOCAL_NODES, &n) < 0)
        return err_set(e, EINVAL, "--nodes: \"%s\" is not a number from 1 to %d", value, LIMIT_LOCAL_NODES);
    c->nodes = (unsigned)n;
    return 0;
}

static int set_policy(struct cli *c, const char *value, struct err *e)
{
    if (strcmp(value, "Always") != 0 && strcmp(value, "IfNotPresent") != 0 && strcmp(value, "Never") != 0)
        return err_set(e, EINVAL, "--image-pull-policy: \"%s\" is none of Always, IfNotPresent, Never",
                       value);
    c->image_pull_policy = value;
    return 0;
}

static int add_watch(struct cli *c, const char *value, struct err *e)
{
    if (c->n_watch == CLI_NAMESPACES)
        return err_set(e, EINVAL, "--watch-namespace: more than %d", CLI_NAMESPACES);
    c->watch[c->n_watch++] = value;
    return 0;
}

static int set_checked(struct cli *c, int id, const char *value, struct err *e)
{
    if (id == OPT_NODES)
        return set_nodes(c, value, e);
    if (id == OPT_PULL_POLICY)
        return set_policy(c, value, e);
    if (id == OPT_WATCH)
        return add_watch(c, value, e);
    if (id == OPT_LISTEN && addr_parse_listen(value, &c->listen, &c->listen_port) < 0)
        return err_set(e, EINVAL, "--listen: \"%s\" is not ADDR:PORT", value);
    if (id == OPT_LOG_LEVEL && log_parse_level(value, &c->log_level) < 0)
        return err_set(e, EINVAL, "--log-level: \"%s\" is none of debug, info, warn, error", value);
    return 0;
}

static int set_option(struct cli *c, int id, const char *value, struct err *e)
{
    switch (id) {
    case OPT_KUBECONFIG: c->kubeconfig = value; return 0;
    case OPT_NAMESPACE: c->namespace = value; return 0;
    case OPT_AGENT_IMAGE: c->agent_image = value; return 0;
    case OPT_JEMALLOC_IMAGE: c->agent_jemalloc_image = value; return 0;
    case OPT_LEADER_ELECT: c->leader_elect = true; return 0;
    case OPT_AGENT: c->agent = value; return 0;
    case OPT_JEMALLOC: c->agent_jemalloc = value; return 0;
    case OPT_STATE: c->state_dir = value; return 0;
    case OPT_NO_MONITORING: c->monitoring = false; return 0;
    case 'f': c->file = value; return 0;
    case 'h': c->command = CLI_HELP; return 0;
    default: return set_checked(c, id, value, e);
    }
}

static int parse_options(int argc, char **argv, struct cli *c, struct err *e)
{
    int id;
    optind = 1;
    opterr = 0;
    while ((id = getopt_long(argc, argv, ":f:h", options, NULL)) != -1) {
        const char *given = argv[optind - 1];
        if (id == ':')
            return err_set(e, EINVAL, "%s needs a value", given);
        if (id == '?')
            return err_set(e, EINVAL, "unknown option %s", given);
        if (c->command != CLI_HELP && !(accepted_by(id) & FOR(c->command)))
            return err_set(e, EINVAL, "%s means nothing to %s", given, argv[0]);
        int r = set_option(c, id, optarg, e);
        if (r < 0)
            return r;
    }
    if (optind < argc)
        return err_set(e, EINVAL, "unexpected argument \"%s\"", argv[optind]);
    return 0;
}

int cli_parse(int argc, char **argv, struct cli *ret, struct err *e)
{
    struct cli c = {.log_level = LOG_INFO,
                    .namespace = "kubecanary",
                    .agent_image = "localhost/kubecanary-agent:" KUBECANARY_VERSION,
                    .agent_jemalloc_image = "localhost/kubecanary-agent-jemalloc:" KUBECANARY_VERSION,
                    .image_pull_policy = "IfNotPresent",
                    .listen_port = 9960,
                    .nodes = 5,
                    .monitoring = true};
    if (argc < 2)
        return err_set(e, EINVAL, "a command is missing");
    size_t i = 0;
    while (i < ARRAY_LEN(command_names) && strcmp(argv[1], command_names[i].name) != 0)
        i++;
    if (i == ARRAY_LEN(command_names))
        return err_set(e, EINVAL, "unknown command \"%s\"", argv[1]);
    c.command = command_names[i].command;
    int r = parse_options(argc - 1, argv + 1, &c, e);
    if (r < 0)
        return r;
    if ((c.command == CLI_LOCAL || c.command == CLI_RENDER) && !c.file)
        return err_set(e, EINVAL, "-f FLEET.yaml is missing");
    *ret = c;
    return 0;
}
