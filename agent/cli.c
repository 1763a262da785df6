// SPDX-License-Identifier: Apache-2.0
// The agent's command line by getopt_long, whose own messages are off: what is wrong is said once, by the
// program.
#include "agent/cli.h"

#include <errno.h>
#include <getopt.h>

#include "lib/duration.h"
#include "lib/limits.h"

const char *cli_usage(void)
{
    return "usage: kubecanary-agent --config DIR --node NAME [--network Pod|Node] [--listen ADDR:PORT]\n"
           "                        [--grace DURATION] [--log-level debug|info|warn|error] [--check]\n"
           "       kubecanary-agent --version | --help\n"
           "\n"
           "  --config DIR     agent.yaml and peers-NN.yaml are read from here, and again when they change\n"
           "  --node NAME      the name of this node among the peers\n"
           "  --network N      the network that this agent is in: Pod (default) or Node. Peers are probed at their\n"
           "                   addresses in it, and in the other one too if agent.yaml names both\n"
           "  --listen A:P     /metrics, /healthz, /readyz and /report; default :9961, all addresses\n"
           "  --grace D        how long peers are answered after SIGTERM, default 2s\n"
           "  --log-level L    what is logged: debug, info (default), warn or error\n"
           "  --check          read the files, print what would be probed, exit 0; 1 if they are wrong\n";
}

static int parse_network(const char *text, enum spec_network *ret)
{
    for (int n = SPEC_NETWORK_POD; n <= SPEC_NETWORK_NODE; n++) {
        if (strcmp(text, spec_network_name((enum spec_network)n)) == 0) {
            *ret = (enum spec_network)n;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_grace(const char *text, uint64_t *ret)
{
    uint64_t ns;
    if (duration_parse(text, &ns) < 0 || ns > LIMIT_STOP_GRACE_NS)
        return -EINVAL;
    *ret = ns;
    return 0;
}

// A name that begins like an option is one: the value was forgotten. No name of a Node begins so.
static int parse_node(const char *text, const char **ret)
{
    *ret = text;
    return text[0] == '\0' || text[0] == '-' || strlen(text) > LIMIT_NAME ? -EINVAL : 0;
}

static int parse_value(struct cli *c, int option, const char *value)
{
    switch (option) {
    case 'c': c->config = value; return value[0] == '\0' ? -EINVAL : 0;
    case 'n': return parse_node(value, &c->node);
    case 'w': return parse_network(value, &c->network);
    case 'l': return addr_parse_listen(value, &c->listen, &c->port);
    case 'g': return parse_grace(value, &c->grace_ns);
    case 'L': return log_parse_level(value, &c->log_level);
    default: return -EINVAL;
    }
}

int cli_parse(int argc, char *const *argv, struct cli *ret, struct err *e)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"node", required_argument, NULL, 'n'},
        {"network", required_argument, NULL, 'w'},
        {"listen", required_argument, NULL, 'l'},
        {"grace", required_argument, NULL, 'g'},
        {"check", no_argument, NULL, 'k'},
        {"log-level", required_argument, NULL, 'L'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    struct cli c = {.port = CLI_DEFAULT_PORT, .log_level = LOG_INFO, .grace_ns = 2 * NS_PER_S};
    int option, which = -1;
    opterr = 0;
    optind = 0; // both libcs start anew, so that tests may call this more than once
    while ((option = getopt_long(argc, argv, ":", options, &which)) != -1) {
        if (option == ':')
            return err_set(e, EINVAL, "%s needs a value", argv[optind - 1]);
        if (option == '?')
            return err_set(e, EINVAL, "unknown option %s", argv[optind - 1]);
        if (option == 'h' || option == 'v') {
            c.mode = option == 'h' ? CLI_HELP : CLI_VERSION;
            *ret = c;
            return 0;
        }
        if (option == 'k')
            c.mode = CLI_CHECK;
        else if (parse_value(&c, option, optarg) < 0)
            return err_set(e, EINVAL, "--%s: '%s' is not valid", options[which].name, optarg);
    }
    if (optind < argc)
        return err_set(e, EINVAL, "unexpected argument '%s'", argv[optind]);
    if (!c.config || !c.node)
        return err_set(e, EINVAL, "--%s is missing", c.config ? "node" : "config");
    *ret = c;
    return 0;
}
