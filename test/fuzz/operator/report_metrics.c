// SPDX-License-Identifier: Apache-2.0
// Another program's /metrics: the same in one piece and in pieces of any size, and within bounds.
#include <errno.h>
#include <string.h>

#include "operator/report_metrics.h"
#include "test/fuzz/fuzz.h"

static int scan(const struct report_metrics_wanted *w, const char *text, size_t len, size_t piece,
                struct report *ret, struct err *e)
{
    struct report_metrics *m = malloc(sizeof(*m));
    FUZZ_CHECK(m);
    report_metrics_begin(m, w);
    for (size_t at = 0; at < len; at += piece)
        report_metrics_feed(m, text + at, MIN(piece, len - at));
    int r = report_metrics_end(m, ret, e);
    free(m);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_input in = {data, len};
    size_t piece = fuzz_take(&in, 1) + 1;
    struct report_metrics_wanted w = {0};
    struct report whole = {0}, pieces = {0};
    struct err e;
    CLEANUP_FREE char *told = fuzz_text(in.data, MIN(in.len, (size_t)32));
    report_metrics_want(&w, "narenas:1,tcache:false,dirty_decay_ms:0", ':', ',');
    report_metrics_want(&w, told, ':', ',');
    FUZZ_CHECK(w.n <= REPORT_METRICS_WANTED);
    int r = scan(&w, (const char *)in.data, in.len, in.len + 1, &whole, &e);
    FUZZ_CHECK(scan(&w, (const char *)in.data, in.len, piece, &pieces, &e) == r);
    if (r < 0) {
        fuzz_check_err(r, &e);
        return 0;
    }
    FUZZ_CHECK(whole.foreign && whole.resident_bytes <= REPORT_MAX_BYTES);
    FUZZ_CHECK(whole.resident_bytes == pieces.resident_bytes && whole.threads == pieces.threads);
    FUZZ_CHECK(memcmp(&whole.allocator, &pieces.allocator, sizeof(whole.allocator)) == 0);
    FUZZ_CHECK((whole.allocator.verdict == REPORT_EFFECTIVE) == (whole.allocator.setting[0] == '\0'));
    return 0;
}
