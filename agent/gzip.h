// SPDX-License-Identifier: Apache-2.0
// A stream compressed on its way (RFC 1952, by zlib): pulls from a source as it is pulled from, in memory of
// the caller's, GZIP_BYTES whatever the stream's length; it allocates nothing. Small window and tables: lines
// of metrics repeat the line before, so more memory would hardly make them shorter (measured:
// docs/decisions/0016-gzip.md).
#ifndef KUBECANARY_AGENT_GZIP_H
#define KUBECANARY_AGENT_GZIP_H

#include "lib/base.h"

#define GZIP_BYTES ((size_t)48 << 10)

struct gzip;

// As serve_response.read: at most max bytes; 0 at the end, -1 on failure.
typedef ssize_t gzip_source_fn(void *arg, char *out, size_t max);

// memory: GZIP_BYTES of zeros, aligned as by malloc, the caller's again when the stream is not asked for
// more. NULL: zlib does not do with them.
struct gzip *gzip_new(void *memory, gzip_source_fn *source, void *arg);
// Likewise; a failure of the source is one of this stream. Takes at most GZIP_STEP bytes or so of the source
// in one call, so that the loop is not held up, but as many as it takes for one byte.
#define GZIP_STEP ((size_t)128 << 10)
ssize_t gzip_read(struct gzip *g, char *out, size_t max);

#endif
