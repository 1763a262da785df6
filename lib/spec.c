// SPDX-License-Identifier: Apache-2.0
// Puts the reading by table and the joint rules together; owns the release and the names of enums.
#include "lib/spec.h"

#include <errno.h>

#include "lib/spec_check.h"
#include "lib/spec_override.h"
#include "lib/spec_read.h"

static const struct {
    const char *name, *label;
} types[] = {
    [SPEC_ICMP] = {"ICMP", "icmp"}, [SPEC_TCP] = {"TCP", "tcp"},    [SPEC_STAMP] = {"STAMP", "stamp"},
    [SPEC_DNS] = {"DNS", "dns"},    [SPEC_HTTP] = {"HTTP", "http"},
};
_Static_assert(ARRAY_LEN(types) == SPEC_PROBE_TYPES, "each type has its names");

const char *spec_probe_type_name(enum spec_probe_type t)
{
    return types[t].name;
}

const char *spec_probe_type_label(enum spec_probe_type t)
{
    return types[t].label;
}

unsigned spec_probe_packets(enum spec_probe_type t, enum spec_transport transport)
{
    switch (t) {
    case SPEC_ICMP: return 1;
    case SPEC_TCP: return 3;
    case SPEC_STAMP: return 2;
    case SPEC_DNS: return transport == SPEC_TRANSPORT_TCP ? 5 : 1;
    case SPEC_HTTP: return 10; // look-up, connection, TLS, request, the answer's acknowledgements, end
    }
    return 1;
}

unsigned spec_probe_payload_min(enum spec_probe_type t)
{
    switch (t) {
    case SPEC_ICMP: return 56;  // agent/wire.h
    case SPEC_STAMP: return 44; // RFC 8762
    case SPEC_TCP:
    case SPEC_DNS:
    case SPEC_HTTP: return 0;
    }
    return 0;
}

uint64_t spec_grace_ns(uint64_t interval_ns, uint64_t timeout_ns)
{
    return MIN(MIN(timeout_ns, interval_ns), LIMIT_GRACE_NS);
}

unsigned spec_probe_fragments(unsigned payload, bool dont_fragment)
{
    const unsigned holds = 1280 - 40 - 8; // IPv6's header, and a fragment's
    return dont_fragment || payload == 0 ? 1 : (payload + 8 + holds - 1) / holds;
}

const struct addr *spec_target_address(const struct spec_target *t)
{
    return t->type == SPEC_DNS ? &t->server : &t->address;
}

const char *spec_network_name(enum spec_network n)
{
    return n == SPEC_NETWORK_NODE ? "Node" : "Pod";
}

const char *spec_network_path(enum spec_network from, enum spec_network to)
{
    return from == to ? spec_network_name(to) : to == SPEC_NETWORK_NODE ? "PodToNode" : "NodeToPod";
}

const char *spec_topology_name(enum spec_topology_type t)
{
    switch (t) {
    case SPEC_FULL: return "Full";
    case SPEC_SAMPLED: return "Sampled";
    case SPEC_ZONAL: return "Zonal";
    }
    return "";
}

static void release_pairs(struct spec_pair *list, size_t n)
{
    for (size_t i = 0; list && i < n; i++) {
        free(list[i].key);
        free(list[i].value);
    }
    free(list);
}

void spec_release(struct spec *s)
{
    release_pairs(s->placement.selector, s->placement.n_selector);
    for (size_t i = 0; s->placement.overrides && i < s->placement.n_overrides; i++)
        release_pairs(s->placement.overrides[i].selector, s->placement.overrides[i].n_selector);
    free(s->placement.overrides);
    release_pairs(s->agent.env, s->agent.n_env);
    for (size_t i = 0; s->agent.args && i < s->agent.n_args; i++)
        free(s->agent.args[i]);
    free(s->agent.args);
    for (size_t i = 0; s->placement.tolerations && i < s->placement.n_tolerations; i++) {
        struct spec_toleration *t = &s->placement.tolerations[i];
        free(t->key);
        free(t->op);
        free(t->value);
        free(t->effect);
    }
    free(s->placement.tolerations);
    for (size_t i = 0; s->targets && i < s->n_targets; i++) {
        struct spec_expect *x = &s->targets[i].expect;
        for (size_t k = 0; x->answers && k < x->n_answers; k++)
            free(x->answers[k]);
        free(x->answers);
        free(s->targets[i].url);
        free(s->targets[i].ca_bundle);
    }
    free(s->targets);
    *s = (struct spec){0};
}

static void complete_dns(struct spec_target *t)
{
    if (t->port == 0)
        t->port = SPEC_DNS_PORT;
    if (t->record_type == DNS_TYPE_UNSET)
        t->record_type = DNS_A;
    if (t->transport == SPEC_TRANSPORT_UNSET)
        t->transport = SPEC_TRANSPORT_UDP;
    if (t->expect.rcodes == 0)
        t->expect.rcodes = 1u << DNS_NOERROR;
}

void spec_complete(struct spec *s)
{
    struct spec_topology *t = &s->mesh.topology;
    if (t->type != SPEC_FULL && t->degree == 0)
        t->degree = SPEC_DEGREE;
    for (size_t i = 0; i < s->n_targets; i++)
        if (s->targets[i].type == SPEC_DNS)
            complete_dns(&s->targets[i]);
}

static int check(const struct spec *s, struct err *e)
{
    int r = 0;
    if (!s->mesh.present && s->n_targets == 0 && s->agent.program != SPEC_PROGRAM_EXPORTER)
        return err_set(e, EINVAL, "needs a mesh or at least one target: there is nothing to probe");
    if (spec_check_topology(s, e) < 0 || spec_check_probes(s, e) < 0)
        return err_at(e, "mesh");
    r = spec_check_targets(s, e);
    if (r == 0)
        r = spec_check_placement(s, e);
    if (r == 0)
        r = spec_check_agent(s, e);
    if (r == 0)
        r = spec_override_check(s, e);
    if (r == 0)
        r = spec_check_alerting(s, e);
    return r;
}

int spec_parse(const struct doc_node *node, struct spec *ret, struct err *e)
{
    CLEANUP_SPEC struct spec s = {0};
    int r;
    if (!node || doc_is_null(node))
        r = err_set(e, EINVAL, "is required");
    else if (node->kind != DOC_MAP)
        r = err_set(e, EINVAL, "must be a map");
    else
        r = spec_read(&spec_table_all, SPEC_SECTION_SPEC, node, &s, e);
    if (r == 0) {
        spec_complete(&s);
        r = check(&s, e);
    }
    if (r < 0)
        return err_at(e, "spec");
    *ret = s;
    s = (struct spec){0};
    return 0;
}
