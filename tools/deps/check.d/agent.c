// SPDX-License-Identifier: Apache-2.0
// A stand-in for the agent: parses YAML, answers HTTP on port 9961 from an epoll loop, needs the kernel's
// time stamp headers. Prints one line about its allocator, then serves until it is ended.
#include <time.h>

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <yaml.h>

int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len) __attribute__((weak));

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload, size_t *upload_len,
                              void **state)
{
    (void)arg, (void)url, (void)method, (void)version, (void)upload, (void)upload_len, (void)state;
    struct MHD_Response *response = MHD_create_response_from_buffer(3, "ok\n", MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static int parse(const char *text)
{
    yaml_parser_t parser;
    yaml_event_t event;
    int events = 0;
    yaml_event_type_t type = YAML_NO_EVENT;
    if (!yaml_parser_initialize(&parser))
        return -1;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
    while (type != YAML_STREAM_END_EVENT) {
        if (!yaml_parser_parse(&parser, &event))
            return -1;
        type = event.type;
        yaml_event_delete(&event);
        events++;
    }
    yaml_parser_delete(&parser);
    return events;
}

static void show_allocator(void)
{
    unsigned arenas = 0;
    size_t len = sizeof(arenas);
    if (!mallctl)
        printf("allocator system\n");
    else if (mallctl("opt.narenas", &arenas, &len, NULL, 0) == 0)
        printf("allocator jemalloc narenas %u\n", arenas);
    fflush(stdout);
}

int main(void)
{
    struct MHD_Daemon *daemon;
    struct epoll_event event = {.events = EPOLLIN};
    int loop = epoll_create1(0);
    if (parse("{a: [1, 2], b: \"2001:db8::7\"}") != 13 || SOF_TIMESTAMPING_TX_SOFTWARE == 0)
        return 1;
    daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_DUAL_STACK, 9961, NULL, NULL, answer, NULL, MHD_OPTION_END);
    if (!daemon)
        return 1;
    epoll_ctl(loop, EPOLL_CTL_ADD, MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, &event);
    show_allocator();
    while (epoll_wait(loop, &event, 1, -1) >= 0)
        MHD_run(daemon);
    return 1;
}
