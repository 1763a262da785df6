// SPDX-License-Identifier: Apache-2.0
// Sums the pairs' counters and writes the report.
#include "agent/report.h"

#include <inttypes.h>

#include "agent/export_agent.h"
#include "lib/report_names.h"
#include "lib/version.h"

struct totals {
    uint64_t sent;
    uint64_t results[STATS_RESULTS];
    uint64_t ended;
    uint64_t in_flight;
    uint64_t duplicates;
    uint64_t reordered;
};

static void add_up(const struct prober *p, struct totals *ret)
{
    const struct plan *plan = p ? prober_plan(p) : NULL;
    *ret = (struct totals){0};
    for (size_t i = 0; plan && i < plan->n_pairs; i++) {
        const struct stats *s = engine_stats(prober_engine(p), i);
        ret->sent += s->sent;
        ret->in_flight += s->in_flight;
        ret->duplicates += s->duplicates;
        ret->reordered += s->reordered;
        for (size_t r = 0; r < STATS_RESULTS; r++) {
            ret->results[r] += s->results[r];
            ret->ended += s->results[r];
        }
    }
}

static void text(struct buf *out, const char *key, const char *value)
{
    buf_fmt(out, "\"%s\":", key);
    buf_json(out, value);
    buf_char(out, ',');
}

static void number(struct buf *out, const char *key, uint64_t value)
{
    buf_fmt(out, "\"%s\":%" PRIu64 ",", key, value);
}

static void flag(struct buf *out, const char *key, bool value)
{
    buf_fmt(out, "\"%s\":%s,", key, value ? "true" : "false");
}

// null: nobody knows.
static void verdict(struct buf *out, const char *key, enum allocator_verdict v)
{
    if (v == ALLOCATOR_UNKNOWN)
        buf_fmt(out, "\"%s\":null,", key);
    else
        flag(out, key, v == ALLOCATOR_EFFECTIVE);
}

// Takes the comma after the last member off and closes.
static void close_with(struct buf *out, const char *bracket)
{
    if (out->len > 0 && out->data[out->len - 1] == ',')
        out->len--;
    buf_str(out, bracket);
}

static void write_totals(const struct totals *t, struct buf *out)
{
    _Static_assert(STATS_RESULTS == REPORT_NAMES_RESULTS, "the report names every result");
    buf_str(out, "\"totals\":{");
    number(out, "sent", t->sent);
    for (size_t i = 0; i < STATS_RESULTS; i++)
        number(out, report_names_result(i), t->results[i]);
    number(out, "inFlight", t->in_flight);
    number(out, "duplicates", t->duplicates);
    number(out, "reordered", t->reordered);
    close_with(out, "},");
    // What never left this host says nothing about the network.
    uint64_t probed = t->ended - t->results[STATS_SEND_ERROR] - t->results[STATS_UNRESOLVED];
    uint64_t arrived = t->results[STATS_RECEIVED] + t->results[STATS_LATE] + t->results[STATS_UNEXPECTED];
    if (probed == 0)
        buf_str(out, "\"lossRatio\":null,");
    else
        buf_fmt(out, "\"lossRatio\":%.6f,", (double)(probed - arrived) / (double)probed);
}

static void write_allocator(const struct allocator *a, struct buf *out)
{
    buf_str(out, "\"allocator\":{");
    text(out, "name", a->name);
    text(out, "version", a->version);
    number(out, "arenas", a->arenas);
    flag(out, "tunable", a->tunable);
    verdict(out, "effective", allocator_effective(a));
    for (enum allocator_size i = 0; i < ALLOCATOR_SIZES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "%sBytes", allocator_size_name(i));
        if (a->sizes_known & (1u << i))
            number(out, name, a->sizes[i]);
    }
    buf_str(out, "\"options\":{");
    for (size_t i = 0; i < a->n_options; i++)
        text(out, a->options[i].name, a->options[i].value);
    close_with(out, "},");
    buf_str(out, "\"settings\":[");
    for (size_t i = 0; i < a->n_settings; i++) {
        buf_char(out, '{');
        text(out, "name", a->settings[i].name);
        text(out, "wanted", a->settings[i].wanted);
        text(out, "actual", a->settings[i].actual);
        verdict(out, "effective", allocator_setting_verdict(&a->settings[i]));
        close_with(out, "},");
    }
    close_with(out, "]},");
}

static void write_plan(const struct plan *p, const struct export_agent *a, struct buf *out)
{
    text(out, "fleet", p ? p->fleet : "");
    text(out, "zone", p ? p->zone : "");
    flag(out, "paused", a->paused);
    number(out, "pairs", a->pairs);
    buf_str(out, "\"peers\":{");
    for (enum peer_state s = 0; s < PEER_STATES; s++)
        number(out, peer_state_name(s), p ? a->peers[p->network][s] : 0);
    close_with(out, "},");
    buf_fmt(out, "\"packetsPerSecond\":%.3f,", p ? (double)p->packets_per_ks / 1000 : 0.0);
    number(out, "series", a->series);
    flag(out, "seriesLimited", a->limited);
}

void report_write(const struct export_sources *from, const struct report_health *h, struct buf *out)
{
    struct export_agent a;
    struct totals totals;
    char reason[sizeof(struct err)] = "";
    export_agent_read(from, &a);
    add_up(from->prober, &totals);
    if (from->inputs && !from->inputs->last_ok)
        err_text(&from->inputs->err, reason, sizeof(reason));
    buf_char(out, '{');
    text(out, "version", version_text);
    text(out, "revision", version_revision);
    text(out, "node", h->node);
    text(out, "network", h->network);
    number(out, "generation", a.generation);
    flag(out, "ready", h->ready);
    text(out, "reason", h->reason);
    flag(out, "lastReloadSuccessful", a.last_ok);
    text(out, "reloadError", reason);
    write_plan(from->prober ? prober_plan(from->prober) : NULL, &a, out);
    write_totals(&totals, out);
    write_allocator(&a.allocator, out);
    number(out, "residentBytes", a.process.resident_bytes);
    number(out, "threads", a.process.threads);
    number(out, "cpus", a.machine.cpus);
    number(out, "cpusAllowed", a.process.cpus_allowed);
    number(out, "cpuLimitMillis", a.machine.limits.cpu_millis);
    number(out, "memoryLimitBytes", a.machine.limits.memory_bytes);
    close_with(out, "}\n");
}
