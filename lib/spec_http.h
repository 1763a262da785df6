// SPDX-License-Identifier: Apache-2.0
// The rules of HTTP targets that join several fields or look into a text. Pure; reads the plain struct only.
#ifndef KUBECANARY_LIB_SPEC_HTTP_H
#define KUBECANARY_LIB_SPEC_HTTP_H

#include "lib/spec.h"

// The URL's host and port, the CA bundle (pem.h), statuses, and what excludes each other. Path "url";
// EINVAL, ENOMEM.
MUST_USE int spec_http_check(const struct spec_target *t, struct err *e);
// All bundles together fit the agents' file. Path "targets[1].caBundle".
MUST_USE int spec_http_check_all(const struct spec *s, struct err *e);
// Whether two would send the same request.
bool spec_http_same(const struct spec_target *a, const struct spec_target *b);

// Families that a target is probed over: of ipFamily or of the address in its URL one bit (FAMILY_BIT),
// otherwise both: whichever the name leads to.
unsigned spec_http_families(const struct spec_target *t);

// Requests of one agent that may be under way at once, if no HTTP target answers: of each as many as begin
// within its timeout and grace. *ret_mean: what they are on average then, rounded up.
uint64_t spec_http_under_way(const struct spec *s, uint64_t *ret_mean);

#endif
