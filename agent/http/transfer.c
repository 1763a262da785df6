// SPDX-License-Identifier: Apache-2.0
// One probe: options in, what libcurl says of it out.
#include "agent/http/transfer.h"

#include <curl/curl.h>
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/queue.h>

#include "agent/http/cert.h"
#include "agent/http/transfer_outcome.h"
#include "lib/fetch_multi.h"

#define READ_BYTES 4096L       // what libcurl reads at once; it holds so much for each probe
#define SEND_BYTES (16L << 10) // with TLS what it sends passes through so much; its least
#define CROWD 16               // so many at once leave memory behind that is worth giving back
#define USER_AGENT "kubecanary/" KUBECANARY_VERSION

struct transfer {
    LIST_ENTRY(transfer) link;
    struct transfers *set;
    CURL *easy;
    uint64_t id;
    bool system_store;
    size_t headers, body; // bytes so far
    struct cert_ends ends;
    int socket_err; // of the last socket that there could not be; 0: none
    char error[CURL_ERROR_SIZE];
};

struct transfers {
    struct fetch_multi multi;
    struct curl_slist *headers; // of every request
    transfer_done_fn *on_done;
    void *arg;
    size_t n, most; // under way; and at most since there were none
    LIST_HEAD(, transfer) list;
};

// --- what comes ----------------------------------------------------------------------------------

static size_t on_body(char *data UNUSED, size_t size, size_t n, void *arg)
{
    struct transfer *x = arg;
    x->body += size * n;
    return x->body > LIMIT_HTTP_BODY ? 0 : size * n;
}

static size_t on_header(char *data UNUSED, size_t size, size_t n, void *arg)
{
    struct transfer *x = arg;
    x->headers += size * n;
    return x->headers > LIMIT_HTTP_HEADERS ? 0 : size * n;
}

static CURLcode on_ssl(CURL *easy UNUSED, void *ssl_ctx, void *arg)
{
    struct transfer *x = arg;
    if (x->system_store)
        cert_trust_system(ssl_ctx);
    cert_watch(ssl_ctx, &x->ends);
    return CURLE_OK;
}

// libcurl itself forgets why there is no socket.
static curl_socket_t on_socket(void *arg, curlsocktype purpose UNUSED, struct curl_sockaddr *to)
{
    struct transfer *x = arg;
    int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
    if (fd < 0)
        x->socket_err = errno;
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static void transfer_end(struct transfer *x)
{
    struct transfers *t = x->set;
    LIST_REMOVE(x, link);
    curl_multi_remove_handle(t->multi.curl, x->easy);
    curl_easy_cleanup(x->easy);
    free(x);
    if (--t->n > 0)
        return;
    if (t->most > CROWD)
        malloc_trim(0); // by itself malloc keeps all that is not at the top of its heap
    t->most = 0;
}

static void on_transfer_done(CURL *easy, CURLcode code, void *arg)
{
    struct transfers *t = arg;
    struct transfer *x = NULL;
    struct http_wire_result r;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&x);
    bool enough = x->body > LIMIT_HTTP_BODY, flood = x->headers > LIMIT_HTTP_HEADERS;
    transfer_outcome(easy, enough && code == CURLE_WRITE_ERROR ? CURLE_OK : code, x->error, x->socket_err,
                     &r);
    if (flood)
        r.outcome = HTTP_WIRE_PROTOCOL;
    r.id = x->id;
    r.leaf_end_s = x->ends.leaf_s;
    r.chain_end_s = x->ends.chain_s;
    transfer_end(x);
    t->on_done(&r, t->arg);
}

// --- what goes -----------------------------------------------------------------------------------

static long resolve_to(enum http_wire_family f)
{
    switch (f) {
    case HTTP_WIRE_IPV4: return CURL_IPRESOLVE_V4;
    case HTTP_WIRE_IPV6: return CURL_IPRESOLVE_V6;
    case HTTP_WIRE_ANY: return CURL_IPRESOLVE_WHATEVER;
    }
    return CURL_IPRESOLVE_WHATEVER;
}

