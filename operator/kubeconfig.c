// SPDX-License-Identifier: Apache-2.0
// Finds the files, resolves context, cluster and user over all of them, and checks what they say.
#include "operator/kubeconfig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/doc.h"
#include "operator/kubefile.h"

#define ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

struct file {
    char *path;
    struct doc *doc;
};

struct files {
    struct file list[LIMIT_KUBECONFIG_FILES];
    size_t n;
};

struct place { // a map found in one of the files
    const struct doc_node *map;
    const char *path;
};

static bool set(const char *text)
{
    return text && text[0];
}

struct kubeconfig_env kubeconfig_environment(const char *flag)
{
    return (struct kubeconfig_env){.flag = flag,
                                   .list = getenv("KUBECONFIG"),
                                   .home = getenv("HOME"),
                                   .host = getenv("KUBERNETES_SERVICE_HOST"),
                                   .port = getenv("KUBERNETES_SERVICE_PORT"),
                                   .pod_namespace = getenv("POD_NAMESPACE"),
                                   .account = ACCOUNT_DIR};
}

void kubeconfig_release(struct kubeconfig *k)
{
    char **const texts[] = {&k->server,    &k->server_name, &k->ca.file,  &k->ca.data,    &k->cert.file,
                            &k->cert.data, &k->key.file,    &k->key.data, &k->token_file, &k->token};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (*texts[i])
            explicit_bzero(*texts[i], strlen(*texts[i]));
        free(*texts[i]);
    }
    *k = (struct kubeconfig){0};
}

static void files_release(struct files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->list[i].path);
        doc_free(f->list[i].doc);
    }
    f->n = 0;
}

static int add_file(struct files *f, const char *path, struct err *e)
{
    CLEANUP_FREE char *text = NULL;
    struct doc *doc;
    int r = kubefile_read(path, LIMIT_KUBECONFIG, &text, e);
    if (r < 0)
        return r;
    if (f->n == LIMIT_KUBECONFIG_FILES)
        return err_set(e, E2BIG, "KUBECONFIG: more than %d files", LIMIT_KUBECONFIG_FILES);
    char *copy = strdup(path);
    if (!copy)
        return err_set(e, ENOMEM, "no memory for %s", path);
    r = doc_parse(text, strlen(text), &doc, e);
    explicit_bzero(text, strlen(text));
    if (r < 0) {
        free(copy);
        return err_wrap(e, "%s", path);
    }
    f->list[f->n++] = (struct file){.path = copy, .doc = doc};
    return 0;
}

// A file of the list that is missing is skipped, as kubectl does.
static int add_list(struct files *f, const char *list, struct err *e)
{
    CLEANUP_FREE char *copy = strdup(list);
    char *rest = copy;
    while (rest) {
        const char *path = strsep(&rest, ":");
        int r = path[0] ? add_file(f, path, e) : 0;
        if (r < 0 && r != -ENOENT)
            return r;
    }
    if (!copy)
        return err_set(e, ENOMEM, "no memory");
    return f->n > 0 ? 0 : err_set(e, ENOENT, "KUBECONFIG: none of its files exists");
}

static const char *text_at(const struct doc_node *map, const char *key)
{
    const struct doc_node *n = doc_get(map, key);
    return n && n->kind == DOC_SCALAR && !doc_is_null(n) ? n->text : "";
}

// The map `field` of the item called `name` in the list `section`, in the first file that has one.
static int find_named(const struct files *f, const char *section, const char *field, const char *name,
                      struct place *ret, struct err *e)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct doc_node *list = doc_get(doc_root(f->list[i].doc), section);
        for (const struct doc_node *item = list ? list->first : NULL; item; item = item->next) {
            if (item->kind != DOC_MAP || strcmp(text_at(item, "name"), name) != 0)
                continue;
            *ret = (struct place){.map = doc_get(item, field), .path = f->list[i].path};
            if (!ret->map || ret->map->kind != DOC_MAP)
                return err_set(e, EINVAL, "%s: %s \"%s\" is empty", ret->path, field, name);
            return 0;
        }
    }
    return err_set(e, EINVAL, "%s: there is no %s \"%s\"", f->list[0].path, field, name);
}

static int copy_text(char **dst, const char *text, struct err *e)
{
    if (!text[0])
        return 0;
    *dst = strdup(text);
    return *dst ? 0 : err_set(e, ENOMEM, "no memory for the kubeconfig");
}

