// SPDX-License-Identifier: Apache-2.0
// Whatever spec is accepted can be rendered: nothing empty in an object, its YAML reads as the same, and the
// agents can read the files in the ConfigMaps; what an allocator is told can be compared with what it says.
#include <errno.h>

#include "lib/spec_agent_file.h"
#include "lib/spec_override.h"
#include "operator/render.h"
#include "operator/render_allocator.h"
#include "operator/report_told.h"
#include "operator/tree.h"
#include "operator/yamlprint.h"
#include "test/fuzz/fuzz.h"

static const struct render_config config = {.version = "1.2.3",
                                            .agent_image = "agent:1",
                                            .agent_jemalloc_image = "agent-jemalloc:1",
                                            .image_pull_policy = "IfNotPresent"};

static void check_nothing_empty(const json_t *v)
{
    const char *key;
    json_t *member;
    size_t i;
    FUZZ_CHECK(!json_is_null(v));
    FUZZ_CHECK(!json_is_object(v) || json_object_size(v) > 0);
    FUZZ_CHECK(!json_is_array(v) || json_array_size(v) > 0);
    json_object_foreach((json_t *)(uintptr_t)v, key, member)
    {
        check_nothing_empty(member);
    }
    json_array_foreach(v, i, member)
    {
        check_nothing_empty(member);
    }
}

static void check_yaml(const json_t *body)
{
    struct buf out;
    buf_init(&out, LIMIT_DOC_BYTES);
    yamlprint_document(body, &out);
    struct doc *d = fuzz_own_doc(&out);
    json_t *got = tree_to_json(doc_root(d));
    if (!json_equal(got, (json_t *)(uintptr_t)body))
        fuzz_fail(__FILE__, __LINE__, "the same object\n%s", buf_text(&out));
    json_decref(got);
    doc_free(d);
    buf_release(&out);
}

static void check_agent_file(const json_t *body)
{
    const char *text = json_string_value(json_object_get(json_object_get(body, "data"), "agent.yaml"));
    struct spec_agent_file f = {0};
    struct doc *d = NULL;
    struct err e;
    if (!text)
        return;
    if (doc_parse(text, strlen(text), &d, &e) < 0 || spec_agent_file_parse(doc_root(d), &f, &e) < 0)
        fuzz_fail(__FILE__, __LINE__, "an agent can read it: %s: %s\n%s", e.path, e.msg, text);
    spec_agent_file_release(&f);
    doc_free(d);
}

static const char *wanted(const struct report_told *t, const char *name)
{
    for (size_t i = 0; i < t->wanted.n; i++) {
        if (strcmp(t->wanted.list[i].name, name) == 0)
            return t->wanted.list[i].value;
    }
    return NULL;
}

// What the allocator is told is one line, and each field of it is held against what the agents say.
static void check_told(const struct spec_agent *a)
{
    const struct spec_allocator *x = &a->allocator;
    const char *variable = spec_allocator_variable(x);
    const bool one = variable && strcmp(variable, SPEC_ALLOCATOR_ARENA_MAX) == 0;
    char settings[RENDER_ALLOCATOR_SETTINGS];
    struct report_told told;
    struct buf text;
    buf_init(&text, 4096);
    render_allocator(x, &text);
    FUZZ_CHECK(!text.failed && fuzz_is_utf8(buf_text(&text), true));
    FUZZ_CHECK(variable || text.len == 0);
    FUZZ_CHECK(render_allocator_settings(a, settings) == 0);
    FUZZ_CHECK(strlen(settings) == RENDER_ALLOCATOR_SETTINGS - 1);
    FUZZ_CHECK(report_told_of(a, &told) == 0);
    for (enum spec_option o = 0; o < SPEC_OPTIONS; o++) {
        char value[SPEC_OPTION_TEXT_MAX];
        const char *name = one ? SPEC_ALLOCATOR_ARENA_MAX : spec_option_name(o);
        if (!x->options[o].set)
            continue;
        const char *have = wanted(&told, name);
        if (!have || strcmp(have, spec_option_text(o, &x->options[o], value)) != 0)
            fuzz_fail(__FILE__, __LINE__, "%s is held against what agents say: %s", name, buf_text(&text));
    }
    buf_release(&text);
}

static void check_accepted(const struct spec *s)
{
    const struct peers peers = {0};
    const struct render_input in = {.config = &config,
                                    .namespace = "ns",
                                    .fleet = "f",
                                    .uid = "u",
                                    .generation = 1,
                                    .spec = s,
                                    .peers = &peers,
                                    .slices = 1,
                                    .pod_monitor = true};
    struct render_set set;
    struct err e;
    for (size_t i = 0; i <= s->placement.n_overrides; i++) {
        const struct spec_agent agent = spec_override_agent(s, i);
        check_told(&agent);
    }
    FUZZ_CHECK(render_fleet(&in, &set, &e) == 0);
    for (size_t i = 0; i < set.n; i++) {
        check_nothing_empty(set.list[i].body);
        check_yaml(set.list[i].body);
        if (set.list[i].kind == STORE_CONFIGMAP)
            check_agent_file(set.list[i].body);
    }
    render_set_release(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct doc *d = fuzz_doc(data, len);
    struct spec s = {0};
    struct err e;
    if (d && spec_parse(doc_get(doc_root(d), "spec"), &s, &e) == 0)
        check_accepted(&s);
    spec_release(&s);
    doc_free(d);
    return 0;
}
