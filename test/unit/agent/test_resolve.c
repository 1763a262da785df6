// SPDX-License-Identifier: Apache-2.0
// Names against a server on 127.0.0.1 of a network namespace that answers by a table, which the cases change.
#include "test/unit/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>

#include <netinet/in.h>

#include "agent/resolve.h"
#include "agent/sock.h"
#include "lib/log.h"
#include "test/unit/agent/netns.h"

struct zone {         // one name of the server
    const char *name; // as it is asked for, with the search domain
    uint32_t ttl;
    unsigned n;
    const char *list[24]; // A and AAAA
    unsigned asked;       // for A
};

static struct zone zone[4];
static bool silent;
static struct loop *l;
static struct resolve *r;
static struct loop_fd server;
static unsigned changes;
static char conf[] = "/tmp/test_resolve.XXXXXX";

static struct zone *zone_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(zone); i++)
        if (zone[i].name && strcmp(zone[i].name, name) == 0)
            return &zone[i];
    return NULL;
}

// The name at 12 as text; *ret_type. Returns the length of header and question.
static size_t read_question(const uint8_t *text, char *name, uint8_t *ret_type)
{
    size_t at = 12, n = 0;
    while (text[at]) {
        memcpy(name + n, text + at + 1, text[at]);
        n += text[at];
        name[n++] = '.';
        at += 1u + text[at];
    }
    name[n - 1] = '\0';
    *ret_type = text[at + 2];
    return at + 5;
}

static size_t add_records(uint8_t *text, size_t n, const struct zone *z, uint8_t type)
{
    for (unsigned i = 0; i < z->n; i++) {
        struct addr a;
        bool parsed = addr_parse(z->list[i], &a) == 0;
        size_t len = a.family == FAMILY_IPV4 ? 4 : 16;
        if (!parsed || (type == 1) != (a.family == FAMILY_IPV4))
            continue;
        const uint8_t head[12] = {
            0xc0, 12, 0, type, 0, 1, 0, 0, (uint8_t)(z->ttl >> 8), (uint8_t)z->ttl, 0, (uint8_t)len};
        memcpy(text + n, head, sizeof(head));
        memcpy(text + n + 12, a.bytes, len);
        n += 12 + len;
        text[7]++;
    }
    return n;
}

static void on_query(struct loop_fd *h, uint32_t events UNUSED, void *arg UNUSED)
{
    uint8_t text[2048], type;
    char name[300];
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    ssize_t got = recvfrom(h->fd, text, 512, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
    if (got < 17 || silent)
        return;
    size_t n = read_question(text, name, &type);
    struct zone *z = zone_of(name);
    text[2] |= 0x80;
    text[11] = 0; // no EDNS
    if (!z)
        text[3] = 3;
    else
        n = add_records(text, n, z, type);
    if (z)
        z->asked += type == 1;
    (void)sendto(h->fd, text, n, 0, (struct sockaddr *)&from, len);
}

static void on_changed(void *arg UNUSED)
{
    changes++;
}

static bool start(void)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct err e = {0};
    const struct resolve_opts o = {
        .resolvconf = conf, .random = 7, .ttl_min_ns = 1200 * NS_PER_MS, .timeout_ms = 300};
    l = loop_new(&e);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memset(zone, 0, sizeof(zone));
    silent = false;
    changes = 0;
    server = (struct loop_fd){0};
    r = resolve_new(l, &o, on_changed, NULL, &e);
    return r && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
           loop_fd_add(l, &server, fd, EPOLLIN, on_query, NULL, &e) == 0;
}

static void stop(void)
{
    resolve_free(r);
    loop_fd_del(l, &server);
    close(server.fd);
    loop_free(l);
}

static bool want(size_t n, const char *a, const char *b)
{
    const char *names[] = {a, b};
    struct err e = {0};
    return resolve_want(r, names, n, &e) == 0;
}

// Until so many changes were told, at most 30 s.
static bool until(unsigned n)
{
    struct err e;
    for (uint64_t end = sock_now() + 30 * NS_PER_S; changes < n && sock_now() < end;)
        if (loop_once(l, NS_PER_S, &e) != 0)
            return false;
    return changes >= n;
}

static enum resolve_state state(const char *name)
{
    const struct addr *list;
    size_t n;
    return resolve_get(r, name, &list, &n);
}

