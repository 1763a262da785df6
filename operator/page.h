// SPDX-License-Identifier: Apache-2.0
// What the operator serves over HTTP: /healthz (the loop turns; never depends on the API server), /readyz
// (every kind is synced), /metrics.
#ifndef KUBECANARY_OPERATOR_PAGE_H
#define KUBECANARY_OPERATOR_PAGE_H

#include "lib/metric.h"
#include "lib/serve.h"
#include "operator/control.h"

struct page;

// Adds a backend's own metric families to the page.
typedef void page_extra_fn(struct buf *b, enum metric_format f, void *arg);

struct page *page_new(struct loop *l, const struct addr *addr, uint16_t port, const struct control *c,
                      page_extra_fn *extra, void *arg, struct err *e);
void page_free(struct page *p); // takes NULL

#endif
