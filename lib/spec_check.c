// SPDX-License-Identifier: Apache-2.0
// Each rule is one small function that names the field at fault.
#include "lib/spec_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/duration.h"
#include "lib/label.h"
#include "lib/series.h"
#include "lib/spec_env.h"
#include "lib/spec_http.h"

// rate() wants at least two samples in the range even when one scrape is late; four is what the Prometheus
// project advises.
#define WINDOW_SCRAPES 4

static int check_stamp(const struct spec_probe *p, struct err *e)
{
    const char *field = p->flows ? "flows" : p->dscp ? "dscp" : NULL;
    if (p->type == SPEC_STAMP || !field)
        return 0;
    err_set(e, EINVAL, "is accepted with type STAMP only");
    return err_at(e, "%s", field);
}

static int check_payload(const struct spec_probe *p, struct err *e)
{
    unsigned least = spec_probe_payload_min(p->type);
    if (least == 0 && (p->payload || p->dont_fragment)) {
        err_set(e, EINVAL, "is accepted with types ICMP and STAMP only");
        return err_at(e, "%s", p->payload ? "payloadBytes" : "dontFragment");
    }
    if (p->payload == 0 || p->payload >= least)
        return 0;
    err_set(e, EINVAL, "must be at least %u with type %s, is %u", least, spec_probe_type_name(p->type),
            p->payload);
    return err_at(e, "payloadBytes");
}

int spec_check_probes(const struct spec *s, struct err *e)
{
    for (size_t i = 0; i < s->mesh.n_probes; i++)
        if (check_stamp(&s->mesh.probes[i], e) < 0 || check_payload(&s->mesh.probes[i], e) < 0)
            return err_at(e, "probes[%zu]", i);
    for (size_t i = 1; i < s->mesh.n_probes; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(s->mesh.probes[i].name, s->mesh.probes[j].name) != 0)
                continue;
            err_set(e, EINVAL, "%s is the name of probes[%zu] too", s->mesh.probes[i].name, j);
            return err_at(e, "probes[%zu].name", i);
        }
    }
    return 0;
}

int spec_check_topology(const struct spec *s, struct err *e)
{
    if (s->mesh.topology.type != SPEC_FULL || s->mesh.topology.degree == 0)
        return 0;
    err_set(e, EINVAL, "is accepted with type Sampled or Zonal only");
    return err_at(e, "topology.degree");
}

static int check_port(const struct spec_target *t, struct err *e)
{
    if (t->type == SPEC_TCP && t->port == 0)
        err_set(e, EINVAL, "is required with type TCP");
    else if ((t->type == SPEC_ICMP || t->type == SPEC_HTTP) && t->port != 0)
        err_set(e, EINVAL, "is accepted with types TCP and DNS only");
    else
        return 0;
    return err_at(e, "port");
}

static int check_address(const struct spec_target *t, struct err *e)
{
    const struct addr *a = spec_target_address(t);
    const char *why = addr_not_a_host(a);
    char text[ADDR_TEXT_MAX];
    if (!why)
        return 0;
    err_set(e, EINVAL, "must be the address of a host: %s %s", addr_text(a, text), why);
    return err_at(e, "%s", t->type == SPEC_DNS ? "server" : "address");
}

