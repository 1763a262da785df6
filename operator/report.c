// SPDX-License-Identifier: Apache-2.0
// Reads a report member by member, each with its bound.
#include "operator/report.h"

#include <errno.h>
#include <string.h>

#include "lib/report_names.h"
#include "operator/jsonread.h"

void report_text(char *out, size_t size, const char *text)
{
    size_t n = 0;
    for (; text && text[n] && n + 1 < size; n++)
        out[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
    out[n] = '\0';
}

static int bad(struct err *e, const char *key, const char *what)
{
    err_set(e, EINVAL, "%s", what);
    return err_at(e, "%s", key);
}

// Absent counts as 0 if optional.
static int number(const json_t *in, const char *key, bool optional, uint64_t max, uint64_t *ret,
                  struct err *e)
{
    const json_t *value = json_object_get(in, key);
    if (!value && optional) {
        *ret = 0;
        return 0;
    }
    if (!json_is_integer(value))
        return bad(e, key, value ? "is not a whole number" : "is missing");
    if (json_integer_value(value) < 0 || (uint64_t)json_integer_value(value) > max)
        return bad(e, key, "is out of bounds");
    *ret = (uint64_t)json_integer_value(value);
    return 0;
}

static int flag(const json_t *in, const char *key, bool *ret, struct err *e)
{
    const json_t *value = json_object_get(in, key);
    if (!json_is_boolean(value))
        return bad(e, key, value ? "is not true or false" : "is missing");
    *ret = json_is_true(value);
    return 0;
}

static int is_of(const json_t *in, const char *key, const char *want, struct err *e)
{
    const char *have = json_string_value(json_object_get(in, key));
    if (!have)
        return bad(e, key, "is missing or not text");
    if (strcmp(have, want) == 0)
        return 0;
    err_set(e, EINVAL, "is %.64s, not %.64s", have, want);
    return err_at(e, "%s", key);
}

static int read_who(const json_t *in, const struct report_who *who, struct err *e)
{
    int r = is_of(in, "fleet", who->fleet, e);
    if (r == 0)
        r = is_of(in, "node", who->node, e);
    return r == 0 && who->network[0] ? is_of(in, "network", who->network, e) : r;
}

static int read_rate(const json_t *in, uint64_t *ret, struct err *e)
{
    const json_t *value = json_object_get(in, "packetsPerSecond");
    double rate = json_number_value(value);
    if (!json_is_number(value))
        return bad(e, "packetsPerSecond", value ? "is not a number" : "is missing");
    if (!(rate >= 0 && rate <= (double)REPORT_MAX_COUNT))
        return bad(e, "packetsPerSecond", "is out of bounds");
    *ret = (uint64_t)(rate * 1000 + 0.5);
    return 0;
}

// Results that an older agent does not know are 0; those that are not known here leave a rest of `sent`.
static int read_totals(const json_t *in, struct report *ret, struct err *e)
{
    _Static_assert(REPORT_RESULTS == REPORT_NAMES_RESULTS, "every result that the report names is read");
    uint64_t sent, in_flight, sum = 0;
    const json_t *totals = json_object_get(in, "totals");
    if (!json_is_object(totals))
        return bad(e, "totals", "is missing or not an object");
    int r = number(totals, "sent", false, INT64_MAX, &sent, e);
    if (r == 0)
        r = number(totals, "inFlight", false, INT64_MAX, &in_flight, e);
    for (size_t i = 0; r == 0 && i < REPORT_RESULTS; i++) {
        r = number(totals, report_names_result(i), i >= REPORT_UNEXPECTED, INT64_MAX, &ret->results[i], e);
        if (r == 0 && ret->results[i] > sent - sum)
            r = bad(e, report_names_result(i), "there are more results than probes sent");
        sum += r == 0 ? ret->results[i] : 0;
    }
    if (r == 0 && in_flight > sent - sum)
        r = bad(e, "inFlight", "there are more results than probes sent");
    return r < 0 ? err_at(e, "totals") : 0;
}

static const char *text_of(const json_t *in, const char *key)
{
    const char *text = json_string_value(json_object_get(in, key));
    return text ? text : "";
}

static void read_setting(const json_t *setting, struct report_allocator *a)
{
    const json_t *effective = json_object_get(setting, "effective");
    enum report_verdict verdict = json_is_true(effective)    ? REPORT_EFFECTIVE
                                  : json_is_false(effective) ? REPORT_NOT_EFFECTIVE
                                                             : REPORT_UNKNOWN;
    a->settings++;
    // One that is not outweighs one that is not known.
    if (verdict == REPORT_EFFECTIVE || a->verdict == REPORT_NOT_EFFECTIVE || a->verdict == verdict)
        return;
    a->verdict = verdict;
    report_text(a->setting, sizeof(a->setting), text_of(setting, "name"));
    report_text(a->wanted, sizeof(a->wanted), text_of(setting, "wanted"));
    report_text(a->actual, sizeof(a->actual), text_of(setting, "actual"));
}

static int read_allocator(const json_t *in, struct report_allocator *a, struct err *e)
{
    const json_t *allocator = json_object_get(in, "allocator"), *at;
    const json_t *settings = json_object_get(allocator, "settings");
    size_t i;
    if (!json_is_object(allocator))
        return bad(e, "allocator", "is missing or not an object");
    if (!json_is_array(settings))
        return bad(e, "allocator.settings", "is missing or not a list");
    report_text(a->name, sizeof(a->name), text_of(allocator, "name"));
    report_text(a->version, sizeof(a->version), text_of(allocator, "version"));
    a->verdict = REPORT_EFFECTIVE;
    json_array_foreach(settings, i, at)
    {
        if (!json_is_object(at))
            return bad(e, "allocator.settings", "holds something else than objects");
        read_setting(at, a);
    }
    return 0;
}

static int read_numbers(const json_t *in, struct report *ret, struct err *e)
{
    const struct {
        const char *key;
        uint64_t max, *to;
    } list[] = {
        {"generation", INT64_MAX, &ret->generation},
        {"pairs", REPORT_MAX_COUNT, &ret->pairs},
        {"series", REPORT_MAX_COUNT, &ret->series},
        {"residentBytes", REPORT_MAX_BYTES, &ret->resident_bytes},
        {"threads", REPORT_MAX_COUNT, &ret->threads},
        {"cpus", REPORT_MAX_CPUS, &ret->cpus},
    };
    int r = read_rate(in, &ret->packets_per_ks, e);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(list); i++)
        r = number(in, list[i].key, false, list[i].max, list[i].to, e);
    return r;
}

