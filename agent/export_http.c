// SPDX-License-Identifier: Apache-2.0
// Sums as summaries without quantiles: what is asked of a phase is its mean; the whole has a histogram.
#include "agent/export_http.h"

#include "lib/metric.h"

void export_http_phases(struct buf *out, struct buf *labels, const char *name, const struct http_counts *c)
{
    size_t len = labels->len;
    uint64_t n = 0;
    for (unsigned i = 0; i < HTTP_COUNTS_CLASSES; i++)
        n += c->answers[i];
    for (unsigned i = 0; i < HTTP_WIRE_PHASES; i++) {
        metric_label(labels, "phase", http_wire_phase_name((enum http_wire_phase)i));
        metric_seconds(out, name, "_sum", labels, c->phase_ns[i]);
        metric_u64(out, name, "_count", labels, n);
        labels->len = len;
    }
}

void export_http_answers(struct buf *out, struct buf *labels, const char *name, const struct http_counts *c)
{
    size_t len = labels->len;
    for (unsigned i = 0; i < HTTP_COUNTS_CLASSES; i++) {
        metric_label(labels, "class", http_counts_class(i));
        metric_u64(out, name, "_total", labels, c->answers[i]);
        labels->len = len;
    }
}

void export_http_errors(struct buf *out, struct buf *labels, const char *name, const struct http_counts *c)
{
    size_t len = labels->len;
    for (unsigned i = 0; i < HTTP_WIRE_OUTCOMES; i++) {
        metric_label(labels, "class", http_counts_error(i));
        metric_u64(out, name, "_total", labels, c->errors[i]);
        labels->len = len;
    }
}

static void expiry(struct buf *out, struct buf *labels, const char *name, const char *which, int64_t end_s)
{
    size_t len = labels->len;
    if (!end_s)
        return;
    metric_label(labels, "certificate", which);
    metric_i64(out, name, "", labels, end_s);
    labels->len = len;
}

void export_http_expiry(struct buf *out, struct buf *labels, const char *name, const struct http_counts *c)
{
    expiry(out, labels, name, "leaf", c->leaf_end_s);
    expiry(out, labels, name, "chain", c->chain_end_s);
}
