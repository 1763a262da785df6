// SPDX-License-Identifier: Apache-2.0
// Credentials that change on disk: by age, after a refusal, half written, gone.
#include "operator/credentials.h"

#include <errno.h>

#include "test/unit/check.h"

#define CERT(x) "-----BEGIN CERTIFICATE-----\n" x "\n-----END CERTIFICATE-----\n"
#define KEY(x) "-----BEGIN PRIVATE KEY-----\n" x "\n-----END PRIVATE KEY-----\n"
#define START (1000 * NS_PER_S)

static char dir[64], token[96], ca[96], cert[96], key[96];

static void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    if (f) {
        fputs(text, f);
        fclose(f);
    }
}

static struct kubeconfig config(void)
{
    put_file(token, "one\n");
    put_file(ca, CERT("ca1"));
    put_file(cert, CERT("cert1"));
    put_file(key, KEY("key1"));
    return (struct kubeconfig){.ca.file = ca, .cert.file = cert, .key.file = key, .token_file = token};
}

static void free_credentials(struct credentials **c)
{
    credentials_free(*c);
}
#define CREDENTIALS CLEANUP(free_credentials) struct credentials *

static void token_by_age(void)
{
    struct err e = {0};
    struct kubeconfig k = config();
    CREDENTIALS c = credentials_new(&k, START, &e);
    CHECK_STR(c ? credentials_header(c, START) : e.msg, "Authorization: Bearer one");
    put_file(token, " two \n");
    CHECK_STR(credentials_header(c, START + CREDENTIALS_TOKEN_NS - 1), "Authorization: Bearer one");
    CHECK_STR(credentials_header(c, START + CREDENTIALS_TOKEN_NS), "Authorization: Bearer two");
    static const char *const useless[] = {"", "\n", "three four", "three\nfour\n"};
    for (size_t i = 0; i < ARRAY_LEN(useless); i++) {
        put_file(token, useless[i]);
        CHECK_STR(credentials_header(c, START + 3 * CREDENTIALS_TOKEN_NS), "Authorization: Bearer two");
    }
    unlink(token);
    CHECK_STR(credentials_header(c, START + 9 * CREDENTIALS_TOKEN_NS), "Authorization: Bearer two");
}

static void token_after_a_refusal(void)
{
    struct err e = {0};
    struct kubeconfig k = config();
    CREDENTIALS c = credentials_new(&k, START, &e);
    CHECK(c != NULL);
    CHECK(!credentials_refused(c, START + 1, START + 2)); // the same token: no use
    put_file(token, "two");
    CHECK(credentials_refused(c, START + 3, START + 4));
    CHECK_STR(credentials_header(c, START + 5), "Authorization: Bearer two");
    // Another request was sent with the old token before that: it may be sent again without reading the file.
    CHECK(credentials_refused(c, START + 1, START + 6));
    CHECK(!credentials_refused(c, START + 5, START + 7));
}

static void without_a_token_file(void)
{
    struct err e = {0};
    struct kubeconfig fixed = {.token = (char[]){"abc"}}, none = {0};
    CREDENTIALS c = credentials_new(&fixed, START, &e);
    CREDENTIALS d = credentials_new(&none, START, &e);
    CHECK_STR(credentials_header(c, START + 999 * NS_PER_S), "Authorization: Bearer abc");
    CHECK(!credentials_refused(c, START + 1, START + 2));
    CHECK(credentials_header(d, START) == NULL);
    CHECK(!credentials_refresh(d, true, START + 9999 * NS_PER_S, &e));
    CHECK_INT(e.code, 0);
}

static void certificates_by_age(void)
{
    struct err e = {0};
    struct kubeconfig k = config();
    CREDENTIALS c = credentials_new(&k, START, &e);
    CHECK(c != NULL);
    put_file(ca, CERT("ca2"));
    CHECK(!credentials_refresh(c, false, START + CREDENTIALS_TLS_NS - 1, &e));
    CHECK_CONTAINS(credentials_tls(c).ca, "ca1");
    CHECK(credentials_refresh(c, false, START + CREDENTIALS_TLS_NS, &e));
    CHECK_CONTAINS(credentials_tls(c).ca, "ca2");
    CHECK_CONTAINS(credentials_tls(c).key, "key1");
    CHECK(!credentials_refresh(c, false, START + 2 * CREDENTIALS_TLS_NS,
                               &e)); // the same again: no new connections
}

static void certificates_after_a_failure(void)
{
    struct err e = {0};
    struct kubeconfig k = config();
    CREDENTIALS c = credentials_new(&k, START, &e);
    CHECK(c != NULL);
    put_file(cert, CERT("cert2"));
    CHECK(!credentials_refresh(c, true, START + CREDENTIALS_TLS_RETRY_NS - 1, &e));
    CHECK(credentials_refresh(c, true, START + CREDENTIALS_TLS_RETRY_NS, &e));
    CHECK_CONTAINS(credentials_tls(c).cert, "cert2");
    static const char *const useless[] = {"", "-----BEGIN CERTI"};
    uint64_t now = START + CREDENTIALS_TLS_RETRY_NS;
    for (size_t i = 0; i < ARRAY_LEN(useless); i++) { // half written
        put_file(cert, useless[i]);
        now += CREDENTIALS_TLS_RETRY_NS;
        CHECK(!credentials_refresh(c, true, now, &e));
        CHECK_INT(e.code, EINVAL);
        CHECK_CONTAINS(credentials_tls(c).cert, "cert2");
    }
    unlink(key);
    now += CREDENTIALS_TLS_RETRY_NS;
    CHECK(!credentials_refresh(c, true, now, &e));
    CHECK_INT(e.code, ENOENT);
    CHECK_CONTAINS(credentials_tls(c).key, "key1");
}

static void nothing_to_begin_with(void)
{
    struct err e = {0};
    struct kubeconfig k = config();
    unlink(token);
    CREDENTIALS c = credentials_new(&k, START, &e);
    CHECK(c == NULL);
    CHECK_INT(e.code, ENOENT);
    CHECK_CONTAINS(e.msg, token);
}

static const struct check_case cases[] = {
    {"token_by_age", token_by_age},
    {"token_after_a_refusal", token_after_a_refusal},
    {"without_a_token_file", without_a_token_file},
    {"certificates_by_age", certificates_by_age},
    {"certificates_after_a_failure", certificates_after_a_failure},
    {"nothing_to_begin_with", nothing_to_begin_with},
};

int check_main(void);
#define main check_main
CHECK_MAIN(cases)
#undef main

int main(void)
{
    const char *const files[] = {token, ca, cert, key};
    snprintf(dir, sizeof(dir), "/tmp/kubecanary-test-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    snprintf(token, sizeof(token), "%s/token", dir);
    snprintf(ca, sizeof(ca), "%s/ca", dir);
    snprintf(cert, sizeof(cert), "%s/cert", dir);
    snprintf(key, sizeof(key), "%s/key", dir);
    int r = check_main();
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        unlink(files[i]);
    rmdir(dir);
    return r;
}