// The addresses of a name, with blanks between.
static const char *list(const char *name)
{
    static char out[LIMIT_HOST_ADDRESSES * (ADDR_TEXT_MAX + 1) + 1];
    char text[ADDR_TEXT_MAX];
    const struct addr *a;
    size_t n, len = 0;
    out[0] = '\0';
    if (resolve_get(r, name, &a, &n) != RESOLVE_DONE)
        return "none";
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s", i ? " " : "", addr_text(&a[i], text));
    return out;
}

static void test_names(void)
{
    CHECK(start());
    zone[0] = (struct zone){.name = "a.test", .ttl = 30, .n = 1, .list = {"127.0.0.9"}};
    zone[1] = (struct zone){.name = "b.c.test", .ttl = 30, .n = 1, .list = {"127.0.0.8"}};
    CHECK(want(2, "a", "b.c"));
    CHECK_INT(state("a"), RESOLVE_PENDING);
    CHECK(until(2));
    CHECK_STR(list("a"), "127.0.0.9"); // by the search list
    CHECK_STR(list("b.c"), "127.0.0.8");
    CHECK_INT(state("nobody"), RESOLVE_PENDING);
    CHECK(want(1, "b.c", NULL)); // the other is forgotten, and this one not asked for again
    CHECK_STR(list("a"), "none");
    CHECK_STR(list("b.c"), "127.0.0.8");
    CHECK_INT(zone[1].asked, 1);
    stop();
}

static void test_literal_and_families(void)
{
    CHECK(start());
    zone[0] = (struct zone){
        .name = "a.test", .ttl = 30, .n = 4, .list = {"127.0.0.9", "::1", "127.0.0.9", "224.0.0.1"}};
    CHECK(want(2, "a.test.", "192.0.2.1"));
    CHECK(until(2));
    CHECK_STR(list("192.0.2.1"), "192.0.2.1");
    CHECK_CONTAINS(list("a.test."), "127.0.0.9");
    CHECK_CONTAINS(list("a.test."), "::1");
    CHECK(strlen(list("a.test.")) == strlen("127.0.0.9 ::1")); // each once
    stop();
}

static void test_failure_stops_nothing(void)
{
    CHECK(start());
    zone[0] = (struct zone){.name = "a.test", .ttl = 30, .n = 1, .list = {"127.0.0.9"}};
    CHECK(want(2, "nobody", "a"));
    CHECK(until(2));
    CHECK_INT(state("nobody"), RESOLVE_FAILED);
    CHECK_STR(list("a"), "127.0.0.9");
    zone[1] = (struct zone){.name = "nobody.test", .ttl = 30, .n = 1, .list = {"127.0.0.7"}};
    CHECK(until(3)); // it is asked for again after a while
    CHECK_STR(list("nobody"), "127.0.0.7");
    stop();
}

// What the log was told since the last call: its lines, without their times.
static const char *said(int fd)
{
    static char text[4096];
    char *out = text;
    ssize_t len = read(fd, text, sizeof(text) - 1);
    text[MAX(len, 0)] = '\0';
    for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        const char *level = strstr(line, "\"level\":");
        memmove(out, level, (size_t)(end - level) + 1);
        out += end - level + 1;
    }
    *out = '\0';
    return text;
}

// One line when a name stops to resolve, and one when it does again: not one for each look-up.
static void test_log(void)
{
    int log[2];
    CHECK(start());
    CHECK(pipe2(log, O_NONBLOCK) == 0);
    log_init(LOG_INFO, log[1]);
    zone[0] = (struct zone){.name = "a.test", .ttl = 1, .n = 1, .list = {"127.0.0.9"}};
    CHECK(want(2, "a", "nobody"));
    CHECK(until(2));
    CHECK_STR(said(log[0]),
              "\"level\":\"warn\",\"msg\":\"a target's name does not resolve\",\"name\":\"nobody\","
              "\"reason\":\"Domain name not found\"}\n");
    zone[0].list[0] = "224.0.0.1"; // nobody's address
    CHECK(until(3));
    CHECK_STR(said(log[0]), "\"level\":\"warn\",\"msg\":\"a target's name does not resolve\",\"name\":\"a\","
                            "\"reason\":\"no address of a host\"}\n");
    zone[0].list[0] = "127.0.0.7";
    CHECK(until(4));
    CHECK_STR(said(log[0]), "\"level\":\"info\",\"msg\":\"a target's name resolves again\",\"name\":\"a\","
                            "\"failures\":1}\n");
    zone[1] = (struct zone){.name = "nobody.test", .ttl = 30, .n = 1, .list = {"127.0.0.8"}};
    CHECK(until(5));
    CHECK_CONTAINS(said(log[0]),
                   "\"msg\":\"a target's name resolves again\",\"name\":\"nobody\",\"failures\":");
    log_init(LOG_INFO, STDERR_FILENO);
    close(log[0]);
    close(log[1]);
    stop();
}

