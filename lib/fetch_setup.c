// SPDX-License-Identifier: Apache-2.0
// Translates fetch_opts into libcurl's options.
#include "lib/fetch_setup.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/limits.h"

// A connection that idled longer is not used again: servers and balancers close theirs after minutes.
#define IDLE_S 90L
#define KEEPALIVE_IDLE_S 30L
#define KEEPALIVE_INTERVAL_S 5L
#define KEEPALIVE_COUNT 3
#define UNACKED_MS 45000
#define READ_BYTES (64L << 10)

void fetch_setup_release_tls(struct fetch_setup_tls *t)
{
    if (t->key)
        explicit_bzero(t->key, strlen(t->key));
    free(t->ca);
    free(t->cert);
    free(t->key);
    free(t->server_name);
    *t = (struct fetch_setup_tls){0};
}

static bool dup_into(char **dst, const char *src)
{
    *dst = src ? strdup(src) : NULL;
    return !src || *dst;
}

int fetch_setup_copy_tls(const struct fetch_tls *from, struct fetch_setup_tls *ret, struct err *e)
{
    struct fetch_setup_tls t = {.insecure = from->insecure};
    if (!dup_into(&t.ca, from->ca) || !dup_into(&t.cert, from->cert) || !dup_into(&t.key, from->key) ||
        !dup_into(&t.server_name, from->server_name)) {
        fetch_setup_release_tls(&t);
        return err_set(e, ENOMEM, "no memory for certificates");
    }
    *ret = t;
    return 0;
}

static int on_curl_open(void *arg UNUSED, curl_socket_t fd, curlsocktype purpose UNUSED)
{
    int ms = UNACKED_MS, count = KEEPALIVE_COUNT;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    return CURL_SOCKOPT_OK;
}

static bool add_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer)
        *list = longer;
    return longer != NULL;
}

static void cleanup_url(CURLU **u)
{
    curl_url_cleanup(*u);
}

static void cleanup_curl_text(char **text)
{
    curl_free(*text);
}

// libcurl verifies the name that is in the URL: so the other name goes there, and the connection to where the
// URL led.
static int set_server_name(CURL *easy, const char *url, const char *name, struct fetch_setup_lists *lists,
                           struct err *e)
{
    CLEANUP(cleanup_url) CURLU *u = curl_url();
    CLEANUP(cleanup_curl_text) char *host = NULL;
    CLEANUP(cleanup_curl_text) char *port = NULL;
    CLEANUP(cleanup_curl_text) char *renamed = NULL;
    CLEANUP_BUF struct buf host_line, connect_to;
    buf_init(&host_line, LIMIT_URL);
    buf_init(&connect_to, LIMIT_URL);
    if (!u || curl_url_set(u, CURLUPART_URL, url, 0) || curl_url_get(u, CURLUPART_HOST, &host, 0) ||
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ||
        curl_url_set(u, CURLUPART_HOST, name, 0) || curl_url_get(u, CURLUPART_URL, &renamed, 0))
        return err_set(e, EINVAL, "bad URL or server name");
    buf_fmt(&host_line, "Host: %s:%s", host, port);
    buf_fmt(&connect_to, "::%s:%s", host, port); // an IPv6 host has its brackets here
    if (host_line.failed || connect_to.failed || !add_line(&lists->headers, buf_text(&host_line)) ||
        !add_line(&lists->connect_to, buf_text(&connect_to)) ||
        curl_easy_setopt(easy, CURLOPT_URL, renamed) != CURLE_OK)
        return err_set(e, ENOMEM, "no memory for a request");
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, lists->connect_to);
    return 0;
}

static bool set_blob(CURL *easy, CURLoption option, char *pem)
{
    struct curl_blob blob = {.data = pem, .len = pem ? strlen(pem) : 0, .flags = CURL_BLOB_COPY};
    return !pem || curl_easy_setopt(easy, option, &blob) == CURLE_OK;
}

static bool set_tls(CURL *easy, const struct fetch_setup_tls *tls)
{
    long verify = !tls->insecure;
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
    // libcurl keeps a parsed CA store for a day unless told not to; a rotated CA would not be seen.
    curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
    return set_blob(easy, CURLOPT_CAINFO_BLOB, tls->ca) && set_blob(easy, CURLOPT_SSLCERT_BLOB, tls->cert) &&
           set_blob(easy, CURLOPT_SSLKEY_BLOB, tls->key);
}

static void set_connection(CURL *easy, const struct fetch_opts *o)
{
    uint64_t ms = MAX(o->timeout_ns / NS_PER_MS, UINT64_C(1));
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(FETCH_CONNECT_NS / NS_PER_MS));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)MIN(ms, (uint64_t)INT32_MAX));
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_S);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_curl_open);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, READ_BYTES);
}

static bool set_request(CURL *easy, const struct fetch_opts *o, const char *user_agent,
                        struct fetch_setup_lists *lists)
{
    bool ok = add_line(&lists->headers, "Expect:"); // no second round trip for a long body
    for (const char *const *h = o->headers; ok && h && *h; h++)
        ok = add_line(&lists->headers, *h);
    ok = ok && curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip") == CURLE_OK;
    if (ok && o->body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body_len);
        ok = curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, o->body) == CURLE_OK;
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, lists->headers);
    return ok && (strcmp(o->method, "GET") == 0 ||
                  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, o->method) == CURLE_OK);
}

int fetch_setup(CURL *easy, const struct fetch_opts *o, const struct fetch_setup_tls *tls,
                const char *user_agent, struct fetch_setup_lists *lists, struct err *e)
{
    if (strlen(o->url) > LIMIT_URL)
        return err_set(e, EINVAL, "a URL of more than %zu bytes", LIMIT_URL);
    if (curl_easy_setopt(easy, CURLOPT_URL, o->url) != CURLE_OK)
        return err_set(e, ENOMEM, "no memory for a request");
    if (tls->server_name) {
        int r = set_server_name(easy, o->url, tls->server_name, lists, e);
        if (r < 0)
            return r;
    }
    set_connection(easy, o);
    if (!set_tls(easy, tls) || !set_request(easy, o, user_agent, lists))
        return err_set(e, ENOMEM, "no memory for a request");
    return 0;
}