// The fields that each type must have, and may.
static int check_fields(const struct spec_target *t, struct err *e)
{
    bool dns = t->type == SPEC_DNS, http = t->type == SPEC_HTTP;
    const struct spec_expect *x = &t->expect;
    const struct {
        const char *name;
        bool set, accepted, required;
        const char *types;
    } fields[] = {
        {"address", t->address.set, !dns && !http, !dns && !http && !t->host[0], "types ICMP and TCP"},
        {"host", t->host[0], !dns && !http, false, "types ICMP and TCP"},
        {"addresses", t->addresses, t->host[0], false, "host"},
        {"server", t->server.set, dns, dns, "type DNS"},
        {"query", t->query[0], dns, dns, "type DNS"},
        {"recordType", t->record_type, dns, false, "type DNS"},
        {"transport", t->transport, dns, false, "type DNS"},
        {"url", t->url, http, http, "type HTTP"},
        {"method", t->method, http, false, "type HTTP"},
        {"ipFamily", t->ip_family, http, false, "type HTTP"},
        {"followRedirects", t->follow, http, false, "type HTTP"},
        {"insecureSkipVerify", t->insecure, http, false, "type HTTP"},
        {"caBundle", t->ca_bundle, http, false, "type HTTP"},
        {"expect", x->present, dns || http, false, "types DNS and HTTP"},
        {"expect.rcode", x->rcodes, dns, false, "type DNS"},
        {"expect.answer", x->n_answers, dns, false, "type DNS"},
        {"expect.status", x->n_statuses, http, false, "type HTTP"},
    };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (fields[i].set && !fields[i].accepted)
            err_set(e, EINVAL, "is accepted with %s only", fields[i].types);
        else if (fields[i].required && !fields[i].set)
            err_set(e, EINVAL, "is required with %s%s", fields[i].types, i == 0 ? ", or host" : "");
        else
            continue;
        return err_at(e, "%s", fields[i].name);
    }
    if (t->host[0] && t->address.set) {
        err_set(e, EINVAL, "cannot be there together with address");
        return err_at(e, "host");
    }
    return check_port(t, e);
}

static int check_dns(const struct spec_target *t, struct err *e)
{
    uint8_t bytes[DNS_RECORD_MAX];
    const struct spec_expect *x = &t->expect;
    if (dns_text_name(t->query, bytes) < 0) {
        err_set(e, EINVAL, "is longer than a name can be");
        return err_at(e, "query");
    }
    if (x->n_answers && x->rcodes && !(x->rcodes & (1u << DNS_NOERROR))) {
        err_set(e, EINVAL, "needs NoError among expect.rcode: other answers have no records");
        return err_at(e, "expect.answer");
    }
    for (size_t i = 0; i < x->n_answers; i++) {
        if (dns_text_record(t->record_type, x->answers[i], bytes) >= 0)
            continue;
        err_set(e, EINVAL, "\"%.60s\" is no record of type %s", x->answers[i], dns_text_type(t->record_type));
        return err_at(e, "expect.answer[%zu]", i);
    }
    return 0;
}

static bool same_dns(const struct spec_target *a, const struct spec_target *b)
{
    uint8_t x[DNS_NAME_MAX], y[DNS_NAME_MAX];
    int n = dns_text_name(a->query, x), m = dns_text_name(b->query, y);
    return a->record_type == b->record_type && a->transport == b->transport && n == m && n > 0 &&
           memcmp(x, y, (size_t)n) == 0;
}

static int check_distinct(const struct spec_target *t, const struct spec_target *other, size_t index,
                          struct err *e)
{
    char address[ADDR_TEXT_MAX];
    if (strcmp(t->name, other->name) == 0) {
        err_set(e, EINVAL, "%s is the name of targets[%zu] too", t->name, index);
        return err_at(e, "name");
    }
    if (t->type != other->type)
        return 0;
    if (t->type == SPEC_HTTP) {
        if (!spec_http_same(t, other))
            return 0;
        err_set(e, EINVAL, "target %s (targets[%zu]) asks for the same already", other->name, index);
        return err_at(e, "url");
    }
    bool dns = t->type == SPEC_DNS;
    if (t->port == other->port && addr_equal(spec_target_address(t), spec_target_address(other)) &&
        strcasecmp(t->host, other->host) == 0 && (!dns || same_dns(t, other))) {
        if (t->host[0]) {
            err_set(e, EINVAL, "target %s (targets[%zu]) probes it with the same type and port already",
                    other->name, index);
            return err_at(e, "host");
        }
        err_set(e, EINVAL, "target %s (targets[%zu]) %s %s with the same %s already", other->name, index,
                dns ? "asks" : "probes", addr_text(spec_target_address(t), address),
                dns ? "port, transport and question" : "type and port");
        return err_at(e, "%s", dns ? "query" : "address");
    }
    return 0;
}

