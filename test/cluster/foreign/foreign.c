// SPDX-License-Identifier: Apache-2.0
// foreign PORT [MIB]: stands for somebody else's prober in the end-to-end test. Its allocator is a jemalloc
// with the prefix je_, which reads JE_MALLOC_CONF and knows nothing of MALLOC_CONF. It serves Prometheus
// metrics under the names that exporters of jemalloc use, on every path, one connection at a time, and ends
// on SIGTERM. It reads none of our files and probes nothing. MIB: so much memory it takes at once, and
// touches.
#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define REQUEST_MAX 4096
#define PAGE_MAX 4096
#define PATIENCE_S 5 // for a client that says nothing

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "foreign: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void on_end(int signal)
{
    (void)signal;
    _exit(0);
}

static uint64_t resident_bytes(void)
{
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f || fscanf(f, "%lu %lu", &size, &resident) != 2)
        die("/proc/self/statm");
    fclose(f);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

// --- what jemalloc tells; the sizes of the values are those of its manual ---

static void ask(const char *name, void *value, size_t size)
{
    errno = je_mallctl(name, value, &size, NULL, 0);
    if (errno)
        die(name);
}

static unsigned ask_unsigned(const char *name)
{
    unsigned value = 0;
    ask(name, &value, sizeof(value));
    return value;
}

static size_t ask_size(const char *name)
{
    size_t value = 0;
    ask(name, &value, sizeof(value));
    return value;
}

static ssize_t ask_ssize(const char *name)
{
    ssize_t value = 0;
    ask(name, &value, sizeof(value));
    return value;
}

static bool ask_bool(const char *name)
{
    bool value = false;
    ask(name, &value, sizeof(value));
    return value;
}

static size_t print_page(char *out, size_t size)
{
    uint64_t epoch = 1;
    je_mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)); // the statistics are those of this moment
    int len = snprintf(out, size,
                       "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes %llu\n"
                       "# TYPE process_threads gauge\nprocess_threads 1\n"
                       "# TYPE jemalloc_opt_narenas gauge\njemalloc_opt_narenas %u\n"
                       "# TYPE jemalloc_opt_dirty_decay_ms gauge\njemalloc_opt_dirty_decay_ms %lld\n"
                       "# TYPE jemalloc_opt_tcache gauge\njemalloc_opt_tcache %d\n"
                       "# TYPE jemalloc_arenas_narenas gauge\njemalloc_arenas_narenas %u\n"
                       "# TYPE jemalloc_active_bytes gauge\njemalloc_active_bytes %zu\n"
                       "# TYPE jemalloc_resident_bytes gauge\njemalloc_resident_bytes %zu\n",
                       (unsigned long long)resident_bytes(), ask_unsigned("opt.narenas"),
                       (long long)ask_ssize("opt.dirty_decay_ms"), ask_bool("opt.tcache"),
                       ask_unsigned("arenas.narenas"), ask_size("stats.active"), ask_size("stats.resident"));
    return len < 0 || (size_t)len >= size ? 0 : (size_t)len;
}

// All of it is there, page by page, as long as the program runs.
static void take_memory(size_t mib)
{
    const size_t size = mib << 20;
    volatile char *bytes = mib ? je_malloc(size) : NULL;
    if (mib && !bytes)
        die("memory");
    for (size_t i = 0; i < size; i += 4096)
        bytes[i] = 1;
}

// --- one connection ---

// Whether a request came, whatever it asks for.
static bool read_request(int fd)
{
    char request[REQUEST_MAX + 1];
    size_t have = 0;
    while (have < REQUEST_MAX) {
        ssize_t n = read(fd, request + have, REQUEST_MAX - have);
        if (n <= 0)
            return false;
        have += (size_t)n;
        request[have] = '\0';
        if (strstr(request, "\r\n\r\n"))
            return true;
    }
    return false;
}

static void serve(int fd)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    char *page = je_malloc(PAGE_MAX);
    if (page && read_request(fd)) {
        size_t len = print_page(page, PAGE_MAX);
        dprintf(fd,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                "Content-Length: %zu\r\nConnection: close\r\n\r\n%.*s",
                len, (int)len, page);
    }
    je_free(page);
    close(fd);
}

// False: that is no port, or no number of MiB.
static bool parse(int argc, char **argv, uint16_t *ret_port, size_t *ret_mib)
{
    unsigned long port = argc >= 2 ? strtoul(argv[1], NULL, 10) : 0;
    unsigned long mib = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    *ret_port = (uint16_t)port;
    *ret_mib = mib;
    return argc <= 3 && port > 0 && port <= UINT16_MAX && mib <= 1024;
}

int main(int argc, char **argv)
{
    uint16_t port;
    size_t mib;
    const struct sigaction end = {.sa_handler = on_end}, ignore = {.sa_handler = SIG_IGN};
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
    if (!parse(argc, argv, &port, &mib)) {
        fprintf(stderr, "usage: foreign PORT [MIB]\n");
        return 2;
    }
    take_memory(mib);
    at.sin6_port = htons(port);
    if (sigaction(SIGTERM, &end, NULL) || sigaction(SIGINT, &end, NULL) || sigaction(SIGPIPE, &ignore, NULL))
        die("signals");
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0); // both families
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) ||
        bind(fd, (const struct sockaddr *)&at, sizeof(at)) || listen(fd, 64))
        die("socket");
    for (;;) {
        int client = accept(fd, NULL, NULL);
        if (client >= 0)
            serve(client);
        else if (errno != EINTR && errno != ECONNABORTED)
            die("accept");
    }
}
