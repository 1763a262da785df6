// SPDX-License-Identifier: Apache-2.0
// Requests on libcurl's multi handle. What is started or cancelled from inside libcurl's callbacks is put off
// until it has returned.
#include "lib/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/fetch_multi.h"
#include "lib/fetch_setup.h"

struct fetch {
    struct fetch_multi multi;
    struct fetch_setup_tls tls;
    char *user_agent;
    LIST_HEAD(, fetch_req) reqs;
};

enum req_state { REQ_NEW, REQ_ACTIVE, REQ_CANCELLED };

struct fetch_req {
    LIST_ENTRY(fetch_req) link;
    struct fetch *fetch;
    enum req_state state;
    CURL *easy;
    struct fetch_setup_lists lists;
    fetch_data_fn *on_data;
    fetch_done_fn *on_done;
    void *arg;
    size_t received, max_body;
    int abort_code; // E2BIG, ECANCELED: why the write callback stopped
    int retry_after_s;
    char error[CURL_ERROR_SIZE];
};

static void req_free(struct fetch_req *r)
{
    if (!r)
        return;
    curl_easy_cleanup(r->easy);
    curl_slist_free_all(r->lists.headers);
    curl_slist_free_all(r->lists.connect_to);
    free(r);
}

static void req_remove(struct fetch_req *r)
{
    LIST_REMOVE(r, link);
    if (r->state != REQ_NEW)
        curl_multi_remove_handle(r->fetch->multi.curl, r->easy);
    req_free(r);
}

static int error_code(const struct fetch_req *r, CURLcode code)
{
    switch ((int)code) {
    case CURLE_OPERATION_TIMEDOUT: return ETIMEDOUT;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST: return ECONNREFUSED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE: return EKEYREJECTED;
    case CURLE_WRITE_ERROR: return r->abort_code ? r->abort_code : EIO;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR: return EPIPE;
    case CURLE_OUT_OF_MEMORY: return ENOMEM;
    default: return EIO;
    }
}

static void on_transfer_done(CURL *easy, CURLcode code, void *own UNUSED)
{
    struct fetch_req *r = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&r);
    struct fetch_result result = {.retry_after_s = r->retry_after_s};
    long status = 0;
    fetch_done_fn *done = r->on_done;
    void *arg = r->arg;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    result.status = (int)status;
    if (code != CURLE_OK) {
        int e = error_code(r, code);
        const char *text = r->error[0] ? r->error : curl_easy_strerror(code);
        result.tls_failed = e == EKEYREJECTED;
        err_set(&result.err, e, "%s", e == E2BIG ? "the answer is too long" : text);
    }
    req_remove(r);
    done(&result, arg);
}

static void start_put_off(void *arg)
{
    struct fetch *f = arg;
    for (struct fetch_req *r = LIST_FIRST(&f->reqs); r;) {
        struct fetch_req *next = LIST_NEXT(r, link);
        if (r->state == REQ_CANCELLED) {
            req_remove(r);
        } else if (r->state == REQ_NEW && curl_multi_add_handle(f->multi.curl, r->easy) == CURLM_OK) {
            r->state = REQ_ACTIVE; // if it could not be added (no memory), the next round tries again
        }
        r = next;
    }
}

int fetch_set_tls(struct fetch *f, const struct fetch_tls *tls, struct err *e)
{
    static const struct fetch_tls none;
    struct fetch_setup_tls t;
    int r = fetch_setup_copy_tls(tls ? tls : &none, &t, e);
    if (r < 0)
        return r;
    fetch_setup_release_tls(&f->tls);
    f->tls = t;
    return 0;
}

