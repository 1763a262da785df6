// SPDX-License-Identifier: Apache-2.0
// Log lines for programs (libraries return errors instead): one JSON object a line on stderr,
// {"time":"2026-01-02T03:04:05.678Z","level":"info","msg":"...", fields...}. Bounded by LIMIT_LOG_LINE, never
// allocates. Lines come at a bounded rate: of each level LIMIT_LOG_BURST at once, then one in
// LIMIT_LOG_EACH_NS, so that a flood of one level hides no other. After lines that were left out the next
// one, of whatever level, says how many: "suppressed":N.
#ifndef KUBECANARY_LIB_LOG_H
#define KUBECANARY_LIB_LOG_H

#include "lib/base.h"
#include "lib/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *key;
    const char *text; // NULL: number is meant
    int64_t number;
};

#define LOG_STR(k, v) ((struct log_field){.key = (k), .text = (v)})
#define LOG_INT(k, v) ((struct log_field){.key = (k), .number = (int64_t)(v)})
// The path (if any) and message of an error.
#define LOG_ERR(e) LOG_STR("path", (e)->path), LOG_STR("error", (e)->msg)

// Lines below `level` are dropped. Where to: a file descriptor, normally STDERR_FILENO; not closed here.
// Nothing is used up of the rates, so what a program says of its start is there.
void log_init(enum log_level level, int fd);
// The clock of the rates, in ns, ascending; NULL: CLOCK_MONOTONIC. For tests.
void log_use_clock(uint64_t (*now_ns)(void));
// "debug", "info", "warn", "error" -> level; -EINVAL otherwise.
MUST_USE int log_parse_level(const char *text, enum log_level *ret);
// Writes one line. msg is a constant sentence; what varies goes into fields, so that lines can be counted.
void log_write(enum log_level level, const char *msg, const struct log_field *fields, size_t n);
// The same, whatever was said before: for the lines that say that and why a program ends.
void log_write_always(enum log_level level, const char *msg, const struct log_field *fields, size_t n);

#define LOG_FIELDS(...)                                   \
    ((const struct log_field[]){{0}, ##__VA_ARGS__} + 1), \
        (sizeof((const struct log_field[]){{0}, ##__VA_ARGS__}) / sizeof(struct log_field) - 1)
#define log_debug(msg, ...) log_write(LOG_DEBUG, msg, LOG_FIELDS(__VA_ARGS__))
#define log_info(msg, ...) log_write(LOG_INFO, msg, LOG_FIELDS(__VA_ARGS__))
#define log_warn(msg, ...) log_write(LOG_WARN, msg, LOG_FIELDS(__VA_ARGS__))
#define log_error(msg, ...) log_write(LOG_ERROR, msg, LOG_FIELDS(__VA_ARGS__))
#define log_end(level, msg, ...) log_write_always(level, msg, LOG_FIELDS(__VA_ARGS__))

#endif
