// SPDX-License-Identifier: Apache-2.0
// Accept-Encoding; Accept is test_metric's.
#include "lib/accept.h"
#include "test/unit/check.h"

static void encodings(void)
{
    static const struct {
        const char *header;
        bool gzip;
    } rows[] = {
        {NULL, false},
        {"", false},
        {"gzip", true}, // Prometheus
        {"GZip", true},
        {"x-gzip", true},
        {"deflate, gzip, br, zstd", true},
        {"deflate, br", false},
        {"identity", false},
        {"*", true},
        {"*;q=0", false},
        {"*, gzip;q=0", false},
        {"gzip;q=0", false},
        {"gzip;q=0.000", false},
        {"gzip;q=0, *", false},
        {"gzip;q=0.001", true},
        {"gzip;q=0.5, identity;q=0.5", true},
        {"gzip;q=0.5, identity", false},
        {"identity;q=0.5, gzip;q=1.0", true},
        {"identity;q=0, gzip;q=0.1", true},
        {"gzip ; q=0.2 , identity ; q=0.1", true},
        {"gzip;q=0, gzip;q=1", true},
        {"gzipped", false},
        {"gzi", false},
        {",,;q=1,gzip;;q,", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (accept_gzip(rows[i].header) != rows[i].gzip)
            printf("    Accept-Encoding: %s\n", rows[i].header);
        CHECK_INT(accept_gzip(rows[i].header), rows[i].gzip);
    }
}

static const struct check_case cases[] = {{"Accept-Encoding", encodings}};
CHECK_MAIN(cases)
