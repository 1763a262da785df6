// SPDX-License-Identifier: Apache-2.0
// More parts than a plan was made for end the program before they are written.
#include "test/unit/check.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/plan_parts.h"

enum part { PAIR, GONE, DEST, PROBE, ANSWER, HTTP, HOST };

static const struct {
    const char *name;
    struct plan_room without; // a place too few in one list, the other lists have enough
} kinds[] = {
    [PAIR] = {"pair", {0, 2, 2, 2, 2, 2}},     [GONE] = {"gone pair", {0, 2, 2, 2, 2, 2}},
    [DEST] = {"dest", {2, 0, 2, 2, 2, 2}},     [PROBE] = {"probe", {2, 2, 0, 2, 2, 2}},
    [ANSWER] = {"answer", {2, 2, 2, 0, 2, 2}}, [HTTP] = {"http", {2, 2, 2, 2, 0, 2}},
    [HOST] = {"host", {2, 2, 2, 2, 2, 0}},
};

static void add(struct plan *p, enum part part)
{
    static const char *const answers[] = {"192.0.2.1"};
    static const struct plan_http http = {.url = "http://192.0.2.1/", .ca = ""};
    struct plan_probe as = {.type = SPEC_ICMP, .interval_ns = NS_PER_S, .timeout_ns = NS_PER_S};
    as.n_answers = part == ANSWER;
    as.answers = answers;
    as.http = part == HTTP ? &http : NULL;
    switch (part) {
    case PAIR: plan_parts_pair(p, 0, 0, FAMILY_IPV4); break;
    case GONE: plan_parts_gone(p, 0, 0, FAMILY_IPV4, 1); break;
    case DEST: (void)!plan_parts_dest(p, "n1", "", SPEC_NETWORK_POD, false); break;
    case PROBE:
    case ANSWER:
    case HTTP: (void)!plan_parts_probe(p, "x", &as); break;
    case HOST: (void)!plan_parts_host(p, "t", "h", 0, false); break;
    }
}

// How a child of ours ends that adds one to a plan with so much room.
static int end_of(const struct plan_room *room, enum part part)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        struct plan *p = plan_parts_new(room);
        struct plan_probe as = {.type = SPEC_ICMP, .interval_ns = NS_PER_S, .timeout_ns = NS_PER_S};
        close(STDERR_FILENO); // which says where
        if (!p || (part == PAIR || part == GONE ? plan_parts_probe(p, "x", &as) : 0) != 0)
            _exit(1);
        add(p, part);
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

static void no_more_than_there_is_room_for(void)
{
    const struct plan_room enough = {1, 1, 1, 1, 1, 1};
    for (enum part part = PAIR; part <= HOST; part++) {
        printf("    %s\n", kinds[part].name);
        int status = end_of(&enough, part);
        CHECK(WIFEXITED(status));
        CHECK_INT(WEXITSTATUS(status), 0);
        status = end_of(&kinds[part].without, part);
        CHECK(WIFSIGNALED(status));
        CHECK_INT(WTERMSIG(status), SIGABRT);
    }
}

static const struct check_case cases[] = {
    {"no more than there is room for", no_more_than_there_is_room_for},
};

CHECK_MAIN(cases)
