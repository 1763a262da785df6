// SPDX-License-Identifier: Apache-2.0
// The families of HTTP targets in a scrape: the lines of one pair each. labels: the pair's own; what is added
// to them is taken away again.
#ifndef KUBECANARY_AGENT_EXPORT_HTTP_H
#define KUBECANARY_AGENT_EXPORT_HTTP_H

#include "agent/http_counts.h"
#include "lib/buf.h"

void export_http_phases(struct buf *out, struct buf *labels, const char *name, const struct http_counts *c);
void export_http_answers(struct buf *out, struct buf *labels, const char *name, const struct http_counts *c);
void export_http_errors(struct buf *out, struct buf *labels, const char *name, const struct http_counts *c);
// Nothing until a certificate was seen.
void export_http_expiry(struct buf *out, struct buf *labels, const char *name, const struct http_counts *c);
// Lines of all of them, at most.
#define EXPORT_HTTP_SERIES (2 * HTTP_WIRE_PHASES + HTTP_COUNTS_CLASSES + HTTP_WIRE_OUTCOMES + 2)

#endif
