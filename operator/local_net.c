// SPDX-License-Identifier: Apache-2.0
// Makes the namespaces by unshare and setns of this (single) thread, and their links by `ip -batch` in a
// child.
#include "operator/local_net.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/buf.h"

#define FIRST_HOST 10 // node K has host number 10 + K

static int own_netns(struct err *e)
{
    int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? err_sys(e, errno, "/proc/self/ns/net") : fd;
}

// A new namespace's descriptor; this thread ends where it was.
static int new_netns(struct err *e)
{
    CLEANUP_FD int origin = own_netns(e);
    if (origin < 0)
        return origin;
    if (unshare(CLONE_NEWNET) < 0)
        return err_sys(e, errno,
                       "cannot make a network namespace (it takes root, or unshare -Urnpf --mount-proc)");
    int fd = own_netns(e);
    if (setns(origin, CLONE_NEWNET) < 0)
        abort(); // in the wrong network: nothing done from here on would be right
    return fd;
}

static void exec_ip(int netns, int batch, int errors)
{
    static const char *const paths[] = {"/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"};
    char *argv[] = {(char[]){"ip"}, (char[]){"-batch"}, (char[]){"-"}, NULL};
    char *envp[] = {(char[]){"LC_ALL=C"}, NULL};
    if ((netns >= 0 && setns(netns, CLONE_NEWNET) < 0) || dup2(batch, 0) < 0 || dup2(errors, 2) < 0)
        _exit(126);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        execve(paths[i], argv, envp);
    _exit(127);
}

static int ip_error(int status, int errors, struct err *e)
{
    char text[256] = "";
    ssize_t n = pread(errors, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return err_set(e, ENOENT, "there is no ip program (Debian package iproute2)");
    return err_set(e, EIO, "cannot set the network up: ip: %s", text[0] ? text : "failed without a word");
}

// Runs the commands in that namespace (-1: our own).
static int run_ip(int netns, const struct buf *commands, struct err *e)
{
    CLEANUP_FD int batch = memfd_create("batch", MFD_CLOEXEC);
    CLEANUP_FD int errors = memfd_create("errors", MFD_CLOEXEC);
    if (commands->failed || batch < 0 || errors < 0)
        return err_set(e, ENOMEM, "no memory for the network's commands");
    if (write(batch, commands->data, commands->len) != (ssize_t)commands->len ||
        lseek(batch, 0, SEEK_SET) < 0)
        return err_sys(e, errno, "cannot write the network's commands");
    pid_t pid = fork();
    if (pid < 0)
        return err_sys(e, errno, "cannot start ip");
    if (pid == 0)
        exec_ip(netns, batch, errors);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : ip_error(status, errors, e);
}

static bool have_ipv6(void)
{
    return access("/proc/sys/net/ipv6", F_OK) == 0;
}

static void add_address(struct buf *b, const char *link, unsigned host)
{
    buf_fmt(b, "address add 198.18.0.%u/24 dev %s\n", host, link);
    if (have_ipv6())
        buf_fmt(b, "address add fd00:18::%x/64 dev %s nodad\n", host, link);
}

// Our own end of the link to the bridge, and the bridge.
static int make_hub(struct local_net *net, struct err *e)
{
    CLEANUP_BUF struct buf b;
    buf_init(&b, 4096);
    buf_fmt(&b, "link add kubecanary0 type veth peer name up0 netns /proc/%d/fd/%d\n", (int)getpid(),
            net->hub);
    add_address(&b, "kubecanary0", 1);
    buf_str(&b, "link set kubecanary0 up\n");
    int r = run_ip(-1, &b, e);
    if (r < 0)
        return r;
    buf_reset(&b);
    buf_str(&b, "link set lo up\nlink add br0 type bridge\nlink set br0 up\nlink set up0 master br0 up\n");
    return run_ip(net->hub, &b, e);
}

static int make_node(struct local_net *net, struct local_node *node, unsigned number, struct err *e)
{
    CLEANUP_BUF struct buf b;
    buf_init(&b, 4096);
    node->netns = new_netns(e);
    if (node->netns < 0)
        return -e->code;
    buf_fmt(&b, "link add p%u type veth peer name eth0 netns /proc/%d/fd/%d\n", number, (int)getpid(),
            node->netns);
    buf_fmt(&b, "link set p%u master br0 up\n", number);
    int r = run_ip(net->hub, &b, e);
    if (r < 0)
        return r;
    buf_reset(&b);
    buf_str(&b, "link set lo up\n");
    add_address(&b, "eth0", FIRST_HOST + number);
    buf_str(&b, "link set eth0 up\nroute add default via 198.18.0.1\n");
    if (have_ipv6())
        buf_str(&b, "route add ::/0 via fd00:18::1 dev eth0\n");
    return run_ip(node->netns, &b, e);
}

static void name_node(struct local_node *node, unsigned number)
{
    char v4[ADDR_TEXT_MAX], v6[ADDR_TEXT_MAX];
    snprintf(node->name, sizeof(node->name), "n%u", number);
    snprintf(node->zone, sizeof(node->zone), "%c", 'a' + (int)((number - 1) % 3));
    snprintf(v4, sizeof(v4), "198.18.0.%u", FIRST_HOST + number);
    snprintf(v6, sizeof(v6), "fd00:18::%x", FIRST_HOST + number);
    if (addr_parse(v4, &node->ip[FAMILY_IPV4]) < 0 ||
        (have_ipv6() && addr_parse(v6, &node->ip[FAMILY_IPV6]) < 0))
        abort(); // our own text
}

// The link of a former run that was killed goes with its namespaces, which the kernel takes down in its own
// time.
static bool link_is_free(void)
{
    const struct timespec pause = {.tv_nsec = 50 * (long)NS_PER_MS};
    for (unsigned i = 0; i < 40 && if_nametoindex("kubecanary0") != 0; i++)
        nanosleep(&pause, NULL);
    return if_nametoindex("kubecanary0") == 0;
}

int local_net_init(struct local_net *net, size_t nodes, struct err *e)
{
    if (nodes < 1 || nodes > LIMIT_LOCAL_NODES)
        return err_set(e, EINVAL, "from 1 to %d nodes, not %zu", LIMIT_LOCAL_NODES, nodes);
    *net = (struct local_net){.hub = -1};
    if (!link_is_free())
        return err_set(e, EEXIST, "there is a link kubecanary0: another local cluster runs in this network");
    net->hub = new_netns(e);
    int r = net->hub < 0 ? -e->code : make_hub(net, e);
    while (r == 0 && net->n < nodes) {
        unsigned number = (unsigned)net->n + 1;
        struct local_node *node = &net->nodes[net->n++];
        node->netns = -1;
        name_node(node, number);
        r = make_node(net, node, number, e);
    }
    if (r < 0)
        local_net_release(net);
    return r;
}

void local_net_release(struct local_net *net)
{
    for (size_t i = 0; i < net->n; i++)
        base_cleanup_fd(&net->nodes[i].netns);
    struct err ignored;
    CLEANUP_BUF struct buf b;
    buf_init(&b, 64);
    buf_str(&b, "link delete kubecanary0\n");
    // It would go with its other end, but the kernel takes its time for that, and the next start would find
    // it.
    if (net->n > 0)
        (void)!run_ip(-1, &b, &ignored);
    base_cleanup_fd(&net->hub);
    *net = (struct local_net){.hub = -1};
}
