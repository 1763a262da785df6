// SPDX-License-Identifier: Apache-2.0
// The CRD against the table of fields, both ways: every field of the one is in the other, with the same type,
// default, bounds, pattern and description; and the examples are accepted.
#include <dirent.h>
#include <stdio.h>

#include "lib/duration.h"
#include "lib/file.h"
#include "lib/spec.h"
#include "lib/spec_env.h"
#include "lib/spec_settings.h"
#include "lib/spec_table.h"
#include "test/unit/check.h"

#define CRD_FILE "crds/probefleets.kubecanary.io.yaml"
#define EXAMPLES "crds/examples"

static int read_doc(const char *path, struct doc **ret)
{
    struct err e = {0};
    CLEANUP_FREE char *text = NULL;
    size_t len;
    if (file_read(path, LIMIT_DOC_BYTES, &text, &len, &e) == 0 && doc_parse(text, len, ret, &e) == 0)
        return 0;
    printf("    %s: %s\n", path, e.msg);
    return -1;
}

static const struct doc_node *schema_root(const struct doc *crd)
{
    const struct doc_node *versions = doc_get(doc_get(doc_root(crd), "spec"), "versions");
    const struct doc_node *schema = doc_get(doc_get(versions->first, "schema"), "openAPIV3Schema");
    return doc_get(doc_get(schema, "properties"), "spec");
}

// The schema node of a path such as "mesh.probes[].interval"; NULL if there is none.
static const struct doc_node *schema_of(const struct doc_node *spec, const char *path)
{
    const struct doc_node *n = spec;
    while (n && *path) {
        char part[SPEC_FIELD_NAME_MAX];
        size_t len = strcspn(path, ".[");
        snprintf(part, sizeof(part), "%.*s", (int)len, path);
        n = doc_get(doc_get(n, "properties"), part);
        path += len;
        if (strncmp(path, "[]", 2) == 0 && path[2]) {
            n = doc_get(n, "items");
            path += 2;
        }
        path += *path == '.';
        if (strcmp(path, "[]") == 0)
            break;
    }
    return n;
}

static const char *text_of(const struct doc_node *n, const char *key)
{
    const struct doc_node *value = doc_get(n, key);
    return value ? value->text : "(absent)";
}

static bool same_tree(const struct doc_node *a, const struct doc_node *b)
{
    if (!a || !b || a->kind != b->kind || a->count != b->count || strcmp(a->text, b->text) != 0)
        return !a && !b;
    for (a = a->first, b = b->first; a && b; a = a->next, b = b->next) {
        if (!same_tree(a, b))
            return false;
    }
    return !a && !b;
}

static void check_number(const struct doc_node *schema, const char *key, uint64_t want, bool expected)
{
    char text[32] = "(absent)";
    if (expected)
        snprintf(text, sizeof(text), "%lld", (long long)want);
    CHECK_STR(text_of(schema, key), text);
}

static void check_default(const struct spec_field *f, const struct doc_node *schema)
{
    const struct doc_node *def = doc_get(schema, "default");
    if (f->kind == SPEC_KIND_GROUP) { // {}: so that the defaults inside appear; a mesh is there only if
                                      // somebody asks for it
        CHECK(f->present ? def == NULL : def != NULL && def->kind == DOC_MAP && def->count == 0);
        return;
    }
    CHECK((f->def != NULL) == (def != NULL));
    if (f->def && f->def[0] == '[') {
        struct doc *want CLEANUP_DOC = NULL;
        struct err e = {0};
        CHECK_INT(doc_parse(f->def, strlen(f->def), &want, &e), 0);
        CHECK(same_tree(doc_root(want), def));
    } else if (f->def) {
        CHECK_STR(def->text, f->def);
    }
}

static void check_names(const struct spec_field *f, const struct doc_node *schema)
{
    const struct doc_node *n = doc_get(f->kind == SPEC_KIND_SET ? doc_get(schema, "items") : schema, "enum");
    CHECK((f->names != NULL) == (n != NULL));
    n = n ? n->first : NULL;
    for (size_t i = 0; f->names && f->names[i]; i++) {
        if (!f->names[i][0])
            continue;
        CHECK(n != NULL);
        CHECK_STR(n->text, f->names[i]);
        n = n->next;
    }
    CHECK(n == NULL);
}

static void check_duration(const struct spec_field *f, const struct doc_node *schema)
{
    char rule[128];
    uint64_t ns;
    snprintf(rule, sizeof(rule), "duration(self) >= duration('%s') && duration(self) <= duration('%s')",
             f->low, f->high);
    const struct doc_node *rules = doc_get(schema, "x-kubernetes-validations");
    CHECK(rules != NULL);
    CHECK_STR(text_of(rules->first, "rule"), rule);
    CHECK_STR(text_of(schema, "pattern"), "^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?([0-9]{1,5}ms)?$");
    CHECK_INT(duration_parse(f->low, &ns), 0);
    CHECK_INT(duration_parse(f->high, &ns), 0);
}

