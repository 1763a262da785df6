// SPDX-License-Identifier: Apache-2.0
// The listener of TCP probes over loopback: each connection is completed and closed in good order, and a lack
// of descriptors is survived.
#include "agent/reflect.h"

#include <errno.h>
#include <sys/resource.h>

#include "lib/limits.h"
#include "test/unit/check.h"

static int dial(uint16_t port)
{
    struct addr a;
    struct sockaddr_storage sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (addr_parse("127.0.0.1", &a) < 0 || fd < 0)
        return -1;
    socklen_t len = addr_sockaddr(&a, port, &sa);
    if (connect(fd, (struct sockaddr *)&sa, len) == 0)
        return fd;
    close(fd);
    return -1;
}

static void turn(struct loop *l, int times)
{
    struct err e;
    while (times-- > 0) {
        if (loop_once(l, NS_PER_MS, &e) < 0)
            printf("    loop_once: %s\n", e.msg);
    }
}

static void check_many(struct loop *l, struct reflect *r)
{
    int fds[LIMIT_REFLECT_BATCH + 20];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = dial(reflect_port(r));
        CHECK(fds[i] >= 0);
    }
    turn(l, 1);
    CHECK_INT(reflect_accepted(r), LIMIT_REFLECT_BATCH); // the loop's other work comes between
    turn(l, 3);
    CHECK_INT(reflect_accepted(r), ARRAY_LEN(fds));
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        char c;
        CHECK_INT(recv(fds[i], &c, 1, 0), 0); // an end, not a reset
        close(fds[i]);
    }
    CHECK_INT(reflect_failed(r), 0);
}

static void with_reflect(void (*check)(struct loop *l, struct reflect *r))
{
    struct err e;
    struct addr any = {0};
    struct loop *l = loop_new(&e);
    struct reflect *r = l ? reflect_new(l, &any, 0, &e) : NULL;
    CHECK(r);
    check(l, r);
    reflect_free(r);
    loop_free(l);
}

static void many(void)
{
    with_reflect(check_many);
}

// With no descriptor left the loop must not spin, and the connection is taken when there is one again.
static void check_starved(struct loop *l, struct reflect *r)
{
    struct rlimit old, low;
    struct err e;
    CLEANUP_FD int fd = dial(reflect_port(r));
    CHECK(fd >= 0);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = (struct rlimit){.rlim_cur = (rlim_t)fd + 1, .rlim_max = old.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &low), 0);
    turn(l, 10);
    uint64_t failed = reflect_failed(r);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &old), 0);
    CHECK_INT(failed, 1);
    CHECK_INT(reflect_accepted(r), 0);
    for (int i = 0; i < 1000 && reflect_accepted(r) == 0; i++)
        CHECK_INT(loop_once(l, 10 * NS_PER_MS, &e), 0);
    CHECK_INT(reflect_accepted(r), 1);
}

static void starved(void)
{
    with_reflect(check_starved);
}

static void port_taken(void)
{
    struct err e = {0};
    struct addr any = {0};
    struct loop *l = loop_new(&e);
    struct reflect *r = l ? reflect_new(l, &any, 0, &e) : NULL;
    CHECK(r);
    struct reflect *second = reflect_new(l, &any, reflect_port(r), &e);
    CHECK(!second);
    CHECK_INT(e.code, EADDRINUSE);
    reflect_free(second);
    reflect_free(r);
    loop_free(l);
}

static const struct check_case cases[] = {{"many", many}, {"starved", starved}, {"port taken", port_taken}};
CHECK_MAIN(cases)
