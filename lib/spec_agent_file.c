// SPDX-License-Identifier: Apache-2.0
// Reads agent.yaml through the table of fields, writes it line by line.
#include "lib/spec_agent_file.h"

#include <errno.h>

#include "lib/duration.h"
#include "lib/spec_check.h"
#include "lib/spec_read.h"
#include "lib/yamlout.h"

void spec_agent_file_release(struct spec_agent_file *f)
{
    spec_release(&f->spec);
    *f = (struct spec_agent_file){0};
}

// An agent listens on all of them.
static int check_ports(const struct spec_ports *p, struct err *e)
{
    if (p->tcp == p->http)
        err_set(e, EINVAL, "must not be that of http, %u", p->http);
    else if (p->stamp == p->peer)
        err_set(e, EINVAL, "must not be that of peer, %u", p->peer);
    else
        return 0;
    return err_at(e, p->tcp == p->http ? "ports.tcp" : "ports.stamp");
}

int spec_agent_file_parse(const struct doc_node *root, struct spec_agent_file *ret, struct err *e)
{
    CLEANUP_SPEC_AGENT_FILE struct spec_agent_file f = {0};
    if (!root || root->kind != DOC_MAP)
        return err_set(e, EINVAL, "must be a map");
    int r = spec_read(&spec_table_file, SPEC_SECTION_FILE, root, &f, e);
    if (r < 0)
        return r;
    if ((r = check_ports(&f.ports, e)) < 0)
        return r;
    f.spec.mesh.present = f.spec.mesh.n_probes > 0;
    f.spec.paused = f.paused;
    spec_complete(&f.spec);
    if ((r = spec_check_topology(&f.spec, e)) < 0 || (r = spec_check_probes(&f.spec, e)) < 0 ||
        (r = spec_check_targets(&f.spec, e)) < 0)
        return r;
    *ret = f;
    f = (struct spec_agent_file){0};
    return 0;
}

static void write_families(unsigned families, struct buf *out)
{
    const char *before = "";
    buf_str(out, "ipFamilies: [");
    for (unsigned i = 0; i < FAMILIES; i++) {
        if (!(families & FAMILY_BIT(i)))
            continue;
        buf_fmt(out, "%s%s", before, addr_family_name((enum family)i));
        before = ", ";
    }
    buf_str(out, "]\n");
}

static void write_networks(unsigned networks, struct buf *out)
{
    const char *before = "";
    buf_str(out, "networks: [");
    for (unsigned i = SPEC_NETWORK_POD; i <= SPEC_NETWORK_NODE; i++) {
        if (!(networks & (1u << i)))
            continue;
        buf_fmt(out, "%s%s", before, spec_network_name((enum spec_network)i));
        before = ", ";
    }
    buf_str(out, "]\n");
}

static void write_topology(const struct spec_topology *t, struct buf *out)
{
    buf_fmt(out, "topology: {type: %s", spec_topology_name(t->type));
    if (t->type != SPEC_FULL)
        buf_fmt(out, ", degree: %u", t->degree);
    buf_str(out, "}\n");
}

static void write_times(uint64_t interval_ns, uint64_t timeout_ns, struct buf *out)
{
    char interval[DURATION_TEXT_MAX], timeout[DURATION_TEXT_MAX];
    buf_fmt(out, ", interval: %s, timeout: %s}\n", duration_text(interval_ns, interval),
            duration_text(timeout_ns, timeout));
}

static void write_probes(const struct spec_mesh *mesh, struct buf *out)
{
    buf_str(out, mesh->n_probes ? "probes:\n" : "probes: []\n");
    for (size_t i = 0; i < mesh->n_probes; i++) {
        const struct spec_probe *p = &mesh->probes[i];
        buf_str(out, "- {name: ");
        yamlout_text(out, p->name);
        buf_fmt(out, ", type: %s", spec_probe_type_name(p->type));
        if (p->flows)
            buf_fmt(out, ", flows: %u", p->flows);
        if (p->dscp)
            buf_fmt(out, ", dscp: %u", p->dscp);
        if (p->payload)
            buf_fmt(out, ", payloadBytes: %u", p->payload);
        if (p->dont_fragment)
            buf_str(out, ", dontFragment: true");
        write_times(p->interval_ns, p->timeout_ns, out);
    }
}

