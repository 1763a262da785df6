// SPDX-License-Identifier: Apache-2.0
// Cuts a watch's bytes into lines: the API server writes one event a line, and JSON text never holds a raw
// new line. Complete lines are handed over at once, whatever comes after them; only an incomplete last one is
// kept.
#ifndef KUBECANARY_OPERATOR_KUBE_LINES_H
#define KUBECANARY_OPERATOR_KUBE_LINES_H

#include "lib/buf.h"
#include "lib/limits.h"

struct kube_lines {
    struct buf partial;
};

// One line without its end, not NUL-terminated; empty ones are left out. Non-zero ends the feeding.
typedef int kube_lines_fn(const char *line, size_t len, void *arg);

void kube_lines_init(struct kube_lines *l);
void kube_lines_release(struct kube_lines *l); // also to begin with a new stream
// 0; what fn returned, if that was not 0; -E2BIG for a line over LIMIT_API_OBJECT (or no memory for it).
// After these the stream is of no more use.
MUST_USE int kube_lines_feed(struct kube_lines *l, const char *data, size_t len, kube_lines_fn *fn,
                             void *arg);

#endif
