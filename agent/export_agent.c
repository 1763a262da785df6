// SPDX-License-Identifier: Apache-2.0
// Reads the agent's own numbers into one struct and writes their families. Every counter is there from the
// first scrape, at 0.
#include "agent/export_agent.h"

#include "lib/version.h"

#define LABELS_MAX 1024 // what is longer fails the scrape

// The files' states, less the Ready ones that are not probed for now because they have not answered yet, or
// said that they leave.
static void read_peers(const struct prober *prober, enum spec_network network,
                       uint64_t ret[static PEER_STATES])
{
    size_t known[PRESENCE_STATES];
    presence_count(prober_presence(prober), network, known);
    for (size_t i = 0; i < PEER_STATES; i++)
        ret[i] = prober_plan(prober)->peers[network][i];
    ret[PEER_READY] -= known[PRESENCE_PENDING] + known[PRESENCE_LEAVING];
    ret[PEER_PENDING] += known[PRESENCE_PENDING];
    ret[PEER_LEAVING] += known[PRESENCE_LEAVING];
}

void export_agent_read(const struct export_sources *from, struct export_agent *ret)
{
    *ret = (struct export_agent){0};
    if (from->inputs) {
        ret->loaded = from->inputs->loaded;
        ret->last_ok = from->inputs->last_ok;
        ret->generation = from->inputs->generation;
        ret->loads = from->inputs->loads;
        ret->failures = from->inputs->failures;
        ret->loaded_real = from->inputs->loaded_real;
    }
    if (from->reflect) {
        ret->reflected = reflect_accepted(from->reflect);
        ret->reflect_failed = reflect_failed(from->reflect);
    }
    if (from->stamp)
        reflect_stamp_stats(from->stamp, &ret->stamp);
    const struct plan *p = from->prober ? prober_plan(from->prober) : NULL;
    if (p) {
        ret->has_plan = true;
        ret->paused = p->paused;
        const struct failures *f = engine_failures(prober_engine(from->prober));
        ret->limited = export_limited(p, f);
        ret->series = export_series(p, f, !ret->limited);
        ret->networks = p->networks;
        ret->pairs = p->n_live;
        for (unsigned i = 0; i < SPEC_NETWORKS; i++) {
            ret->coverage[i] = p->coverage[i];
            read_peers(from->prober, (enum spec_network)i, ret->peers[i]);
        }
    }
    if (from->prober) {
        ret->stats = *engine_agent_stats(prober_engine(from->prober));
        ret->helper = prober_helper(from->prober);
        ret->presence = *presence_stats(prober_presence(from->prober));
    }
    if (from->link)
        ret->link = *peer_link_stats(from->link);
    runtime_process(&ret->process);
    if (from->machine)
        ret->machine = *from->machine;
    allocator_read(&ret->allocator);
}

// A family of one sample without labels.
struct writer {
    enum metric_format format;
    struct buf *out;
};

static void gauge(const struct writer *w, const char *name, const char *unit, const char *help,
                  uint64_t value)
{
    metric_family(w->out, w->format, METRIC_GAUGE, name, unit, help);
    metric_u64(w->out, name, "", NULL, value);
}

static void counter(const struct writer *w, const char *name, const char *help, uint64_t value)
{
    metric_family(w->out, w->format, METRIC_COUNTER, name, NULL, help);
    metric_u64(w->out, name, "_total", NULL, value);
}

static void sample(const struct writer *w, const char *name, const char *suffix, const char *key,
                   const char *value, uint64_t n)
{
    char room[LABELS_MAX];
    struct buf labels;
    buf_fixed(&labels, room, sizeof(room));
    metric_label(&labels, key, value);
    metric_u64(w->out, name, suffix, &labels, n);
}

static void delay(const struct writer *w, const char *name, const char *help, const struct stats_delay *d)
{
    struct metric_bound bounds[STATS_DELAY_BOUNDS];
    metric_bounds(bounds, stats_delay_bounds_ns, STATS_DELAY_BOUNDS);
    metric_family(w->out, w->format, METRIC_HISTOGRAM, name, "seconds", help);
    metric_histogram(w->out, name, NULL, bounds, d->buckets, STATS_DELAY_BOUNDS, d->sum_ns);
}

static void write_build(const struct writer *w)
{
    char room[LABELS_MAX];
    struct buf labels;
    buf_fixed(&labels, room, sizeof(room));
    metric_label(&labels, "version", version_text);
    metric_label(&labels, "revision", version_revision);
    metric_family(w->out, w->format, METRIC_INFO, "kubecanary_build", NULL, "The agent's version; always 1.");
    metric_u64(w->out, "kubecanary_build", "_info", &labels, 1);
}

