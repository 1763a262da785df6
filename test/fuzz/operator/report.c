// SPDX-License-Identifier: Apache-2.0
// An agent's report: what is accepted is within its bounds and adds up; an error names a member.
#include <errno.h>
#include <string.h>

#include "operator/report_sum.h"
#include "test/fuzz/fuzz.h"

static void check_text(const char *text, size_t size)
{
    FUZZ_CHECK(memchr(text, '\0', size));
    for (; *text; text++)
        FUZZ_CHECK(*text >= ' ' && *text <= '~');
}

static void check_report(const struct report *r)
{
    uint64_t sum = 0;
    FUZZ_CHECK(!r->foreign && r->pairs <= REPORT_MAX_COUNT && r->series <= REPORT_MAX_COUNT);
    FUZZ_CHECK(r->resident_bytes <= REPORT_MAX_BYTES && r->cpus <= REPORT_MAX_CPUS);
    for (size_t i = 0; i < REPORT_RESULTS; i++) {
        FUZZ_CHECK(r->results[i] <= INT64_MAX - sum);
        sum += r->results[i];
    }
    check_text(r->allocator.name, sizeof(r->allocator.name));
    check_text(r->allocator.version, sizeof(r->allocator.version));
    check_text(r->allocator.setting, sizeof(r->allocator.setting));
    check_text(r->allocator.wanted, sizeof(r->allocator.wanted));
    check_text(r->allocator.actual, sizeof(r->allocator.actual));
    FUZZ_CHECK(r->allocator.settings || r->allocator.verdict == REPORT_EFFECTIVE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct report_who who = {.fleet = "mesh", .node = "n1", .network = "Pod"};
    static const struct report_told told = {.allocator = "jemalloc", .is_jemalloc = true, .wanted = {.n = 1}};
    struct report r;
    struct report_loss loss;
    struct report_sum sum;
    struct err e;
    int result = report_parse((const char *)data, len, &who, &r, &e);
    if (result < 0) {
        fuzz_check_err_place(result, &e, "is not");
        FUZZ_CHECK(result != -EINVAL || e.path[0]);
        return 0;
    }
    check_report(&r);
    FUZZ_CHECK(report_since(&r, &r, &loss) && loss.ended == 0 && loss.lost == 0);
    const struct report_sum_agent agent = {.node = "n1", .report = &r, .trouble = "", .told = &told};
    FUZZ_CHECK(report_sum_of(&agent, 1, 2, &sum, &e) == 0);
    FUZZ_CHECK(sum.reporting == 1 && sum.effective + sum.ineffective + sum.unknown == 1);
    return 0;
}
