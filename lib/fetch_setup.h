// SPDX-License-Identifier: Apache-2.0
// The options of one libcurl request: where to, with which certificates, what is sent, how long it may take.
// fetch.c's own helper.
#ifndef KUBECANARY_LIB_FETCH_SETUP_H
#define KUBECANARY_LIB_FETCH_SETUP_H

#include <curl/curl.h>

#include "lib/fetch.h"

struct fetch_setup_tls { // own copies
    char *ca, *cert, *key, *server_name;
    bool insecure;
};

struct fetch_setup_lists { // belong to the request, for as long as it lives
    struct curl_slist *headers, *connect_to;
};

MUST_USE int fetch_setup_copy_tls(const struct fetch_tls *from, struct fetch_setup_tls *ret, struct err *e);
void fetch_setup_release_tls(struct fetch_setup_tls *t);

// Sets everything but the callbacks. EINVAL: bad URL; ENOMEM. The lists are the caller's to free, also after
// an error.
MUST_USE int fetch_setup(CURL *easy, const struct fetch_opts *o, const struct fetch_setup_tls *tls,
                         const char *user_agent, struct fetch_setup_lists *lists, struct err *e);

#endif
