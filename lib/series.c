// SPDX-License-Identifier: Apache-2.0
// Sums of the header's parts.
#include "lib/series.h"

#define OTHERS 4 // sent, in flight, duplicates, reordered

static unsigned own_of(enum spec_probe_type t)
{
    switch (t) {
    case SPEC_STAMP: return SERIES_WAYS;
    case SPEC_DNS: return SERIES_DNS + 1; // and the result `unexpected`
    case SPEC_HTTP: return SERIES_HTTP + 1;
    case SPEC_ICMP:
    case SPEC_TCP: return 0;
    }
    return 0;
}

unsigned series_counters(enum spec_probe_type t, bool named)
{
    return OTHERS + SERIES_RESULTS + own_of(t) + named; // the result `unresolved`
}

uint64_t series_histogram(size_t n_bounds)
{
    return n_bounds + 3;
}

unsigned series_flows(unsigned flows)
{
    return flows > 1 ? flows : 0;
}

unsigned series_reasons(enum spec_probe_type t)
{
    switch (t) {
    case SPEC_HTTP: return 3;
    case SPEC_TCP:
    case SPEC_DNS: return 10;
    case SPEC_ICMP:
    case SPEC_STAMP: return 9;
    }
    return 0;
}

unsigned series_failures(enum spec_probe_type t)
{
    return series_reasons(t) + SERIES_ERRNOS;
}
