// SPDX-License-Identifier: Apache-2.0
// /metrics: the agent's numbers in text 0.0.4 or OpenMetrics 1.0, streamed. A scrape copies all counters when
// it begins, so that whatever the client's pace `sent = results + in flight` holds for each pair in it; the
// text itself is made piece by piece and never stands whole in memory.
#ifndef KUBECANARY_AGENT_EXPORT_H
#define KUBECANARY_AGENT_EXPORT_H

#include "agent/failures.h"
#include "agent/inputs.h"
#include "agent/peer_link.h"
#include "agent/prober.h"
#include "agent/reflect.h"
#include "agent/reflect_stamp.h"
#include "agent/runtime.h"
#include "lib/metric.h"
#include "lib/serve.h"

struct export_sources { // what is read; NULL: not there (yet)
    const struct prober *prober;
    const struct inputs_state *inputs;
    const struct reflect *reflect;
    const struct reflect_stamp *stamp;
    const struct peer_link *link;
    const struct runtime_machine *machine;
};

// One scrape, made in memory of the caller's: export_bytes of zeros, of which it writes no more than it
// needs. It allocates nothing. NULL: LIMIT_SCRAPES of this plan are under way.
struct export_scrape;
extern const size_t export_bytes;
struct export_scrape *export_new(void *memory, const struct export_sources *from, enum metric_format format);
void export_end(struct export_scrape *x); // the memory is the caller's again; takes NULL
// The next piece of text: at most max bytes (max > 0) into out; 0 at the end, -1 if names are longer than any
// may be. Fits serve_response.read.
ssize_t export_read(void *scrape, char *out, size_t max);

// Sample lines of a scrape that go with the pairs of a plan and with f, the rows of why its probes fail.
// detail: with histograms of each pair and loss by flow; otherwise with histograms by zone, and none of
// targets. To these come the agent's own, at most SERIES_FIXED.
uint64_t export_series(const struct plan *p, const struct failures *f, bool detail);
// Whether the series of what is probed, and the agent's own (SERIES_FIXED), would exceed the plan's
// series_limit with that detail: it is given up then. Pairs that are gone are shown for two scrapes more, in
// the same detail.
bool export_limited(const struct plan *p, const struct failures *f);

// The memory that a scrape has from its beginning to its end, in places that were reserved for it: a copy of
// each pair's struct stats, rounded up to 8, and of what its type counts beside (snapshot_own_words), of the
// rows of why probes fail, with `limited` of the histograms by zone; and texts, whatever the pairs.
// Compression comes to it (GZIP_BYTES), if there is any, and the connection (LIMIT_SERVE_MEMORY), which may
// be there before and after. At most LIMIT_SCRAPES at a time.
size_t export_memory(const struct plan *p, bool limited);

#endif