static int read_members(const json_t *in, const struct report_who *who, struct report *ret, struct err *e)
{
    int r = read_who(in, who, e);
    if (r == 0)
        r = flag(in, "ready", &ret->ready, e);
    if (r == 0)
        r = flag(in, "paused", &ret->paused, e);
    if (r == 0)
        r = flag(in, "lastReloadSuccessful", &ret->reload_ok, e);
    if (r == 0)
        r = read_numbers(in, ret, e);
    if (r == 0)
        r = read_totals(in, ret, e);
    return r == 0 ? read_allocator(in, &ret->allocator, e) : r;
}

int report_parse(const char *text, size_t len, const struct report_who *who, struct report *ret,
                 struct err *e)
{
    struct report report = {0};
    json_t *in = jsonread_text(text, len, e);
    if (!in)
        return e->code == ENOMEM ? -ENOMEM : err_set(e, EPROTO, "is not JSON");
    int r =
        json_is_object(in) ? read_members(in, who, &report, e) : err_set(e, EPROTO, "is not a JSON object");
    json_decref(in);
    if (r < 0)
        return r;
    *ret = report;
    return 0;
}

bool report_since(const struct report *before, const struct report *now, struct report_loss *ret)
{
    struct report_loss loss = {0};
    if (before->foreign || now->foreign || before->generation != now->generation ||
        before->pairs != now->pairs)
        return false;
    for (size_t i = 0; i < REPORT_RESULTS; i++) {
        if (now->results[i] < before->results[i])
            return false;
        uint64_t more = now->results[i] - before->results[i];
        bool lost = i == REPORT_LOST || i == REPORT_CORRUPT || i == REPORT_UNREACHABLE;
        loss.ended += i == REPORT_SEND_ERROR || i == REPORT_UNRESOLVED ? 0 : more;
        loss.lost += lost ? more : 0;
    }
    *ret = loss;
    return true;
}
