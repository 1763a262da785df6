// SPDX-License-Identifier: Apache-2.0
// A network namespace of the test's own, with loopback up and ping sockets allowed: as root at once,
// otherwise inside a user namespace.
#ifndef KUBECANARY_TEST_NETNS_H
#define KUBECANARY_TEST_NETNS_H

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool netns_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return ok;
}

// False, with the reason printed, if this machine allows neither.
static bool netns_enter(void)
{
    unsigned uid = getuid(), gid = getgid();
    char text[64];
    if (unshare(CLONE_NEWNET) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
            printf("    no network namespace: %s (root or user namespaces are needed)\n", strerror(errno));
            return false;
        }
        netns_write("/proc/self/setgroups", "deny");
        snprintf(text, sizeof(text), "0 %u 1", uid);
        netns_write("/proc/self/uid_map", text);
        snprintf(text, sizeof(text), "0 %u 1", gid);
        netns_write("/proc/self/gid_map", text);
    }
    snprintf(text, sizeof(text), "%u %u", getgid(), getgid());
    struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = s >= 0 && ioctl(s, SIOCSIFFLAGS, &ifr) == 0 &&
              netns_write("/proc/sys/net/ipv4/ping_group_range", text);
    if (s >= 0)
        close(s);
    if (!ok)
        printf("    the network namespace could not be set up: %s\n", strerror(errno));
    return ok;
}

#endif
