// SPDX-License-Identifier: Apache-2.0
// What is read is what this module wrote, or what somebody else did: a member that is not as it should be
// counts as absent.
#include "operator/rollout_json.h"

#include <string.h>
#include <time.h>

#define LIST "allocatorRollouts"
#define TIME_FORMAT "%Y-%m-%dT%H:%M:%SZ"

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static const json_t *find(const json_t *status, const char *override)
{
    size_t i;
    const json_t *at;
    json_array_foreach(json_object_get(status, LIST), i, at)
    {
        const char *name = json_string_value(json_object_get(at, "override"));
        if (name && strcmp(name, override) == 0)
            return at;
    }
    return NULL;
}

static uint64_t number_of(const json_t *o, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(o, key));
    return n > 0 ? (uint64_t)n : 0;
}

static int64_t time_of(const json_t *o, const char *key)
{
    struct tm tm = {0};
    const char *end = strptime(text_of(o, key), TIME_FORMAT, &tm);
    return end && !*end ? MAX((int64_t)timegm(&tm), 0) : 0;
}

static void read_class(const json_t *o, size_t class, struct rollout_memory *ret)
{
    ret->was[class].agents = number_of(o, "beforeAgents");
    ret->was[class].median = number_of(o, "beforeMedianBytes");
    ret->is[class].agents = number_of(o, "afterAgents");
    ret->is[class].median = number_of(o, "afterMedianBytes");
}

static void read_networks(const json_t *o, size_t class, struct rollout *r)
{
    size_t i;
    const json_t *at;
    json_array_foreach(json_object_get(o, "networks"), i, at)
    {
        for (enum spec_network k = 0; k < AGENT_NETWORKS; k++) {
            if (strcmp(text_of(at, "network"), spec_network_name(k)) == 0)
                read_class(at, class, &r->of[k]);
        }
    }
}

static void read_memory(const json_t *o, struct rollout *r)
{
    size_t i;
    const json_t *at;
    json_array_foreach(json_object_get(o, "memory"), i, at)
    {
        for (size_t c = 0; c < REPORT_SUM_CLASSES; c++) {
            if (strcmp(text_of(at, "cpus"), report_sum_class_names[c]) != 0)
                continue;
            read_class(at, c, &r->all);
            read_networks(at, c, r);
        }
    }
}

// Which of the names it is; n: none.
static size_t find_name(const json_t *o, const char *key, const char *const *names, size_t n)
{
    size_t i = 0;
    while (i < n && strcmp(text_of(o, key), names[i]) != 0)
        i++;
    return i;
}

// What it says, if all of it fits.
static bool read_text(const json_t *o, const char *key, char *dst, size_t size)
{
    return base_copy(dst, size, text_of(o, key)) == 0;
}

// ROLLOUT_TYPE_UNKNOWN: it is not there, or one of a newer operator.
static enum rollout_type read_type(const json_t *o, const char *key)
{
    return (enum rollout_type)(find_name(o, key, rollout_type_names, ROLLOUT_TYPES) % ROLLOUT_TYPES);
}

// Of phase Stopped. A reason of a newer operator is none that is known.
static void read_reason(const json_t *o, struct rollout *r)
{
    const size_t reason = find_name(o, "reason", rollout_reason_names, ROLLOUT_REASONS);
    r->reason = reason < ROLLOUT_REASONS ? (enum rollout_reason)reason : ROLLOUT_NO_REASON;
    if (!read_text(o, "message", r->message, sizeof(r->message)))
        r->message[0] = '\0';
}

void rollout_json_read(const json_t *status, const char *override, struct rollout *ret)
{
    struct rollout r = {0};
    const json_t *o = find(status, override);
    *ret = r;
    const size_t phase = find_name(o, "phase", rollout_phase_names, ROLLOUT_PHASES);
    if (base_copy(r.override, sizeof(r.override), override) < 0 || phase == ROLLOUT_PHASES ||
        !read_text(o, "settings", r.settings, sizeof(r.settings)) || !r.settings[0] ||
        !read_text(o, "before", r.before, sizeof(r.before)) ||
        !read_text(o, "observation", r.observation, sizeof(r.observation)))
        return;
    r.phase = (enum rollout_phase)phase;
    r.type = read_type(o, "type");
    r.type_before = read_type(o, "typeBefore");
    read_reason(o, &r);
    r.started_s = time_of(o, "startedAt");
    r.progressed_s = time_of(o, "progressedAt");
    r.observed_s = time_of(o, "observedAt");
    r.updated = number_of(o, "updated");
    r.ready = number_of(o, "canariesReady");
    read_memory(o, &r);
    *ret = r;
}

