// SPDX-License-Identifier: Apache-2.0
// Each note is one small function that appends its line, or nothing.
#include "lib/spec_note.h"

#include "lib/spec_http.h"

// Targets that answer are out of the way at once, and each that hangs keeps its requests until they end.
static void note_http(const struct spec *s, struct buf *out)
{
    uint64_t mean, most = spec_http_under_way(s, &mean);
    if (most <= LIMIT_HTTP_IN_FLIGHT)
        return;
    buf_fmt(
        out,
        "note: HTTP targets that hang may have %llu requests under way at once (%llu on average, if all of "
        "them do), by their timeout and interval, and an agent has %d at most: what is due then ends as "
        "send_error, that of healthy targets too\n",
        (unsigned long long)most, (unsigned long long)mean, LIMIT_HTTP_IN_FLIGHT);
}

void spec_note_all(const struct spec *s, struct buf *out)
{
    note_http(s, out);
}
