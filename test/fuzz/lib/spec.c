// SPDX-License-Identifier: Apache-2.0
// A ProbeFleet's spec: errors name the field, what is accepted is within the limits, and its cost can be
// forecast.
#include "lib/spec.h"

#include "lib/series.h"
#include "lib/spec_check.h"
#include "test/fuzz/fuzz.h"

static void check_agent(const struct spec_agent *a)
{
    bool exporter = a->program == SPEC_PROGRAM_EXPORTER, own = !a->image[0];
    const char *variable = spec_allocator_variable(&a->allocator);
    FUZZ_CHECK(!exporter || (a->image[0] && a->metrics_port > 0));
    FUZZ_CHECK(exporter || (a->n_args == 0 && a->metrics_port == 0 && !a->threads.present));
    FUZZ_CHECK(a->n_args <= LIMIT_ARGS && a->threads.count <= LIMIT_THREADS);
    for (enum spec_option o = 0; o < SPEC_OPTIONS; o++) {
        char text[SPEC_OPTION_TEXT_MAX];
        if (!a->allocator.options[o].set)
            continue;
        bool jemalloc = o < SPEC_OPTION_GLIBC;
        FUZZ_CHECK(jemalloc == (a->allocator.type == SPEC_ALLOCATOR_JEMALLOC));
        FUZZ_CHECK(variable && (jemalloc || !own));
        FUZZ_CHECK(spec_option_text(o, &a->allocator.options[o], text)[0]);
    }
    for (size_t i = 0; i < a->n_env; i++)
        FUZZ_CHECK(!variable || strcmp(a->env[i].key, variable) != 0);
}

// Counters are given up for no limit.
static void check_series(const struct spec *s, const struct spec_load *l)
{
    FUZZ_CHECK(l->series >= l->pairs * series_counters(SPEC_ICMP, false));
    for (size_t i = 0; i < s->mesh.n_probes; i++) {
        const struct spec_probe *p = &s->mesh.probes[i];
        FUZZ_CHECK(series_counters(p->type, false) >= series_counters(SPEC_ICMP, false));
        FUZZ_CHECK(series_flows(p->flows) <= p->flows);
    }
}

static void check_accepted(const struct spec *s)
{
    static const struct spec_scale scales[] = {
        {.size = {.nodes = 0}, .families = 1},
        {.size = {.nodes = 5000, .largest_zone = 2000, .neighbours = 8490000}, .families = 2},
    };
    FUZZ_CHECK(s->mesh.n_probes <= LIMIT_PROBES && s->n_targets <= LIMIT_TARGETS);
    FUZZ_CHECK(s->mesh.present || s->n_targets > 0 || s->agent.program == SPEC_PROGRAM_EXPORTER);
    FUZZ_CHECK(s->placement.n_selector <= LIMIT_SELECTOR && s->placement.n_tolerations <= LIMIT_TOLERATIONS);
    FUZZ_CHECK(s->agent.n_env <= LIMIT_ENV);
    check_agent(&s->agent);
    FUZZ_CHECK(s->metrics.n_buckets >= 1 && s->metrics.n_buckets <= LIMIT_BUCKETS);
    FUZZ_CHECK(s->mesh.topology.degree <= LIMIT_DEGREE);
    for (size_t i = 0; i < ARRAY_LEN(scales); i++) {
        struct spec_load one, all;
        struct err e;
        spec_forecast(s, &scales[i], &one);
        spec_forecast_fleet(s, &scales[i], &all);
        FUZZ_CHECK(scales[i].size.nodes == 0 || all.pairs >= one.pairs);
        check_series(s, &one);
        check_series(s, &all);
        int r = spec_check_budget(s, &scales[i], &e);
        if (r < 0)
            fuzz_check_err_place(r, &e, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct doc *d = fuzz_doc(data, len);
    struct spec s = {0};
    struct err e;
    if (!d)
        return 0;
    int r = spec_parse(doc_get(doc_root(d), "spec"), &s, &e);
    if (r < 0) {
        fuzz_check_err(r, &e);
        FUZZ_CHECK(strncmp(e.path, "spec", 4) == 0);
    } else {
        check_accepted(&s);
    }
    spec_release(&s);
    doc_free(d);
    return 0;
}