static void write_config(const struct writer *w, const struct export_agent *a)
{
    gauge(w, "kubecanary_config_generation", NULL,
          "metadata.generation of the ProbeFleet whose files are in force; 0: none yet.", a->generation);
    gauge(
        w, "kubecanary_config_last_reload_successful", NULL,
        "1: the files as they are now are in force; 0: they are broken or incomplete, the last good ones stay.",
        a->last_ok);
    metric_family(w->out, w->format, METRIC_GAUGE, "kubecanary_config_last_reload_success_timestamp_seconds",
                  "seconds", "When files were last put in force; 0: never.");
    metric_seconds(w->out, "kubecanary_config_last_reload_success_timestamp_seconds", "", NULL,
                   a->loaded_real);
    metric_family(w->out, w->format, METRIC_COUNTER, "kubecanary_config_reloads", NULL,
                  "Changes of the files, by what came of them.");
    sample(w, "kubecanary_config_reloads", "_total", "result", "success", a->loads);
    sample(w, "kubecanary_config_reloads", "_total", "result", "failure", a->failures);
}

static void write_peers(const struct writer *w, const struct export_agent *a)
{
    char room[LABELS_MAX];
    struct buf labels;
    buf_fixed(&labels, room, sizeof(room));
    metric_family(
        w->out, w->format, METRIC_GAUGE, "kubecanary_peers", NULL,
        "Other nodes of the fleet by the network and the state of their agent there, of the files and as "
        "known here; only Ready ones are probed.");
    for (unsigned i = 0; i < SPEC_NETWORKS; i++) {
        for (enum peer_state s = 0; (a->networks & (1u << i)) && s < PEER_STATES; s++) {
            buf_reset(&labels);
            metric_label(&labels, "network", spec_network_name((enum spec_network)i));
            metric_label(&labels, "state", peer_state_name(s));
            metric_u64(w->out, "kubecanary_peers", "", &labels, a->peers[i][s]);
        }
    }
    metric_family(w->out, w->format, METRIC_GAUGE, "kubecanary_coverage_peers", NULL,
                  "How many Ready peers probe this agent, by the network of their agent that does.");
    for (unsigned i = 0; i < SPEC_NETWORKS; i++)
        if (a->networks & (1u << i))
            sample(w, "kubecanary_coverage_peers", "", "network", spec_network_name((enum spec_network)i),
                   a->coverage[i]);
}

static void write_fleet(const struct writer *w, const struct export_agent *a)
{
    if (a->has_plan) {
        write_peers(w, a);
        gauge(w, "kubecanary_pairs", NULL,
              "What this agent probes now: peers and targets, times probes, times address families.",
              a->pairs);
        gauge(w, "kubecanary_paused", NULL, "1: the fleet is paused and nothing is sent.", a->paused);
        gauge(w, "kubecanary_series", NULL, "Series in this scrape of pairs, and of why their probes fail.",
              a->series);
        gauge(w, "kubecanary_series_limited", NULL,
              "1: with RTT histograms of each pair and loss by flow seriesLimit would be exceeded; there are "
              "histograms by zone instead.",
              a->limited);
    }
    counter(w, "kubecanary_agent_reflected", "TCP connections of peers' probes accepted.", a->reflected);
    counter(w, "kubecanary_agent_reflect_failures",
            "Times that connections had to wait because descriptors or memory had run out.",
            a->reflect_failed);
}

static void write_stamp(const struct writer *w, const struct reflect_stamp_stats *s)
{
    counter(w, "kubecanary_agent_stamp_reflected", "STAMP packets answered.", s->answered);
    counter(w, "kubecanary_agent_stamp_stateless",
            "Of these, with the sender's own number, as there was no room for another session.",
            s->stateless);
    metric_family(w->out, w->format, METRIC_COUNTER, "kubecanary_agent_stamp_refused", NULL,
                  "Packets to the STAMP reflector that were not answered.");
    for (enum reflect_stamp_refusal i = 0; i < REFLECT_STAMP_REFUSALS; i++)
        sample(w, "kubecanary_agent_stamp_refused", "_total", "reason", reflect_stamp_refusal_name(i),
               s->refused[i]);
    gauge(w, "kubecanary_agent_stamp_sessions", NULL, "Sessions that the STAMP reflector remembers.",
          s->sessions);
}