static void set(json_t *o, const char *key, uint64_t value, bool wanted, bool *ok)
{
    if (wanted && json_object_set_new(o, key, json_integer((json_int_t)value)) < 0)
        *ok = false;
}

static void set_time(json_t *o, const char *key, int64_t seconds, bool *ok)
{
    struct tm tm;
    char text[32];
    time_t t = (time_t)seconds;
    if (seconds == 0)
        return;
    gmtime_r(&t, &tm);
    strftime(text, sizeof(text), TIME_FORMAT, &tm);
    if (json_object_set_new(o, key, json_string(text)) < 0)
        *ok = false;
}

static bool is_known(const struct rollout_memory *m, size_t class)
{
    return m->was[class].agents > 0 || m->is[class].agents > 0;
}

static json_t *class_json(const char *key, const char *name, const struct rollout_memory *m, size_t class,
                          bool *ok)
{
    const struct report_sum_memory *was = &m->was[class], *is = &m->is[class];
    json_t *o = json_pack("{s:s}", key, name);
    set(o, "beforeAgents", was->agents, was->agents > 0, ok);
    set(o, "beforeMedianBytes", was->median, was->agents > 0, ok);
    set(o, "afterAgents", is->agents, is->agents > 0, ok);
    set(o, "afterMedianBytes", is->median, is->agents > 0, ok);
    return o;
}

static json_t *networks_json(const struct rollout *r, size_t class, bool *ok)
{
    json_t *list = json_array();
    for (enum spec_network k = 0; k < AGENT_NETWORKS; k++) {
        if (!is_known(&r->of[k], class))
            continue;
        json_t *o = class_json("network", spec_network_name(k), &r->of[k], class, ok);
        *ok &= json_array_append_new(list, o) == 0;
    }
    return list;
}

static json_t *memory_json(const struct rollout *r, bool *ok)
{
    json_t *list = json_array();
    for (size_t c = 0; c < REPORT_SUM_CLASSES; c++) {
        json_t *networks = networks_json(r, c, ok);
        if (!is_known(&r->all, c) && json_array_size(networks) == 0) {
            json_decref(networks);
            continue;
        }
        json_t *o = class_json("cpus", report_sum_class_names[c], &r->all, c, ok);
        if (json_object_set_new(o, "networks", networks) < 0)
            *ok = false;
        *ok &= json_array_append_new(list, o) == 0;
    }
    return list;
}

// "" is not there. (json_pack's s* would leave out what there is no memory for, too.)
static void set_text(json_t *o, const char *key, const char *text, bool *ok)
{
    if (text[0] && json_object_set_new(o, key, json_string(text)) < 0)
        *ok = false;
}

static json_t *rollout_json(const struct rollout *r, bool *ok)
{
    json_t *o = json_pack("{s:s, s:s, s:s}", "override", r->override, "settings", r->settings, "phase",
                          rollout_phase_names[r->phase]);
    set_text(o, "before", r->before, ok);
    set_text(o, "type", rollout_type_names[r->type], ok);
    set_text(o, "typeBefore", rollout_type_names[r->type_before], ok);
    set_text(o, "observation", r->observation, ok);
    set_text(o, "reason", rollout_reason_names[r->reason], ok);
    set_text(o, "message", r->message, ok);
    set_time(o, "startedAt", r->started_s, ok);
    set_time(o, "progressedAt", r->progressed_s, ok);
    set_time(o, "observedAt", r->observed_s, ok);
    set(o, "updated", r->updated, true, ok);
    set(o, "canariesReady", r->ready, r->phase == ROLLOUT_CANARY, ok);
    if (json_object_set_new(o, "memory", memory_json(r, ok)) < 0)
        *ok = false;
    return o;
}

json_t *rollout_json_list(const struct rollouts *r)
{
    bool ok = true;
    json_t *list = json_array();
    for (size_t i = 0; i < r->n; i++)
        ok &= json_array_append_new(list, rollout_json(&r->list[i], &ok)) == 0;
    if (ok)
        return list;
    json_decref(list);
    return NULL;
}

bool rollout_json_differs(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"override", "settings", "before",    "observation",
                                       "phase",    "reason",   "startedAt", "observedAt"};
    const json_t *x = json_object_get(a, LIST), *y = json_object_get(b, LIST);
    bool differs = json_array_size(x) != json_array_size(y);
    for (size_t i = 0; !differs && i < json_array_size(x); i++) {
        for (size_t k = 0; k < ARRAY_LEN(keys); k++)
            differs |=
                strcmp(text_of(json_array_get(x, i), keys[k]), text_of(json_array_get(y, i), keys[k])) != 0;
    }
    return differs;
}