static bool set_request(struct transfer *x, const struct http_wire_probe *p)
{
    char url[LIMIT_HTTP_URL + 1];
    memcpy(url, p->url, p->url_len);
    url[p->url_len] = '\0';
    long ms = (long)((p->timeout_ns + NS_PER_MS - 1) / NS_PER_MS);
    CURL *c = x->easy;
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, (long)p->follow);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)LIMIT_HTTP_REDIRECTS);
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, x->set->headers);
    curl_easy_setopt(c, CURLOPT_IPRESOLVE, resolve_to(p->family));
    curl_easy_setopt(c, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, ms);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, ms);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, READ_BYTES);
    curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BYTES);
    if (p->head)
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    return curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_USERAGENT, USER_AGENT) == CURLE_OK;
}

static bool set_tls(struct transfer *x, const struct http_wire_probe *p)
{
    CURL *c = x->easy;
    curl_easy_setopt(c, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, p->insecure ? 0L : 1L);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, p->insecure ? 0L : 2L);
    curl_easy_setopt(c, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(c, CURLOPT_CA_CACHE_TIMEOUT, 0L);
    curl_easy_setopt(c, CURLOPT_SSL_CTX_FUNCTION, on_ssl);
    curl_easy_setopt(c, CURLOPT_SSL_CTX_DATA, x);
    // Nobody but whom the bundle names: a libcurl of a distribution has a store of its own.
    curl_easy_setopt(c, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
    x->system_store = p->ca_len == 0 && !p->insecure;
    struct curl_blob blob = {.data = (void *)(uintptr_t)p->ca, .len = p->ca_len, .flags = CURL_BLOB_COPY};
    return p->ca_len == 0 || curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &blob) == CURLE_OK;
}

static void set_callbacks(struct transfer *x)
{
    curl_easy_setopt(x->easy, CURLOPT_PRIVATE, x);
    curl_easy_setopt(x->easy, CURLOPT_ERRORBUFFER, x->error);
    curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(x->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(x->easy, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(x->easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(x->easy, CURLOPT_OPENSOCKETDATA, x);
}

static bool begin(struct transfers *t, const struct http_wire_probe *p)
{
    struct transfer *x = t->n < LIMIT_HTTP_IN_FLIGHT ? calloc(1, sizeof(*x)) : NULL;
    if (!x)
        return false;
    x->set = t;
    x->id = p->id;
    x->easy = curl_easy_init();
    if (x->easy && set_request(x, p) && set_tls(x, p)) {
        set_callbacks(x);
        if (curl_multi_add_handle(t->multi.curl, x->easy) == CURLM_OK) {
            LIST_INSERT_HEAD(&t->list, x, link);
            t->n++;
            t->most = MAX(t->most, t->n);
            return true;
        }
    }
    curl_easy_cleanup(x->easy);
    free(x);
    return false;
}

void transfer_start(struct transfers *t, const struct http_wire_probe *p)
{
    if (begin(t, p))
        return;
    bool crowd = t->n >= LIMIT_HTTP_IN_FLIGHT;
    struct http_wire_result r = {.id = p->id, .outcome = HTTP_WIRE_LOCAL, .err = crowd ? EMFILE : ENOMEM};
    (void)!base_copy(r.text, sizeof(r.text), crowd ? "too many probes at once" : "no memory");
    t->on_done(&r, t->arg);
}

struct transfers *transfer_new(struct loop *l, transfer_done_fn *on_done, void *arg, struct err *e)
{
    struct transfers *t = calloc(1, sizeof(*t));
    if (!t) {
        err_set(e, ENOMEM, "no memory for HTTP");
        return NULL;
    }
    LIST_INIT(&t->list);
    t->on_done = on_done;
    t->arg = arg;
    int r = fetch_multi_init(&t->multi, l, on_transfer_done, NULL, t, e);
    if (r == 0 && !(t->headers = curl_slist_append(NULL, "Connection: close")))
        r = err_set(e, ENOMEM, "no memory for HTTP");
    if (r < 0) {
        transfer_free(t);
        return NULL;
    }
    return t;
}

void transfer_free(struct transfers *t)
{
    if (!t)
        return;
    while (!LIST_EMPTY(&t->list))
        transfer_end(LIST_FIRST(&t->list));
    fetch_multi_release(&t->multi);
    curl_slist_free_all(t->headers);
    free(t);
}
