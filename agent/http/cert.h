// SPDX-License-Identifier: Apache-2.0
// When the certificates of a TLS handshake end, also of one that fails because they have ended or because
// nobody here trusts them. OpenSSL's part of the helper; changes nothing of what is verified.
#ifndef KUBECANARY_AGENT_HTTP_CERT_H
#define KUBECANARY_AGENT_HTTP_CERT_H

#include "lib/base.h"

struct cert_ends { // unix seconds; 0: no certificate was seen, or its date is none
    int64_t leaf_s;
    int64_t
        chain_s; // the earliest of the chain that was verified; of those that the server sent, if none was
};

// To be called from CURLOPT_SSL_CTX_FUNCTION. ends must live as long as the connection; the last handshake
// counts.
void cert_watch(void *ssl_ctx, struct cert_ends *ends);
// Trusts the system's store: $SSL_CERT_FILE, $SSL_CERT_DIR, or OpenSSL's own folders.
void cert_trust_system(void *ssl_ctx);

#endif