static void write_dns(const struct spec_target *t, struct buf *out)
{
    const char *before = "";
    buf_str(out, ", query: ");
    yamlout_text(out, t->query);
    buf_fmt(out, ", recordType: %s, transport: %s, expect: {rcode: [", dns_text_type(t->record_type),
            t->transport == SPEC_TRANSPORT_TCP ? "TCP" : "UDP");
    for (unsigned i = 0; i < DNS_RCODES; i++) {
        if (!(t->expect.rcodes & (1u << i)))
            continue;
        buf_fmt(out, "%s%s", before, dns_text_rcode(i));
        before = ", ";
    }
    buf_char(out, ']');
    for (size_t i = 0; i < t->expect.n_answers; i++) {
        buf_str(out, i ? ", " : ", answer: [");
        yamlout_text(out, t->expect.answers[i]);
    }
    buf_str(out, t->expect.n_answers ? "]}" : "}");
}

static void write_http(const struct spec_target *t, struct buf *out)
{
    buf_str(out, ", url: ");
    yamlout_text(out, t->url);
    if (t->method == SPEC_METHOD_HEAD)
        buf_str(out, ", method: HEAD");
    if (t->ip_family != SPEC_IP_FAMILY_UNSET)
        buf_fmt(out, ", ipFamily: %s", t->ip_family == SPEC_IP_FAMILY_IPV6 ? "IPv6" : "IPv4");
    buf_str(out, t->follow ? ", followRedirects: true" : "");
    buf_str(out, t->insecure ? ", insecureSkipVerify: true" : "");
    if (t->ca_bundle) {
        buf_str(out, ", caBundle: ");
        yamlout_text(out, t->ca_bundle);
    }
    for (size_t i = 0; i < t->expect.n_statuses; i++)
        buf_fmt(out, "%s%u", i ? ", " : ", expect: {status: [", t->expect.statuses[i]);
    buf_str(out, t->expect.n_statuses ? "]}" : "");
}

static void write_address(const struct spec_target *t, struct buf *out)
{
    char address[ADDR_TEXT_MAX];
    buf_str(out, t->host[0] ? ", host: " : t->type == SPEC_DNS ? ", server: " : ", address: ");
    yamlout_text(out, t->host[0] ? t->host : addr_text(spec_target_address(t), address));
    if (t->addresses == SPEC_ADDRESSES_ALL)
        buf_str(out, ", addresses: All");
    if (t->port)
        buf_fmt(out, ", port: %u", t->port);
}

static void write_targets(const struct spec *s, struct buf *out)
{
    buf_str(out, s->n_targets ? "targets:\n" : "targets: []\n");
    for (size_t i = 0; i < s->n_targets; i++) {
        const struct spec_target *t = &s->targets[i];
        buf_str(out, "- {name: ");
        yamlout_text(out, t->name);
        buf_fmt(out, ", type: %s", spec_probe_type_name(t->type));
        if (t->type == SPEC_HTTP)
            write_http(t, out);
        else
            write_address(t, out);
        if (t->type == SPEC_DNS)
            write_dns(t, out);
        write_times(t->interval_ns, t->timeout_ns, out);
    }
}

static void write_metrics(const struct spec_metrics *m, struct buf *out)
{
    buf_str(out, "metrics: {rttBucketsMicroseconds: [");
    for (size_t i = 0; i < m->n_buckets; i++)
        buf_fmt(out, "%s%u", i ? ", " : "", m->rtt_buckets_us[i]);
    char interval[DURATION_TEXT_MAX];
    buf_fmt(out, "], seriesLimit: %u, scrapeInterval: %s%s}\n", m->series_limit,
            duration_text(m->scrape_interval_ns, interval),
            m->compression == SPEC_COMPRESSION_GZIP ? ", compression: Gzip" : "");
}

void spec_agent_file_render(const struct spec_agent_file *f, struct buf *out)
{
    buf_fmt(out, "generation: %llu\nfleet: ", (unsigned long long)f->generation);
    yamlout_text(out, f->fleet);
    buf_char(out, '\n');
    if (f->paused)
        buf_str(out, "paused: true\n");
    write_networks(f->spec.mesh.networks, out);
    write_families(f->spec.mesh.families, out);
    write_topology(&f->spec.mesh.topology, out);
    write_probes(&f->spec.mesh, out);
    write_targets(&f->spec, out);
    write_metrics(&f->spec.metrics, out);
    buf_fmt(out, "ports: {http: %u, tcp: %u, peer: %u, stamp: %u}\n", f->ports.http, f->ports.tcp,
            f->ports.peer, f->ports.stamp);
}
