// SPDX-License-Identifier: Apache-2.0
// base, err, buf and log: strict numbers, stable hash, error paths, ceilings, and log lines that stay JSON
// when they are cut.
#include <errno.h>

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "test/unit/check.h"

static void numbers(void)
{
    static const struct {
        const char *text;
        int want;
    } cases[] = {{"0", 0},        {"42", 0},       {"", -EINVAL},   {" 1", -EINVAL},
                 {"-1", -EINVAL}, {"1x", -EINVAL}, {"43", -ERANGE}, {"99999999999999999999", -ERANGE}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t value = 7;
        CHECK_INT(base_parse_u64(cases[i].text, 0, 42, &value), cases[i].want);
        if (cases[i].want < 0)
            CHECK_INT(value, 7); // *ret is touched only on success
    }
}

static void hash_is_stable(void)
{
    CHECK(base_hash(BASE_HASH_INIT, "a", 1) ==
          UINT64_C(0xaf63dc4c8601ec8c)); // FNV-1a's published test vector
    CHECK(base_hash(BASE_HASH_INIT, "foobar", 6) == UINT64_C(0x85944171f73967e8));
    CHECK(base_hash(base_hash(BASE_HASH_INIT, "foo", 3), "bar", 3) == base_hash(BASE_HASH_INIT, "foobar", 6));
}

static void error_paths(void)
{
    struct err e;
    char text[1024];
    CHECK_INT(err_set(&e, EINVAL, "must be %d", 3), -EINVAL);
    CHECK_STR(err_text(&e, text, sizeof(text)), "must be 3");
    err_at(&e, "address");
    err_at(&e, "[%d]", 1);
    err_at(&e, "spec.targets");
    CHECK_STR(e.path, "spec.targets[1].address");
    CHECK_INT(err_wrap(&e, "fleet %s", "mesh"), -EINVAL);
    CHECK_STR(err_text(&e, text, sizeof(text)), "spec.targets[1].address: fleet mesh: must be 3");
    for (int i = 0; i < 300; i++) { // cut, never overrun
        err_at(&e, "deeper");
        err_wrap(&e, "more");
    }
    CHECK(strlen(e.path) < sizeof(e.path) && strlen(e.msg) < sizeof(e.msg));
}

// Whatever bytes are put in, what comes out is one line of valid UTF-8.
static void errors_are_lines(void)
{
    static const char odd[] = "a\nb\tc\x7f \xc2\x85 \xe2\x80\xa8 \xff \xe2\x82 \xc3\xa9 \xf0\x9f\x98\x80";
    static const char line[] = "a b c      ? ?? \xc3\xa9 \xf0\x9f\x98\x80";
    struct err e;
    char text[1024], many[512];
    err_set(&e, EINVAL, "%s", odd);
    CHECK_STR(e.msg, line);
    err_at(&e, "%s", odd);
    CHECK_STR(e.path, line);
    err_set(&e, EINVAL, "x");
    err_wrap(&e, "%s", odd);
    CHECK_STR(e.msg, "a b c      ? ?? \xc3\xa9 \xf0\x9f\x98\x80: x");
    // What is cut is cut between characters.
    for (size_t i = 0; i + 2 < sizeof(many); i += 2)
        memcpy(many + i, "\xc3\xa9", 3);
    err_set(&e, EINVAL, "1%s", many);
    CHECK_INT(strlen(e.msg), 511);
    err_at(&e, "1%s", many);
    CHECK_STR(e.path + 251, "\xc3\xa9\xc3\xa9");
    err_text(&e, text, 5);
    CHECK_STR(text, "1\xc3\xa9");
    CHECK_INT(err_set(&e, EINVAL, "%s", "\xc3"), -EINVAL);
    CHECK_STR(e.msg, "?");
}

static void buffer_ceiling(void)
{
    struct buf b;
    buf_init(&b, 10);
    CHECK_STR(buf_text(&b), "");
    buf_str(&b, "0123456789");
    CHECK(!b.failed);
    buf_char(&b, 'x');
    CHECK(b.failed && b.over);
    buf_shift(&b, 4);
    CHECK_STR(buf_text(&b), "456789");
    CHECK(buf_take(&b) == NULL); // failed
    buf_u64(&b, UINT64_MAX);
    CHECK(b.failed); // 20 digits do not fit
    buf_reset(&b);
    buf_fmt(&b, "%d-%s", 7, "ab");
    CHECK_STR(buf_text(&b), "7-ab");
    char *taken = buf_take(&b);
    CHECK_STR(taken, "7-ab");
    free(taken);
    buf_release(&b);
}

static void json_strings(void)
{
    CLEANUP_BUF struct buf b;
    buf_init(&b, 1000);
    buf_json(&b, "a\"b\\c\n\x01 \xc3\xa9 \xff \xed\xa0\x80 \xf0\x9f\x98\x80");
    CHECK_STR(buf_text(&b), "\"a\\\"b\\\\c\\u000a\\u0001 \xc3\xa9 \xef\xbf\xbd "
                            "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xf0\x9f\x98\x80\"");
    // What YAML takes for a line's end, or not at all, as it stands.
    buf_reset(&b);
    buf_json(
        &b,
        "\x7f\xc2\x80\xc2\x85\xc2\x9f\xc2\xa0\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf\xef\xbf\xbe\xef\xbf\xbf");
    CHECK_STR(buf_text(&b), "\"\\u007f\\u0080\\u0085\\u009f\xc2\xa0\\u2028\\u2029\\ufeff\\ufffe\\uffff\"");
}

static void log_lines(void)
{
    int fds[2];
    CHECK_INT(pipe(fds), 0);
    log_init(LOG_INFO, fds[1]);
    static char big[LIMIT_LOG_LINE * 2];
    memset(big, '"', sizeof(big) - 1);
    log_debug("not written");
    log_info("a \"message\"", LOG_STR("node", "n1\n"), LOG_INT("peers", -3),
             LOG_STR("odd", "\xff\xe2\x80\xa8\xc3"), LOG_STR("big", big));
    log_init(LOG_INFO, STDERR_FILENO);
    close(fds[1]);
    static char line[LIMIT_LOG_LINE * 2];
    ssize_t n = read(fds[0], line, sizeof(line) - 1);
    close(fds[0]);
    CHECK(n > 0 && n <= LIMIT_LOG_LINE);
    CHECK(strncmp(line, "{\"time\":\"20", 11) == 0);
    CHECK_CONTAINS(line, "\"level\":\"info\",\"msg\":\"a \\\"message\\\"\",\"node\":\"n1\\u000a\","
                         "\"peers\":-3,\"odd\":\"\xef\xbf\xbd\\u2028\xef\xbf\xbd\",\"big\":\"\\\"");
    CHECK_STR(line + n - 3, "\"}\n");
}

static const struct check_case cases[] = {
    {"numbers", numbers},
    {"hash is stable", hash_is_stable},
    {"error paths", error_paths},
    {"errors are lines", errors_are_lines},
    {"buffer ceiling", buffer_ceiling},
    {"json strings", json_strings},
    {"log lines", log_lines},
};
CHECK_MAIN(cases)
