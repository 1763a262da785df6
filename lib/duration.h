// SPDX-License-Identifier: Apache-2.0
// Durations as the Gateway API writes them (GEP-2257): one to four of <digits><unit>, unit h, m, s or ms,
// each unit once and in that order: `200ms`, `1s`, `1m30s`. At most 5 digits a part. "0s" is a duration; a
// bare number is not.
#ifndef KUBECANARY_LIB_DURATION_H
#define KUBECANARY_LIB_DURATION_H

#include "lib/base.h"

#define DURATION_TEXT_MAX 32

MUST_USE int duration_parse(const char *text, uint64_t *ret_ns); // -EINVAL
// The canonical form: each unit at most once, none that is zero (90 s is "1m30s"), "0s" for nothing; ns below
// a millisecond are dropped. Prometheus accepts it too.
const char *duration_text(uint64_t ns, char out[static DURATION_TEXT_MAX]);

#endif
