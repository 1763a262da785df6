// SPDX-License-Identifier: Apache-2.0
// What an image of somebody's own tells in its /metrics (Prometheus text or OpenMetrics) about itself, as far
// as usual names say it: process_resident_memory_bytes, go_info, go_sched_gomaxprocs_threads, and jemalloc's
// options under the names that exporters give them (any prefix, then jemalloc_, opt_jemalloc's or arenas' own
// words). Fed in pieces of any size, keeps nothing but the answer: a page of any length takes a fixed memory.
// Pure.
#ifndef KUBECANARY_OPERATOR_REPORT_METRICS_H
#define KUBECANARY_OPERATOR_REPORT_METRICS_H

#include "operator/report.h"

#define REPORT_METRICS_WANTED 32
#define REPORT_METRICS_LINE 1024 // longer lines are left out: nothing of use is in them

// What the image was told, one by one: jemalloc's options ("narenas", "1"), glibc's tunables, and variables
// of the environment (GOMAXPROCS).
struct report_metrics_wanted {
    size_t n;
    struct {
        char name[REPORT_TEXT];
        char value[REPORT_TEXT];
    } list[REPORT_METRICS_WANTED];
};
// Adds what a text like jemalloc's MALLOC_CONF asks for ("narenas:1,tcache:false"; link ':', next ','), or
// like GLIBC_TUNABLES ("glibc.malloc.arena_max=1"; '=', ':'). Of two with one name the later counts. What is
// past the bound is left out.
void report_metrics_want(struct report_metrics_wanted *w, const char *options, char link, char next);

struct report_metrics {                         // the reader's; to be initialised with report_metrics_begin
    const struct report_metrics_wanted *wanted; // borrowed
    struct {
        bool known;
        bool exact; // of opt.*: what was asked for, not what came of it
        double value;
    } found[REPORT_METRICS_WANTED];
    size_t samples;
    struct report report;
    size_t len; // of the present line
    bool too_long;
    char line[REPORT_METRICS_LINE];
};

void report_metrics_begin(struct report_metrics *m, const struct report_metrics_wanted *wanted);
void report_metrics_feed(struct report_metrics *m, const char *data, size_t len);
// EPROTO: there was not one sample. The verdict is REPORT_UNKNOWN where not every setting is told of.
MUST_USE int report_metrics_end(struct report_metrics *m, struct report *ret, struct err *e);

#endif
