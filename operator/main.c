// SPDX-License-Identifier: Apache-2.0
// The program: command line in, one command carried out, exit status out. 2: unusable command line, 1: the
// command failed.
#include <stdio.h>

#include "lib/log.h"
#include "lib/output.h"
#include "lib/stdfd.h"
#include "lib/version.h"
#include "operator/cli.h"
#include "operator/offline.h"
#include "operator/service.h"

static const char program[] = "kubecanary-operator";

static int print_error(const struct err *e)
{
    char text[1024];
    fprintf(stderr, "%s: %s\n", program, err_text(e, text, sizeof(text)));
    return 1;
}

static int print_version(void)
{
    char text[256];
    snprintf(text, sizeof(text), "%s %s (%s, %s)\n", program, version_text, version_revision,
             version_compiler);
    return output_result(program, text);
}

int main(int argc, char **argv)
{
    struct cli cli;
    struct err e;
    if (stdfd_open(&e) < 0)
        return print_error(&e);
    if (cli_parse(argc, argv, &cli, &e) < 0) {
        print_error(&e);
        fputs(cli_usage(), stderr);
        return 2;
    }
    log_init(cli.log_level, STDERR_FILENO);
    switch (cli.command) {
    case CLI_HELP: return output_result(program, cli_usage());
    case CLI_VERSION: return print_version();
    case CLI_RENDER: return offline_render(&cli, &e) < 0 ? print_error(&e) : 0;
    case CLI_LOCAL: return service_local(&cli, &e) < 0 ? print_error(&e) : 0;
    case CLI_RUN: return service_run(&cli, &e) < 0 ? print_error(&e) : 0;
    }
    return 0;
}
