// SPDX-License-Identifier: Apache-2.0
// Certificates as text: PEM (RFC 7468) around base64 around DER. Tells whether a bundle can be read, so that
// one that cannot is refused where it is written and not found out by every handshake. Not whether a
// certificate is good: that needs a TLS library, which neither the agent nor the operator has.
#ifndef KUBECANARY_LIB_PEM_H
#define KUBECANARY_LIB_PEM_H

#include "lib/err.h"

// That text has one certificate or more and no other block, each whole: base64 between its lines, in it one
// DER sequence with the three parts of an X.509 certificate (RFC 5280, 4.1). Text between the blocks is
// comment. EINVAL with the line ("line 3: ..."), ENOMEM. No path.
MUST_USE int pem_check_certificates(const char *text, struct err *e);

#endif
