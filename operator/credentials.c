// SPDX-License-Identifier: Apache-2.0
// Reads tokens and certificates from where the kubeconfig says they are, and again when they are old or were
// refused.
#include "operator/credentials.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "operator/kubefile.h"

struct pems {
    char *ca, *cert, *key;
};

struct credentials {
    const struct kubeconfig *config;
    char *header; // "Authorization: Bearer TOKEN", NULL: no token
    uint64_t token_read_ns;
    struct pems pems;
    uint64_t tls_read_ns;
};

static void wipe(char **text)
{
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

static void pems_release(struct pems *p)
{
    wipe(&p->ca);
    wipe(&p->cert);
    wipe(&p->key);
}

// A header is one line, and a token has no spaces.
static int make_header(const char *token, char **ret, struct err *e)
{
    size_t start = strspn(token, " \t\r\n");
    size_t len = strcspn(token + start, " \t\r\n");
    if (len == 0)
        return err_set(e, EINVAL, "the token is empty");
    if (token[start + len + strspn(token + start + len, " \t\r\n")] != '\0')
        return err_set(e, EINVAL, "the token has spaces in it");
    if (asprintf(ret, "Authorization: Bearer %.*s", (int)len, token + start) < 0) {
        *ret = NULL;
        return err_set(e, ENOMEM, "no memory for the token");
    }
    return 0;
}

static int read_token(const struct kubeconfig *k, char **ret, struct err *e)
{
    char *text = NULL;
    if (!k->token_file)
        return k->token ? make_header(k->token, ret, e) : 0;
    int r = kubefile_read(k->token_file, LIMIT_TOKEN, &text, e);
    if (r == 0)
        r = make_header(text, ret, e);
    wipe(&text);
    return r < 0 && r != -ENOENT ? err_wrap(e, "%s", k->token_file) : r;
}

static int read_pem(const struct kubeconfig_pem *from, char **ret, struct err *e)
{
    if (from->file)
        return kubefile_read(from->file, LIMIT_PEM, ret, e);
    if (!from->data)
        return 0;
    *ret = strdup(from->data);
    return *ret ? 0 : err_set(e, ENOMEM, "no memory for certificates");
}

static int check_pem(const struct kubeconfig_pem *from, const char *text, const char *kind, struct err *e)
{
    if (!text || kubefile_has_pem(text, kind))
        return 0;
    return err_set(e, EINVAL, "%s: holds no PEM %s", from->file ? from->file : "kubeconfig", kind);
}

static int read_pems(const struct kubeconfig *k, struct pems *ret, struct err *e)
{
    CLEANUP(pems_release) struct pems p = {0};
    int r = read_pem(&k->ca, &p.ca, e);
    if (r == 0)
        r = read_pem(&k->cert, &p.cert, e);
    if (r == 0)
        r = read_pem(&k->key, &p.key, e);
    if (r == 0)
        r = check_pem(&k->ca, p.ca, "CERTIFICATE", e);
    if (r == 0)
        r = check_pem(&k->cert, p.cert, "CERTIFICATE", e);
    if (r == 0)
        r = check_pem(&k->key, p.key, "KEY", e);
    if (r < 0)
        return r;
    *ret = p;
    p = (struct pems){0};
    return 0;
}

struct credentials *credentials_new(const struct kubeconfig *k, uint64_t now, struct err *e)
{
    struct credentials *c = calloc(1, sizeof(*c));
    if (!c) {
        err_set(e, ENOMEM, "no memory for credentials");
        return NULL;
    }
    c->config = k;
    c->token_read_ns = c->tls_read_ns = now;
    if (read_token(k, &c->header, e) < 0 || read_pems(k, &c->pems, e) < 0) {
        credentials_free(c);
        return NULL;
    }
    return c;
}

void credentials_free(struct credentials *c)
{
    if (!c)
        return;
    wipe(&c->header);
    pems_release(&c->pems);
    free(c);
}

// True: the token is another one now.
static bool reread_token(struct credentials *c, uint64_t now)
{
    struct err ignored;
    char *header = NULL;
    if (!c->config->token_file || read_token(c->config, &header, &ignored) < 0)
        return false;
    bool changed = !c->header || strcmp(c->header, header) != 0;
    wipe(&c->header);
    c->header = header;
    c->token_read_ns = now;
    return changed;
}

const char *credentials_header(struct credentials *c, uint64_t now)
{
    if (now - c->token_read_ns >= CREDENTIALS_TOKEN_NS)
        reread_token(c, now);
    return c->header;
}

bool credentials_refused(struct credentials *c, uint64_t sent_ns, uint64_t now)
{
    if (c->token_read_ns > sent_ns)
        return true; // read since the request went out
    return reread_token(c, now);
}

struct fetch_tls credentials_tls(const struct credentials *c)
{
    return (struct fetch_tls){.ca = c->pems.ca,
                              .cert = c->pems.cert,
                              .key = c->pems.key,
                              .server_name = c->config->server_name,
                              .insecure = c->config->insecure};
}

static bool equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool credentials_refresh(struct credentials *c, bool failed, uint64_t now, struct err *e)
{
    struct pems p = {0};
    bool files = c->config->ca.file || c->config->cert.file || c->config->key.file;
    *e = (struct err){0};
    if (!files || now - c->tls_read_ns < (failed ? CREDENTIALS_TLS_RETRY_NS : CREDENTIALS_TLS_NS))
        return false;
    c->tls_read_ns = now;
    if (read_pems(c->config, &p, e) < 0)
        return false;
    bool changed = !equal(p.ca, c->pems.ca) || !equal(p.cert, c->pems.cert) || !equal(p.key, c->pems.key);
    pems_release(&c->pems);
    c->pems = p;
    return changed;
}
