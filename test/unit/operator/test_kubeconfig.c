// SPDX-License-Identifier: Apache-2.0
// kubeconfig files, whole, merged and broken; the service account's files; base64 and PEM.
#include "operator/kubeconfig.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "operator/kubefile.h"
#include "test/unit/check.h"

static char dir[64];

static const char *in_dir(const char *name)
{
    static char path[4][128];
    static size_t next;
    char *out = path[next++ % 4];
    snprintf(out, 128, "%s/%s", dir, name);
    return out;
}

static void put_file(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "we");
    if (f) {
        fputs(text, f);
        fclose(f);
    }
}

#define CLUSTER "clusters: [{name: c, cluster: {server: 'https://192.0.2.1:6443/'%s}}]\n"
#define USER "users: [{name: u, user: {%s}}]\n"
#define CONTEXT "contexts: [{name: x, context: {cluster: c, user: u%s}}]\ncurrent-context: x\n"

static const char *config(const char *cluster, const char *user, const char *context)
{
    static char text[4096];
    snprintf(text, sizeof(text), CLUSTER USER CONTEXT, cluster, user, context);
    return text;
}

static int load(const char *text, struct kubeconfig *k, struct err *e)
{
    put_file("config", text);
    struct kubeconfig_env env = {.flag = in_dir("config")};
    *e = (struct err){0};
    return kubeconfig_load(&env, k, e);
}

// "-----BEGIN CERTIFICATE-----\nx\n" and "-----BEGIN EC PRIVATE KEY-----\nx\n"
#define CERT64 "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCngK"
#define KEY64 "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCngK"

static void whole_file(void)
{
    CLEANUP_KUBECONFIG struct kubeconfig k = {0};
    struct err e;
    CHECK_INT(load(config(", certificate-authority: pki/ca.crt, tls-server-name: api",
                          "token: 12345, tokenFile: t", ", namespace: probes"),
                   &k, &e),
              0);
    CHECK_STR(k.server, "https://192.0.2.1:6443");
    CHECK_STR(k.server_name, "api");
    CHECK_STR(k.ca.file, in_dir("pki/ca.crt"));
    CHECK(!k.ca.data && !k.insecure && !k.cert.file);
    CHECK_STR(k.token, "12345"); // a token is text, whatever it looks like
    CHECK_STR(k.token_file, in_dir("t"));
    CHECK_STR(k.namespace, "probes");
}

static void inline_data_and_json(void)
{
    CLEANUP_KUBECONFIG struct kubeconfig k = {0}, json = {0};
    struct err e;
    CHECK_INT(load(config(", certificate-authority-data: " CERT64 ", certificate-authority: /ignored",
                          "client-certificate-data: " CERT64 ", client-key-data: " KEY64, ""),
                   &k, &e),
              0);
    CHECK_CONTAINS(k.ca.data, "BEGIN CERTIFICATE");
    CHECK(!k.ca.file);
    CHECK_CONTAINS(k.key.data, "BEGIN EC PRIVATE KEY");
    CHECK_STR(k.namespace, "default");
    CHECK_INT(
        load(
            "{\"current-context\": \"x\", \"clusters\": [{\"name\": \"c\", \"cluster\": {\"server\": \"http://127.0.0.1:8001\"}}],"
            " \"contexts\": [{\"name\": \"x\", \"context\": {\"cluster\": \"c\"}}]}",
            &json, &e),
        0);
    CHECK_STR(json.server, "http://127.0.0.1:8001");
}