static bool is_number(const struct spec_field *f)
{
    return f->kind == SPEC_KIND_U16 || f->kind == SPEC_KIND_U32 || f->kind == SPEC_KIND_I64;
}

static void check_map(const struct spec_field *f, const struct doc_node *schema)
{
    check_number(schema, "maxProperties", f->max, f->kind == SPEC_KIND_MAP);
    check_number(schema, "minProperties", f->min, f->kind == SPEC_KIND_MAP && f->min > 0);
}

static void check_bounds(const struct spec_field *f, const struct doc_node *schema)
{
    bool list = f->kind == SPEC_KIND_LIST || f->kind == SPEC_KIND_SET || f->kind == SPEC_KIND_NUMBERS ||
                f->kind == SPEC_KIND_TEXTS;
    bool text =
        (f->kind == SPEC_KIND_TEXT || f->kind == SPEC_KIND_HEAP_TEXT || f->kind == SPEC_KIND_ADDRESS) &&
        !f->names;
    if (f->kind == SPEC_KIND_DURATION) {
        check_duration(f, schema);
        return;
    }
    if (is_number(f)) {
        check_number(schema, "minimum", f->min, true);
        check_number(schema, "maximum", f->max, true);
    }
    check_number(schema, "minItems", f->min, list && f->min > 0);
    check_number(schema, "maxItems", f->max, list);
    check_map(f, schema);
    check_number(schema, "minLength", f->min, text && f->min > 0);
    check_number(schema, "maxLength", f->max, text || f->kind == SPEC_KIND_INT_OR_TEXT);
    CHECK_STR(text_of(schema, "pattern"), f->pattern ? f->pattern : "(absent)");
    if (f->kind == SPEC_KIND_NUMBERS)
        check_number(doc_get(schema, "items"), "maximum", f->item_max, true);
    if (f->kind == SPEC_KIND_TEXTS) {
        check_number(doc_get(schema, "items"), "minLength", 1, true);
        check_number(doc_get(schema, "items"), "maxLength", f->item_max, true);
        CHECK_STR(text_of(schema, "x-kubernetes-list-type"), f->repeats ? "atomic" : "set");
    }
}

static void check_type(const struct spec_field *f, const struct doc_node *schema)
{
    static const char *const types[] = {
        [SPEC_KIND_BOOL] = "boolean",     [SPEC_KIND_U16] = "integer",          [SPEC_KIND_U32] = "integer",
        [SPEC_KIND_U64] = "integer",      [SPEC_KIND_DURATION] = "string",      [SPEC_KIND_TEXT] = "string",
        [SPEC_KIND_HEAP_TEXT] = "string", [SPEC_KIND_ENUM] = "string",          [SPEC_KIND_SET] = "array",
        [SPEC_KIND_ADDRESS] = "string",   [SPEC_KIND_NUMBERS] = "array",        [SPEC_KIND_TEXTS] = "array",
        [SPEC_KIND_MAP] = "object",       [SPEC_KIND_LIST] = "array",           [SPEC_KIND_GROUP] = "object",
        [SPEC_KIND_I64] = "integer",      [SPEC_KIND_INT_OR_TEXT] = "(absent)",
    };
    CHECK_STR(text_of(schema, "type"), types[f->kind]);
    if (f->kind == SPEC_KIND_INT_OR_TEXT)
        CHECK_STR(text_of(schema, "x-kubernetes-int-or-string"), "true");
    if (types[f->kind][0] == 'a')
        CHECK(doc_get(schema, "x-kubernetes-list-type") != NULL);
}

static bool is_required(const struct doc_node *spec, const struct spec_field *f, const char *path)
{
    char parent[128], name[SPEC_FIELD_NAME_MAX];
    const char *dot = strrchr(path, '.');
    snprintf(parent, sizeof(parent), "%.*s", dot ? (int)(dot - path) : 0, path);
    const struct doc_node *n = schema_of(spec, parent);
    size_t len = strlen(parent);
    if (len > 2 && strcmp(parent + len - 2, "[]") == 0)
        n = doc_get(n, "items");
    const struct doc_node *required = doc_get(n, "required");
    for (const struct doc_node *r = required ? required->first : NULL; r; r = r->next) {
        if (strcmp(r->text, spec_field_name(f, name)) == 0)
            return true;
    }
    return false;
}

static void check_field(const struct doc_node *spec, const struct spec_field *f, const char *path)
{
    const struct doc_node *schema = schema_of(spec, path);
    CHECK(schema != NULL || (printf("    %s is not in the CRD\n", path), false));
    check_type(f, schema);
    check_default(f, schema);
    check_bounds(f, schema);
    check_names(f, schema);
    if (is_required(spec, f, path) != f->required || strcmp(text_of(schema, "description"), f->doc) != 0)
        check_failed = true;
    if (check_failed)
        printf("    field %s; required %d; description in the CRD: %s\n", path, is_required(spec, f, path),
               text_of(schema, "description"));
}

