// SPDX-License-Identifier: Apache-2.0
// agent.yaml: what is accepted is within the limits, and what is written of it reads as the same.
#include "lib/spec_agent_file.h"
#include "test/fuzz/fuzz.h"

static bool same_probe(const struct spec_probe *a, const struct spec_probe *b)
{
    return strcmp(a->name, b->name) == 0 && a->type == b->type && a->interval_ns == b->interval_ns &&
           a->timeout_ns == b->timeout_ns && a->flows == b->flows && a->dscp == b->dscp &&
           a->payload == b->payload && a->dont_fragment == b->dont_fragment;
}

static bool same_target(const struct spec_target *a, const struct spec_target *b)
{
    return strcmp(a->name, b->name) == 0 && a->type == b->type && addr_equal(&a->address, &b->address) &&
           a->port == b->port && a->interval_ns == b->interval_ns && a->timeout_ns == b->timeout_ns;
}

static void compare(const struct spec_agent_file *a, const struct spec_agent_file *b)
{
    const struct spec *s = &a->spec, *t = &b->spec;
    FUZZ_CHECK(a->generation == b->generation && a->paused == b->paused && strcmp(a->fleet, b->fleet) == 0);
    FUZZ_CHECK(memcmp(&a->ports, &b->ports, sizeof(a->ports)) == 0);
    FUZZ_CHECK(s->mesh.present == t->mesh.present && s->mesh.networks == t->mesh.networks);
    FUZZ_CHECK(s->mesh.families == t->mesh.families && s->mesh.n_probes == t->mesh.n_probes);
    FUZZ_CHECK(s->mesh.topology.type == t->mesh.topology.type);
    FUZZ_CHECK(s->mesh.topology.degree == t->mesh.topology.degree);
    for (size_t i = 0; i < s->mesh.n_probes; i++)
        FUZZ_CHECK(same_probe(&s->mesh.probes[i], &t->mesh.probes[i]));
    FUZZ_CHECK(s->n_targets == t->n_targets);
    for (size_t i = 0; i < s->n_targets; i++)
        FUZZ_CHECK(same_target(&s->targets[i], &t->targets[i]));
    FUZZ_CHECK(s->metrics.n_buckets == t->metrics.n_buckets);
    FUZZ_CHECK(s->metrics.series_limit == t->metrics.series_limit);
    FUZZ_CHECK(s->metrics.scrape_interval_ns == t->metrics.scrape_interval_ns);
    for (size_t i = 0; i < s->metrics.n_buckets; i++)
        FUZZ_CHECK(s->metrics.rtt_buckets_us[i] == t->metrics.rtt_buckets_us[i]);
}

static void check_limits(const struct spec_agent_file *f)
{
    const struct spec *s = &f->spec;
    FUZZ_CHECK(s->mesh.n_probes <= LIMIT_PROBES && s->n_targets <= LIMIT_TARGETS);
    FUZZ_CHECK(s->mesh.present == (s->mesh.n_probes > 0));
    FUZZ_CHECK(s->metrics.n_buckets >= 1 && s->metrics.n_buckets <= LIMIT_BUCKETS);
    FUZZ_CHECK(s->mesh.topology.degree <= LIMIT_DEGREE);
    FUZZ_CHECK((s->mesh.topology.type == SPEC_FULL) == (s->mesh.topology.degree == 0));
    for (size_t i = 1; i < s->metrics.n_buckets; i++)
        FUZZ_CHECK(s->metrics.rtt_buckets_us[i - 1] < s->metrics.rtt_buckets_us[i]);
    for (size_t i = 0; i < s->mesh.n_probes; i++) {
        const struct spec_probe *p = &s->mesh.probes[i];
        FUZZ_CHECK(p->name[0] && p->interval_ns >= 100 * NS_PER_MS && p->timeout_ns >= 10 * NS_PER_MS);
        FUZZ_CHECK(p->timeout_ns <= 60 * NS_PER_S && p->interval_ns <= 3600 * NS_PER_S);
        FUZZ_CHECK(p->flows <= LIMIT_STAMP_FLOWS && p->dscp <= LIMIT_DSCP);
        FUZZ_CHECK(p->payload <= LIMIT_PROBE_PAYLOAD &&
                   (p->payload == 0 || p->payload >= spec_probe_payload_min(p->type)));
    }
    for (size_t i = 0; i < s->n_targets; i++)
        FUZZ_CHECK(s->targets[i].name[0] && s->targets[i].address.set &&
                   (s->targets[i].type == SPEC_TCP) == (s->targets[i].port != 0));
}

static void check_accepted(const struct spec_agent_file *f)
{
    struct buf first, second;
    struct spec_agent_file again = {0};
    struct err e;
    check_limits(f);
    buf_init(&first, LIMIT_DOC_BYTES);
    buf_init(&second, LIMIT_DOC_BYTES);
    spec_agent_file_render(f, &first);
    struct doc *d = fuzz_own_doc(&first);
    if (spec_agent_file_parse(doc_root(d), &again, &e) < 0)
        fuzz_fail(__FILE__, __LINE__, "reads again: %s: %s\n%s", e.path, e.msg, buf_text(&first));
    compare(f, &again);
    spec_agent_file_render(&again, &second);
    FUZZ_CHECK(strcmp(buf_text(&first), buf_text(&second)) == 0);
    spec_agent_file_release(&again);
    doc_free(d);
    buf_release(&first);
    buf_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct doc *d = fuzz_doc(data, len);
    struct spec_agent_file f = {0};
    struct err e;
    if (!d)
        return 0;
    int r = spec_agent_file_parse(doc_root(d), &f, &e);
    if (r < 0)
        fuzz_check_err_place(r, &e, "must be a map");
    else
        check_accepted(&f);
    spec_agent_file_release(&f);
    doc_free(d);
    return 0;
}