static void write_link(const struct writer *w, const struct export_agent *a)
{
    const struct peer_link_stats *s = &a->link;
    metric_family(w->out, w->format, METRIC_COUNTER, "kubecanary_peer_sent", NULL,
                  "Messages to other agents, by kind: hint (we leave), query (do you stay?), answer.");
    for (enum peer_wire_kind k = 0; k < PEER_WIRE_KINDS; k++)
        sample(w, "kubecanary_peer_sent", "_total", "kind", peer_wire_kind_name(k), s->sent[k]);
    metric_family(w->out, w->format, METRIC_COUNTER, "kubecanary_peer_received", NULL,
                  "Messages of other agents that were made use of, by kind.");
    for (enum peer_wire_kind k = 0; k < PEER_WIRE_KINDS; k++)
        sample(w, "kubecanary_peer_received", "_total", "kind", peer_wire_kind_name(k), s->received[k]);
    metric_family(w->out, w->format, METRIC_COUNTER, "kubecanary_peer_ignored", NULL,
                  "Messages that were not made use of, by reason.");
    sample(w, "kubecanary_peer_ignored", "_total", "reason", "malformed", s->malformed);
    sample(w, "kubecanary_peer_ignored", "_total", "reason", "foreign", s->foreign);
    sample(w, "kubecanary_peer_ignored", "_total", "reason", "unmatched", s->unmatched);
    sample(w, "kubecanary_peer_ignored", "_total", "reason", "limited", s->limited);
    metric_family(w->out, w->format, METRIC_COUNTER, "kubecanary_peer_expired", NULL,
                  "Addresses of peers that are probed although they did not answer: new ones (pending), and "
                  "those that left and were silent for too long (leaving).");
    sample(w, "kubecanary_peer_expired", "_total", "state", "pending", a->presence.expired[PRESENCE_PENDING]);
    sample(w, "kubecanary_peer_expired", "_total", "state", "leaving", a->presence.expired[PRESENCE_LEAVING]);
}

static void write_stats(const struct writer *w, const struct stats_agent *s)
{
    delay(
        w, "kubecanary_agent_schedule_delay_seconds",
        "From a probe's planned moment to its sending: the agent's own lateness, at most a tick on a healthy node.",
        &s->schedule_delay);
    delay(w, "kubecanary_agent_receive_delay_seconds",
          "From the kernel's receipt of an answer to its reading: not part of any RTT.", &s->receive_delay);
    metric_family(
        w->out, w->format, METRIC_COUNTER, "kubecanary_agent_timestamping", NULL,
        "Answers by where the two ends of their RTT came from: kernel (both), kernel_rx (receipt only), user.");
    for (enum stats_stamp i = 0; i < STATS_STAMPS; i++)
        sample(w, "kubecanary_agent_timestamping", "_total", "source", stats_stamp_name(i), s->stamps[i]);
    counter(w, "kubecanary_agent_unmatched_packets", "Packets that answered no probe of ours.", s->unmatched);
    counter(
        w, "kubecanary_agent_skipped_probes",
        "Probes not begun because their moment had passed by more than an interval; they are in no result.",
        s->skipped);
    counter(w, "kubecanary_agent_clock_steps",
            "Steps of the real-time clock, around which kernel timestamps are not used.", s->clock_steps);
}

// Zeros as long as there is no HTTP target.
static void write_helper(const struct writer *w, const struct helper_stats *h)
{
    gauge(w, "kubecanary_helper_wanted", NULL, "1: there are HTTP targets, for which the helper has to run.",
          h->wanted);
    gauge(w, "kubecanary_helper_up", NULL, "1: the helper for HTTP targets is running.", h->running);
    counter(
        w, "kubecanary_helper_restarts",
        "Times that the helper for HTTP targets was started again: it had ended by itself, or the agent had "
        "killed it, as it hung or talked nonsense.",
        h->restarts);
}

static void write_allocator_sizes(const struct writer *w, const struct allocator *a)
{
    static const struct {
        const char *name, *help;
    } sizes[ALLOCATOR_SIZES] = {
        {"kubecanary_allocator_allocated_bytes", "Memory that the program has asked for."},
        {"kubecanary_allocator_active_bytes", "Memory in pages that hold some of it."},
        {"kubecanary_allocator_resident_bytes", "Memory that the allocator keeps from the system."},
        {"kubecanary_allocator_mapped_bytes", "Memory in mappings that the allocator uses."},
        {"kubecanary_allocator_retained_bytes", "Address space kept for later, without memory."},
        {"kubecanary_allocator_metadata_bytes", "Memory of the allocator's own books."},
        {"kubecanary_allocator_free_bytes", "Memory in the allocator's arenas that is not in use."},
        {"kubecanary_allocator_releasable_bytes", "Of these, what trimming the top would give back."},
    };
    for (size_t i = 0; i < ALLOCATOR_SIZES; i++)
        if (a->sizes_known & (1u << i))
            gauge(w, sizes[i].name, "bytes", sizes[i].help, a->sizes[i]);
}