// Again at the TTL; a change is told, and the first stays in front while it is there.
static void test_ttl(void)
{
    CHECK(start());
    zone[0] = (struct zone){.name = "a.test", .ttl = 1, .n = 2, .list = {"127.0.0.9", "127.0.0.8"}};
    CHECK(want(1, "a", NULL));
    CHECK(until(1));
    char first[ADDR_TEXT_MAX];
    snprintf(first, sizeof(first), "%.*s", (int)strcspn(list("a"), " "), list("a"));
    uint64_t begun = sock_now();
    zone[0].n = 3;
    zone[0].list[0] = "127.0.0.7";
    zone[0].list[1] = "127.0.0.8";
    zone[0].list[2] = "127.0.0.9";
    CHECK(until(2));
    CHECK(sock_now() - begun > 1200 * NS_PER_MS - 100 * NS_PER_MS); // not after 1 s
    CHECK(strncmp(list("a"), first, strlen(first)) == 0);
    CHECK_CONTAINS(list("a"), "127.0.0.7");
    zone[0].n = 0; // no data
    CHECK(until(3));
    CHECK_INT(state("a"), RESOLVE_FAILED);
    stop();
}

static void test_many_addresses(void)
{
    static char text[24][24];
    CHECK(start());
    zone[0] = (struct zone){.name = "a.test", .ttl = 30, .n = 24};
    for (int i = 0; i < 24; i++) {
        snprintf(text[i], sizeof(text[i]), "127.0.1.%d", i + 1);
        zone[0].list[i] = text[i];
    }
    CHECK(want(1, "a", NULL));
    CHECK(until(1));
    const struct addr *a;
    size_t n;
    CHECK_INT(resolve_get(r, "a", &a, &n), RESOLVE_DONE);
    CHECK_INT(n, LIMIT_HOST_ADDRESSES);
    stop();
}

static int threads(void)
{
    DIR *d = opendir("/proc/self/task");
    int n = -2;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

// A server that says nothing: what is asked is given up in time, and can be forgotten before that.
static void test_silence(void)
{
    struct err e;
    CHECK(start());
    silent = true;
    CHECK(want(2, "a", "b"));
    for (int i = 0; i < 3; i++)
        CHECK_INT(loop_once(l, 50 * NS_PER_MS, &e), 0);
    CHECK_INT(threads(), 1);
    CHECK(want(1, "b", NULL)); // while it is under way
    CHECK(until(1));
    CHECK_INT(state("b"), RESOLVE_FAILED);
    CHECK(want(1, "c", NULL));
    for (int i = 0; i < 3; i++)
        CHECK_INT(loop_once(l, 50 * NS_PER_MS, &e), 0);
    CHECK(want(0, NULL, NULL)); // nothing of c-ares is left, and it can be begun anew
    silent = false;
    zone[0] = (struct zone){.name = "c.test", .ttl = 30, .n = 1, .list = {"127.0.0.9"}};
    CHECK(want(1, "c", NULL));
    CHECK(until(2));
    CHECK_STR(list("c"), "127.0.0.9");
    silent = true;
    CHECK(want(2, "c", "d"));
    for (int i = 0; i < 3; i++)
        CHECK_INT(loop_once(l, 50 * NS_PER_MS, &e), 0);
    stop(); // with a query under way
}

static bool enter(void)
{
    static const char text[] = "nameserver 127.0.0.1\nsearch test\noptions ndots:5\n";
    int fd = netns_enter() ? mkstemp(conf) : -1;
    bool ok = fd >= 0 && write(fd, text, sizeof(text) - 1) == sizeof(text) - 1;
    if (fd >= 0)
        close(fd);
    return ok;
}

static void test_clean_up(void)
{
    CHECK_INT(unlink(conf), 0);
}

static const struct check_case cases[] = {
    {"names", test_names},
    {"literals, and both families", test_literal_and_families},
    {"one that fails stops no other", test_failure_stops_nothing},
    {"what the log says", test_log},
    {"again at the TTL", test_ttl},
    {"many addresses", test_many_addresses},
    {"a server that is silent", test_silence},
    {"clean-up", test_clean_up},
};
CHECK_MAIN_IN(enter(), cases)