int spec_check_targets(const struct spec *s, struct err *e)
{
    for (size_t i = 0; i < s->n_targets; i++) {
        int r = check_fields(&s->targets[i], e);
        if (r == 0)
            r = check_address(&s->targets[i], e);
        if (r == 0 && s->targets[i].type == SPEC_DNS)
            r = check_dns(&s->targets[i], e);
        if (r == 0 && s->targets[i].type == SPEC_HTTP)
            r = spec_http_check(&s->targets[i], e);
        for (size_t j = 0; j < i && r == 0; j++)
            r = check_distinct(&s->targets[i], &s->targets[j], j, e);
        if (r < 0)
            return err_at(e, "targets[%zu]", i);
    }
    return spec_http_check_all(s, e);
}

static int check_toleration(const struct spec_toleration *t, struct err *e)
{
    bool exists = t->op && strcmp(t->op, "Exists") == 0;
    bool keyed = t->key && t->key[0];
    if (!exists && !keyed) {
        err_set(e, EINVAL, "must be Exists where no key is given");
        return err_at(e, "operator");
    }
    if (keyed && !label_key_valid(t->key)) {
        err_set(e, EINVAL, "%s is no label key", t->key);
        return err_at(e, "key");
    }
    if (exists && t->value && t->value[0]) {
        err_set(e, EINVAL, "is accepted with operator Equal only");
        return err_at(e, "value");
    }
    if (t->value && !label_value_valid(t->value)) {
        err_set(e, EINVAL, "%s is no label value", t->value);
        return err_at(e, "value");
    }
    return 0;
}

static int check_selector(const struct spec_pair *p, struct err *e)
{
    if (!label_key_valid(p->key))
        return err_set(e, EINVAL, "is no label key");
    if (!label_value_valid(p->value))
        return err_set(e, EINVAL, "%s is no label value", p->value);
    if (strcmp(p->key, "kubernetes.io/os") == 0 && strcmp(p->value, "linux") != 0)
        return err_set(e, EINVAL, "must be linux: agents run on nothing else");
    return 0;
}

int spec_check_selector(const struct spec_pair *list, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (check_selector(&list[i], e) < 0)
            return err_at(e, "nodeSelector[%s]", list[i].key);
    }
    return 0;
}

int spec_check_placement(const struct spec *s, struct err *e)
{
    const struct spec_placement *p = &s->placement;
    for (size_t i = 0; i < p->n_tolerations; i++) {
        if (check_toleration(&p->tolerations[i], e) < 0)
            return err_at(e, "placement.tolerations[%zu]", i);
    }
    return spec_check_selector(p->selector, p->n_selector, e) < 0 ? err_at(e, "placement") : 0;
}

// The fields of a program that is not ours.
static int check_program(const struct spec_agent *a, struct err *e)
{
    const struct {
        const char *name;
        bool set;
    } fields[] = {{"args", a->n_args > 0},
                  {"metricsPort", a->metrics_port},
                  {"metricsPath", a->metrics_path[0]},
                  {"readinessPath", a->readiness_path[0]},
                  {"threads", a->threads.present}};
    for (size_t i = 0; i < ARRAY_LEN(fields) && a->program == SPEC_PROGRAM_KUBECANARY; i++) {
        if (!fields[i].set)
            continue;
        err_set(e, EINVAL, "is accepted with program Exporter only");
        return err_at(e, "agent.%s", fields[i].name);
    }
    if (a->program == SPEC_PROGRAM_KUBECANARY)
        return 0;
    if (!a->image[0]) {
        err_set(e, EINVAL, "needs agent.image: the operator has no image of another program");
        return err_at(e, "agent.program");
    }
    if (a->metrics_port == 0) {
        err_set(e, EINVAL, "is required with program Exporter");
        return err_at(e, "agent.metricsPort");
    }
    return 0;
}

