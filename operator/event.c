// SPDX-License-Identifier: Apache-2.0
// Builds Events from changes of the conditions Degraded and Ready.
#include "operator/event.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "operator/status.h"

// events.k8s.io/v1 refuses a longer note.
#define NOTE_MAX 1024

// MicroTime: RFC 3339 with six digits.
static void micro_time(uint64_t now_ns, char out[static 48])
{
    struct tm tm;
    time_t seconds = (time_t)(now_ns / NS_PER_S);
    gmtime_r(&seconds, &tm);
    size_t n = strftime(out, 48, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, 48 - n, ".%06uZ", (unsigned)(now_ns % NS_PER_S / NS_PER_US));
}

// Cuts at the end of a character, so that the note stays UTF-8.
static void cut_note(const char *message, char out[static NOTE_MAX + 1])
{
    size_t n = strnlen(message, NOTE_MAX);
    while (n > 0 && message[n] != '\0' && ((unsigned char)message[n] & 0xc0) == 0x80)
        n--;
    memcpy(out, message, n);
    out[n] = '\0';
}

static json_t *event_body(const struct store_fleet *fleet, const char *type, const json_t *condition,
                          uint64_t now_ns)
{
    const struct store_kind_info *info = &store_kinds[STORE_FLEET];
    const struct store_meta *m = &fleet->meta;
    char name[LIMIT_NAME + 24], time_text[48], note[NOTE_MAX + 1];
    snprintf(name, sizeof(name), "%.200s.%" PRIx64, m->name, now_ns);
    micro_time(now_ns, time_text);
    cut_note(json_string_value(json_object_get(condition, "message")), note);
    const char *instance = getenv("POD_NAME");
    json_t *regarding = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "apiVersion", info->api_version, "kind",
                                  info->kind, "namespace", m->namespace, "name", m->name, "uid", m->uid,
                                  "resourceVersion", m->resource_version);
    return json_pack("{s:s, s:s, s:{s:s, s:s}, s:s, s:s, s:s, s:s, s:O, s:s, s:s, s:o}", "apiVersion",
                     "events.k8s.io/v1", "kind", "Event", "metadata", "namespace", m->namespace, "name", name,
                     "eventTime", time_text, "reportingController", "kubecanary.io/operator",
                     "reportingInstance", instance && instance[0] ? instance : "kubecanary-operator",
                     "action", "Reconcile", "reason", json_object_get(condition, "reason"), "type", type,
                     "note", note, "regarding", regarding);
}

static bool became(const json_t *old_status, const json_t *new_status, const char *type, const char *value)
{
    const char *before = status_condition(old_status, type), *after = status_condition(new_status, type);
    return after && strcmp(after, value) == 0 && (!before || strcmp(before, value) != 0);
}

static bool stopped_rolling(const json_t *status)
{
    const char *reason = json_string_value(json_object_get(status_find(status, "Degraded"), "reason"));
    return reason && strcmp(reason, "AllocatorRolloutStopped") == 0;
}

json_t *event_of_change(const struct store_fleet *fleet, const json_t *old_status, const json_t *new_status,
                        uint64_t now_ns)
{
    if (became(old_status, new_status, "Degraded", "True"))
        return event_body(fleet, "Warning", status_find(new_status, "Degraded"), now_ns);
    if (stopped_rolling(new_status) && !stopped_rolling(old_status)) // what was degraded by crashes before
        return event_body(fleet, "Warning", status_find(new_status, "Degraded"), now_ns);
    if (became(old_status, new_status, "Ready", "True"))
        return event_body(fleet, "Normal", status_find(new_status, "Ready"), now_ns);
    return NULL;
}

json_t *event_of_allocator(const struct store_fleet *fleet, const json_t *old_status,
                           const json_t *new_status, uint64_t now_ns)
{
    static const char type[] = "AllocatorEffective";
    const json_t *old = status_find(old_status, type);
    const char *before = json_string_value(json_object_get(old, "status"));
    const char *reason = json_string_value(json_object_get(old, "reason"));
    if (became(old_status, new_status, type, "False"))
        return event_body(fleet, "Warning", status_find(new_status, type), now_ns);
    // What mends it is a roll.
    bool open =
        before && (strcmp(before, "False") == 0 || (reason && strcmp(reason, "RolloutInProgress") == 0));
    if (open && became(old_status, new_status, type, "True"))
        return event_body(fleet, "Normal", status_find(new_status, type), now_ns);
    return NULL;
}
