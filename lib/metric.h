// SPDX-License-Identifier: Apache-2.0
// Writes Prometheus text format 0.0.4 and OpenMetrics 1.0 into a buffer: HELP/TYPE lines once a family, label
// escaping, numbers. Knows no metric of its own; the caller keeps families contiguous. Sources: Prometheus
// exposition formats; OpenMetrics 1.0.
#ifndef KUBECANARY_LIB_METRIC_H
#define KUBECANARY_LIB_METRIC_H

#include <string.h>

#include "lib/buf.h"

enum metric_format { METRIC_TEXT_0_0_4, METRIC_OPENMETRICS_1_0 };
// An info's samples are written as a gauge `name_info` in text 0.0.4, which knows no infos.
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_INFO, METRIC_SUMMARY };

// Which format an Accept header asks for (q-values honoured; NULL, unknown: text 0.0.4).
enum metric_format metric_negotiate(const char *accept);
const char *metric_content_type(enum metric_format f);

// A family's header. `name` is the base name without _total / _info suffix; counters' samples are written
// with "_total", infos' with "_info". unit: "seconds", "bytes" ... or NULL; written (OpenMetrics only) if the
// name ends in it, as the format demands.
void metric_family(struct buf *b, enum metric_format f, enum metric_type t, const char *name,
                   const char *unit, const char *help);
// Appends `key="value"` to a label block, escaped, with a comma before it unless the block is empty.
void metric_label_add(struct buf *labels, const char *key, size_t key_len, const char *value,
                      size_t value_len);
static inline ALWAYS_INLINE void metric_label(struct buf *labels, const char *key, const char *value)
{
    metric_label_add(labels, key, strlen(key), value, strlen(value));
}
// One sample: name, "{labels}" if there are any (NULL: none), value. suffix: "", "_total", "_bucket" ... b
// has failed, too, if labels have: a sample without one of its labels would be another series.
void metric_u64(struct buf *b, const char *name, const char *suffix, const struct buf *labels,
                uint64_t value);
void metric_i64(struct buf *b, const char *name, const char *suffix, const struct buf *labels, int64_t value);
// For a family of very many samples: head is what all begin with, `name_total{`, made once; labels is not
// empty.
void metric_head(struct buf *head, const char *name, const char *suffix);
void metric_row(struct buf *b, const struct buf *head, const struct buf *labels, uint64_t value);
// Seconds from nanoseconds: exact, with the digits that are needed and at least one after the point ("1.0",
// "0.00005"), OpenMetrics' canonical form.
void metric_seconds(struct buf *b, const char *name, const char *suffix, const struct buf *labels,
                    uint64_t ns);
// A histogram's samples: n buckets and the one above (buckets[n]), each counted for itself, are written
// cumulated, each with its bound as label le, then _sum and _count. bounds: n of them, as metric_bounds made.
struct metric_bound {
    uint8_t len;
    char text[23]; // "0.00005"; no NUL
};
void metric_bounds(struct metric_bound *ret, const uint64_t *bounds_ns, size_t n);
void metric_histogram(struct buf *b, const char *name, const struct buf *labels,
                      const struct metric_bound *bounds, const uint64_t *buckets, size_t n, uint64_t sum_ns);
// "# EOF" in OpenMetrics, nothing in text 0.0.4.
void metric_end(struct buf *b, enum metric_format f);

#endif