// A path in a kubeconfig is relative to the directory of the file that it stands in.
static int copy_path(char **dst, const struct place *p, const char *key, struct err *e)
{
    const char *text = text_at(p->map, key);
    const char *slash = strrchr(p->path, '/');
    if (!text[0] || text[0] == '/' || !slash)
        return copy_text(dst, text, e);
    if (asprintf(dst, "%.*s/%s", (int)(slash - p->path), p->path, text) < 0) {
        *dst = NULL;
        return err_set(e, ENOMEM, "no memory for the kubeconfig");
    }
    return 0;
}

// Reads KEY (a path) or KEY-data (base64 of PEM).
static int copy_pem(struct kubeconfig_pem *dst, const struct place *p, const char *key, const char *pem_kind,
                    struct err *e)
{
    char data_key[64];
    snprintf(data_key, sizeof(data_key), "%s-data", key);
    const char *data = text_at(p->map, data_key);
    if (!data[0])
        return copy_path(&dst->file, p, key, e);
    int r = kubefile_base64(data, &dst->data, e);
    if (r == 0 && !kubefile_has_pem(dst->data, pem_kind))
        r = err_set(e, EINVAL, "holds no PEM %s", pem_kind);
    return r < 0 ? err_wrap(e, "%s: %s", p->path, data_key) : 0;
}

static int refuse(const struct place *p, const char *const *keys, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (doc_get(p->map, keys[i]))
            return err_set(e, EINVAL, "%s: %s is not carried out", p->path, keys[i]);
    }
    return 0;
}

static int read_server(const struct place *p, struct kubeconfig *k, struct err *e)
{
    const char *server = text_at(p->map, "server");
    size_t len = strlen(server);
    if (strncmp(server, "https://", 8) != 0 && strncmp(server, "http://", 7) != 0)
        return err_set(e, EINVAL, "%s: server: \"%s\" is no http:// or https:// URL", p->path, server);
    while (len > 0 && server[len - 1] == '/')
        len--;
    k->server = strndup(server, len);
    return k->server ? 0 : err_set(e, ENOMEM, "no memory for the kubeconfig");
}

static int read_cluster(const struct place *p, struct kubeconfig *k, struct err *e)
{
    static const char *const refused[] = {"proxy-url"};
    int r = refuse(p, refused, ARRAY_LEN(refused), e);
    if (r == 0)
        r = read_server(p, k, e);
    if (r == 0)
        r = copy_text(&k->server_name, text_at(p->map, "tls-server-name"), e);
    if (r == 0)
        r = copy_pem(&k->ca, p, "certificate-authority", "CERTIFICATE", e);
    if (r < 0)
        return r;
    k->insecure = strcmp(text_at(p->map, "insecure-skip-tls-verify"), "true") == 0;
    if (k->insecure && (k->ca.file || k->ca.data))
        return err_set(e, EINVAL, "%s: insecure-skip-tls-verify together with certificate-authority",
                       p->path);
    return 0;
}

static int read_user(const struct place *p, struct kubeconfig *k, struct err *e)
{
    static const char *const refused[] = {"exec", "auth-provider", "username",  "password",
                                          "as",   "as-uid",        "as-groups", "as-user-extra"};
    int r = refuse(p, refused, ARRAY_LEN(refused), e);
    if (r == 0)
        r = copy_text(&k->token, text_at(p->map, "token"), e);
    if (r == 0)
        r = copy_path(&k->token_file, p, "tokenFile", e);
    if (r == 0)
        r = copy_pem(&k->cert, p, "client-certificate", "CERTIFICATE", e);
    if (r == 0)
        r = copy_pem(&k->key, p, "client-key", "KEY", e);
    if (r < 0)
        return r;
    bool cert = k->cert.file || k->cert.data, key = k->key.file || k->key.data;
    if (cert != key)
        return err_set(e, EINVAL, "%s: client-certificate and client-key go together", p->path);
    return 0;
}

static int read_current_cluster(const struct files *f, const char *name, struct kubeconfig *k, struct err *e)
{
    struct place cluster;
    int r = find_named(f, "clusters", "cluster", name, &cluster, e);
    return r < 0 ? r : read_cluster(&cluster, k, e);
}

static int read_current_user(const struct files *f, const char *name, struct kubeconfig *k, struct err *e)
{
    struct place user;
    if (!name[0])
        return 0; // nobody
    int r = find_named(f, "users", "user", name, &user, e);
    if (r == 0)
        r = read_user(&user, k, e);
    bool secret = k->token || k->token_file || k->cert.file || k->cert.data;
    if (r == 0 && secret && strncmp(k->server, "https://", 8) != 0)
        r = err_set(e, EINVAL, "%s: credentials are not sent over http://", user.path);
    return r;
}