// "16Mi" -> bytes, "500m" or "0.5" cores -> thousandths. The table's patterns have been matched: no overflow
// below 2^64.
static uint64_t quantity(const char *text, bool cpu)
{
    static const struct {
        const char *suffix;
        uint64_t factor;
    } units[] = {{"k", 1000},     {"Ki", 1 << 10},   {"M", 1000000},
                 {"Mi", 1 << 20}, {"G", 1000000000}, {"Gi", 1 << 30}};
    uint64_t value = 0, fraction = 0, scale = 1000;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++)
        value = value * 10 + (uint64_t)(*p - '0');
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++)
            fraction += (uint64_t)(*p - '0') * (scale /= 10);
    }
    if (cpu)
        return strcmp(p, "m") == 0 ? value : value * 1000 + fraction;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (strcmp(p, units[i].suffix) == 0)
            return value * units[i].factor;
    }
    return value;
}

static int check_resource(const char *request, const char *limit, bool cpu, struct err *e)
{
    if (!request[0] || !limit[0] || quantity(request, cpu) <= quantity(limit, cpu))
        return 0;
    err_set(e, EINVAL, "%s is more than the limit %s", request, limit);
    return err_at(e, "resources.requests.%s", cpu ? "cpu" : "memory");
}

int spec_check_resources(const struct spec_resources *a, struct err *e)
{
    int r = check_resource(a->cpu_request, a->cpu_limit, true, e);
    return r < 0 ? r : check_resource(a->memory_request, a->memory_limit, false, e);
}

int spec_check_rollout(const struct spec_agent *a, struct err *e)
{
    const char *limit = a->resources.memory_limit;
    const uint64_t max = (uint64_t)a->allocator.rollout.max_resident_bytes;
    if (!limit[0] || max <= quantity(limit, false))
        return 0;
    err_set(e, EINVAL, "does nothing above the memory limit, %s: an agent is killed before it has so much",
            limit);
    return err_at(e, "allocator.rollout.maxResidentBytes");
}

int spec_check_agent(const struct spec *s, struct err *e)
{
    const struct spec_agent *a = &s->agent;
    int r = spec_allocator_check(&a->allocator, !a->image[0], e);
    if (r == 0)
        r = spec_env_check_allocator(a, e);
    if (r < 0)
        return err_at(e, "agent");
    r = check_program(a, e);
    if (r == 0)
        r = spec_env_check(a, e);
    if (r == 0)
        r = spec_check_resources(&a->resources, e) < 0 || spec_check_rollout(a, e) < 0 ? err_at(e, "agent")
                                                                                       : 0;
    return r;
}

int spec_check_alerting(const struct spec *s, struct err *e)
{
    char window[DURATION_TEXT_MAX], least[DURATION_TEXT_MAX];
    uint64_t least_ns = WINDOW_SCRAPES * s->metrics.scrape_interval_ns;
    if (!s->alerting.enabled || s->alerting.window_ns >= least_ns)
        return 0;
    err_set(e, EINVAL, "is %s, must be at least %s: %d times metrics.scrapeInterval",
            duration_text(s->alerting.window_ns, window), duration_text(least_ns, least), WINDOW_SCRAPES);
    return err_at(e, "alerting.window");
}

// --- forecast
// -----------------------------------------------------------------------------------------------------

static uint64_t probes_per_ks(uint64_t interval_ns)
{
    return interval_ns ? 1000 * NS_PER_S / interval_ns : 0;
}

static uint64_t packets_per_ks(enum spec_probe_type type, enum spec_transport transport, uint64_t interval_ns)
{
    return interval_ns ? spec_probe_packets(type, transport) * 1000 * NS_PER_S / interval_ns : 0;
}