static void pair_sample(const struct writer *w, const char *name, const char *const labels[static 4])
{
    char room[LABELS_MAX];
    struct buf b;
    buf_fixed(&b, room, sizeof(room));
    metric_label(&b, labels[0], labels[1]);
    metric_label(&b, labels[2], labels[3]);
    metric_u64(w->out, name, "_info", &b, 1);
}

static void write_allocator(const struct writer *w, const struct allocator *a)
{
    metric_family(w->out, w->format, METRIC_INFO, "kubecanary_allocator", NULL,
                  "The allocator in effect; always 1.");
    pair_sample(w, "kubecanary_allocator",
                (const char *const[]){"allocator", a->name, "version", a->version});
    if (a->n_options > 0)
        metric_family(w->out, w->format, METRIC_INFO, "kubecanary_allocator_option", NULL,
                      "The allocator's options as they are in effect, whoever set them; always 1.");
    for (size_t i = 0; i < a->n_options; i++)
        pair_sample(w, "kubecanary_allocator_option",
                    (const char *const[]){"option", a->options[i].name, "value", a->options[i].value});
    gauge(w, "kubecanary_allocator_arenas", NULL,
          "Arenas that the allocator spreads threads over; its own for oversized requests is not counted.",
          a->arenas);
    metric_family(
        w->out, w->format, METRIC_GAUGE, "kubecanary_allocator_effective", NULL,
        "1: this setting of the environment, read back from the allocator, is in effect; 0: it is not.");
    for (size_t i = 0; i < a->n_settings; i++)
        if (!a->settings[i].untold)
            sample(w, "kubecanary_allocator_effective", "", "setting", a->settings[i].name,
                   a->settings[i].effective);
    write_allocator_sizes(w, a);
}

static void write_process(const struct writer *w, const struct runtime_process *p,
                          const struct runtime_machine *m)
{
    gauge(w, "kubecanary_agent_threads", NULL, "Threads of this process.", p->threads);
    gauge(w, "kubecanary_node_cpus", NULL, "Processors online on this node.", m->cpus);
    gauge(w, "kubecanary_agent_cpus_allowed", NULL, "Processors that this process may run on.",
          p->cpus_allowed);
    if (m->limits.cpu_millis > 0) {
        metric_family(w->out, w->format, METRIC_GAUGE, "kubecanary_agent_cpu_limit_cores", NULL,
                      "Processors' worth of time that the control groups let this process have.");
        metric_seconds(w->out, "kubecanary_agent_cpu_limit_cores", "", NULL,
                       m->limits.cpu_millis * (NS_PER_S / 1000));
    }
    if (m->limits.memory_bytes > 0)
        gauge(w, "kubecanary_agent_memory_limit_bytes", "bytes",
              "Memory that the control groups let this process have.", m->limits.memory_bytes);
    metric_family(w->out, w->format, METRIC_COUNTER, "process_cpu_seconds", "seconds",
                  "User and system processor time.");
    metric_seconds(w->out, "process_cpu_seconds", "_total", NULL, p->cpu_ns);
    gauge(w, "process_resident_memory_bytes", "bytes", "Resident memory.", p->resident_bytes);
    gauge(w, "process_virtual_memory_bytes", "bytes", "Virtual memory.", p->virtual_bytes);
    gauge(w, "process_open_fds", NULL, "Open file descriptors.", p->open_fds);
    gauge(w, "process_max_fds", NULL, "Most file descriptors that may be open; 0: no limit.", p->max_fds);
    metric_family(w->out, w->format, METRIC_GAUGE, "process_start_time_seconds", "seconds",
                  "Start of the process, since 1970.");
    metric_seconds(w->out, "process_start_time_seconds", "", NULL, runtime_start_time());
}

void export_agent_write(const struct export_agent *a, enum metric_format f, struct buf *out)
{
    struct writer w = {.format = f, .out = out};
    write_build(&w);
    write_config(&w, a);
    write_fleet(&w, a);
    write_stamp(&w, &a->stamp);
    write_link(&w, a);
    write_stats(&w, &a->stats);
    write_helper(&w, &a->helper);
    write_allocator(&w, &a->allocator);
    write_process(&w, &a->process, &a->machine);
}
