// SPDX-License-Identifier: Apache-2.0
// docs/spec.md is what the table of fields says. With UPDATE=1 in the environment it is written instead of
// compared.
#include <stdio.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "lib/file.h"
#include "lib/limits.h"
#include "lib/spec_table.h"
#include "test/unit/check.h"

#define DOC_FILE "docs/spec.md"

static void add_names(const struct spec_field *f, struct buf *out)
{
    const char *before = "";
    for (size_t i = 0; f->names[i]; i++) {
        if (!f->names[i][0])
            continue; // no value here
        buf_fmt(out, "%s`%s`", before, f->names[i]);
        before = ", ";
    }
}

static const char *type_of(const struct spec_field *f)
{
    switch (f->kind) {
    case SPEC_KIND_BOOL: return "boolean";
    case SPEC_KIND_U16:
    case SPEC_KIND_U32:
    case SPEC_KIND_U64:
    case SPEC_KIND_I64: return "integer";
    case SPEC_KIND_DURATION: return "duration";
    case SPEC_KIND_INT_OR_TEXT: return "integer or string";
    case SPEC_KIND_TEXT:
    case SPEC_KIND_HEAP_TEXT:
    case SPEC_KIND_ENUM: return "string";
    case SPEC_KIND_SET:
    case SPEC_KIND_TEXTS: return "list of strings";
    case SPEC_KIND_ADDRESS: return "IP address";
    case SPEC_KIND_NUMBERS: return "list of integers";
    case SPEC_KIND_MAP: return "map of strings";
    case SPEC_KIND_LIST: return "list of objects";
    case SPEC_KIND_GROUP: return "object";
    }
    return "";
}

static void add_range(const struct spec_field *f, struct buf *out)
{
    bool number = f->kind == SPEC_KIND_U16 || f->kind == SPEC_KIND_U32;
    bool many = f->kind == SPEC_KIND_LIST || f->kind == SPEC_KIND_NUMBERS || f->kind == SPEC_KIND_MAP ||
                f->kind == SPEC_KIND_TEXTS;
    if (f->names)
        add_names(f, out);
    else if (f->kind == SPEC_KIND_DURATION)
        buf_fmt(out, "`%s` to `%s`", f->low, f->high);
    else if (f->kind == SPEC_KIND_I64)
        buf_fmt(out, "%lld to %lld", (long long)f->min, (long long)f->max);
    else if (number)
        buf_fmt(out, "%llu to %llu", (unsigned long long)f->min, (unsigned long long)f->max);
    else if (many)
        buf_fmt(out, "%llu to %llu items", (unsigned long long)f->min, (unsigned long long)f->max);
    else if (f->pattern && f->max && f->kind != SPEC_KIND_INT_OR_TEXT)
        buf_fmt(out, "at most %llu characters", (unsigned long long)f->max);
}

static void add_field(const struct spec_field *f, const char *prefix, struct buf *out)
{
    buf_fmt(out, "| `%s%s` | %s | ", prefix, f->path, type_of(f));
    if (f->required)
        buf_str(out, "required");
    else if (f->def)
        buf_fmt(out, f->def[0] ? "`%s`" : "%s", f->def[0] ? f->def : "empty");
    buf_str(out, " | ");
    add_range(f, out);
    buf_fmt(out, " | %s |\n", f->doc);
}

static void generate(struct buf *out)
{
    static const char head[] = "| Field | Type | Default | Range | Meaning |\n|---|---|---|---|---|\n";
    buf_str(
        out,
        "<!-- Generated from lib/spec_fields.def: UPDATE=1 make unit. -->\n"
        "# ProbeFleet\n\n"
        "`probefleets.kubecanary.io`, version `v1alpha1`, namespaced, short name `pfl`. Unknown fields are refused.\n"
        "Durations are written as `200ms`, `1s` or `1m30s`: hours (`h`), minutes, seconds and milliseconds, in this order.\n"
        "A `[]` in a field's name stands for each item of a list.\n\n");
    buf_str(out, head);
    for (size_t i = 0; i < spec_fields_count; i++) {
        if (spec_fields[i].section < SPEC_SECTION_FILE)
            add_field(&spec_fields[i], "spec.", out);
    }
    buf_str(
        out,
        "\n# agent.yaml\n\n"
        "What an agent reads. The operator writes it from the resource; by hand it runs an agent without a cluster.\n"
        "`probes`, `targets`, `topology` and `metrics` have the fields of the resource.\n\n");
    buf_str(out, head);
    for (size_t i = 0; i < spec_fields_count; i++) {
        if (spec_fields[i].section >= SPEC_SECTION_FILE)
            add_field(&spec_fields[i], "", out);
    }
}

static int write_file(const struct buf *b)
{
    FILE *f = fopen(DOC_FILE, "w");
    if (!f)
        return -1;
    size_t n = fwrite(buf_text(b), 1, b->len, f);
    return fclose(f) == 0 && n == b->len ? 0 : -1;
}

static void test_page(void)
{
    CLEANUP_BUF struct buf want = {.max = 1 << 20};
    CLEANUP_FREE char *have = NULL;
    size_t len;
    struct err e = {0};
    generate(&want);
    if (getenv("UPDATE")) {
        CHECK_INT(write_file(&want), 0);
        return;
    }
    CHECK_INT(file_read(DOC_FILE, LIMIT_DOC_BYTES, &have, &len, &e), 0);
    if (strcmp(have, buf_text(&want)) != 0)
        printf("    " DOC_FILE " is out of date: UPDATE=1 make unit\n");
    CHECK(strcmp(have, buf_text(&want)) == 0);
}

static const struct check_case cases[] = {{"reference page", test_page}};
CHECK_MAIN(cases)
