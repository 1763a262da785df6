// SPDX-License-Identifier: Apache-2.0
// Verification is OpenSSL's own; around it, the dates are read.
#include "agent/http/cert.h"

#include <openssl/ssl.h>
#include <time.h>

static int64_t end_of(const X509 *cert)
{
    struct tm tm;
    const ASN1_TIME *t = cert ? X509_get0_notAfter(cert) : NULL;
    return t && ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) : 0;
}

static int verify(X509_STORE_CTX *store, void *arg)
{
    struct cert_ends *ends = arg;
    int ok = X509_verify_cert(store);
    const STACK_OF(X509) *chain =
        ok > 0 ? X509_STORE_CTX_get0_chain(store) : X509_STORE_CTX_get0_untrusted(store);
    ends->leaf_s = ends->chain_s = end_of(X509_STORE_CTX_get0_cert(store));
    for (int i = 0; chain && i < sk_X509_num(chain); i++) {
        int64_t end = end_of(sk_X509_value(chain, i));
        if (end && (!ends->chain_s || end < ends->chain_s))
            ends->chain_s = end;
    }
    return ok;
}

void cert_watch(void *ssl_ctx, struct cert_ends *ends)
{
    SSL_CTX_set_mode(ssl_ctx, SSL_MODE_RELEASE_BUFFERS); // 34 KiB less for a connection that waits
    SSL_CTX_set_cert_verify_callback(ssl_ctx, verify, ends);
}

void cert_trust_system(void *ssl_ctx)
{
    SSL_CTX_set_default_verify_paths(ssl_ctx); // what it cannot read, it does not trust: the handshake fails
}
