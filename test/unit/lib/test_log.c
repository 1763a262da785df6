// SPDX-License-Identifier: Apache-2.0
// Log lines: their shape, and how many of them there may be.
#include "test/unit/check.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/limits.h"
#include "lib/log.h"

static int said[2];
static char text[1u << 20]; // since the last look
static uint64_t now;

static uint64_t the_clock(void)
{
    return now;
}

static void start(void)
{
    now = 1000 * NS_PER_S;
    if (pipe2(said, O_NONBLOCK) != 0 || fcntl(said[1], F_SETPIPE_SZ, sizeof(text)) < 0)
        printf("    no pipe\n");
    log_use_clock(the_clock);
    log_init(LOG_INFO, said[1]);
}

static void stop(void)
{
    log_use_clock(NULL);
    log_init(LOG_INFO, STDERR_FILENO);
    close(said[0]);
    close(said[1]);
}

// Lines since the last call; they stand in `text`.
static size_t lines(void)
{
    size_t n = 0, len = 0;
    for (ssize_t got; (got = read(said[0], text + len, sizeof(text) - 1 - len)) > 0;)
        len += (size_t)got;
    text[len] = '\0';
    for (const char *c = text; *c; c++)
        n += *c == '\n';
    return n;
}

static void test_shape(void)
{
    start();
    log_warn("it \"is\"\n", LOG_STR("key", "a value"), LOG_INT("number", -7), LOG_STR("empty", ""));
    log_debug("too little to say");
    CHECK_INT(lines(), 1);
    CHECK_CONTAINS(
        text, "\",\"level\":\"warn\",\"msg\":\"it \\\"is\\\"\\u000a\",\"key\":\"a value\",\"number\":-7}\n");
    stop();
}

// A flood: as many as may be at once, then one after another, which say what was left out.
static void test_flood(void)
{
    start();
    for (int i = 0; i < LIMIT_LOG_BURST + 100; i++)
        log_warn("again");
    CHECK_INT(lines(), LIMIT_LOG_BURST);
    CHECK(!strstr(text, "suppressed"));
    now += LIMIT_LOG_EACH_NS - 1;
    log_warn("again");
    CHECK_INT(lines(), 0);
    now++;
    log_warn("again", LOG_STR("key", "a value"));
    CHECK_INT(lines(), 1);
    CHECK_CONTAINS(text, "\"msg\":\"again\",\"suppressed\":101,\"key\":\"a value\"}\n");
    now += LIMIT_LOG_EACH_NS;
    log_warn("again");
    CHECK_INT(lines(), 1);
    CHECK(!strstr(text, "suppressed")); // it was said
    stop();
}

// A flood of one level keeps no other from being heard, which says that there is one.
static void test_levels(void)
{
    start();
    for (int i = 0; i < LIMIT_LOG_BURST + 7; i++)
        log_info("chatter");
    CHECK_INT(lines(), LIMIT_LOG_BURST);
    log_error("something is wrong");
    CHECK_INT(lines(), 1);
    CHECK_CONTAINS(text, "\"level\":\"error\",\"msg\":\"something is wrong\",\"suppressed\":7}\n");
    stop();
}

// Neither the last line of a program nor the first ones are lost, whatever is said between.
static void test_start_and_end(void)
{
    start();
    for (int i = 0; i < 2 * LIMIT_LOG_BURST; i++) {
        log_info("chatter");
        log_error("trouble");
    }
    CHECK_INT(lines(), 2 * LIMIT_LOG_BURST);
    log_end(LOG_ERROR, "it cannot run");
    log_end(LOG_INFO, "left");
    log_end(LOG_DEBUG, "not asked for");
    CHECK_INT(lines(), 2);
    CHECK_CONTAINS(text, "\"msg\":\"it cannot run\",\"suppressed\":512}\n");
    CHECK_CONTAINS(text, "\"msg\":\"left\"}\n");
    log_init(LOG_INFO, said[1]); // a program's start
    log_error("no such file");
    CHECK_INT(lines(), 1);
    CHECK_CONTAINS(text, "\"msg\":\"no such file\"}\n");
    stop();
}

// What a level does not show counts for nothing.
static void test_below_the_level(void)
{
    start();
    for (int i = 0; i < 10 * LIMIT_LOG_BURST; i++)
        log_debug("not asked for");
    log_info("heard");
    CHECK_INT(lines(), 1);
    CHECK(!strstr(text, "suppressed"));
    stop();
}

static const struct check_case cases[] = {
    {"the shape of a line", test_shape},
    {"a flood", test_flood},
    {"levels do not hide each other", test_levels},
    {"start and end", test_start_and_end},
    {"below the level", test_below_the_level},
};
CHECK_MAIN(cases)
