// SPDX-License-Identifier: Apache-2.0
// The sandbox process of each pod in the test cluster: holds the pod's namespaces, takes the zombies of a
// shared pid namespace, and ends on SIGTERM. It never does anything else.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_end(int signal)
{
    (void)signal;
    _exit(0);
}

static void on_child(int signal)
{
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

int main(void)
{
    const struct sigaction end = {.sa_handler = on_end};
    const struct sigaction child = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};

    if (sigaction(SIGTERM, &end, NULL) || sigaction(SIGINT, &end, NULL) || sigaction(SIGCHLD, &child, NULL))
        return 1;
    for (;;)
        pause();
}
