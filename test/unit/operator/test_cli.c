// SPDX-License-Identifier: Apache-2.0
// The operator's command line: each command takes only its own options, and what is wrong is said with the
// option's name.
#include <errno.h>

#include "operator/cli.h"
#include "test/unit/check.h"

#define ARGS(...) ((char *[]){(char *)(uintptr_t) "kubecanary-operator", __VA_ARGS__, NULL})
#define A(s) ((char *)(uintptr_t)(s))

static int parse(char **argv, struct cli *c, struct err *e)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    return cli_parse(argc, argv, c, e);
}

static void run_command(void)
{
    struct cli c;
    struct err e;
    CHECK_INT(parse(ARGS(A("run"), A("--watch-namespace"), A("a"), A("--watch-namespace=b"),
                         A("--leader-elect"), A("--listen"), A("127.0.0.1:99"), A("--log-level"), A("debug")),
                    &c, &e),
              0);
    CHECK_INT(c.command, CLI_RUN);
    CHECK_INT(c.n_watch, 2);
    CHECK_STR(c.watch[1], "b");
    CHECK(c.leader_elect && c.listen.set && c.log_level == LOG_DEBUG);
    CHECK_INT(c.listen_port, 99);
    CHECK_STR(c.namespace, "kubecanary");
}

static void other_commands(void)
{
    struct cli c;
    struct err e;
    CHECK_INT(parse(ARGS(A("local"), A("-f"), A("x.yaml"), A("--nodes"), A("7")), &c, &e), 0);
    CHECK_INT(c.nodes, 7);
    CHECK_INT(parse(ARGS(A("render"), A("-f"), A("x.yaml"), A("--nodes"), A("p.yaml"), A("--no-monitoring")),
                    &c, &e),
              0);
    CHECK_STR(c.nodes_file, "p.yaml");
    CHECK(!c.monitoring);
    CHECK_INT(parse(ARGS(A("version")), &c, &e), 0);
    CHECK_INT(c.command, CLI_VERSION);
    CHECK_INT(parse(ARGS(A("run"), A("--help")), &c, &e), 0);
    CHECK_INT(c.command, CLI_HELP);
}

static void refused(void)
{
    const struct {
        char **argv;
        const char *want;
    } bad[] = {
        {(char *[]){A("x"), NULL}, "a command is missing"},
        {ARGS(A("fly")), "unknown command \"fly\""},
        {ARGS(A("run"), A("--nodes"), A("3")), "means nothing to run"},
        {ARGS(A("run"), A("-f"), A("x")), "means nothing to run"},
        {ARGS(A("run"), A("--bogus")), "unknown option --bogus"},
        {ARGS(A("run"), A("extra")), "unexpected argument \"extra\""},
        {ARGS(A("run"), A("--listen"), A("nowhere")), "--listen: \"nowhere\""},
        {ARGS(A("run"), A("--log-level"), A("loud")), "--log-level: \"loud\""},
        {ARGS(A("run"), A("--image-pull-policy"), A("maybe")), "--image-pull-policy: \"maybe\""},
        {ARGS(A("run"), A("--namespace")), "--namespace needs a value"},
        {ARGS(A("local"), A("-f"), A("x"), A("--nodes"), A("0")), "--nodes: \"0\""},
        {ARGS(A("local"), A("-f"), A("x"), A("--nodes"), A("1e3")), "--nodes: \"1e3\""},
        {ARGS(A("local")), "-f FLEET.yaml is missing"},
        {ARGS(A("render")), "-f FLEET.yaml is missing"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct cli c = {.command = CLI_HELP};
        struct err e;
        CHECK_INT(parse(bad[i].argv, &c, &e), -EINVAL);
        CHECK_CONTAINS(e.msg, bad[i].want);
        CHECK_INT(c.command, CLI_HELP); // untouched
    }
}

static const struct check_case cases[] = {
    {"run", run_command},
    {"other commands", other_commands},
    {"refused", refused},
};
CHECK_MAIN(cases)