static void broken_files(void)
{
    static const struct {
        const char *cluster, *user, *context, *want;
    } bad[] = {
        {"", "exec: {command: helper}", "", "exec is not carried out"},
        {"", "auth-provider: {name: gcp}", "", "auth-provider is not carried out"},
        {"", "username: a, password: b", "", "username is not carried out"},
        {"", "token: t, as: admin", "", "as is not carried out"},
        {", proxy-url: 'http://192.0.2.9'", "", "", "proxy-url is not carried out"},
        {", certificate-authority-data: '%%'", "", "", "certificate-authority-data: is not base64"},
        {", certificate-authority-data: AAAA", "", "", "certificate-authority-data: is not text"},
        {", certificate-authority-data: eHg=", "", "",
         "certificate-authority-data: holds no PEM CERTIFICATE"},
        {"", "client-certificate: a.crt", "", "client-certificate and client-key go together"},
        {"", "client-key-data: " KEY64, "", "client-certificate and client-key go together"},
        {", insecure-skip-tls-verify: true, certificate-authority: ca", "", "",
         "insecure-skip-tls-verify together with certificate-authority"},
        {"", "", ", namespace: 0123456789012345678901234567890123456789012345678901234567890123",
         "namespace has more than 63"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP_KUBECONFIG struct kubeconfig k = {0};
        struct err e;
        CHECK_INT(load(config(bad[i].cluster, bad[i].user, bad[i].context), &k, &e), -EINVAL);
        CHECK_CONTAINS(e.msg, bad[i].want);
        CHECK_CONTAINS(e.msg, dir); // says which file
    }
}

static void broken_outlines(void)
{
    static const struct {
        const char *text, *want;
    } bad[] = {
        {"", "current-context is not set"},
        {"[1, 2]", "current-context is not set"},
        {"current-context: [x]", "current-context is not set"},
        {"current-context: null", "current-context is not set"},
        {"current-context: x", "there is no context \"x\""},
        {"current-context: x\ncontexts: {x: 1}", "there is no context \"x\""},
        {"current-context: x\ncontexts: [{name: x}]", "context \"x\" is empty"},
        {"current-context: x\ncontexts: [{name: x, context: {cluster: c}}]", "there is no cluster \"c\""},
        {"current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c, cluster: {}}]",
         "server: \"\" is no"},
        {"current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: 'ftp://x'}}]",
         "server: \"ftp://x\" is no"},
        {"current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: 'https://x'}}]",
         "there is no user \"u\""},
        {"current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: 'http://x'}}]\n"
         "users: [{name: u, user: {token: SECRET}}]",
         "credentials are not sent over http://"},
        {"current-context: *x", "line 1"},
        {"a: [", "line"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP_KUBECONFIG struct kubeconfig k = {0};
        struct err e;
        CHECK_INT(load(bad[i].text, &k, &e), -EINVAL);
        CHECK_CONTAINS(e.msg, bad[i].want);
        CHECK(!strstr(e.msg, "SECRET"));
    }
}

static void list_is_merged(void)
{
    CLEANUP_KUBECONFIG struct kubeconfig k = {0};
    struct err e = {0};
    char list[512];
    put_file("one", "clusters: [{name: c, cluster: {server: 'https://one'}}]\n");
    put_file("two", "clusters: [{name: c, cluster: {server: 'https://two'}}]\ncurrent-context: x\n"
                    "users: [{name: u, user: {tokenFile: sub/t}}]\n"
                    "contexts: [{name: x, context: {cluster: c, user: u}}]\n");
    snprintf(list, sizeof(list), "%s::%s:%s", in_dir("missing"), in_dir("one"), in_dir("two"));
    struct kubeconfig_env env = {.list = list, .host = "192.0.2.1", .port = "443"};
    CHECK_INT(kubeconfig_load(&env, &k, &e), 0);
    CHECK_STR(k.server, "https://one");
    CHECK_STR(k.token_file, in_dir("sub/t"));
    env.list = in_dir("missing");
    CHECK_INT(kubeconfig_load(&env, &k, &e), -ENOENT);
    env.flag = in_dir("missing"); // named by hand: must exist
    CHECK_INT(kubeconfig_load(&env, &k, &e), -ENOENT);
    CHECK_CONTAINS(e.msg, "missing");
}

static void service_account(void)
{
    CLEANUP_KUBECONFIG struct kubeconfig k = {0}, again = {0};
    struct err e = {0};
    struct kubeconfig_env env = {.host = "2001:db8::1", .port = "443", .account = dir};
    unlink(in_dir("ca.crt"));
    unlink(in_dir("token"));
    CHECK_INT(kubeconfig_load(&env, &k, &e), -ENOENT); // never the system's CAs instead
    CHECK_CONTAINS(e.msg, "ca.crt");
    put_file("ca.crt", "junk\n");
    put_file("token", "abc\n");
    CHECK_INT(kubeconfig_load(&env, &k, &e), -EINVAL);
    put_file("ca.crt", "-----BEGIN CERTIFICATE-----\nx\n");
    put_file("namespace", "probes\n");
    CHECK_INT(kubeconfig_load(&env, &k, &e), 0);
    CHECK_STR(k.server, "https://[2001:db8::1]:443");
    CHECK_STR(k.token_file, in_dir("token"));
    CHECK_STR(k.namespace, "probes");
    env.pod_namespace = "other";
    CHECK_INT(kubeconfig_load(&env, &again, &e), 0);
    CHECK_STR(again.namespace, "other");
}

static void nothing_at_all(void)
{
    struct kubeconfig k;
    struct err e = {0};
    struct kubeconfig_env env = {.home = dir, .host = "192.0.2.1"};
    CHECK_INT(kubeconfig_load(&env, &k, &e), -ENOENT);
    CHECK_CONTAINS(e.msg, "not in a cluster");
}

static void base64_texts(void)
{
    static const struct {
        const char *text, *want; // NULL: refused
    } table[] = {
        {"", ""},        {"YQ==", "a"},  {"YWI=", "ab"}, {"YWJj", "abc"}, {"YW\n Jj\r\nZA==", "abcd"},
        {"YQ=", NULL},   {"YQ", NULL},   {"Y", NULL},    {"=", NULL},     {"YQ==YQ==", NULL},
        {"YWI==", NULL}, {"Y-Jj", NULL}, {"YW=j", NULL}, {"AA==", NULL},  {"====", NULL}};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        CLEANUP_FREE char *out = NULL;
        struct err e;
        CHECK_INT(kubefile_base64(table[i].text, &out, &e), table[i].want ? 0 : -EINVAL);
        if (table[i].want)
            CHECK_STR(out, table[i].want);
    }
    CHECK(kubefile_has_pem("x\n-----BEGIN EC PRIVATE KEY-----\n", "KEY"));
    CHECK(!kubefile_has_pem("-----BEGIN CERTIFICATE-----\nKEY-----", "KEY"));
    CHECK(!kubefile_has_pem("-----BEGIN ", "KEY"));
}

static void big_and_binary_files(void)
{
    CLEANUP_FREE char *text = NULL;
    struct err e = {0};
    put_file("four", "abcd");
    CHECK_INT(kubefile_read(in_dir("four"), 3, &text, &e), -E2BIG);
    CHECK_INT(kubefile_read(in_dir("four"), 4, &text, &e), 0);
    CHECK_STR(text, "abcd");
    CHECK_INT(kubefile_read(dir, 10, &text, &e), -EISDIR);
    int fd = open(in_dir("nul"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK_INT(write(fd, "a\0b", 3), 3);
    close(fd);
    CHECK_INT(kubefile_read(in_dir("nul"), 10, &text, &e), -EINVAL);
}

static const struct check_case cases[] = {
    {"whole_file", whole_file},
    {"inline_data_and_json", inline_data_and_json},
    {"broken_files", broken_files},
    {"broken_outlines", broken_outlines},
    {"list_is_merged", list_is_merged},
    {"service_account", service_account},
    {"nothing_at_all", nothing_at_all},
    {"base64_texts", base64_texts},
    {"big_and_binary_files", big_and_binary_files},
};

int check_main(void);
#define main check_main
CHECK_MAIN(cases)
#undef main

int main(void)
{
    static const char *const files[] = {"config", "one",       "two",  "ca.crt",
                                        "token",  "namespace", "four", "nul"};
    snprintf(dir, sizeof(dir), "/tmp/kubecanary-test-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    int r = check_main();
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        unlink(in_dir(files[i]));
    rmdir(dir);
    return r;
}