static int read_context(const struct files *f, struct kubeconfig *k, struct err *e)
{
    const char *name = "";
    struct place context;
    for (size_t i = 0; i < f->n && !name[0]; i++)
        name = text_at(doc_root(f->list[i].doc), "current-context");
    if (!name[0])
        return err_set(e, EINVAL, "%s: current-context is not set", f->list[0].path);
    int r = find_named(f, "contexts", "context", name, &context, e);
    if (r == 0)
        r = read_current_cluster(f, text_at(context.map, "cluster"), k, e);
    if (r == 0)
        r = read_current_user(f, text_at(context.map, "user"), k, e);
    if (r < 0)
        return r;
    const char *namespace = text_at(context.map, "namespace");
    if (base_copy(k->namespace, sizeof(k->namespace), namespace[0] ? namespace : "default") < 0)
        return err_set(e, EINVAL, "%s: namespace has more than %d bytes", context.path, LIMIT_NAMESPACE);
    return 0;
}

static int in_account(char **dst, const char *dir, const char *file, struct err *e)
{
    if (asprintf(dst, "%s/%s", dir, file) >= 0)
        return 0;
    *dst = NULL;
    return err_set(e, ENOMEM, "no memory for the service account");
}

static int own_namespace(const struct kubeconfig_env *env, struct kubeconfig *k, struct err *e)
{
    CLEANUP_FREE char *path = NULL;
    CLEANUP_FREE char *text = NULL;
    const char *namespace = env->pod_namespace;
    if (!set(namespace)) {
        int r = in_account(&path, env->account, "namespace", e);
        if (r < 0)
            return r;
        struct err ignored;
        if (kubefile_read(path, 4096, &text, &ignored) == 0) {
            text[strcspn(text, " \t\r\n")] = '\0';
            namespace = text;
        }
    }
    if (base_copy(k->namespace, sizeof(k->namespace), set(namespace) ? namespace : "default") < 0)
        return err_set(e, EINVAL, "the Pod's namespace has more than %d bytes", LIMIT_NAMESPACE);
    return 0;
}

static int read_account(const struct kubeconfig_env *env, struct kubeconfig *k, struct err *e)
{
    struct in6_addr v6;
    CLEANUP_FREE char *ca = NULL;
    CLEANUP_FREE char *token = NULL;
    bool brackets = inet_pton(AF_INET6, env->host, &v6) == 1;
    int r = asprintf(&k->server, "https://%s%s%s:%s", brackets ? "[" : "", env->host, brackets ? "]" : "",
                     env->port);
    if (r < 0) {
        k->server = NULL;
        return err_set(e, ENOMEM, "no memory for the service account");
    }
    r = in_account(&k->ca.file, env->account, "ca.crt", e);
    if (r == 0)
        r = in_account(&k->token_file, env->account, "token", e);
    // Both are looked at now: going on without the CA would mean to trust the system's, without the token to
    // be nobody.
    if (r == 0)
        r = kubefile_read(k->ca.file, LIMIT_KUBECONFIG, &ca, e);
    if (r == 0)
        r = kubefile_read(k->token_file, LIMIT_KUBECONFIG, &token, e);
    if (r < 0)
        return err_wrap(e, "service account");
    if (!kubefile_has_pem(ca, "CERTIFICATE"))
        return err_set(e, EINVAL, "service account: %s holds no PEM CERTIFICATE", k->ca.file);
    return own_namespace(env, k, e);
}

int kubeconfig_load(const struct kubeconfig_env *env, struct kubeconfig *ret, struct err *e)
{
    CLEANUP_KUBECONFIG struct kubeconfig k = {0};
    CLEANUP(files_release) struct files files = {0};
    CLEANUP_FREE char *own = NULL;
    int r;
    if (set(env->flag)) {
        r = add_file(&files, env->flag, e);
    } else if (set(env->list)) {
        r = add_list(&files, env->list, e);
    } else if (set(env->host) && set(env->port)) {
        r = read_account(env, &k, e);
    } else if (set(env->home) && asprintf(&own, "%s/.kube/config", env->home) >= 0) {
        r = add_file(&files, own, e);
        if (r == -ENOENT)
            r = err_set(e, ENOENT, "no --kubeconfig, no KUBECONFIG, not in a cluster, and no %s", own);
    } else {
        own = NULL;
        r = err_set(e, ENOENT, "no --kubeconfig, no KUBECONFIG, not in a cluster, no HOME");
    }
    if (r == 0 && files.n > 0)
        r = read_context(&files, &k, e);
    if (r < 0)
        return r;
    *ret = k;
    k = (struct kubeconfig){0};
    return 0;
}