static uint64_t probe_packets_per_ks(const struct spec_probe *p)
{
    return packets_per_ks(p->type, SPEC_TRANSPORT_UNSET, p->interval_ns) *
           spec_probe_fragments(p->payload, p->dont_fragment);
}

// Pairs that a target is at most.
static uint64_t target_pairs(const struct spec_target *t)
{
    return t->addresses == SPEC_ADDRESSES_ALL ? LIMIT_HOST_ADDRESSES : 1;
}

static uint64_t target_packets_per_ks(const struct spec_target *t)
{
    return target_pairs(t) * packets_per_ks(t->type, t->transport, t->interval_ns);
}

// Networks that the fleet is in: each node has an agent in each, and each agent probes the addresses of all.
static uint64_t networks_of(const struct spec *s)
{
    return (uint64_t)__builtin_popcount(s->mesh.networks);
}

// Families that a pair of nodes is probed over.
static uint64_t families_of(const struct spec *s, const struct spec_scale *scale)
{
    unsigned wanted = (unsigned)__builtin_popcount(s->mesh.families);
    return s->mesh.present ? MIN(wanted, scale->families) : 0;
}

static uint64_t peers_of_one(const struct spec *s, const struct spec_scale *scale)
{
    return topo_degree(&s->mesh.topology, &scale->size) * families_of(s, scale) * networks_of(s);
}

static uint64_t pairs_of(const struct spec *s, uint64_t agents, uint64_t peers)
{
    uint64_t targets = 0;
    for (size_t i = 0; i < s->n_targets; i++)
        targets += target_pairs(&s->targets[i]);
    return peers * s->mesh.n_probes + agents * targets;
}

// Ways (family and network) in which an agent probes its peers.
static uint64_t ways_of(const struct spec *s, const struct spec_scale *scale)
{
    return families_of(s, scale) * networks_of(s);
}

// Families of a target's probes as bits; a third stands for an HTTP target that takes either.
static unsigned target_ways(const struct spec_target *t)
{
    const unsigned both = FAMILY_BIT(FAMILY_IPV4) | FAMILY_BIT(FAMILY_IPV6);
    if (t->type == SPEC_HTTP)
        return spec_http_families(t) == both ? 1u << FAMILIES : spec_http_families(t);
    return t->host[0] ? both : FAMILY_BIT(spec_target_address(t)->family);
}

// Rows of why probes fail, of so many agents: of each mesh probe by way, of all targets of a type by family.
static uint64_t failures_of(const struct spec *s, uint64_t agents, uint64_t ways)
{
    unsigned seen[SPEC_PROBE_TYPES] = {0};
    uint64_t mesh = 0, targets = 0;
    for (size_t i = 0; i < s->mesh.n_probes; i++)
        mesh += series_failures(s->mesh.probes[i].type);
    for (size_t i = 0; i < s->n_targets; i++)
        seen[s->targets[i].type] |= target_ways(&s->targets[i]);
    for (unsigned t = 0; t < SPEC_PROBE_TYPES; t++)
        targets += (uint64_t)__builtin_popcount(seen[t]) * series_failures((enum spec_probe_type)t);
    return mesh * ways + agents * targets;
}

// The series that are not given up for the limit. ways: of all agents.
static uint64_t counters_of(const struct spec *s, uint64_t agents, uint64_t peers, uint64_t ways)
{
    uint64_t n = agents * SERIES_FIXED + failures_of(s, agents, MIN(ways, peers));
    for (size_t i = 0; i < s->mesh.n_probes; i++)
        n += peers * series_counters(s->mesh.probes[i].type, false);
    for (size_t i = 0; i < s->n_targets; i++)
        n += agents * target_pairs(&s->targets[i]) *
             series_counters(s->targets[i].type, s->targets[i].host[0]);
    return n;
}

