// SPDX-License-Identifier: Apache-2.0
// Fleets from files, and the render command.
#include "operator/offline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/file.h"
#include "lib/output.h"
#include "lib/spec_check.h"
#include "lib/spec_note.h"
#include "lib/yamlout.h"
#include "operator/extent.h"
#include "operator/render.h"

// What `render` prints at most: 128 slices of a ConfigMap's size.
#define OUTPUT_MAX ((size_t)64 << 20)

static int read_doc(const char *path, struct doc **ret, struct err *e)
{
    CLEANUP_FREE char *text = NULL;
    size_t len;
    int r = file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, LIMIT_DOC_BYTES, &text, &len, e);
    if (r < 0)
        return r;
    r = doc_parse(text, len, ret, e);
    return r < 0 ? err_wrap(e, "%s", path) : 0;
}

// Copies the text of a required scalar field of metadata; `fallback` NULL: it must be there.
static int copy_text(const struct doc_node *meta, const char *key, const char *fallback, char *out,
                     size_t size, struct err *e)
{
    const struct doc_node *n = doc_get(meta, key);
    bool is_text = n && n->kind == DOC_SCALAR && (n->quoted || !yamlout_resolves(n->text));
    const char *text = is_text ? n->text : n ? "" : fallback;
    if (!n && !text)
        return err_set(e, EINVAL, "is required"), err_at(e, "metadata.%s", key);
    if (!text || !text[0])
        return err_set(e, EINVAL, "a text is wanted"), err_at(e, "metadata.%s", key);
    if (base_copy(out, size, text) < 0)
        return err_set(e, EINVAL, "longer than %zu characters", size - 1), err_at(e, "metadata.%s", key);
    for (const char *p = text; *p; p++) {
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-.", *p))
            return err_set(e, EINVAL, "only lower-case letters, digits, '-' and '.'"),
                   err_at(e, "metadata.%s", key);
    }
    return 0;
}

static int check_field(const struct doc_node *root, const char *key, const char *want, struct err *e)
{
    const struct doc_node *n = doc_get(root, key);
    if (n && n->kind == DOC_SCALAR && strcmp(n->text, want) == 0)
        return 0;
    err_set(e, EINVAL, "must be %s", want);
    return err_at(e, "%s", key);
}

// The keys of an object as a person writes it or as `kubectl get -o yaml` prints it.
static const char *const root_keys[] = {"apiVersion", "kind", "metadata", "spec", "status", NULL};
static const char *const meta_keys[] = {"name",
                                        "namespace",
                                        "labels",
                                        "annotations",
                                        "uid",
                                        "resourceVersion",
                                        "generation",
                                        "creationTimestamp",
                                        "deletionTimestamp",
                                        "deletionGracePeriodSeconds",
                                        "ownerReferences",
                                        "finalizers",
                                        "managedFields",
                                        NULL};

static int check_keys(const struct doc_node *map, const char *const *known, const char *path, struct err *e)
{
    if (map && map->kind != DOC_MAP)
        return err_set(e, EINVAL, "must be a map"), err_at(e, "%s", path);
    for (const struct doc_node *n = map ? map->first : NULL; n; n = n->next) {
        const char *const *k = known;
        while (*k && strcmp(*k, n->key) != 0)
            k++;
        if (!*k)
            return err_set(e, EINVAL, "unknown field"), err_at(e, "%s%s%s", path, *path ? "." : "", n->key);
    }
    return 0;
}

static int check_top(const struct doc_node *root, struct offline_fleet *f, struct err *e)
{
    int r = check_keys(root, root_keys, "", e);
    if (r == 0)
        r = check_keys(doc_get(root, "metadata"), meta_keys, "metadata", e);
    if (r == 0)
        r = check_field(root, "apiVersion", "kubecanary.io/v1alpha1", e);
    if (r == 0)
        r = check_field(root, "kind", "ProbeFleet", e);
    const struct doc_node *meta = doc_get(root, "metadata");
    if (r == 0)
        r = copy_text(meta, "name", NULL, f->name, sizeof(f->name), e);
    if (r == 0)
        r = copy_text(meta, "namespace", "kubecanary", f->namespace, sizeof(f->namespace), e);
    if (r == 0 && !f->spec) {
        err_set(e, EINVAL, "is missing");
        r = err_at(e, "spec");
    }
    return r;
}

