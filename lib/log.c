// SPDX-License-Identifier: Apache-2.0
// Formats one JSON object a log line into a buffer on the stack and writes it with one write(2). Holds the
// level, the descriptor, and how much was said lately.
#include "lib/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/bucket.h"
#include "lib/limits.h"
#include "lib/utf8.h"

static enum log_level threshold = LOG_INFO;
static int target = STDERR_FILENO;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static uint64_t monotonic(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t (*clock_now)(void) = monotonic;
static struct bucket rates[ARRAY_LEN(level_names)];
static uint64_t suppressed; // since the last line

struct line {
    char data[LIMIT_LOG_LINE];
    size_t len;
};

void log_init(enum log_level level, int fd)
{
    threshold = level;
    target = fd;
    memset(rates, 0, sizeof(rates));
    suppressed = 0;
}

void log_use_clock(uint64_t (*now_ns)(void))
{
    clock_now = now_ns ? now_ns : monotonic;
}

int log_parse_level(const char *text, enum log_level *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

// Keeps room for the closing quote, brace and newline, so that a cut line is still JSON.
static void put(struct line *l, const char *text, size_t len)
{
    size_t room = sizeof(l->data) - l->len - 4;
    len = MIN(len, room);
    memcpy(l->data + l->len, text, len);
    l->len += len;
}

static void put_string(struct line *l, const char *text)
{
    put(l, "\"", 1);
    while (*text && l->len + 16 < sizeof(l->data)) {
        char one[UTF8_JSON_MAX];
        put(l, one, utf8_json(&text, one));
    }
    l->data[l->len++] = '"';
}

static void put_time(struct line *l)
{
    struct timespec ts;
    struct tm tm;
    char text[40];
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)(ts.tv_nsec / 1000000));
    put(l, "{\"time\":\"", 9);
    put(l, text, n);
    put(l, "\"", 1);
}

static void put_field(struct line *l, const struct log_field *f)
{
    if (l->len + strlen(f->key) + 40 > sizeof(l->data) || (f->text && f->text[0] == '\0'))
        return;
    put(l, ",\"", 2);
    put(l, f->key, strlen(f->key));
    put(l, "\":", 2);
    if (f->text) {
        put_string(l, f->text);
        return;
    }
    char number[24];
    int n = snprintf(number, sizeof(number), "%" PRId64, f->number);
    put(l, number, (size_t)n);
}

void log_write_always(enum log_level level, const char *msg, const struct log_field *fields, size_t n)
{
    if (level < threshold)
        return;
    struct line l = {.len = 0};
    put_time(&l);
    put_field(&l, &LOG_STR("level", level_names[level]));
    put_field(&l, &LOG_STR("msg", msg));
    if (suppressed)
        put_field(&l, &LOG_INT("suppressed", suppressed));
    suppressed = 0;
    for (size_t i = 0; i < n; i++)
        put_field(&l, &fields[i]);
    l.data[l.len++] = '}';
    l.data[l.len++] = '\n';
    // A log that cannot be written has nobody to tell.
    ssize_t written UNUSED = write(target, l.data, l.len);
}

void log_write(enum log_level level, const char *msg, const struct log_field *fields, size_t n)
{
    if (level < threshold)
        return;
    if (bucket_take(&rates[level], LIMIT_LOG_BURST, LIMIT_LOG_EACH_NS, clock_now()))
        log_write_always(level, msg, fields, n);
    else
        suppressed++;
}