// The load of so many agents that have so many peers (by family) between them, each in so many ways.
static struct spec_load load_of(const struct spec *s, uint64_t agents, uint64_t peers, uint64_t ways)
{
    struct spec_load load = {.pairs = pairs_of(s, agents, peers)};
    uint64_t flows = 0;
    for (size_t i = 0; i < s->mesh.n_probes; i++) {
        flows += peers * series_flows(s->mesh.probes[i].flows);
        load.probes_per_ks += peers * probes_per_ks(s->mesh.probes[i].interval_ns);
        load.packets_per_ks += peers * probe_packets_per_ks(&s->mesh.probes[i]);
    }
    for (size_t i = 0; i < s->n_targets; i++) {
        load.probes_per_ks +=
            agents * target_pairs(&s->targets[i]) * probes_per_ks(s->targets[i].interval_ns);
        load.packets_per_ks += agents * target_packets_per_ks(&s->targets[i]);
    }
    load.series = counters_of(s, agents, peers, agents * ways) +
                  load.pairs * series_histogram(s->metrics.n_buckets) + flows;
    return load;
}

// Past the limit there are histograms by zone, and no flows. An agent that has less to do may stay below it.
static uint64_t limited_series(const struct spec *s, const struct spec_scale *scale, uint64_t peers)
{
    uint64_t zones = MIN(scale->size.zones * ways_of(s, scale), peers) * s->mesh.n_probes;
    uint64_t series =
        counters_of(s, 1, peers, ways_of(s, scale)) + zones * series_histogram(s->metrics.n_buckets);
    return MAX(series, (uint64_t)s->metrics.series_limit);
}

void spec_forecast(const struct spec *s, const struct spec_scale *scale, struct spec_load *ret)
{
    uint64_t peers = peers_of_one(s, scale);
    struct spec_load load = load_of(s, 1, peers, ways_of(s, scale));
    if (load.series > s->metrics.series_limit)
        load.series = limited_series(s, scale, peers);
    *ret = load;
}

void spec_forecast_fleet(const struct spec *s, const struct spec_scale *scale, struct spec_load *ret)
{
    struct spec_load one;
    uint64_t networks = networks_of(s), agents = scale->size.nodes * networks;
    uint64_t addresses = topo_pairs(&s->mesh.topology, &scale->size) * families_of(s, scale) * networks;
    *ret = load_of(s, agents, addresses * networks, ways_of(s, scale));
    spec_forecast(s, scale, &one);
    ret->series = MIN(ret->series, agents * one.series);
}

int spec_check_budget(const struct spec *s, const struct spec_scale *scale, struct err *e)
{
    struct spec_load load;
    uint64_t peers = peers_of_one(s, scale), heaviest = 0;
    char path[64] = "spec.budget.packetsPerSecond";
    spec_forecast(s, scale, &load);
    if (load.packets_per_ks <= (uint64_t)s->budget_packets_per_second * 1000)
        return 0;
    for (size_t i = 0; i < s->mesh.n_probes; i++) {
        uint64_t weight = peers * probe_packets_per_ks(&s->mesh.probes[i]);
        if (weight > heaviest) {
            heaviest = weight;
            snprintf(path, sizeof(path), "spec.mesh.probes[%zu].interval", i);
        }
    }
    for (size_t i = 0; i < s->n_targets; i++) {
        uint64_t weight = target_packets_per_ks(&s->targets[i]);
        if (weight > heaviest) {
            heaviest = weight;
            snprintf(path, sizeof(path), "spec.targets[%zu].interval", i);
        }
    }
    bool zonal = s->mesh.present && s->mesh.topology.type == SPEC_ZONAL;
    err_set(e, EDQUOT,
            "each of %llu agents%s would send %llu packets a second, more than budget.packetsPerSecond %u; "
            "this interval accounts for %llu of them",
            (unsigned long long)((zonal ? scale->size.largest_zone : scale->size.nodes) * networks_of(s)),
            zonal ? " of the largest zone" : "", (unsigned long long)((load.packets_per_ks + 999) / 1000),
            s->budget_packets_per_second, (unsigned long long)((heaviest + 999) / 1000));
    return err_at(e, "%s", path);
}