int offline_read(const char *path, struct offline_fleet *ret, struct err *e)
{
    struct offline_fleet f = {0};
    int r = read_doc(path, &f.doc, e);
    if (r < 0)
        return r;
    f.object = doc_root(f.doc);
    f.spec = doc_get(f.object, "spec");
    r = check_top(f.object, &f, e);
    if (r < 0) {
        offline_release(&f);
        return r;
    }
    *ret = f;
    return 0;
}

void offline_release(struct offline_fleet *f)
{
    doc_free(f->doc);
    *f = (struct offline_fleet){0};
}

static int read_peers(const char *path, struct peers *ret, struct err *e)
{
    unsigned slice, slices;
    CLEANUP_DOC struct doc *doc = NULL;
    if (!path)
        return 0;
    if (read_doc(path, &doc, e) < 0) // which names it
        return -e->code;
    if (peers_parse(doc_root(doc), &slice, &slices, ret, e) < 0 || peers_sort(ret, e) < 0) {
        struct err inner = *e; // the file and the place in it are no path of one field
        e->path[0] = '\0';
        return err_at(e, "%s%s%s", path, inner.path[0] ? ": " : "", inner.path);
    }
    return 0;
}

// On standard error: on standard output are the objects and nothing else.
static void print_notes(const struct spec *s)
{
    CLEANUP_BUF struct buf notes;
    buf_init(&notes, LIMIT_FORECAST);
    spec_note_all(s, &notes);
    fputs(buf_text(&notes), stderr);
}

static int print_set(const struct render_set *set, struct err *e)
{
    CLEANUP_BUF struct buf out;
    buf_init(&out, OUTPUT_MAX);
    render_print(set, &out);
    if (out.failed)
        return err_set(e, E2BIG, "more than %zu bytes to print", OUTPUT_MAX);
    return output_write(buf_text(&out), out.len, e);
}

static int render_and_print(const struct cli *c, const struct offline_fleet *f, const struct spec *spec,
                            const struct peers *peers, struct err *e)
{
    struct render_config config = {.version = KUBECANARY_VERSION,
                                   .agent_image = c->agent_image,
                                   .agent_jemalloc_image = c->agent_jemalloc_image,
                                   .image_pull_policy = c->image_pull_policy};
    struct render_input in = {.config = &config,
                              .namespace = f->namespace,
                              .fleet = f->name,
                              .uid = "",
                              .generation = 1,
                              .spec = spec,
                              .peers = peers,
                              .slices = peers_slices_for(peers->n, 0),
                              .pod_monitor = c->monitoring,
                              .prometheus_rule = c->monitoring};
    struct render_set set = {0};
    int r = render_fleet(&in, &set, e);
    if (r == 0)
        r = print_set(&set, e);
    render_set_release(&set);
    return r;
}

static int render_file(const struct cli *c, const struct offline_fleet *f, struct err *e)
{
    CLEANUP_SPEC struct spec spec = {0};
    CLEANUP_PEERS struct peers peers = {0};
    int r = spec_parse(f->spec, &spec, e);
    if (r == 0)
        r = read_peers(c->nodes_file, &peers, e);
    struct extent have = {0};
    if (r == 0)
        r = extent_of_peers(&peers, spec.mesh.networks, &have, e);
    unsigned families = (unsigned)__builtin_popcount(have.families & spec.mesh.families);
    have.size.nodes = MAX(have.size.nodes, (size_t)1); // without --nodes
    const struct spec_scale scale = {.size = have.size, .families = MAX(families, 1U)};
    if (r == 0)
        r = spec_check_budget(&spec, &scale, e);
    if (r == 0)
        print_notes(&spec);
    return r < 0 ? r : render_and_print(c, f, &spec, &peers, e);
}

int offline_render(const struct cli *c, struct err *e)
{
    struct offline_fleet f = {0};
    int r = offline_read(c->file, &f, e);
    if (r < 0)
        return r;
    r = render_file(c, &f, e);
    offline_release(&f);
    return r;
}
