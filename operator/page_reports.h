// SPDX-License-Identifier: Apache-2.0
// The part of the operator's metrics that is about its agents' reports.
#ifndef KUBECANARY_OPERATOR_PAGE_REPORTS_H
#define KUBECANARY_OPERATOR_PAGE_REPORTS_H

#include "lib/metric.h"
#include "operator/control.h"

void page_reports_write(const struct control *c, struct buf *b, enum metric_format f);

#endif