struct fetch *fetch_new(struct loop *l, const struct fetch_tls *tls, const char *user_agent, struct err *e)
{
    struct fetch *f = calloc(1, sizeof(*f));
    if (!f) {
        err_set(e, ENOMEM, "no memory for HTTP");
        return NULL;
    }
    LIST_INIT(&f->reqs);
    if (fetch_multi_init(&f->multi, l, on_transfer_done, start_put_off, f, e) < 0) {
        fetch_free(f);
        return NULL;
    }
    f->user_agent = strdup(user_agent);
    if (!f->user_agent) {
        err_set(e, ENOMEM, "no memory for HTTP");
        fetch_free(f);
        return NULL;
    }
    if (fetch_set_tls(f, tls, e) < 0) {
        fetch_free(f);
        return NULL;
    }
    return f;
}

void fetch_free(struct fetch *f)
{
    if (!f)
        return;
    while (!LIST_EMPTY(&f->reqs))
        req_remove(LIST_FIRST(&f->reqs));
    fetch_multi_release(&f->multi);
    fetch_setup_release_tls(&f->tls);
    free(f->user_agent);
    free(f);
}

static size_t on_curl_data(char *data, size_t size, size_t n, void *arg)
{
    struct fetch_req *r = arg;
    size_t len = size * n;
    long status = 0;
    if (r->state == REQ_CANCELLED)
        return 0;
    if (r->max_body > 0 && len > r->max_body - r->received) {
        r->abort_code = E2BIG;
        return 0;
    }
    r->received += len;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    if (r->on_data && r->on_data((int)status, data, len, r->arg) != 0) {
        r->abort_code = ECANCELED;
        return 0;
    }
    return len;
}

static size_t on_curl_header(char *data, size_t size, size_t n, void *arg)
{
    static const char name[] = "retry-after:";
    struct fetch_req *r = arg;
    size_t len = size * n;
    char digits[16];
    uint64_t value;
    if (len <= sizeof(name) || strncasecmp(data, name, sizeof(name) - 1) != 0)
        return len;
    size_t at = sizeof(name) - 1, end = len;
    while (at < end && (data[at] == ' ' || data[at] == '\t'))
        at++;
    while (end > at && (data[end - 1] == '\r' || data[end - 1] == '\n' || data[end - 1] == ' '))
        end--;
    if (end - at >= sizeof(digits))
        return len;
    memcpy(digits, data + at, end - at);
    digits[end - at] = '\0';
    if (base_parse_u64(digits, 0, 86400, &value) == 0)
        r->retry_after_s = (int)value;
    return len;
}

struct fetch_req *fetch_start(struct fetch *f, const struct fetch_opts *o, fetch_data_fn *on_data,
                              fetch_done_fn *on_done, void *arg, struct err *e)
{
    struct fetch_req *r = calloc(1, sizeof(*r));
    if (!r || !(r->easy = curl_easy_init())) {
        free(r);
        err_set(e, ENOMEM, "no memory for a request");
        return NULL;
    }
    if (fetch_setup(r->easy, o, &f->tls, f->user_agent, &r->lists, e) < 0) {
        req_free(r);
        return NULL;
    }
    r->fetch = f;
    r->on_data = on_data;
    r->on_done = on_done;
    r->arg = arg;
    r->max_body = o->max_body;
    r->retry_after_s = -1;
    curl_easy_setopt(r->easy, CURLOPT_PRIVATE, r);
    curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, r->error);
    curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_curl_data);
    curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(r->easy, CURLOPT_HEADERFUNCTION, on_curl_header);
    curl_easy_setopt(r->easy, CURLOPT_HEADERDATA, r);
    if (!f->multi.inside) {
        if (curl_multi_add_handle(f->multi.curl, r->easy) != CURLM_OK) {
            req_free(r);
            err_set(e, ENOMEM, "no memory for a request");
            return NULL;
        }
        r->state = REQ_ACTIVE;
    }
    LIST_INSERT_HEAD(&f->reqs, r, link);
    return r;
}

void fetch_cancel(struct fetch_req *r)
{
    if (!r)
        return;
    if (!r->fetch->multi.inside)
        req_remove(r);
    else if (r->state == REQ_NEW)
        req_remove(r);
    else
        r->state = REQ_CANCELLED;
}
