// SPDX-License-Identifier: Apache-2.0
// Reads the headers by which a client says what it takes: Accept and Accept-Encoding (RFC 9110, 12.5). Pure;
// points into the header. What is no qvalue counts as 1, as if it were absent.
#ifndef KUBECANARY_LIB_ACCEPT_H
#define KUBECANARY_LIB_ACCEPT_H

#include "lib/base.h"

struct accept_span { // not terminated
    const char *at;
    size_t len;
};
struct accept {
    struct accept_span rest;
};
struct accept_item {            // between two commas
    struct accept_span value;   // a media range, a coding
    struct accept_span version; // of the parameter; without quotes; len 0: none
    int q;                      // in thousandths
};

struct accept accept_begin(const char *header); // NULL: nothing is in it
bool accept_next(struct accept *a, struct accept_item *ret);
bool accept_is(struct accept_span s, const char *text); // whatever the case

// Whether an Accept-Encoding asks for gzip at least as much as for what is not compressed; NULL does not.
bool accept_gzip(const char *header);

#endif
