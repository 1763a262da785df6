// SPDX-License-Identifier: Apache-2.0
// Error codes to classes, points in time to durations.
#include "agent/http/transfer_outcome.h"

#include <errno.h>
#include <stdio.h>

// What connect says when nothing left this host.
static bool is_local(long err)
{
    return err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS || err == EADDRNOTAVAIL ||
           err == EAFNOSUPPORT || err == ENETUNREACH;
}

static enum http_wire_outcome not_connected(long err)
{
    if (err == 0) // it did not even try: no address is of the family that was asked for
        return HTTP_WIRE_LOOKUP;
    return err == ETIMEDOUT ? HTTP_WIRE_TIMEOUT : is_local(err) ? HTTP_WIRE_LOCAL : HTTP_WIRE_CONNECT;
}

static bool was_redirected(CURL *easy)
{
    long n = 0;
    curl_easy_getinfo(easy, CURLINFO_REDIRECT_COUNT, &n);
    return n > 0;
}

static bool was_answered(CURL *easy)
{
    curl_off_t us = 0;
    curl_easy_getinfo(easy, CURLINFO_STARTTRANSFER_TIME_T, &us);
    return us > 0;
}

static enum http_wire_outcome outcome_of(CURL *easy, CURLcode code, long err, uint16_t status)
{
    switch ((int)code) {
    case CURLE_OK: return status ? HTTP_WIRE_ANSWERED : HTTP_WIRE_PROTOCOL;
    case CURLE_COULDNT_RESOLVE_HOST: return HTTP_WIRE_LOOKUP;
    case CURLE_COULDNT_CONNECT: return not_connected(err);
    case CURLE_OPERATION_TIMEDOUT: return HTTP_WIRE_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE: return HTTP_WIRE_CERTIFICATE;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER: return HTTP_WIRE_TLS;
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR: return HTTP_WIRE_CLOSED;
    case CURLE_TOO_MANY_REDIRECTS: return HTTP_WIRE_REDIRECT;
    // libcurl says so too of a header line that exceeds its own bound.
    case CURLE_OUT_OF_MEMORY: return was_answered(easy) ? HTTP_WIRE_PROTOCOL : HTTP_WIRE_LOCAL;
    case CURLE_FAILED_INIT: return HTTP_WIRE_LOCAL;
    case CURLE_URL_MALFORMAT: return was_redirected(easy) ? HTTP_WIRE_REDIRECT : HTTP_WIRE_LOCAL;
    case CURLE_UNSUPPORTED_PROTOCOL: return was_redirected(easy) ? HTTP_WIRE_REDIRECT : HTTP_WIRE_PROTOCOL;
    default: return HTTP_WIRE_PROTOCOL;
    }
}

static uint64_t at_ns(CURL *easy, CURLINFO what)
{
    curl_off_t us = 0;
    curl_easy_getinfo(easy, what, &us);
    return us > 0 ? MIN((uint64_t)us * NS_PER_US, LIMIT_HTTP_NS) : 0;
}

// libcurl's times are counted from the beginning, each hop's added up; 0: not reached.
static void phases_of(CURL *easy, uint64_t ret[HTTP_WIRE_PHASES])
{
    const uint64_t at[] = {at_ns(easy, CURLINFO_NAMELOOKUP_TIME_T), at_ns(easy, CURLINFO_CONNECT_TIME_T),
                           at_ns(easy, CURLINFO_APPCONNECT_TIME_T),
                           at_ns(easy, CURLINFO_STARTTRANSFER_TIME_T)};
    uint64_t total = at_ns(easy, CURLINFO_TOTAL_TIME_T), before = 0;
    for (unsigned i = 0; i < ARRAY_LEN(at); i++) {
        ret[i] = at[i] > before ? MIN(at[i] - before, total) : 0;
        before = MAX(before, at[i]);
    }
    ret[HTTP_WIRE_PHASE_TOTAL] = total;
}

// The errno behind it; 0: none.
static long errno_of(CURL *easy, CURLcode code, int socket_err)
{
    long err = 0;
    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &err);
    if (code == CURLE_OUT_OF_MEMORY)
        return ENOMEM;
    return err > 0 && err <= HTTP_WIRE_ERRNO_MAX ? err : socket_err;
}

void transfer_outcome(CURL *easy, CURLcode code, const char *error, int socket_err,
                      struct http_wire_result *ret)
{
    long status = 0, err = errno_of(easy, code, socket_err);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    *ret = (struct http_wire_result){.status = status >= 100 && status <= 999 ? (uint16_t)status : 0,
                                     .code = (uint16_t)code};
    ret->outcome = outcome_of(easy, code, err, ret->status);
    if (ret->outcome == HTTP_WIRE_LOCAL)
        ret->err = (uint16_t)err;
    phases_of(easy, ret->phase_ns);
    if (ret->outcome != HTTP_WIRE_ANSWERED)
        snprintf(ret->text, sizeof(ret->text), "%s", error[0] ? error : curl_easy_strerror(code));
}