// Where overrides have the same section: in out, or NULL.
static const char *second_place(const struct spec_field *f, char out[static 128])
{
    static const char agent[] = "agent.";
    bool shared =
        strncmp(f->path, "agent.allocator.", 16) == 0 || strncmp(f->path, "agent.resources.", 16) == 0;
    snprintf(out, 128, "placement.overrides[].%s", f->path + MIN(strlen(f->path), sizeof(agent) - 1));
    return shared ? out : NULL;
}

static void test_fields(void)
{
    CLEANUP_DOC struct doc *crd = NULL;
    CHECK_INT(read_doc(CRD_FILE, &crd), 0);
    const struct doc_node *spec = schema_root(crd);
    for (size_t i = 0; i < spec_fields_count && !check_failed; i++) {
        const struct spec_field *f = &spec_fields[i];
        char path[128];
        if (f->section >= SPEC_SECTION_FILE)
            continue;
        check_field(spec, f, f->path);
        if (!check_failed && second_place(f, path))
            check_field(spec, f, path);
    }
}

// Counts the fields of a schema: what has a description, below `properties`.
static size_t count_fields(const struct doc_node *schema)
{
    size_t n = 0;
    const struct doc_node *items = doc_get(schema, "items");
    const struct doc_node *properties = doc_get(items ? items : schema, "properties");
    for (const struct doc_node *p = properties ? properties->first : NULL; p; p = p->next) {
        if (!doc_get(p, "description"))
            printf("    %s has no description\n", p->key);
        n += 1 + count_fields(p);
    }
    return n;
}

static void test_no_more_fields(void)
{
    CLEANUP_DOC struct doc *crd = NULL;
    char path[128];
    size_t n = 0;
    CHECK_INT(read_doc(CRD_FILE, &crd), 0);
    for (size_t i = 0; i < spec_fields_count; i++)
        n += (spec_fields[i].section < SPEC_SECTION_FILE) + (second_place(&spec_fields[i], path) != NULL);
    CHECK_INT(count_fields(schema_root(crd)), n);
}

// Whether a rule of this schema has this text.
static bool has_rule(const struct doc_node *schema, const char *text)
{
    const struct doc_node *rules = doc_get(schema, "x-kubernetes-validations");
    for (const struct doc_node *r = rules ? rules->first : NULL; r; r = r->next)
        if (strstr(text_of(r, "rule"), text))
            return true;
    return false;
}

// The names that no field may choose stand in the CRD as they do here.
static void test_reserved_variables(void)
{
    static const char *const fields[] = {"agent.threads", "agent.allocator",
                                         "placement.overrides[].allocator"};
    static const char rule[] = "!self.variable.matches('" SPEC_ENV_RESERVED "')";
    CLEANUP_DOC struct doc *crd = NULL;
    CHECK_INT(read_doc(CRD_FILE, &crd), 0);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (!has_rule(schema_of(schema_root(crd), fields[i]), rule))
            printf("    %s has no rule %s\n", fields[i], rule);
        CHECK(has_rule(schema_of(schema_root(crd), fields[i]), rule));
    }
}

// And the options that the operator's own jemalloc has: of the fleet, and of its overrides.
static void test_own_options(void)
{
    static const char rule[] = "conf.matches('^(" SPEC_SETTINGS_OWN ":[^:,]+(,|$))*$')";
    CLEANUP_DOC struct doc *crd = NULL;
    CHECK_INT(read_doc(CRD_FILE, &crd), 0);
    CHECK(has_rule(schema_of(schema_root(crd), "agent"), rule));
    CHECK(has_rule(schema_root(crd), rule));
}

static void test_examples(void)
{
    DIR *dir = opendir(EXAMPLES);
    size_t n = 0;
    CHECK(dir != NULL);
    for (const struct dirent *d = readdir(dir); d; d = readdir(dir)) {
        char path[300];
        CLEANUP_DOC struct doc *doc = NULL;
        CLEANUP_SPEC struct spec s = {0};
        struct err e = {0};
        if (!strstr(d->d_name, ".yaml"))
            continue;
        snprintf(path, sizeof(path), EXAMPLES "/%s", d->d_name);
        int r = read_doc(path, &doc);
        if (r == 0)
            r = spec_parse(doc_get(doc_root(doc), "spec"), &s, &e);
        if (r < 0)
            printf("    %s: %s: %s\n", path, e.path, e.msg);
        check_failed |= r < 0;
        n++;
    }
    closedir(dir);
    CHECK(n >= 4);
}

static const struct check_case cases[] = {
    {"the table's fields are in the CRD", test_fields},
    {"the CRD has no others", test_no_more_fields},
    {"reserved variables", test_reserved_variables},
    {"options of the operator's jemalloc", test_own_options},
    {"examples", test_examples},
};
CHECK_MAIN(cases)
