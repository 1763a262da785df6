// SPDX-License-Identifier: Apache-2.0
// A kubeconfig, and base64 and PEM alone: no secret in an error, no credentials over http, a server that can
// be asked.
#include <stdio.h>
#include <sys/mman.h>

#include "operator/kubeconfig.h"
#include "operator/kubefile.h"
#include "test/fuzz/fuzz.h"

static void check_accepted(const struct kubeconfig *k)
{
    bool tls = strncmp(k->server, "https://", 8) == 0;
    bool secret = k->token || k->token_file || k->cert.file || k->cert.data || k->key.file || k->key.data;
    const char *host = k->server + (tls ? 8 : 7);
    FUZZ_CHECK(tls || strncmp(k->server, "http://", 7) == 0);
    FUZZ_CHECK(host[0] && host[0] != '/' && host[strlen(host) - 1] != '/');
    FUZZ_CHECK(tls || !secret);
    FUZZ_CHECK((k->cert.file || k->cert.data) == (k->key.file || k->key.data));
    FUZZ_CHECK(!k->ca.data || kubefile_has_pem(k->ca.data, "CERTIFICATE"));
    FUZZ_CHECK(k->namespace[0]);
}

// Tokens that the text holds, however the file is put together.
static void check_no_secret(const uint8_t *data, size_t len, const struct err *e)
{
    struct doc *d = fuzz_doc(data, len);
    const struct doc_node *users = d ? doc_get(doc_root(d), "users") : NULL;
    for (const struct doc_node *u = users ? users->first : NULL; u; u = u->next) {
        const struct doc_node *user = doc_get(u, "user"), *token = doc_get(user, "token");
        if (token && strlen(token->text) >= 12)
            FUZZ_CHECK(!strstr(e->msg, token->text) && !strstr(e->path, token->text));
    }
    doc_free(d);
}

static void check_file(const uint8_t *data, size_t len)
{
    static int fd = -1;
    char path[64];
    struct kubeconfig k;
    struct err e;
    if (fd < 0)
        fd = memfd_create("kubeconfig", MFD_CLOEXEC);
    FUZZ_CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, data, len, 0) == (ssize_t)len);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int r = kubeconfig_load(&(struct kubeconfig_env){.flag = path}, &k, &e);
    if (r < 0) {
        fuzz_check_err(r, &e);
        check_no_secret(data, len, &e);
        return;
    }
    check_accepted(&k);
    kubeconfig_release(&k);
}

static void check_base64(const char *text)
{
    char *out;
    struct err e;
    size_t digits = 0;
    for (const char *p = text; *p; p++)
        digits += strchr(" \t\r\n=", *p) == NULL;
    int r = kubefile_base64(text, &out, &e);
    if (r < 0) {
        fuzz_check_err(r, &e);
        return;
    }
    FUZZ_CHECK(strlen(out) == digits * 3 / 4);
    (void)kubefile_has_pem(out, "KEY");
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = fuzz_text(data, len);
    check_file(data, len);
    check_base64(text);
    FUZZ_CHECK(!kubefile_has_pem(text, "CERTIFICATE") || strstr(text, "-----BEGIN "));
    free(text);
    return 0;
}
