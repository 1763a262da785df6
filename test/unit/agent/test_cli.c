// SPDX-License-Identifier: Apache-2.0
// The agent's command line: what is taken, and what is refused with which words.
#include "agent/cli.h"

#include <errno.h>

#include "lib/buf.h"
#include "lib/file.h"
#include "test/unit/check.h"

#define MAN_PAGE "docs/man/kubecanary-agent.8"

// args: what stands after the program's name, with '|' between.
static int parse(const char *args, struct cli *ret, struct err *e)
{
    static char text[512];
    char *argv[16] = {text};
    int argc = 1;
    snprintf(text, sizeof(text), "kubecanary-agent|%s", args);
    for (char *bar = text; (bar = strchr(bar, '|')) && argc < 15;) {
        *bar++ = '\0';
        argv[argc++] = bar;
    }
    return cli_parse(argc, argv, ret, e);
}

static void everything(void)
{
    struct cli c;
    struct err e;
    CHECK_INT(
        parse(
            "--config|/etc/x|--node=n1|--network|Node|--listen|[::1]:80|--log-level|debug|--grace|500ms|--check",
            &c, &e),
        0);
    CHECK_STR(c.config, "/etc/x");
    CHECK_STR(c.node, "n1");
    CHECK_INT(c.network, SPEC_NETWORK_NODE);
    CHECK_INT(c.listen.set, 1);
    CHECK_INT(c.port, 80);
    CHECK_INT(c.log_level, LOG_DEBUG);
    CHECK_INT(c.grace_ns, 500 * NS_PER_MS);
    CHECK_INT(c.mode, CLI_CHECK);
}

static void defaults(void)
{
    struct cli c;
    struct err e;
    CHECK_INT(parse("--config|d|--node|n", &c, &e), 0);
    CHECK_INT(c.network, SPEC_NETWORK_POD);
    CHECK_INT(c.listen.set, 0);
    CHECK_INT(c.port, 9961);
    CHECK_INT(c.log_level, LOG_INFO);
    CHECK_INT(c.grace_ns, 2 * NS_PER_S);
    CHECK_INT(c.mode, CLI_RUN);
    // What the operator's DaemonSet passes.
    CHECK_INT(parse("--config|/etc/kubecanary|--node|n1|--network|Pod|--listen|:9961", &c, &e), 0);
    CHECK_INT(c.listen.set, 0);
}

static void modes(void)
{
    struct cli c;
    struct err e;
    CHECK_INT(parse("--version", &c, &e), 0);
    CHECK_INT(c.mode, CLI_VERSION);
    CHECK_INT(parse("--help|--nonsense", &c, &e), 0);
    CHECK_INT(c.mode, CLI_HELP);
}

static void refused(void)
{
    static const struct {
        const char *args;
        const char *want;
    } rows[] = {
        {"--check", "--config is missing"},
        {"--config|d", "--node is missing"},
        {"--node|n|--config", "--config needs a value"},
        {"--wrong", "unknown option --wrong"},
        {"-x", "unknown option -x"},
        {"--check=1", "unknown option --check=1"},
        {"--config|d|--node|n|more", "unexpected argument 'more'"},
        {"--network|Host", "--network: 'Host' is not valid"},
        {"--listen|9961", "--listen: '9961' is not valid"},
        {"--listen|a:b", "--listen: 'a:b' is not valid"},
        {"--listen|:65536", "--listen: ':65536' is not valid"},
        {"--grace|1", "--grace: '1' is not valid"},
        {"--grace|1h", "--grace: '1h' is not valid"},
        {"--log-level|loud", "--log-level: 'loud' is not valid"},
        {"--node|", "--node: '' is not valid"},
        {"--config|d|--node|--check", "--node: '--check' is not valid"},
        {"--node=-n", "--node: '-n' is not valid"},
        {"--config=", "--config: '' is not valid"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cli c;
        struct err e = {0};
        CHECK_INT(parse(rows[i].args, &c, &e), -EINVAL);
        CHECK_STR(e.msg, rows[i].want);
    }
}

// The options that a text speaks of, each once, a line each, in the order of the alphabet.
static void options_of(const char *text, struct buf *ret)
{
    char names[65][32];
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, "--")); at += strspn(at, "-abcdefghijklmnopqrstuvwxyz")) {
        size_t len = strspn(at, "-abcdefghijklmnopqrstuvwxyz"), i = 0;
        char name[32];
        snprintf(name, sizeof(name), "%.*s", (int)len, at);
        while (i < n && strcmp(names[i], name) < 0)
            i++;
        if (len == 2 || n + 1 == ARRAY_LEN(names) || (i < n && strcmp(names[i], name) == 0))
            continue;
        memmove(names[i + 1], names[i], (n - i) * sizeof(names[0]));
        memcpy(names[i], name, sizeof(name));
        n++;
    }
    for (size_t i = 0; i < n; i++)
        buf_fmt(ret, "%s\n", names[i]);
}

// The man page and --help name the same options.
static void man_page(void)
{
    CLEANUP_FREE char *page = NULL;
    CLEANUP_BUF struct buf plain = {.max = 1u << 20}, in_page = {.max = 4096}, in_usage = {.max = 4096};
    struct err e;
    CHECK_INT(file_read(MAN_PAGE, 1u << 20, &page, NULL, &e), 0);
    for (const char *c = page; *c; c++)
        if (*c != '\\') // \- is how a page writes a hyphen that is one
            buf_char(&plain, *c);
    options_of(buf_text(&plain), &in_page);
    options_of(cli_usage(), &in_usage);
    CHECK_STR(buf_text(&in_page), buf_text(&in_usage));
    CHECK_CONTAINS(buf_text(&in_usage), "--log-level\n");
}

static const struct check_case cases[] = {
    {"everything", everything}, {"defaults", defaults}, {"modes", modes},
    {"refused", refused},       {"man page", man_page},
};
CHECK_MAIN(cases)
