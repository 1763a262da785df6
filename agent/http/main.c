// SPDX-License-Identifier: Apache-2.0
// kubecanary-http: the agent's helper for HTTP targets, started by it and of no use to anybody else. Probes
// come by descriptor 3, results go back there; it ends when the agent does. Has libcurl and TLS, so that the
// agent has not.
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/http/channel.h"
#include "agent/http/transfer.h"
#include "lib/log.h"
#include "lib/output.h"
#include "lib/stdfd.h"
#include "lib/version.h"

static const char program[] = "kubecanary-http";
static const char usage[] = "usage: kubecanary-http [--log-level debug|info|warn|error]\n"
                            "       kubecanary-http --version\n"
                            "Started by kubecanary-agent, with a SOCK_SEQPACKET socket as descriptor 3.\n";

struct helper {
    struct loop *loop;
    struct transfers *transfers;
    struct channel *channel;
    int status;
};

static void on_probe(const struct http_wire_probe *p, void *arg)
{
    struct helper *h = arg;
    transfer_start(h->transfers, p);
}

static void on_result(const struct http_wire_result *r, void *arg)
{
    struct helper *h = arg;
    channel_send(h->channel, r);
}

static void on_end(const struct err *why, void *arg)
{
    struct helper *h = arg;
    if (why)
        log_end(LOG_ERROR, "the agent cannot be understood", LOG_ERR(why));
    h->status = why != NULL;
    loop_stop(h->loop);
}

static int run(void)
{
    struct helper h = {0};
    struct err e;
    int r = -1;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); // of a terminal it is the agent's to answer
    if ((h.loop = loop_new(&e)) && (h.transfers = transfer_new(h.loop, on_result, &h, &e)) &&
        (h.channel = channel_new(h.loop, HTTP_WIRE_FD, on_probe, on_end, &h, &e)))
        r = loop_run(h.loop, &e);
    if (r < 0)
        log_end(LOG_ERROR, "the helper cannot run", LOG_ERR(&e));
    transfer_free(h.transfers);
    channel_free(h.channel);
    loop_free(h.loop);
    return r < 0 ? 1 : h.status;
}

static int print_version(void)
{
    char text[256];
    snprintf(text, sizeof(text), "%s %s (%s)\n", program, version_text, version_revision);
    return output_result(program, text);
}

int main(int argc, char **argv)
{
    enum log_level level = LOG_INFO;
    struct err e;
    if (stdfd_open(&e) < 0) {
        fprintf(stderr, "%s: %s\n", program, e.msg);
        return 1;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return output_result(program, usage);
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return print_version();
    if (argc != 1 &&
        !(argc == 3 && strcmp(argv[1], "--log-level") == 0 && log_parse_level(argv[2], &level) == 0)) {
        fputs(usage, stderr);
        return 2;
    }
    log_init(level, STDERR_FILENO);
    return run();
}
