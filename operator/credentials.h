// SPDX-License-Identifier: Apache-2.0
// The credentials of one API server as they are now: tokens and certificates change on disk while we run
// (projected tokens every hour, certificates when somebody rotates them), and are read again by age and when
// the server refuses them.
#ifndef KUBECANARY_OPERATOR_CREDENTIALS_H
#define KUBECANARY_OPERATOR_CREDENTIALS_H

#include "lib/fetch.h"
#include "operator/kubeconfig.h"

// Projected tokens live an hour and are replaced after 80 % of it; client-go reads them again at this age
// too.
#define CREDENTIALS_TOKEN_NS (50 * NS_PER_S)
// As client-go does for client certificates and, since 0.36, for CAs.
#define CREDENTIALS_TLS_NS (300 * NS_PER_S)
// After a failed handshake, but no more often than this.
#define CREDENTIALS_TLS_RETRY_NS (10 * NS_PER_S)

struct credentials;

// k is borrowed and must outlive it. Reads everything once; NULL when a file cannot be read.
struct credentials *credentials_new(const struct kubeconfig *k, uint64_t now, struct err *e);
void credentials_free(struct credentials *c); // takes NULL

// "Authorization: Bearer ...", or NULL without a token. Valid until the next call. Reads the file again when
// the token is old; when that fails the old token stays.
const char *credentials_header(struct credentials *c, uint64_t now);
// The server answered 401 to a request that was sent at sent_ns. True: there is another token now, so the
// request may be sent again.
bool credentials_refused(struct credentials *c, uint64_t sent_ns, uint64_t now);

// The certificates, borrowed until credentials_refresh.
struct fetch_tls credentials_tls(const struct credentials *c);
// Reads certificates again if they are old, or (failed) if a handshake failed. True: they changed, hand them
// to fetch. A file that cannot be read, or a certificate that does not fit its key's file yet, leaves what
// there is; e tells (code 0: nothing is wrong).
bool credentials_refresh(struct credentials *c, bool failed, uint64_t now, struct err *e);

#endif
